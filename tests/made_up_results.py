"""Made-up results of a run, as a training writes them: for the tests of what is done with them, and for screenshots."""

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas
from ase import Atoms
from ase.io import write
from made_up_fits import BOTH, MANY, NONE, energies_of, forces_of, population_entry, right_energies, right_forces
from scipy.stats import norm

from mace_outlier.report.summary import Summary, summarise, with_categories
from mace_outlier.report.words import how_sure
from mace_outlier.results.files import sample_path
from mace_outlier.results.reading import Results
from mace_outlier.results.writing import write_results
from mace_outlier.states import with_states

HOSTILE = (
    "<script>alert(1)</script>", "[red]x[/red]", "\x1b[31mred", "q\"uo'te $x^$ \\frac", "new\nline\r", "x" * 5000,
    "\u202eabc", '"><img src=http://evil.example/x.png>', "{{ 7 * 7 }}", "_hidden",
)  # fmt: skip
WATER = np.array([[0.0, 0.0, 0.0], [0.76, 0.59, 0.0], [-0.76, 0.59, 0.0]])


def made_up_table(rows: int, bad: list[int] | np.ndarray = (), seed: int = 0) -> pandas.DataFrame:
    """A table of `rows` water clusters in train.xyz; the rows `bad` have wrong labels and low weights."""
    rng = np.random.default_rng(seed)
    wrong = np.zeros(rows, dtype=bool)
    wrong[list(bad)] = True
    molecules = rng.integers(2, 8, rows)
    loss = rng.lognormal(-0.9, 0.45, rows)
    loss[wrong] = rng.uniform(3.0, 6.0, wrong.sum())
    zscore = (loss - 0.61) / 0.82
    weight = norm.cdf(2.0 - zscore)
    energy = rng.normal(0, 0.004, rows) - np.where(wrong, rng.normal(0.06, 0.01, rows), 0)
    return pandas.DataFrame(
        {
            "head": "Default",
            "split": "train",
            "source": "train.xyz",
            "frame": np.arange(rows),
            "config_type": "Default",
            "formula": [f"H{2 * m}O{m}" for m in molecules],
            "n_atoms": 3 * molecules,
            "times_seen": 60,
            "last_epoch": 59,
            "weight": weight,
            "mean_weight": np.where(wrong, rng.normal(0.42, 0.06, rows), 0.98),
            "zscore": zscore,
            "loss": loss,
            "energy_error_per_atom": energy,
            "force_rmse": rng.lognormal(-3.2, 0.3, rows) * np.where(wrong, 2.5, 1.0),
        }
    )


def made_up_about(heads: tuple[str, ...] = ("Default",), epochs: int = 60, name: str = "demo_run-1") -> dict[str, Any]:
    """The description of a finished run, with stage two in its last quarter."""
    history = []
    for epoch, head in product(range(epochs), heads):
        progress = epoch / epochs
        history.append(
            {
                "epoch": epoch, "head": head, "stage": "stage_two" if progress >= 0.75 else "stage_one", "visited": 400,
                "mean_weight": 0.98 - 0.07 * progress, "share_below_half": 0.0825 * progress,
                "location": 0.6, "scale": 0.8, "histogram": [20] * 20,
                "quantiles": {"5": 0.98 - 0.9 * progress, "25": 0.97, "50": 0.98, "75": 0.985, "95": 0.99},
            }
        )  # fmt: skip
    return {
        "kind": "training", "name": name, "saved": "2026-11-22T11:20:00+00:00", "finished": True,
        "epoch": epochs - 1, "directory": "/work/water", "heads": list(heads), "history": history,
        "versions": {"mace-outlier": "0.1.0", "mace-torch": "0.3.16", "torch": "2.13.0", "python": "3.11.7"},
        "options": {"base_loss": "weighted", "threshold": 2.0, "alpha": 0.9, "variance": "running", "warmup": 100},
        "arguments": {"name": "demo", "model": "MACE", "batch_size": 10, "train_file": "train.xyz"},
        "distribution": [{"head": head, "location": 0.61, "scale": 0.82, "threshold": 2.0} for head in heads],
    }  # fmt: skip


