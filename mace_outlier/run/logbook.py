"""What a training run tells its user about the weights: log lines, wandb, the history, and the files of `results`."""

import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..causes.cause import Cause
from ..faults import faults_logged
from ..results import writing
from ..results.files import sample_path, worst_first
from ..results.in_words import in_a_line
from ..states import ASIDE, STATES
from ..weights.by_head import BINS, Tally, judgement
from ..weights.features import Features
from . import sample
from .about import plain, stamp
from .causes import cause_columns, causes_of, in_another_order, in_words
from .fit_in_log import log_small_heads, warn_of_doubts
from .known import warn_of_shared
from .options import LOSS_NAME, Options
from .parts import Parts
from .tables import PART, Columns, Split, columns_of, joined, parts_of, parts_of_all
from .weight_summary import in_words_of, summarise

SUSPECTS_IN_SUMMARY = 5


class Logbook:
    """Log lines and results of one training run.

    Args:
        options: the run's.
        splits: its training configurations and, where some are judged, its validation configurations.
        prefix: where its files go, `<results_dir>/<tag>`; None on processes that write nothing.
        arguments: the host's settings, for the report; numbers and texts.
        wandb: whether the host logs to Weights & Biases.
        reading: how many frames the host left out, or gave labels, by reason.
        parts: in which the processes save very many configurations.
    """

    def __init__(
        self,
        options: Options,
        splits: Sequence[Split],
        prefix: Path | None = None,
        arguments: dict[str, Any] | None = None,
        wandb: bool = False,
        reading: dict[str, int] | None = None,
        parts: Parts = Parts(),  # noqa: B008 (not in use)
    ) -> None:
        self.options, self.splits, self.prefix = options, splits, prefix
        self.rows = sum(split.records.size for split in splits)
        self.arguments, self.wandb, self.reading, self.parts = arguments or {}, wandb, reading or {}, parts
        self.history: list[dict[str, Any]] = []
        self.distribution: list[dict[str, Any]] = []  # the latest, by head
        self.tallies: Sequence[Tally] = ()  # of the same
        self.causes: Columns = {}  # of the suspects, once they were examined

    def log_start(self) -> None:
        """Log what is weighed, and by what."""
        rows = self.splits[0].provenance
        logging.info("===========OUTLIER WEIGHTING===========")
        logging.info(f"mace-outlier {__version__}, loss: {LOSS_NAME}, {self.options.describe()}")
        logging.info(f"Judging {len(rows)} training configurations, heads: {rows.heads}")
        if len(self.splits) > 1:
            warn_of_shared(*self.splits)
        if self.options.distribution == "mixture":
            log_small_heads(rows.heads, np.bincount(rows.head, minlength=len(rows.heads)))

    def end_epoch(self, stage: str, distribution: list[dict[str, Any]], tallies: Sequence[Tally]) -> None:
        """Log one line for each head that was visited, and keep it for the report; see LossDistribution.describe."""
        heads, epoch = self.splits[0].provenance.heads, self.splits[0].records.epoch
        metrics, self.tallies = dict[str, Any](), tallies
        self.history = [entry for entry in self.history if entry["epoch"] < epoch]  # a restart trains one epoch again
        self.distribution = [{"head": name} | of_head for name, of_head in zip(heads, distribution, strict=True)]
        for of_head, tally in zip(self.distribution, tallies, strict=True):
            if not tally.visited:
                continue
            head, mu, sigma, summary = of_head["head"], of_head["location"], of_head["scale"], summarise(tally)
            mean, share = summary["mean_weight"], summary["share_below_half"]
            judged = judgement(tally, of_head, self.history)
            logging.info(
                f"Epoch {epoch}: head: {head}, {LOSS_NAME}: mean_weight={mean:.4f}, "
                f"share_below_0.5={100 * share:5.2f} %, {in_a_line(of_head, judged)}"
            )
            place = {"epoch": epoch, "head": head, "stage": stage, "location": mu, "scale": sigma}
            believed = [own.name for own in judged.how.believed] if judged.how else []
            self.history.append(place | summary | {"suspects": judged.suspects, "believed": believed})
            values = {"mean_weight": mean, "share_below_0.5": share, "mu": mu, "sigma": sigma}
            metrics |= {f"{LOSS_NAME}/{head}/{name}": value for name, value in values.items()}
            if self.wandb:
                histogram = (summary["histogram"], np.linspace(0, 1, BINS + 1))
                metrics[f"{LOSS_NAME}/{head}/weights"] = sys.modules["wandb"].Histogram(np_histogram=histogram)
        if self.wandb:
            sys.modules["wandb"].log(metrics, commit=False)  # joins the step that MACE logs after its validation

    @faults_logged("The summary could not be logged")
    def log_summary(self) -> None:
        """Log what the run thinks of its configurations, and where to read more; where all of them are known."""
        records = [own for own in (split.records.everyone for split in self.splits) if own is not None]
        if len(records) < len(self.splits):
            return
        weight, zscore, since, codes = (
            np.concatenate([getattr(of_split, name).cpu().numpy() for of_split in records])
            for name in ("weight", "zscore", "suspect_since", "codes")
        )
        counted = [in_words_of(split.name, own.weight) for split, own in zip(self.splits, records, strict=True)]
        logging.info("===========OUTLIER WEIGHTING: SUMMARY===========")
        logging.info(
            f"{' and '.join(counted)} have a weight below 0.5"
            + "".join(f", {number} x {STATES[code]}" for code, number in sorted(Counter(codes[codes > 0]).items()))
        )
        for of_head, tally in zip(self.distribution, self.tallies, strict=True):
            warn_of_doubts(of_head["head"], judgement(tally, of_head, self.history))
        suspects = np.flatnonzero((weight < 0.5) & ~np.isin(codes, ASIDE))
        order = worst_first(weight[suspects], zscore[suspects], np.zeros(len(suspects), dtype=bool))
        for row in suspects[order[:SUSPECTS_IN_SUMMARY]]:
            epoch = f", since epoch {since[row]}" if since[row] >= 0 else ""
            logging.info(f"Suspect: {self._name(row)}, weight={weight[row]:.3f}, z={zscore[row]:.2f} sigma{epoch}")
        if self.prefix is not None:
            logging.info(f"All of them, with figures: mace_outlier report {self.prefix}")

    def _name(self, row: int) -> str:
        """The configuration of a row of the table, as the user knows it."""
        size = self.splits[0].records.size
        if row < size:
            return self.splits[0].provenance.name(row)
        return f"{self.splits[1].provenance.name(row - size)} (validation)"

    def save(self, finished: bool = False) -> None:
        """Write table and description; a fault is logged."""
        if self.prefix is None:
            return
        with faults_logged(f"The table of configurations {self.prefix}_outliers.* could not be written"):
            if self.parts.in_use and not finished:
                self.parts.add(part for split in self.splits[1:] for part in parts_of(split))
                writing.write_about(self.prefix, self.parts.name, self.about(finished))
                return
            parts = [self.table()] if self.rows <= PART else parts_of_all(self.splits, self.causes)
            writing.write_parts(self.prefix, parts, self.rows, self.about(finished))

    @faults_logged("Earlier results of this name could not be set aside")
    def set_earlier_results_aside(self) -> None:
        """Keep the results of an earlier run under the same name; a fault is logged."""
        for path in writing.set_aside(self.prefix) if self.prefix is not None else ():
            logging.info(f"The results of an earlier run of this name are now {path}")

    def examine(
        self,
        model: Any,
        batches_of: Callable[[np.ndarray], Iterator[Any]],
        output_args: dict[str, bool],
        features: Features | None,
    ) -> None:
        """Evaluate suspects and some others by the trained model, and note what is wrong with the suspects.

        `batches_of(rows)` makes the host's batches of rows of the table. A fault is logged: see `save`.
        """
        if self.prefix is None:
            return
        if self.distribution and all("not_finite_since" in of_head for of_head in self.distribution):
            logging.warning("Suspects are not examined for causes, because the model is not finite")
            return
        causes: list[Cause] = []
        with faults_logged("Suspects could not be examined, for the report's figures and causes"):
            table, device = self.table(), self.splits[0].records.table.device
            heads = np.asarray(table["head"].codes)
            chosen = sample.choose(table["weight"], table["zscore"], table["n_atoms"], heads)
            evaluated = sample.evaluate(model, batches_of(chosen.rows), device, output_args, features or Features(0))
            with faults_logged("The causes of suspects could not be found"):
                causes = causes_of(evaluated, chosen, heads)
            sample.write_sample(sample_path(self.prefix), evaluated.frames, chosen, in_another_order(causes))
        if causes:
            logging.info(f"What is wrong with the suspects: {in_words(causes)}")
            self.causes = cause_columns(causes, chosen.suspects, len(heads))
            self.save(finished=True)

    def table(self) -> Columns:
        """The columns of `results.files.COLUMNS`, one row for each configuration: training, then validation."""
        return joined([columns_of(split) for split in self.splits]) | self.causes

    def about(self, finished: bool) -> dict[str, Any]:
        """What the report says of the run; see `results`."""
        return stamp("training", self.prefix or Path(), self.rows) | {
            "finished": finished,
            "epoch": self.splits[0].records.epoch,
            "options": plain(asdict(self.options)),
            "arguments": plain(self.arguments),
            "reading": self.reading,
            "heads": self.splits[0].provenance.heads,
            "distribution": [plain(of_head) for of_head in self.distribution],
            "history": self.history,
        }
