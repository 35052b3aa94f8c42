"""The ablation: the wrong labels that it makes, the baseline that drops them, and the tables that come of it."""

import sys
from pathlib import Path

import numpy as np
import pandas
import pytest
from ase import Atoms, units
from made_up_fits import BOTH, EARLIER, UNDECIDED, population_entry

ROOT = Path(__file__).parents[2]
for folder in ("scripts", "benchmarks/ablation"):
    sys.path.insert(0, str(ROOT / folder))

import cells  # noqa: E402
import data  # noqa: E402
import measure  # noqa: E402
import refinement  # noqa: E402


@pytest.fixture
def tables():
    """The module `results` of the ablation (that of the package has the same name)."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("ablation_results", ROOT / "benchmarks/ablation/results.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def labelled(count=6):
    rng = np.random.default_rng(0)
    frames = []
    for i in range(count):
        atoms = Atoms("OH2", positions=rng.normal(size=(3, 3)))
        atoms.info = {"converged_energy": -10.0 * i, "unconverged_energy": -10.0 * i + 0.18, "trajectory": 0}
        atoms.arrays["converged_forces"] = rng.normal(size=(3, 3))
        atoms.arrays["unconverged_forces"] = atoms.arrays["converged_forces"] + rng.normal(0, 0.2, (3, 3))
        frames.append(atoms)
    return {"train": frames}


def errors(kind):
    """Energy errors (eV/atom) and root mean square force errors (eV/A) of the wrong labels of a kind."""
    made = data.with_wrong_labels(labelled(), kind, seed=1)["train"]
    energy = np.array([(a.info["unconverged_energy"] - a.info["converged_energy"]) / 3 for a in made])
    difference = [a.arrays["unconverged_forces"] - a.arrays["converged_forces"] for a in made]
    return energy, np.array([np.sqrt(np.mean(own**2)) for own in difference])


def test_kinds_of_wrong_labels():
    energy, forces = errors("unconverged")
    assert energy == pytest.approx(0.06)
    assert errors("energy_only")[0] == pytest.approx(0.06)
    assert errors("energy_only")[1] == pytest.approx(0)
    assert errors("forces_only")[0] == pytest.approx(0)
    assert errors("forces_only")[1] == pytest.approx(forces)
    assert np.abs(errors("mild")[0]) == pytest.approx(0.007)
    assert errors("mild")[1] == pytest.approx(0.080)
    signs = np.sign(errors("random_sign")[0])
    assert set(signs) == {-1, 1}
    assert np.abs(errors("random_sign")[0]) == pytest.approx(0.06)
    assert errors("swapped")[0].max() > 1
    made = data.with_wrong_labels(labelled(), "gross", seed=1)["train"][2]
    assert made.info["unconverged_energy"] == pytest.approx(-20.0 / units.Hartree)
    assert np.abs(made.arrays["unconverged_forces"] / made.arrays["converged_forces"]) == pytest.approx(1000)
    assert all(np.array_equal(a, b) for a, b in zip(errors("swapped"), errors("swapped"), strict=True))


def test_the_clip_of_the_baseline_goes_on_until_nothing_more_is_dropped():
    rng = np.random.default_rng(0)
    values = np.exp(rng.normal(0, 0.3, 1000))
    values[:100] *= 30
    values[0] = 1e9
    keep = refinement.kept(values, 2.0)
    assert not keep[:100].any()
    assert 0.85 < keep[100:].mean() < 0.99  # it always drops some of the good ones
    x = np.log(values)
    assert x[keep].max() <= x[keep].mean() + 2 * x[keep].std()


def test_no_oracle_is_trained_on_clean_data_and_no_cell_twice():
    for study in cells.STUDIES.values():
        assert len(set(study)) == len(study)
        assert not [cell for cell in study if cell.share == 0 and cell.arm.startswith("oracle")]
        assert all(cell.arm in cells.ARMS for cell in study)


def test_tables_say_means_ratios_and_how_many_seeds(tables):
    rows = pandas.DataFrame(
        {
            "kind": "unconverged", "share": 0.3, "arm": ["oracle", "default", "default"], "seed": [1, 1, 2],
            tables.ENERGY: [4.0, 4.0, 5.0], tables.FORCES: [60.0, 60.0, 66.0],
            "energy_ratio": [1.0, 1.0, 1.2], "force_ratio": [1.0, 1.0, 1.1],
        }
    )  # fmt: skip
    table = tables.shares(rows)
    assert "| good frames only (oracle) | - | - | - | 4.0 / 60.0 (1.00 x / 1.00 x, 1 seed) | - |" in table
    assert "| **`ema_robust`** | - | - | - | 4.5 / 63.0 (1.10 x / 1.05 x, 2 seeds) | - |" in table
    assert "stock" not in table


def test_the_breakdown_says_what_was_found(tables):
    rows = pandas.DataFrame(
        {
            "kind": ["unconverged"] * 3 + ["random_sign"], "share": [0.5, 0.6, 0.6, 0.7], "seed": [1, 1, 2, 1],
            "arm": "default", tables.ENERGY: 4.0, tables.FORCES: 60.0, "energy_ratio": np.nan, "force_ratio": np.nan,
            "share_found": [0.0, 0.4, 0.3, 0.3], "undecided": [0.5, 0.0, 0.0, 0.0],
        }
    )  # fmt: skip
    lines = tables.breakdown(rows).splitlines()[2:]
    assert lines[0] == "| unconverged | 50 % | - | 4.0 / 60.0 (1 seed) | undecided (warning) |"
    assert lines[1] == "| unconverged | 60 % | - | 4.0 / 60.0 (2 seeds) | 40 % (warning), 30 % |"
    assert lines[2].endswith("| - | - | - |")
    assert lines[-1].endswith("4.0 / 60.0 (1 seed) | 30 % |")
    assert tables.seen(0.0, 0.0) == "none"


def test_the_share_that_was_found_is_what_the_run_says():
    weight = np.array([0.1, 0.9, 1.0, 1.0])
    assert measure.share_found({"kind": "normal"}, weight) == {"share_found": 0.25, "undecided": 0.0}
    assert measure.share_found(population_entry(BOTH), weight) == {"share_found": 0.15, "undecided": 0.0}
    assert measure.share_found(population_entry(UNDECIDED), weight)["undecided"] == 0.12
    assert measure.share_found(population_entry(EARLIER), weight)["share_found"] == 0.25