def made_up_populations(rows: int, fit: dict[str, Any], share: float | None = None, seed: int = 0) -> pandas.DataFrame:
    """A table of errors as judged, of one formula; the first rows have wrong labels, a share as judged or as given."""
    rng = np.random.default_rng(seed)
    table, weight, zscore = made_up_table(rows, (), seed), np.ones(rows), np.zeros(rows)
    names = {"energy": "energy_error_per_atom", "forces": "force_rmse"}
    makers = {"energy": (energies_of, right_energies, 1.0), "forces": (forces_of, right_forces, 0.04)}
    for name, own in fit["properties"].items():
        bad = np.arange(rows) < round(rows * (own["share"] if share is None else share))
        make, probability, expected = makers[name]
        errors = make(own, bad, rng)
        table[names[name]] = expected * errors
        weight *= probability(own, errors)
        zscore = np.maximum(zscore, np.abs(errors if name == "energy" else np.log(errors)) / own["right"])
    loss = np.exp(rng.normal(fit["location"], fit["scale"], rows)) + 1000 * table["energy_error_per_atom"] ** 2
    return table.assign(
        loss=loss, zscore=zscore, weight=weight, mean_weight=0.95 * weight + 0.02, formula="H6O3", n_atoms=9
    )


def with_validation(table: pandas.DataFrame, validation: pandas.DataFrame) -> pandas.DataFrame:
    """The table of a run with a validation set, of which the last evaluation is known."""
    known = {"split": "valid", "source": "valid.xyz", "times_seen": 1, "mean_weight": validation["weight"]}
    return pandas.concat([table, validation.assign(**known)], ignore_index=True)


def about_populations(*fits: dict[str, Any], heads: tuple[str, ...] = ("Default",)) -> dict[str, Any]:
    """The description of a run whose labels were judged, one judgement for each head."""
    about = made_up_about(heads)
    about["options"] |= {"distribution": "mixture", "threshold": 8.0, "selection": "robust"}
    entries = [population_entry(fit, head) for fit, head in zip(fits, heads, strict=True)]
    return about | {"distribution": entries}


def made_up_heads() -> tuple[pandas.DataFrame, dict[str, Any]]:
    """Wrong labels, none, too few to be judged, and a threshold of the loss itself."""
    names = ("pbe", "r2scan", "few", "published")
    tables = (
        made_up_populations(400, BOTH),
        made_up_populations(300, NONE, seed=1),
        made_up_table(30),
        made_up_table(200),
    )
    table = pandas.concat([part.assign(head=name) for part, name in zip(tables, names, strict=True)], ignore_index=True)
    about = made_up_about(names)
    about["distribution"][:2] = [population_entry(BOTH, "pbe"), population_entry(NONE, "r2scan")]
    about["options"] |= {"distribution": "mixture", "threshold": 8.0}
    about["distribution"][3] |= {"kind": "normal"}
    about["distribution"][2] |= {"kind": "lognormal", "location": -0.9, "scale": 0.45, "threshold": 5.0}
    return table, about


def water_cluster(molecules: int, rng: np.random.Generator) -> Atoms:
    """Water molecules on a jittered grid."""
    grid = 2.9 * np.array([(i, j, k) for k in range(9) for j in range(2) for i in range(2)][:molecules], dtype=float)
    places = np.concatenate([corner + WATER @ _turn(rng) + rng.normal(0, 0.04, (3, 3)) for corner in grid])
    return Atoms("OHH" * molecules, positions=places)


def _turn(rng: np.random.Generator) -> np.ndarray:
    return np.linalg.qr(rng.normal(size=(3, 3)))[0]


