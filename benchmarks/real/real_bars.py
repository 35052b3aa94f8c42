"""The bars that the default was to reach, and where it stands, out of the rows of trainings.csv.

A number is a mean over seeds, of the worst data set; shares of right labels are those of the worst training.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas
from faults import FAULTS
from readme_tables import markdown
from real_cells import PLANTED, TRAINED

OURS, SHOWN = "ema_robust", ("ema_robust", "landed", "published")
LOST = ("false", "at the end", 0.005), ("largest_false", "after any epoch", 0.02)  # right labels with a weight < 1/2
ON_AVERAGE, WORST = 1.02, 1.05  # test errors, in units of the stock training's or the oracle's
RECALL, PRECISION = 0.95, 0.95
MILD_RECALL, MILD_PRECISION = 0.7, 0.8
WBE_RECALL, WBE_PRECISION = 0.8, 0.8
EARLY_AUROC, ACTED_ON, EARLY_RECALL = 0.95, 0.5, 0.8
COHERENT = "p60_43"  # 43 % that agree: it has a bar of its own
NO_BAR = ("clean", COHERENT)  # of recall, precision and errors
RATIOS = {"energy_ratio": "energies", "force_ratio": "forces", "stress_ratio": "stress"}

Rows = pandas.DataFrame
Measured = tuple[str, bool | None]  # what an arm reached, and whether that is enough
Measure = Callable[[Rows], Measured]


class Bar(NamedTuple):
    """A bar, what each arm reached, and whether ours met it (None: not known yet)."""

    title: str
    wanted: str
    reached: dict[str, str]
    met: bool | None


def bars(rows: Rows) -> list[Bar]:
    """All bars for which there are trainings."""
    found = [*clean(rows), *faults(rows)]
    found += [wbe(rows, train) for train in TRAINED]
    found += [early(rows, fault) for fault in ("scf_30", "scf_43")] + [early_shift(rows)]
    return [one for one in found if set(one.reached.values()) != {"-"}]


def judgement(found: list[Bar]) -> str:
    """The bars as a table, and how many are met."""
    head = ["bar", "wanted", "**`ema_robust`**", "landed before", "as published", "met"]
    words = {True: "yes", False: "**no**", None: "-"}
    lines = [[one.title, one.wanted, *(one.reached[arm] for arm in SHOWN), words[one.met]] for one in found]
    met, known = sum(one.met is True for one in found), sum(one.met is not None for one in found)
    return f"So far, from the trainings in `trainings.csv`, {met} of {known} bars are met.\n\n{markdown(head, lines)}"


def bar(title: str, wanted: str, rows: Rows, measure: Measure) -> Bar:
    """A bar, by what a measure says of each arm's rows."""
    reached = {arm: measure(own) if len(own := rows[rows.arm == arm]) else ("-", None) for arm in SHOWN}
    return Bar(title, wanted, {arm: text for arm, (text, _) in reached.items()}, reached[OURS][1])


def of(rows: Rows, fault: str, train: str, sets: tuple[str, ...] | None = None) -> Rows:
    own = rows[(rows.fault == fault) & (rows.train == train)]
    return own if sets is None else own[own.set.isin(sets)]


# --- clean data ------------------------------------------------------------------------------------------------------


def clean(rows: Rows) -> list[Bar]:
    """What right labels lose, and the test errors, of clean data; of W-Be, the labels known to be right."""
    found = []
    for train in TRAINED:
        name = train.replace("_", " ")
        own = pandas.concat([of(rows, "clean", train), of(rows, "own", train)])
        for column, when, most in LOST:
            title = f"clean and W-Be, {name}: right labels with weight < 1/2 {when}"
            found.append(bar(title, f"<= {100 * most:g} %", own, at_most(column, most)))
        wanted = f"mean <= {ON_AVERAGE}, worst <= {WORST}"
        found.append(bar(f"clean, {name}: test errors / stock", wanted, of(rows, "clean", train), errors_of_sets))
    return found


def at_most(column: str, most: float) -> Measure:
    """The largest value of any training, a share; of none that is not a number."""

    def measure(own: Rows) -> Measured:
        worst = own[column].fillna(1.0)
        return f"{100 * worst.max():.1f} % ({own.set[worst.idxmax()]})", bool(worst.max() <= most)

    return measure


def errors_of_sets(own: Rows) -> Measured:
    """Ratios to the stock training: the mean over the sets, and the worst."""
    worst = ratios_of(own)
    if not len(worst):
        return "-", None
    met = worst.mean() <= ON_AVERAGE and worst.max() <= WORST
    return f"{worst.mean():.3f}, {worst.max():.3f} ({' '.join(worst.idxmax())})", bool(met)


