"""Figures of the benchmark of liquid water."""

import math
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import figures
import matplotlib.pyplot as plt
import pandas
from water_cells import MIXED, REFINED, Cell
from water_summary import of_cell

WORST = 0.4  # the share that structure and vibrations are shown at
STYLES = figures.STYLES | {f"{REFINED}1": ("refinement, 2 trainings", "#009E73", "v")}
TICKS = {
    "energy_rmse_meV_per_atom": [0.5, 1, 2, 5, 10, 20, 50, 100],
    "force_rmse_meV_per_A": [20, 30, 50, 70, 100, 150],
}
PANELS = {"OO": "O-O", "OH": "O-H", "HH": "H-H"}
CLEAN_STYLE = {"color": "black", "lw": 3.5, "alpha": 0.35, "label": "all labels converged"}
INTRAMOLECULAR = {"OH": 1.3, "HH": 1.8}  # Angstrom; what is below is cut off in the figure


def draw_all(rows: pandas.DataFrame, liquids: list[dict], clean: Cell, out: Path) -> None:
    """Every figure there is something for."""
    draw_errors(rows[rows.kind == MIXED], out / "errors.png")
    reference = of_cell(liquids, *clean)
    if reference is not None and reference["survived"]:
        others = [one for one in liquids if one["kind"] == MIXED and one is not reference]
        draw_liquid(reference, others, out / "liquid.png")
        draw_diffusion(reference, others, out / "diffusion.png")


def draw_errors(rows: pandas.DataFrame, path: Path) -> None:
    """Test errors against the share of bad frames."""
    clean = rows[(rows.share == 0) & (rows.arm == "weighted")].assign(arm="oracle")
    figure, panels = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    for axes, (metric, label) in zip(panels, figures.METRICS.items(), strict=True):
        own = pandas.concat((rows, clean))
        ticks = [tick for tick in TICKS[metric] if own[metric].min() / 2 < tick < 2 * own[metric].max()]
        figures.draw_panel(axes, own, metric, ticks, STYLES)
        axes.set(xlabel="bad frames (%)", ylabel=f"test {label}")
    panels[0].legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def draw_liquid(clean: dict, others: list[dict], path: Path) -> None:
    """Radial distribution functions and the vibrational density of states, all arms at the largest share."""
    figure, panels = plt.subplots(2, 2, figsize=(10, 7), layout="constrained")
    shown = [one for one in others if one["share"] == WORST and one["survived"] and one["arm"] in STYLES]
    for axes, (pair, name) in zip(panels.flat, PANELS.items(), strict=False):
        for one in (clean, *shown):
            r, g = one["rdf"][pair]["r"], one["rdf"][pair]["g"]
            kept = [i for i, x in enumerate(r) if x >= INTRAMOLECULAR.get(pair, 2.0)]
            axes.plot([r[i] for i in kept], [g[i] for i in kept], **style(one, clean))
        axes.set(xlabel="r (Å)", ylabel=f"g(r), {name}")
    axes = panels[1, 1]
    for one in (clean, *shown):
        density = [1e3 * value for value in one["vdos"]["density"]]
        axes.plot(one["vdos"]["wavenumber"], density, **style(one, clean))
    axes.set(xlabel="wavenumber (1/cm)", ylabel="vibrational density of states (10⁻³ cm)", xlim=(0, 3500))
    for axes in panels.flat:
        axes.grid(alpha=0.3)
    panels[0, 0].legend(frameon=False, fontsize=8, title=f"{100 * WORST:g} % bad frames")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def style(one: dict, clean: dict) -> dict:
    """Line of an arm."""
    if one is clean:
        return CLEAN_STYLE
    name, colour, _ = STYLES[one["arm"]]
    return {"color": colour, "lw": 1.4, "ls": "--" if one["arm"] == "oracle" else "-", "label": name}


def draw_diffusion(clean: dict, others: list[dict], path: Path) -> None:
    """Diffusion coefficients with their standard errors, and the band of the clean model."""
    figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
    mean, error = clean["D"]["mean"], clean["D"]["error"] or 0.0
    axes.axhspan(mean - error, mean + error, color="black", alpha=0.15, lw=0)
    axes.axhline(mean, color="black", lw=1, label=CLEAN_STYLE["label"])
    arms = [arm for arm in STYLES if any(one["arm"] == arm for one in others)]
    for place, arm in enumerate(arms):
        name, colour, marker = STYLES[arm]
        own = [one for one in others if one["arm"] == arm]
        alive = [one for one in own if one["survived"]]
        at = [100 * one["share"] + 0.9 * (place - (len(arms) - 1) / 2) for one in alive]
        errors = [one["D"]["error"] or math.nan for one in alive]  # none of a single trajectory
        axes.errorbar(at, [one["D"]["mean"] for one in alive], errors, fmt=marker, color=colour, label=name, capsize=3)
        for one in own:
            if one["survived"] < one["trajectories"]:
                lost = f"{one['trajectories'] - one['survived']} of {one['trajectories']} failed"
                axes.annotate(lost, (100 * one["share"], mean), color=colour, fontsize=8)
    axes.set(xlabel="bad frames (%)", ylabel="self-diffusion coefficient (Å²/ps), in this box")
    axes.set_xticks(sorted({100 * one["share"] for one in others}))
    axes.set_ylim(bottom=0)
    axes.margins(x=0.15)
    axes.grid(alpha=0.3, axis="y")
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)
    plt.close(figure)
