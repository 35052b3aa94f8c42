"""What a training run tells its user about the weights: log lines, wandb, the history, and the files of `results`."""

import logging
import sys
import time
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from .options import LOSS_NAME, Options
from .populations import SIMILAR
from .provenance import Descriptions, Provenance
from .records import BINS, QUANTILES, Records

SUSPECTS_IN_SUMMARY = 5
PACKAGES = ("mace-outlier", "mace-torch", "torch", "e3nn", "ase", "numpy")


class Logbook:
    """Log lines and results of one training run.

    Args:
        options: the run's.
        provenance, descriptions, records: its configurations.
        prefix: where its files go, `<results_dir>/<tag>`; None on processes that write nothing.
        arguments: the host's settings, for the report; numbers and texts.
        wandb: whether the host logs to Weights & Biases.
    """

    def __init__(
        self,
        options: Options,
        provenance: Provenance,
        descriptions: Descriptions,
        records: Records,
        prefix: Path | None = None,
        arguments: dict[str, Any] | None = None,
        wandb: bool = False,
    ) -> None:
        self.options, self.provenance, self.descriptions, self.records = options, provenance, descriptions, records
        self.prefix, self.arguments, self.wandb = prefix, arguments or {}, wandb
        self.history: list[dict[str, Any]] = []
        self.distribution: list[dict[str, Any]] = []  # the latest, by head

    def end_epoch(self, stage: str, distribution: list[dict[str, Any]]) -> None:
        """Log one line for each head that was visited, and keep it for the report; see LossDistribution.describe."""
        epoch, metrics, heads = self.records.epoch, {}, self.provenance.heads
        self.history = [entry for entry in self.history if entry["epoch"] < epoch]  # a restart trains one epoch again
        self.distribution = [{"head": head} | own for head, own in zip(heads, distribution, strict=True)]
        for index, own in enumerate(self.distribution):
            summary = self.records.summary(index)
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

    def log_summary(self) -> None:
        """Log what the run thinks of its training configurations, and where to read more."""
        weight, loss, zscore = (getattr(self.records, name).cpu().numpy() for name in ("weight", "loss", "zscore"))
        nonfinite = np.isnan(loss)
        below = int((weight < 0.5).sum())
        logging.info("===========OUTLIER WEIGHTING: SUMMARY===========")
        logging.info(
            f"{below} of {len(weight)} training configurations ({100 * below / max(len(weight), 1):.2f} %) have a "
            f"weight below 0.5, {int(nonfinite.sum())} have a non-finite label or loss (weight 0)"
        )
        for own in self.distribution:
            warn_of_similar_populations(own)
        suspects = np.flatnonzero((weight < 0.5) & ~nonfinite)
        for row in _largest(zscore, suspects, SUSPECTS_IN_SUMMARY):
            logging.info(f"Suspect: {self.provenance.name(row)}, weight={weight[row]:.3f}, z={zscore[row]:.2f} sigma")
        if self.prefix is not None:
            logging.info(f"All of them, with figures: mace_outlier report {self.prefix}")

    # --- files -------------------------------------------------------------------------------------------------------

    def save(self, finished: bool = False) -> None:
        """Write table and description; a fault is logged, because no training should end for want of a report."""
        if self.prefix is None:
            return
        from .results import write_results  # loads pandas

        try:
            write_results(self.prefix, self.table(), self.about(finished))
        except Exception as error:
            logging.error(f"The table of configurations {self.prefix}_outliers.* could not be written: {error}")

    def set_earlier_results_aside(self) -> None:
        """Keep the results of an earlier run under the same name."""
        if self.prefix is None:
            return
        from .results import set_aside

        for path in set_aside(self.prefix):
            logging.info(f"The results of an earlier run of this name are now {path}")

    def save_sample(self, model: Any, batches_of: Any, output_args: dict[str, bool]) -> None:
        """Evaluate suspects and others by the trained model; `batches_of(rows)` makes the host's batches of them."""
        if self.prefix is None:
            return
        from . import results, sample

        table = self.table()
        chosen = sample.choose(table["weight"], table["zscore"], table["n_atoms"])
        rows, device = np.concatenate(chosen), self.records.table.device
        try:
            frames = sample.evaluate(model, batches_of(rows), device, output_args)
            sample.write_sample(results.sample_path(self.prefix), frames, rows, len(chosen[0]))
        except Exception as error:
            logging.error(f"The sample for the report's figures could not be evaluated: {error}")

    def table(self) -> dict[str, Any]:
        """The columns of `results.COLUMNS`, one row for each configuration."""
        records, rows = self.records, self.provenance
        values = {name: values.cpu().numpy() for name, values in records.state_dict().items()}
        columns = {
            "head": text_column(rows.head, rows.heads),
            "source": text_column(rows.source, rows.sources),
            "frame": rows.frame,
            "config_type": text_column(*self.descriptions.categories("config_type")),
            "formula": text_column(*self.descriptions.categories("formula")),
            "n_atoms": self.descriptions.n_atoms.numpy(),
            "times_seen": values["times_seen"],
            "last_epoch": values["last_epoch"].astype(np.int32),
            "weight": values["weight"],
            "mean_weight": values["mean_weight"],
            "zscore": np.where(np.isnan(values["loss"]), np.float32(np.nan), values["zscore"]),
            "loss": values["loss"],
            "energy_error_per_atom": values["energy_error"],
            "force_rmse": values["force_rmse"],
        }
        return columns | {name: values[name] for name in records.residuals[2:]}

    def about(self, finished: bool) -> dict[str, Any]:
        """What the report says of the run; see `results`."""
        return description("training", self.prefix or Path(), len(self.records)) | {
            "finished": finished,
            "epoch": self.records.epoch,
            "options": plain(asdict(self.options)),
            "arguments": plain(self.arguments),
            "heads": self.provenance.heads,
            "distribution": [plain(entry) for entry in self.distribution],
            "history": self.history,
        }


