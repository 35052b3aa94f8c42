"""Tables of the benchmark of liquid water."""

import finished_trainings
import pandas
from readme_tables import markdown
from water_cells import MIXED, REFINED
from water_summary import PEAKS, difference, errors_off, mean_and_error, peaks_off, verdict

ENERGY, FORCES = "energy_rmse_meV_per_atom", "force_rmse_meV_per_A"
APART = ["trajectories", "D", *(f"{'-'.join(pair)} {which}" for pair, which in PEAKS)]
NAMES = {"oracle": "good frames only (oracle)", **finished_trainings.NAMES}


def tables(rows: pandas.DataFrame, liquids: list[dict]) -> dict[str, str]:
    """All of them, by their names in the README."""
    return {
        "errors": errors(rows),
        "liquid": liquid(liquids),
        "differences": differences(liquids),
        "found": found(rows),
        "refinement": refinement(rows),
    }


def short(rows: pandas.DataFrame, liquids: list[dict]) -> str:
    """Errors and observables of the same models in one table, for the front page."""
    head = ["labels", "arm", "energy, meV/atom", "forces, meV/Å", "O-O peak, Å", "O-H peak, Å", "D, Å²/ps"]
    lines = []
    for one in (one for one in liquids if one["kind"] == MIXED):
        own = rows[(rows.kind == MIXED) & (rows.share == one["share"]) & (rows.arm == one["arm"])]
        errors_of_it = [f"{own[ENERGY].mean():.1f}", f"{own[FORCES].mean():.1f}"] if len(own) else ["-", "-"]
        peaks = [number(one.get("peaks", {}).get(pair, {}).get("position"), 3) for pair in ("OO", "OH")]
        lines.append([labels_of(one["share"]), NAMES[one["arm"]], *errors_of_it, *peaks, number(one.get("D"), 2)])
    return markdown(head, lines)


def labels_of(share: float) -> str:
    """Which labels a model was trained on."""
    return f"{100 * share:g} % bad" if share else "all converged"


def clean_of(liquids: list[dict]) -> dict | None:
    """The model of all frames with converged labels."""
    return next((one for one in liquids if one["share"] == 0), None)


def cell(rows: pandas.DataFrame) -> str:
    """Mean errors of one arm, and ratios with their standard error over seeds; "-" for none."""
    if not len(rows):
        return "-"
    own = f"{rows[ENERGY].mean():.2f} / {rows[FORCES].mean():.1f}"
    if rows["energy_ratio"].isna().any():  # there is no oracle yet
        return own
    return f"{own} ({' / '.join(f'{ratio(rows[name])} x' for name in ('energy_ratio', 'force_ratio'))})"


def ratio(values: pandas.Series) -> str:
    """Mean and standard error; none of those that everything is compared with."""
    return "1.00" if (values == 1).all() else number(mean_and_error(values), 2)


def errors(rows: pandas.DataFrame) -> str:
    """Test errors: arms down, shares across."""
    shares = sorted(rows.share.unique())
    lines = []
    for arm, name in NAMES.items():
        cells = [cell(rows[(rows.arm == arm) & (rows.share == share)]) for share in shares]
        if set(cells) - {"-"}:
            lines.append([name, *cells])
    return markdown(["arm", *map(labels_of, shares)], lines)


def number(own: dict | None, digits: int) -> str:
    """Mean and standard error."""
    if own is None:
        return "-"
    error = "" if own["error"] is None else f" ± {own['error']:.{digits}f}"
    return f"{own['mean']:.{digits}f}{error}"