def ratios_of(own: Rows) -> pandas.Series:
    """Ratios of the errors by data set and property that was trained, where the oracle's are known."""
    trained = {"energies": 1, "stress": 3}.get(own.train.iloc[0], 2)
    columns = list(RATIOS)[:trained]
    means = own.groupby("set")[columns].mean()
    ratios = {(name, RATIOS[column]): means.loc[name, column] for name in means.index for column in columns}
    return pandas.Series(ratios, dtype=float).dropna()


# --- faults ----------------------------------------------------------------------------------------------------------


def faults(rows: Rows) -> list[Bar]:
    """Recall, precision and test errors of each fault, the worst of the sets that they are planted into."""
    found = []
    for fault in FAULTS:
        recall, precision = wanted_of(fault)
        for train in TRAINED:
            own = of(rows, fault, train, PLANTED)
            title = f"{fault}, {train.replace('_', ' ')}: recall, precision, errors / oracle"
            wanted = f">= {recall}, >= {precision}, <= {WORST}"
            if fault not in NO_BAR:
                found.append(bar(title, wanted, own, found_at_the_end(recall, precision)))
    return [*found, coherent(rows)]


def wanted_of(fault: str) -> tuple[float, float]:
    """Recall and precision."""
    return (MILD_RECALL, MILD_PRECISION) if fault == "mild" else (RECALL, PRECISION)


def found_at_the_end(recall: float, precision: float, most: float = WORST) -> Measure:
    """Recall, precision and errors of the worst set; where no label counts as wrong, there is no recall."""

    def measure(own: Rows) -> Measured:
        by_set = own.groupby("set")[["recall", "precision"]].mean().dropna(subset="recall")
        parts, met = [], []
        for column, least in (("recall", recall), ("precision", precision)):
            worst = by_set[column].dropna()  # where nothing was found there is no precision
            parts.append(f"{worst.min():.2f} ({worst.idxmin()})" if len(worst) else "-")
            met += [worst.min() >= least] if len(worst) else []
        worst = ratios_of(own)
        if len(worst):
            parts.append(f"{worst.max():.2f} ({' '.join(worst.idxmax())})")
            met.append(worst.max() <= most)
        return (", ".join(parts), bool(all(met))) if met else ("-", None)

    return measure


def coherent(rows: Rows) -> Bar:
    """43 % that agree: as good as the landed default on water."""
    own = of(rows, COHERENT, "forces", ("water",))
    landed = ratios_of(own[own.arm == "landed"]) if (own.arm == "landed").any() else None

    def measure(one: Rows) -> Measured:
        ratios = ratios_of(one)
        met = None if landed is None else bool((ratios <= ON_AVERAGE * landed.reindex(ratios.index)).all())
        return ", ".join(f"{value:.2f}" for value in ratios) or "-", met

    return bar(f"{COHERENT}, water: energies, forces / oracle", f"<= {ON_AVERAGE} x landed", own, measure)


# --- W-Be, and early -------------------------------------------------------------------------------------------------


def wbe(rows: Rows, train: str) -> Bar:
    """The wrong labels that W-Be was published with."""
    measure = found_at_the_end(WBE_RECALL, WBE_PRECISION, np.inf)
    wanted = f">= {WBE_RECALL}, >= {WBE_PRECISION}"
    return bar(
        f"W-Be, {train.replace('_', ' ')}: recall, precision (errors / oracle)", wanted, of(rows, "own", train), measure
    )


def early(rows: Rows, fault: str) -> Bar:
    """Unconverged water: told apart after the first epoch, acted on after the second."""

    def measure(own: Rows) -> Measured:
        auroc, recall = after(own, "auroc_z", 1), after(own, "recall", 2)
        if np.isnan(recall):
            return "-", None
        return f"{auroc:.3f}, {recall:.2f}", bool(auroc >= EARLY_AUROC and recall >= ACTED_ON)

    title = f"{fault}, water: AUROC (of z) after epoch 1, recall after epoch 2"
    return bar(title, f">= {EARLY_AUROC}, >= {ACTED_ON}", of(rows, fault, "forces", ("water",)), measure)


def early_shift(rows: Rows) -> Bar:
    """Si with +-60 meV/atom: of the frames touched, since none of them is off by three errors of the oracle."""

    def measure(own: Rows) -> Measured:
        found = float(own.touched.mean() and after(own, "touched_found", 6) / own.touched.mean())
        return ("-", None) if np.isnan(found) else (f"{found:.2f}", bool(found >= EARLY_RECALL))

    title = "pm60, Si: share of touched frames found after epoch 6"
    return bar(title, f">= {EARLY_RECALL}", of(rows, "pm60", "forces", ("Si",)), measure)


def after(own: Rows, name: str, epoch: int) -> float:
    """Mean over the trainings of what was measured after so many epochs."""
    lists = [str(text).split() for text in own[f"{name}_by_epoch"]]
    return float(np.mean([float(values[epoch - 1]) if len(values) >= epoch else np.nan for values in lists]))
