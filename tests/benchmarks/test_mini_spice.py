"""benchmarks/spice: the data that it makes through prepare_spice.py, what it trains and how that is judged."""

import sys
from pathlib import Path

import h5py
import numpy as np
import pandas
import pytest
from ase.io import read

ROOT = Path(__file__).parents[2]
for folder in ("scripts", "benchmarks", "benchmarks/ablation", "benchmarks/spice"):
    sys.path.insert(0, str(ROOT / folder))

import demo_results  # noqa: E402
import mini_spice  # noqa: E402
import spice_cells  # noqa: E402
import spice_errors  # noqa: E402
import spice_map  # noqa: E402
import spice_results as results  # noqa: E402
import throughput  # noqa: E402


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """24 molecules of 4 to 8 atoms; unconverged energies are 0.01 hartree too high."""
    path, rng = tmp_path_factory.mktemp("spice") / "source.hdf5", np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for m in range(24):
            atoms = 4 + m % 5
            group = file.create_group(f"m{m}")
            group.create_dataset("smiles", data=["C" * (m + 1)], dtype=h5py.string_dtype())
            group.create_dataset("subset", data=["s"], dtype=h5py.string_dtype())
            group["atomic_numbers"] = np.array([6, *[1] * (atoms - 1)], dtype=np.int16)
            grid = 2.0 * np.argwhere(np.ones((2, 2, 2)))[:atoms]
            positions = grid + rng.normal(0, 0.1, (30, atoms, 3))
            energy, gradient = rng.normal(-10 * atoms, 0.01, 30), rng.normal(0, 0.01, positions.shape)
            for name, values, unit in (
                ("conformations", positions, "bohr"),
                ("dft_total_energy", energy, "hartree"),
                ("dft_total_gradient", gradient, "hartree/bohr"),
                ("loose_total_energy", energy + 0.01, "hartree"),
                ("loose_total_gradient", gradient + 0.02, "hartree/bohr"),
            ):
                group[name] = values
                group[name].attrs["units"] = unit
    return path


@pytest.fixture(scope="module")
def data(source):
    """What mini_spice makes of it, with 30 % wrong labels."""
    patch = pytest.MonkeyPatch()
    patch.setattr(mini_spice, "SOURCE", source)
    patch.setattr(mini_spice, "CHOICE", ["--valid=0.3", "--test=0.3", "--seed=1", "--format=xyz"])
    patch.setattr(mini_spice, "WORK", source.parent / "work")
    patch.setattr(spice_cells, "WORK", source.parent / "work")
    folder = source.parent / "work" / "data" / "unconverged-0.3-seed-1"
    settings = mini_spice.write_data(folder, 0.3, 1)
    yield folder, settings
    patch.undo()


def test_a_share_of_training_and_validation_labels_is_unconverged_and_no_test_label(data):
    folder, settings = data
    assert settings["E0s"].startswith("{1: ")
    wrong = mini_spice.labelled()
    for split in mini_spice.SPLITS:
        frames = read(folder / f"{split}.xyz", ":")
        bad = np.array([atoms.info["unconverged"] for atoms in frames], dtype=bool)
        assert bad.mean() == pytest.approx(0.0 if split == "test" else 0.3, abs=0.02)
        for atoms, both in zip(frames, wrong[split], strict=True):
            kind = "unconverged" if atoms.info["unconverged"] else "converged"
            assert atoms.info["REF_energy"] == pytest.approx(both.info[f"{kind}_energy"], abs=1e-6)
            assert both.info["unconverged_energy"] - both.info["converged_energy"] == pytest.approx(0.2721, abs=1e-3)
    molecules = [{atoms.info["spice_group"] for atoms in wrong[split]} for split in mini_spice.SPLITS]
    assert not molecules[0] & molecules[2]
    assert all(len(own) % mini_spice.CONFORMATIONS == 0 for own in wrong.values())


