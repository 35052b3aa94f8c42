"""What a training run tells its user about the weights: log lines, wandb, the history, and the files of `results`."""

import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ..data.metadata import Metadata
from ..data.provenance import Provenance
from ..method.settings import Settings
from ..results import writing
from ..results.files import TRAIN, VALID, sample_path, worst_first
from ..results.in_words import populations
from ..weights.records import Records
from ..weights.summary import BINS, QUANTILES, summarise
from . import sample
from .about import plain, stamp
from .fit_in_log import warn_of_doubts, warn_of_refused_fit
from .options import LOSS_NAME, Options
from .tables import Columns, Split, columns_of, joined
from .validation import Validation

SUSPECTS_IN_SUMMARY = 5


class Logbook:
    """Log lines and results of one training run.

    Args:
        options: the run's.
        provenance, metadata, records: its configurations.
        prefix: where its files go, `<results_dir>/<tag>`; None on processes that write nothing.
        arguments: the host's settings, for the report; numbers and texts.
        wandb: whether the host logs to Weights & Biases.
        validation: its validation configurations, if they are judged.
    """

    def __init__(
        self,
        options: Options,
        provenance: Provenance,
        metadata: Metadata,
        records: Records,
        prefix: Path | None = None,
        arguments: dict[str, Any] | None = None,
        wandb: bool = False,
        validation: Validation | None = None,
    ) -> None:
        self.options, self.provenance, self.metadata, self.records = options, provenance, metadata, records
        self.prefix, self.arguments, self.wandb, self.validation = prefix, arguments or {}, wandb, validation
        self.history: list[dict[str, Any]] = []
        self.distribution: list[dict[str, Any]] = []  # the latest, by head

    def end_epoch(self, stage: str, distribution: list[dict[str, Any]]) -> None:
        """Log one line for each head that was visited, and keep it for the report; see LossDistribution.describe."""
        epoch, metrics, heads = self.records.epoch, {}, self.provenance.heads
        self.history = [entry for entry in self.history if entry["epoch"] < epoch]  # a restart trains one epoch again
        self.distribution = [{"head": head} | own for head, own in zip(heads, distribution, strict=True)]
        for index, own in enumerate(self.distribution):
            summary = summarise(self.records.visited_weights(index))
            if summary.visited == 0:
                continue
            head, mu, sigma = own["head"], own["location"], own["scale"]
            mean, share = summary.mean_weight, summary.share_below_half
            logging.info(
                f"Epoch {epoch}: head: {head}, {LOSS_NAME}: mean_weight={mean:.4f}, "
                f"share_below_0.5={100 * share:5.2f} %, {populations(own)}"
            )
            quantiles = {f"{100 * q:g}": weight for q, weight in zip(QUANTILES, summary.quantiles, strict=True)}
            place = {"epoch": epoch, "head": head, "stage": stage, "location": mu, "scale": sigma}
            self.history.append(place | summary._asdict() | {"quantiles": quantiles})
            values = {"mean_weight": mean, "share_below_0.5": share, "mu": mu, "sigma": sigma}
            metrics.update({f"{LOSS_NAME}/{head}/{name}": value for name, value in values.items()})
            if self.wandb:
                metrics[f"{LOSS_NAME}/{head}/weights"] = _wandb_histogram(summary.histogram)
        if self.wandb:
            sys.modules["wandb"].log(metrics, commit=False)  # joins the step that MACE logs after its validation

    @property
    def splits(self) -> list[Split]:
        """The training configurations and, where there are some, those of the validation set."""
        found = [Split(TRAIN, self.provenance, self.metadata, self.records)]
        own = self.validation
        if own is not None and len(own.records):
            found.append(Split(VALID, own.provenance, own.metadata, own.records))
        return found

    def log_summary(self) -> None:
        """Log what the run thinks of its configurations, and where to read more."""
        splits = self.splits
        nonfinite = sum(int(split.records.nonfinite.sum()) for split in splits)
        logging.info("===========OUTLIER WEIGHTING: SUMMARY===========")
        logging.info(
            f"{' and '.join(map(_counted, splits))} have a weight below 0.5, "
            f"{nonfinite} have a non-finite label or loss (weight 0)"
        )
        for own in self.distribution:
            warn_of_refused_fit(own)
            warn_of_doubts(own)
        for weight, z, split, row in worst_of_splits(splits, SUSPECTS_IN_SUMMARY):
            logging.info(f"Suspect: {split.configuration(row)}, weight={weight:.3f}, z={z:.2f} sigma")
        if self.prefix is not None:
            logging.info(f"All of them, with figures: mace_outlier report {self.prefix}")

    # --- files -------------------------------------------------------------------------------------------------------

    def save(self, finished: bool = False) -> None:
        """Write table and description; a fault is logged, because no training should end for want of a report."""
        if self.prefix is None:
            return
        try:
            writing.write_results(self.prefix, self.table(), self.about(finished))
        except Exception as error:
            logging.error(f"The table of configurations {self.prefix}_outliers.* could not be written: {error}")

    def set_earlier_results_aside(self) -> None:
        """Keep the results of an earlier run under the same name."""
        if self.prefix is None:
            return
        for path in writing.set_aside(self.prefix):
            logging.info(f"The results of an earlier run of this name are now {path}")

    def save_sample(self, model: Any, batches_of: Any, output_args: dict[str, bool]) -> None:
        """Evaluate some training configurations by the trained model; `batches_of(rows)` makes the host's batches."""
        if self.prefix is None:
            return
        table = columns_of(self.splits[0])  # rows are those of the training set
        chosen = sample.choose(table["weight"], table["zscore"], table["n_atoms"])
        rows, device = np.concatenate(chosen), self.records.table.device
        try:
            frames = sample.evaluate(model, batches_of(rows), device, output_args)
            sample.write_sample(sample_path(self.prefix), frames, rows, len(chosen[0]))
        except Exception as error:
            logging.error(f"The sample for the report's figures could not be evaluated: {error}")

    def table(self) -> Columns:
        """The columns of `results.COLUMNS`, one row for each configuration: training, then validation."""
        return joined([columns_of(split) for split in self.splits])

    def about(self, finished: bool) -> dict[str, Any]:
        """What the report says of the run; see `results`."""
        return stamp("training", self.prefix or Path(), sum(len(split.records) for split in self.splits)) | {
            "finished": finished,
            "epoch": self.records.epoch,
            "options": plain(asdict(self.options)),
            "arguments": plain(self.arguments),
            "heads": self.provenance.heads,
            "distribution": [plain(entry) for entry in self.distribution],
            "history": self.history,
        }


