"""What the trainings of the ablation say: trainings.csv, results.json, tables and figures, from all that are finished.

python benchmarks/ablation/results.py
"""

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent.parent / "scripts")]

import pandas
from cells import ENERGY_WEIGHT, EPOCHS, SCHEDULE, WORK
from demo_arms import ARMS, MACE_SETTINGS
from demo_results import package_version
from figures import draw_shares
from finished_trainings import finished_trainings, over_the_oracle
from training_files import write_json_atomically

from mace_outlier.results.judgement import MANY

ENERGY, FORCES = "energy_rmse_meV_per_atom", "force_rmse_meV_per_A"
FINDS = ["share_found", "auroc", "recall", "precision", "valid_recall", "valid_precision"]
OWN_FRAMES = {"unconverged", "organic", "rare"}  # the other kinds spoil the frames that `unconverged` does
PACKAGES = ("torch", "mace-torch", "mace-outlier", "tblite", "ase", "numpy", "scipy")


def finished() -> pandas.DataFrame:
    """One row for each finished training, with its errors over those of the oracle (clean data: the stock training)."""
    rows = finished_trainings(WORK / "runs", HERE / "trainings.csv")
    rows["reference"] = rows["kind"].where(rows["kind"].isin(OWN_FRAMES), "unconverged")
    rows = over_the_oracle(rows, "reference", {ENERGY: "energy_ratio", FORCES: "force_ratio"})
    rows = rows.drop(columns=["reference"])
    return rows.sort_values(["kind", "share", "arm", "seed"])


def cell(rows: pandas.DataFrame) -> str:
    """Mean errors and ratios of one arm, "-" for none."""
    if not len(rows):
        return "-"
    ratios = (
        f"{rows.energy_ratio.mean():.2f} x / {rows.force_ratio.mean():.2f} x" if rows.energy_ratio.notna().all() else ""
    )
    seeds = "" if len(rows) == 3 else f"{len(rows)} seed{'s' * (len(rows) > 1)}"
    more = ", ".join(filter(None, (ratios, seeds)))
    return f"{rows[ENERGY].mean():.1f} / {rows[FORCES].mean():.1f}" + (f" ({more})" if more else "")