def test_errors_by_element_and_size(data, monkeypatch):
    frames = read(data[0] / "test.xyz", ":")

    class Calculator:
        """Off by 10 meV/atom, and by 0.1 eV/A on hydrogen."""

        def calculate(self, atoms):
            off = np.where(np.array(atoms.get_chemical_symbols()) == "H", 0.1, 0.0)[:, None]
            self.results = {"energy": atoms.info["REF_energy"] + 0.01 * len(atoms)}
            self.results["forces"] = atoms.arrays["REF_forces"] + off

    monkeypatch.setattr(demo_results, "silent_calculator", lambda model: Calculator())
    found = spice_errors.errors("model", frames)
    assert found["energy_rmse_meV_per_atom"] == pytest.approx(10)
    assert found["energy_mean_error_meV_per_atom"] == found["energy_mae_meV_per_atom"] == pytest.approx(10)
    assert (found["force_rmse_H"], found["force_rmse_C"]) == (pytest.approx(100), 0)
    hydrogen = np.mean([symbol == "H" for atoms in frames for symbol in atoms.symbols])
    assert found["force_rmse_meV_per_A"] == pytest.approx(100 * np.sqrt(hydrogen))
    assert found["force_mae_meV_per_A"] == pytest.approx(100 * hydrogen)
    assert found["energy_rmse_4 to 9_atoms"] == pytest.approx(10)
    assert np.isnan(found["energy_rmse_15 to 22_atoms"])


def test_arms_differ_in_labels_and_loss_only(data):
    commands = {arm: spice_cells.training(0.3, arm, 1).command()[1:] for arm in spice_cells.ARMS}
    differ = {"train_file", "valid_file", "loss", "work_dir"}
    for arm, command in commands.items():
        others = {flag for flag in command if flag.lstrip("-").split("=")[0] not in differ and "ema_robust" not in flag}
        stock = {flag for flag in commands["weighted"] if flag.lstrip("-").split("=")[0] not in differ}
        assert others == stock, arm


def test_tables_hold_ratios_to_the_oracle_of_the_same_seed_and_share():
    rows = [
        {
            "arm": arm,
            "kind": "unconverged",
            "share": 0.3,
            "seed": seed,
            results.ENERGY: energy * seed,
            results.FORCES: 100.0,
            results.ENERGY_MAE: 0.5 * energy * seed,
            results.FORCE_MAE: 60.0,
        }
        for seed in (1, 2)
        for arm, energy in (("oracle", 8.0), ("weighted", 16.0), ("default", 8.4))
    ]
    frame = pandas.DataFrame(rows)
    frame["energy_ratio"] = frame[results.ENERGY] / np.where(frame.seed == 1, 8.0, 16.0)
    frame["force_ratio"] = frame["force_mae_ratio"] = 1.0
    frame["energy_mae_ratio"] = frame["energy_ratio"]
    table = results.shares(frame)
    assert "| stock `weighted` | - | - | 24.0 / 100 (2.00 x / 1.00 x, 2 seeds) | - |" in table
    assert "| **`ema_robust`** | - | - | 12.6 / 100 (1.05 x / 1.00 x, 2 seeds) | - |" in table
    assert "| stock `weighted` | - | - | 12.0 / 60 (2.00 x / 1.00 x, 2 seeds) | - |" in results.mean_absolute(frame)


def test_throughput_is_measured_on_a_made_up_file(tmp_path):
    path = tmp_path / "made_up.hdf5"
    throughput.make_up(path, 20 * throughput.CONFORMATIONS)
    row = throughput.prepare(path, 1)
    assert row["conformations"] == 20 * throughput.CONFORMATIONS
    assert row["per_second"] > 0
    assert 50 < row["megabytes"] < 2000
    assert "| made up, 360 |" in throughput.table([{"file": "made up"} | row])


def test_the_map_compares_trainings_of_the_same_seeds():
    arms = [("weighted", 1, 4.0), ("weighted", 2, 9.0), ("default", 1, 2.0), ("oracle", 2, 1.0)]
    about = {"kind": "stretched", "share": 0.3}
    rows = pandas.DataFrame({"arm": arm, "seed": seed, spice_map.RATIO: ratio} | about for arm, seed, ratio in arms)
    assert "2.00 x; 2.00 x" in spice_map.table(rows, {"rms_meV_per_atom": 44.0})