def worst_of_splits(splits: list[Split], count: int) -> list[tuple[float, float, Split, int]]:
    """Weight, z-score, split and row of the worst suspects with a finite loss."""
    found = []
    for split in splits:
        weight, zscore, loss = (getattr(split.records, name).cpu().numpy() for name in ("weight", "zscore", "loss"))
        rows = np.flatnonzero((weight < 0.5) & ~np.isnan(loss))
        rows = rows[worst_first(weight[rows], zscore[rows], np.isnan(loss[rows]))][:count]
        found += [(float(weight[row]), float(zscore[row]), split, int(row)) for row in rows]
    weights, zscores = (np.array([suspect[i] for suspect in found]) for i in (0, 1))
    order = worst_first(weights, zscores, np.zeros(len(found), dtype=bool))
    return [found[i] for i in order[:count]]


def _counted(split: Split) -> str:
    """How many configurations of a split have low weights."""
    weight = split.records.weight.cpu().numpy()
    below, kind = int((weight < 0.5).sum()), {TRAIN: "training", VALID: "validation"}[split.name]
    return f"{below} of {len(weight)} {kind} configurations ({100 * below / max(len(weight), 1):.2f} %)"


def _wandb_histogram(counts: list[int]) -> Any:
    return sys.modules["wandb"].Histogram(np_histogram=(counts, np.linspace(0, 1, BINS + 1)))


def log_small_heads(heads: Sequence[str], sizes: np.ndarray) -> None:
    """Say at the start what becomes of heads that have few configurations."""
    for head, size in zip(heads, sizes.tolist(), strict=True):
        if size < Settings().least:
            logging.warning(f"head {head}: {size} configurations are too few to be compared: all keep their weight")
        elif size < Settings().few:
            logging.info(f"head {head}: of {size} configurations, only gross errors can be told from hard geometries")