def populations(distribution: dict[str, Any]) -> str:
    """What a head's loss distribution says, for the log."""
    if distribution["kind"] == "mixture":
        if not distribution["share"]:
            return f"one population of losses, mode={np.exp(distribution['mode']):.4e}"
        modes = [np.exp(distribution[name]) for name in ("mode", "high_mean")]
        share = 100 * distribution["share"]
        return f"two populations of losses, {share:.2f} % above, modes={modes[0]:.4e} and {modes[1]:.4e}"
    return f"mu={distribution['location']:.4e}, sigma={distribution['scale']:.4e}"


def warn_of_similar_populations(distribution: dict[str, Any]) -> None:
    """Say that the losses can't tell which of two populations is the wrong one, where they are of similar size."""
    if (share := distribution.get("share", 0.0)) > SIMILAR:
        logging.warning(
            f"head {distribution['head']}: two populations of losses of similar size ({100 * share:.0f} % above). "
            "The one with the lower losses is taken for right, but losses alone can't tell: look at examples of both"
        )


def text_column(codes: np.ndarray, texts: list[str]) -> Any:
    """A column of texts, each held once."""
    import pandas

    return pandas.Categorical.from_codes(codes, texts)


def description(kind: str, prefix: Path, rows: int) -> dict[str, Any]:
    """What every kind of result says of itself."""
    return {
        "kind": kind,
        "name": prefix.name,
        "rows": rows,
        "saved": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "directory": str(Path.cwd()),
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that a result depends on."""
    found = {"python": sys.version.split()[0]}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found


def plain(values: dict[str, Any]) -> dict[str, Any]:
    """Settings as JSON can hold them: infinite numbers and anything unusual become texts."""
    return {
        name: value if value is None or isinstance(value, bool | int | str) or is_finite(value) else str(value)
        for name, value in values.items()
    }


def is_finite(value: Any) -> bool:
    """True for a finite float."""
    return isinstance(value, float) and bool(np.isfinite(value))


def _largest(values: np.ndarray, among: np.ndarray, count: int) -> np.ndarray:
    """The indices in `among` with the largest values, in descending order, without sorting all."""
    if len(among) > count:
        among = among[np.argpartition(-values[among], count)[:count]]
    return among[np.argsort(-values[among], kind="stable")]


def _wandb_histogram(counts: list[int]) -> Any:
    return sys.modules["wandb"].Histogram(np_histogram=(counts, np.linspace(0, 1, BINS + 1)))