def grid(columns: list[tuple[str, pandas.DataFrame]], arms: list[str]) -> str:
    """Markdown table: arms down, data sets across; energy meV/atom / forces meV/A."""
    lines = ["| arm | " + " | ".join(title for title, _ in columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for arm in arms:
        cells = [cell(own[own.arm == arm]) for _, own in columns]
        if set(cells) != {"-"}:
            lines.append(f"| {NAMES.get(arm, arm)} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


MAIN = ["oracle", "weighted", "universal", "published", "default"]
NAMES = {
    "oracle": "good frames only (oracle)",
    "default": "**`ema_robust`**",
    "weighted": "stock `weighted`",
    "universal": "stock `universal`",
    "l1l2": "stock `l1l2energyforces`",
    "published": "`ema_robust`, as published",
}
KINDS = {
    "random_sign": "unconverged, random sign",
    "energy_only": "energies only",
    "forces_only": "forces only",
    "swapped": "labels of another frame",
    "other_method": "another method (GFN1-xTB)",
    "mild": "mild: 7 meV/atom, 80 meV/A",
    "organic": "hard case: organic molecules, unconverged",
    "gross": "gross: hartree, forces x 1000",
}
SHARES = {"organic": 0.29, "gross": 0.02}  # of wrong labels, where it isn't 15 %


def shares(rows: pandas.DataFrame) -> str:
    """The claim: wrong labels that agree with one another, by their share."""
    columns = [(f"{100 * share:g} % wrong", of(rows, "unconverged", share)) for share in (0.0, 0.05, 0.15, 0.3, 0.43)]
    return grid(columns, MAIN)


def breakdown(rows: pandas.DataFrame) -> str:
    """Beyond that, to where it breaks down."""
    places = [("unconverged", share) for share in (0.5, 0.6, 0.7)]
    places += [("random_sign", share) for share in (0.15, 0.3, 0.43, 0.5, 0.6, 0.7)]
    lines = ["| wrong labels | share | stock `weighted` | **`ema_robust`** | share found |", "|---" * 5 + "|"]
    for kind, share in places:
        own = of(rows, kind, share)
        ours = own[own.arm == "default"]
        each = [seen(*both) for both in zip(ours.share_found, ours.undecided, strict=True)]
        found = ", ".join(dict.fromkeys(each) if len(set(each)) == 1 else each) or "-"
        arms = f"{cell(own[own.arm == 'weighted'])} | {cell(ours)}"
        lines.append(f"| {KINDS.get(kind, kind)} | {100 * share:g} % | {arms} | {found} |")
    return "\n".join(lines) + "\n"


def seen(share: float, undecided: float) -> str:
    """What a user sees of a share that was found."""
    if undecided > 0:
        return "undecided (warning)"
    return f"{100 * share:.0f} %{' (warning)' if share > MANY else ''}" if share else "none"


def settings(rows: pandas.DataFrame) -> str:
    """Other settings, at 30 % wrong labels."""
    arms = [arm for arm in ARMS if arm not in MAIN or arm == "default"]
    return grid([("30 % wrong", of(rows, "unconverged", 0.3))], arms)


def of(rows: pandas.DataFrame, kind: str, share: float) -> pandas.DataFrame:
    """The trainings on one kind and share of wrong labels."""
    return rows[(rows.kind == kind) & (rows.share == share)]


def detection(rows: pandas.DataFrame) -> str:
    """How well the default tells wrong labels from right ones, by kind and share."""
    own = rows[(rows.arm == "default") & (rows.share > 0) & (rows.kind != "rare")]
    lines = ["| wrong labels | share | found | AUROC | recall | precision | validation: recall, precision | seeds |"]
    lines.append("|---" * 8 + "|")
    for (kind, share), some in own.groupby(["kind", "share"]):
        mean = some[FINDS].mean()
        numbers = [f"{100 * mean.share_found:.1f} %", *(known(mean[name], 3) for name in FINDS[1:4])]
        valid = f"{known(mean.valid_recall, 2)}, {known(mean.valid_precision, 2)}"
        name = KINDS.get(kind, kind)
        lines.append(f"| {name} | {100 * share:g} % | {' | '.join(numbers)} | {valid} | {len(some)} |")
    return "\n".join(lines) + "\n"


def known(number: float, digits: int) -> str:
    return "-" if pandas.isna(number) else f"{number:.{digits}f}"


def noise(rows: pandas.DataFrame) -> str:
    lines = [
        "| wrong labels | oracle | stock `weighted` | **`ema_robust`** | only the wrong property |",
        "|---" * 5 + "|",
    ]
    for kind, name in KINDS.items():
        share = SHARES.get(kind, 0.15)
        own = of(rows, kind, share)
        reference = own if kind in OWN_FRAMES else of(rows, "unconverged", share)
        oracle = reference[(reference.arm == "oracle") & reference.seed.isin(own[own.arm == "default"].seed)]
        arms = [own[own.arm == arm] for arm in ("weighted", "default", "default, by property")]
        if len(own):
            lines.append(f"| {name} ({100 * share:g} %) | " + " | ".join(cell(some) for some in (oracle, *arms)) + " |")
    return "\n".join(lines) + "\n"


def hard(rows: pandas.DataFrame) -> str:
    own = rows[(rows.kind == "organic") & ~rows.arm.str.startswith("refinement")]
    return grid([("14 organic molecules, 29 % unconverged", own)], list(ARMS))


def rare(rows: pandas.DataFrame) -> str:
    lines = ["| data | arm | all | strained (2 %) | with hydrogen peroxide (2 %) | seeds |", "|---" * 6 + "|"]
    for (share, arm), own in rows[rows.kind == "rare"].groupby(["share", "arm"]):
        groups = [("", own), ("strained_", own), ("peroxide_", own)]
        cells = [f"{some[prefix + ENERGY].mean():.1f} / {some[prefix + FORCES].mean():.0f}" for prefix, some in groups]
        lines.append(f"| {100 * share:g} % wrong | {NAMES.get(arm, arm)} | {' | '.join(cells)} | {len(own)} |")
    return "\n".join(lines) + "\n"


def refinement(rows: pandas.DataFrame) -> str:
    lines = [
        "| wrong labels | share | "
        + " | ".join(f"round {n} ({n + 1} trainings)" for n in (1, 2, 3))
        + " | **`ema_robust`** (1 training) |"
    ]
    lines.append("|---" * 6 + "|")
    for (kind, share), own in rows[rows.arm.str.startswith("refinement")].groupby(["kind", "share"]):
        ours = rows[(rows.kind == kind) & (rows.share == share) & (rows.arm == "default") & rows.seed.isin(own.seed)]
        cells = []
        for number in (1, 2, 3):
            some = own[own["round"] == number]
            kept = (
                f"; kept {100 * some.kept_good.mean():.0f} % of the good, {100 * some.kept_bad.mean():.0f} % of the bad"
            )
            cells.append(cell(some) + (kept if len(some) else ""))
        lines.append(f"| {KINDS.get(kind, kind)} | {100 * share:g} % | {' | '.join(cells)} | {cell(ours)} |")
    return "\n".join(lines) + "\n"


def selection(rows: pandas.DataFrame) -> str:
    """Which epoch a summary of the validation losses chooses (selection.py), and the test errors of that."""
    found = pandas.DataFrame(json.loads((HERE / "selection.json").read_text()))
    lines = ["| validation losses, summarised by | share | epoch | energy / forces | seeds |", "|---" * 5 + "|"]
    for (share, rule), own in found.groupby(["share", "rule"], sort=False):
        errors = f"{own[ENERGY].mean():.1f} / {own[FORCES].mean():.1f}"
        epochs = ", ".join(str(epoch) for epoch in own.epoch)
        lines.append(f"| {rule} | {100 * share:g} % | {epochs} | {errors} | {len(own)} |")
    return "\n".join(lines) + "\n"


TABLES = {
    "shares": shares,
    "breakdown": breakdown,
    "settings": settings,
    "detection": detection,
    "noise": noise,
    "hard": hard,
    "rare": rare,
    "refinement": refinement,
    "selection": selection,
}


def main() -> None:
    rows = finished()
    rows.to_csv(HERE / "trainings.csv", index=False, float_format="%.6g")
    for name, table in TABLES.items():
        (HERE / f"{name}.md").write_text(table(rows))
        print(f"--- {name}\n{table(rows)}")
    content = {
        "command": "python benchmarks/ablation/run.py; refinement.py; results.py",
        "versions": {"python": sys.version.split()[0]} | {name: package_version(name) for name in PACKAGES},
        "epochs": EPOCHS,
        "energy_weight": ENERGY_WEIGHT,
        "more_flags": [SCHEDULE],
        "mace_settings": MACE_SETTINGS,
        "arms": {arm: ARMS[arm]._asdict() for arm in rows.arm.unique() if arm in ARMS},
    }
    write_json_atomically(HERE / "results.json", content)
    draw_shares(rows, HERE / "ablation.png")


if __name__ == "__main__":
    main()