def made_up_sample(table: pandas.DataFrame, others: int = 40, seed: int = 0) -> list[Atoms]:
    """The worst suspects and some others, with labels and predictions."""
    rng = np.random.default_rng(seed)
    suspects = table.index[table["weight"] < 0.5].to_numpy()
    suspects = suspects[np.argsort(-table["zscore"].to_numpy()[suspects])][:100]
    rest = rng.permutation(table.index[table["weight"] >= 0.5])[:others]
    frames = []
    for row in [*suspects, *rest]:
        values = table.loc[row]
        frame = water_cluster(int(values["n_atoms"]) // 3, rng)
        offset = -458.0 * len(frame) / 3
        predicted = offset - 9.8 * len(frame) / 3 + rng.normal(0, 0.08 * np.sqrt(len(frame)))
        label = predicted - values["energy_error_per_atom"] * len(frame)
        kind = "suspect" if row in suspects else "other"
        frame.info.update(row=int(row), kind=kind, reference_energy=label, predicted_energy=predicted)
        frame.info["isolated_atoms_energy"] = offset
        forces = rng.normal(0, 1.2, (len(frame), 3))
        frame.arrays["predicted_forces"] = forces
        frame.arrays["reference_forces"] = forces + rng.normal(0, values["force_rmse"], forces.shape)
        frames.append(frame)
    return frames


def write_run(
    folder: Path, table: pandas.DataFrame, about: dict[str, Any] | None = None, sample: list[Atoms] | None = None
) -> Path:
    """Write the files of a run to `folder`; return its prefix."""
    prefix = folder / "demo_run-1"
    write_results(prefix, dict(table.items()), made_up_about() if about is None else about)
    if sample:
        write(sample_path(prefix), sample, format="extxyz")
    return prefix


def write_hostile_run(folder: Path) -> Path:
    """A run in which every string of the data, and of its description, is hostile."""
    table = made_up_table(60, range(20))
    for shift, name in enumerate(("head", "source", "config_type", "formula")):
        table[name] = [HOSTILE[(i + shift) % len(HOSTILE)] for i in range(60)]
    table["split"] = [HOSTILE[i % len(HOSTILE)] if i % 3 else "valid" for i in range(60)]
    about = made_up_about(HOSTILE, epochs=3, name=HOSTILE[0] + HOSTILE[2])
    about |= {
        "arguments": {word: word for word in HOSTILE},
        "directory": HOSTILE[7],
        "options": {"base_loss": HOSTILE[0]},
    }
    about["history"][0]["stage"] = HOSTILE[3]
    for i, fit in enumerate((BOTH, MANY | {"refused": HOSTILE[0]}, NONE)):
        about["distribution"][i::4] = [population_entry(fit, word) for word in HOSTILE[i::4]]
    return write_run(folder, table, about, made_up_sample(table, 10))


def results_of(
    table: pandas.DataFrame, about: dict[str, Any] | None = None, prefix: Path = Path("results/r")
) -> Results:
    return Results(Path("results/r"), with_categories(with_states(table)), made_up_about() if about is None else about)


def summarised(table: pandas.DataFrame, about: dict[str, Any] | None = None, below: float = 0.5) -> Summary:
    return summarise(results_of(table, about), below)


def said(table: pandas.DataFrame, about: dict[str, Any], below: float = 0.5) -> str:
    """What a report says of how sure its judgement is."""
    return " ".join(how_sure(summarised(table, about, below)))


def scatter_over_the_file(table):
    """So that suspects are not neighbours."""
    table["frame"] = np.random.default_rng(0).permutation(len(table))


def slab_among_clusters() -> pandas.DataFrame:
    """Clusters with 40 suspects, and 30 slabs of which 20 are suspects: a rare chemistry."""
    table = made_up_table(2000, range(40))
    slab = np.arange(1900, 1930)
    table.loc[slab, ["config_type", "formula", "n_atoms"]] = ["slab", "OPt36", 37]
    table.loc[slab[:20], ["weight", "zscore"]] = [0.1, 3.3]
    scatter_over_the_file(table)
    return table