def liquid(liquids: list[dict]) -> str:
    """Observables: models down."""
    head = ["labels", "arm", "models", "survived", "D, Å²/ps", "off by", "O-O peak, Å", "its height", "O-H peak, Å",
            "its height", "drift, meV/atom/ps", "as with clean labels?"]  # fmt: skip
    clean, lines = clean_of(liquids), []
    for one in (one for one in liquids if one["kind"] == MIXED):
        peaks = one.get("peaks", {})
        known = one is not clean and one.get("D") and clean and clean.get("D")
        cells = [number(one.get("D"), 3), f"{errors_off(one['D'], clean['D']):+.1f} SE" if known else "-"]
        for pair in ("OO", "OH"):
            own = peaks.get(pair, {})
            cells += [number(own.get("position"), 3), number(own.get("height"), 2)]
        cells.append(number(one.get("drift_meV_per_atom_per_ps"), 3))
        which = [labels_of(one["share"]), NAMES[one["arm"]], str(one["models"]), survival(one)]
        lines.append([*which, *cells, said(one, clean)])
    return markdown(head, lines)


def survival(one: dict) -> str:
    """How many trajectories survived, and what became of the others."""
    return f"{one['survived']} of {one['trajectories']}" + "".join(f", {failure}" for failure in one["failures"])


def said(one: dict, clean: dict | None) -> str:
    """The verdict in words; which peaks are off, and by how much."""
    if clean is None or one is clean:
        return "-"
    good = verdict(one, clean)
    alone = one["survived"] == one["trajectories"] == 1  # tells nothing of diffusion, and little of the peaks
    wrong = [name for name in ("survived", "diffusion") if not good.get(name, True) and not alone]
    if not good.get("structure", True):
        wrong += [f"{'-'.join(pair)} {which}: {percent(by)}" for (pair, which), by in peaks_off(one, clean).items()]
    if alone:
        return ", ".join(["one trajectory", *wrong])
    return "yes" if not wrong else "no: " + ", ".join(wrong)


def percent(by: dict) -> str:
    """A relative difference with its standard error."""
    error = "" if by["error"] is None else f" ± {100 * by['error']:.1f}"
    return f"{100 * by['mean']:+.1f}{error} %"


def differences(liquids: list[dict]) -> str:
    """Diffusion and first peaks over those of the clean model, from the trajectories that both have."""
    clean, lines = clean_of(liquids), []
    for one in (one for one in liquids if clean and one["kind"] == MIXED and one is not clean and one.get("D")):
        lines.append([labels_of(one["share"]), NAMES[one["arm"]], *apart(one, clean)])
    return markdown(["labels", "arm", *APART], lines)


def apart(one: dict, clean: dict) -> list[str]:
    """Of how many trajectories, and the differences of what `APART` names."""
    common = {own["number"] for own in one["each"]} & {own["number"] for own in clean["each"]}
    of = [difference(one, clean, *name) for name in [("D",), *(("peaks", *name) for name in PEAKS)]]
    return [str(len(common)), *map(percent, of)]


def found(rows: pandas.DataFrame) -> str:
    """Detection, by data, share and arm."""
    head = ["labels", "share", "arm", "found", "AUROC", "recall", "precision", "mean weight, good", "mean weight, bad"]
    own = rows[rows.arm.isin(["default", "published"])]
    lines = []
    for (kind, share, arm), some in own.groupby(["kind", "share", "arm"]):
        mean = some.mean(numeric_only=True)
        numbers = [mean.auroc, mean.recall, mean.precision, mean.mean_weight_good, mean.mean_weight_bad]
        cells = ["-" if pandas.isna(value) else f"{value:.3f}" for value in numbers]
        lines.append([kind, f"{100 * share:g} %", NAMES[arm], f"{100 * mean.share_found:.1f} %", *cells])
    return markdown(head, lines)


def refinement(rows: pandas.DataFrame) -> str:
    """What refinement kept, and what it cost."""
    lines = []
    refined = rows[rows.arm.str.startswith(REFINED)]
    for (share, name), some in refined.groupby(["share", "arm"]) if len(refined) else ():
        kept = [f"{100 * some[f'kept_{which}'].mean():.0f} %" for which in ("good", "bad")]
        lines.append([f"{100 * share:g} %", name.removeprefix(REFINED), f"{int(some.trainings.mean())}", *kept])
    return markdown(["share", "round", "trainings", "good frames kept", "bad frames kept"], lines)
