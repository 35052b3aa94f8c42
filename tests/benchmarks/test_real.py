"""benchmarks/real: faults that do what they say, what is trained, how it is judged, and one small training."""

import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pandas
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.io import read

ROOT = Path(__file__).parents[2]
for folder in ("scripts", "benchmarks", "benchmarks/ablation", "benchmarks/spice", "benchmarks/real"):
    sys.path.insert(0, str(ROOT / folder))

import faults  # noqa: E402
import finished_trainings  # noqa: E402
import real_bars  # noqa: E402
import real_cells  # noqa: E402
import real_measure  # noqa: E402
import real_repeated  # noqa: E402
import real_results  # noqa: E402
import real_scatter  # noqa: E402
import real_sets  # noqa: E402
import real_unmet  # noqa: E402
from faults import FAULTS, Fault, plant  # noqa: E402
from liquid_boxes import random_box  # noqa: E402
from water_clusters import single_point  # noqa: E402


def crystals(count=100, stress=6):
    """Copper of 3 or 4 atoms, labelled by EMT."""
    rng, frames = np.random.default_rng(0), []
    for i in range(count):
        atoms = bulk("Cu", cubic=True)
        if i % 2:
            del atoms[0]
        atoms.rattle(0.1, seed=i)
        atoms.set_cell(atoms.cell * (1 + rng.normal(0, 0.02)), scale_atoms=True)
        atoms.calc = EMT()
        frame = Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=True)
        frame.info.update(REF_energy=atoms.get_potential_energy() - 10.0 * len(atoms), config_type="AIMD")
        frame.info["REF_stress"] = atoms.get_stress(voigt=stress == 6).ravel()
        frame.arrays["REF_forces"] = atoms.get_forces()
        frames.append(frame)
    return frames


# --- faults ----------------------------------------------------------------------------------------------------------


def changes(frames):
    """Energy errors for each atom, and factors and differences of the labels of the touched frames."""
    touched = [atoms for atoms in frames if atoms.info["planted"]]
    energy = np.array([(a.info["REF_energy"] - a.info["right_energy"]) / len(a) for a in touched])
    return touched, energy, [(a.arrays["REF_forces"], a.arrays["right_forces"]) for a in touched]


EXACT = {
    "flip": lambda energy, forces, frames: all((now == -before).all() for now, before in forces),
    "kcal": lambda energy, forces, frames: all(np.allclose(now, 23.060548 * before) for now, before in forces),
    "hartree": lambda energy, forces, frames: all(
        np.isclose(27.211386 * a.info["REF_energy"], a.info["right_energy"]) for a in frames
    ),
    "pm60": lambda energy, forces, frames: set(np.round(energy, 6)) == {-0.06, 0.06},
    "p60_30": lambda energy, forces, frames: np.allclose(energy, 0.06),
    "fnoise": lambda energy, forces, frames: 0.25 < np.std(np.concatenate([n - b for n, b in forces])) < 0.35,
    "mild": lambda energy, forces, frames: (
        0.01 < energy.std() < 0.02 and 0.08 < np.std(np.concatenate([n - b for n, b in forces])) < 0.12
    ),
    "stress_sign": lambda energy, forces, frames: all(
        (a.info["REF_stress"] == -a.info["right_stress"]).all() for a in frames
    ),
    "stress_kbar": lambda energy, forces, frames: all(
        np.allclose(a.info["REF_stress"], 1602.17663 * a.info["right_stress"]) for a in frames
    ),
}


@pytest.mark.parametrize("stress", [6, 9])
@pytest.mark.parametrize("name", EXACT)
def test_a_fault_changes_its_labels_by_exactly_what_it_says_and_no_others(name, stress):
    frames = plant(crystals(stress=stress), name, seed=3)
    touched, energy, forces = changes(frames)
    assert len(touched) == round(100 * FAULTS[name].share)
    assert EXACT[name](energy, forces, touched)
    labels = FAULTS[name].labels
    assert "energy" in labels or (energy == 0).all()
    assert "forces" in labels or all((now == before).all() for now, before in forces)
    for atoms in frames:
        same = (atoms.info["REF_stress"] == atoms.info["right_stress"]).all()
        assert same or ("stress" in labels and atoms.info["planted"])
        if not atoms.info["planted"]:
            assert atoms.info["REF_energy"] == atoms.info["right_energy"]
            assert (atoms.arrays["REF_forces"] == atoms.arrays["right_forces"]).all()


def test_energies_of_others_are_those_of_frames_of_the_same_formula():
    frames = crystals()
    frames[0] = frames[0].repeat((2, 1, 1))  # the only one of its formula
    frames[0].info.update(REF_energy=-1.0, REF_stress=np.zeros(6))
    frames[0].arrays["REF_forces"] = np.zeros((8, 3))
    for seed in range(20):
        planted = plant([atoms.copy() for atoms in frames], "others", seed)
        assert not planted[0].info["planted"]
        for atoms in planted:
            alike = [other.info["right_energy"] for other in planted if len(other) == len(atoms)]
            assert atoms.info["REF_energy"] in alike


def test_a_block_lies_side_by_side_and_what_is_clean_is_not_touched():
    where = [i for i, atoms in enumerate(plant(crystals(), "block", 1)) if atoms.info["planted"]]
    assert where == list(range(where[0], where[0] + 20))
    assert not any(atoms.info["planted"] for atoms in plant(crystals(), "clean", 1))


def test_the_seed_chooses_which_frames_and_the_same_seed_the_same():
    energies = [[a.info["REF_energy"] for a in plant(crystals(), "pm60", seed)] for seed in (1, 1, 2)]
    assert energies[0] == energies[1] != energies[2]


@pytest.mark.parametrize(("name", "least"), [("charge", 5.0), ("scf_15", 1e-3)])
def test_molecules_get_what_another_charge_or_a_loose_scf_changes(name, least):
    frames = [molecule("H2O") for _ in range(7)]
    for i, atoms in enumerate(frames):
        atoms.rattle(0.05, seed=i)
        atoms.info["REF_energy"], atoms.arrays["REF_forces"] = -100.0, np.ones((3, 3))
    (touched,), energy, [(now, before)] = changes(plant(frames, name, seed=1))
    assert 3 * energy[0] > least  # eV; the cation lacks an electron, an SCF comes from above
    assert 1e-3 < np.abs(now - before).max() < 20
    again, *_ = changes(plant([atoms.copy() for atoms in frames], "clean", seed=1))
    assert touched.info["right_energy"] == -100.0
    assert not again


def test_a_box_gets_what_a_loose_scf_of_the_periodic_system_changes():
    box = random_box(4, 1.0, np.random.default_rng(1))
    right = single_point(box, 0.1, "GFN1-xTB")
    loose = single_point(box, 1e8, "GFN1-xTB")
    box.info["REF_energy"], box.arrays["REF_forces"] = -100.0, np.ones((12, 3))
    plant([box], Fault(faults.scf, 1.0), seed=1)
    assert box.info["REF_energy"] + 100 == pytest.approx(loose[0] - right[0], abs=1e-8)
    assert loose[0] - right[0] > 12 * 0.01  # eV, from above
    np.testing.assert_allclose(box.arrays["REF_forces"] - 1, loose[1] - right[1], atol=1e-8)


# --- cells and data --------------------------------------------------------------------------------------------------


def test_every_cell_makes_sense_and_has_the_seeds_and_arms_that_it_should():
    cells = real_cells.cells_of_table()
    assert len(cells) == len(set(cells))
    seeds = Counter(cell[:3] for cell in cells)
    for cell in cells:
        labels = real_sets.LABELS[real_cells.TRAINED[cell.train]]
        if cell.fault in FAULTS and cell.fault != "clean":
            assert set(FAULTS[cell.fault].labels) & set(labels), cell
        assert (cell.fault == "own") == (cell.set == "wbe")
        assert ("oracle" in cell.arms) == (cell.fault != "clean")
        assert cell.train != "stress" or cell.set in ("Si", "Mo")
        three = cell.fault in ("clean", "own") or (cell.fault in ("flip", "pm60", "mild") and cell.train == "forces")
        assert seeds[cell[:3]] == (3 if three or cell.set == "dft_water" else 1)
    forces = {(cell.set, cell.fault) for cell in cells if cell.train == "forces"}
    of_all = set(FAULTS) - {"stress_sign", "stress_kbar", "charge", "scf_15", "scf_30", "scf_43"}
    assert forces >= {(name, fault) for name in ("Si", "Mo", "acac", "water") for fault in of_all}
    assert forces >= {("water", "scf_30"), ("water", "scf_43"), ("acac", "charge"), ("water", "charge")}
    for train in ("forces", "energies", "stage_two"):
        others = {"wbe"} if train == "forces" else {"wbe", "alloys"}
        assert {cell.set for cell in cells if cell[1:3] == ("clean", train)} == set(real_cells.SETS) - others
    assert {cell.fault for cell in cells if "kept" in cell.arms} == {"flip"}


@pytest.fixture
def copper(monkeypatch):
    """In place of silicon: copper, with a model that is quickly trained; its sources are always there."""
    own = {"train": crystals(30), "valid": crystals(10), "test": crystals(6)}
    monkeypatch.setitem(real_sets.SOURCES, "Si", (lambda rng: own, []))
    small = ("--r_max=3.0", "--batch_size=5", "--hidden_irreps=4x0e", "--max_ell=1", "--correlation=1")
    monkeypatch.setitem(real_cells.SETS, "Si", real_cells.Settings(2, small, 1))


@pytest.mark.usefixtures("copper")
def test_data_hold_the_labels_that_are_trained_and_the_oracle_gets_what_was_not_touched(tmp_path):
    cells = {train: real_cells.Cell("Si", "p60_30", train, 1) for train in ("energies", "forces", "stress")}
    for train, cell in cells.items():
        cell.training("oracle", tmp_path)
        data = cell.data(tmp_path)
        frames, good = read(data / "train.xyz", ":"), read(data / "train_good.xyz", ":")
        assert (len(frames), len(good), len(read(data / "valid_good.xyz", ":"))) == (30, 21, 7)
        assert not any(atoms.info["planted"] for atoms in good)
        for atoms in frames:
            assert ("REF_forces" in atoms.arrays) == (train != "energies")
            assert ("REF_stress" in atoms.info) == (train == "stress")
        assert all("REF_forces" in atoms.arrays for atoms in read(data / "test.xyz", ":"))


@pytest.mark.usefixtures("copper")
def test_each_arm_runs_the_code_and_the_loss_that_it_should(tmp_path):
    stress = real_cells.Cell("Si", "stress_sign", "stress", 1)
    commands = {arm: stress.training(arm, tmp_path).command() for arm in real_cells.ARM_NAMES}
    landed = f"PYTHONPATH={real_cells.LANDED}"
    assert {arm for arm, command in commands.items() if landed in command} == {"landed", "published"}
    last = {arm: [word for word in command if word.startswith("--loss=")][-1] for arm, command in commands.items()}
    assert last["oracle"] == last["weighted"] == "--loss=stress"
    assert "--ema_robust_base_loss=stress" in commands["ema_robust"]
    assert {"--ema_robust_distribution=gaussian", "--ema_robust_selection=stock", "--ema_robust_variance=batch",
            "--ema_robust_warmup=0"} <= set(commands["published"])  # fmt: skip
    two = real_cells.Cell("Si", "clean", "stage_two", 1).training("ema_robust", tmp_path, 24).command()
    assert {"--swa", "--start_swa=16"} <= set(two)


def test_data_that_are_not_here_are_named(monkeypatch, tmp_path):
    monkeypatch.setitem(real_sets.SOURCES, "Si", (None, [tmp_path / "gone.xyz"]))
    assert "gone.xyz" in real_sets.missing("Si")
    with pytest.raises(SystemExit, match=r"gone\.xyz"):
        real_sets.write_data(tmp_path / "data", "Si", "clean", 1, "forces")


@pytest.mark.parametrize(("name", "counts"), [
    ("Si", (188, 26, 25)), ("Mo", (171, 23, 23)), ("acac", (400, 80, 400)), ("wbe", (858, 95, 94)),
    ("dft_water", (120, 20, 40)),
])  # fmt: skip
def test_shared_data_are_divided_as_the_readme_says(name, counts):
    if real_sets.missing(name):
        pytest.skip(real_sets.missing(name))
    splits = real_sets.SOURCES[name][0](np.random.default_rng(101))
    assert tuple(len(splits[split]) for split in ("train", "valid", "test")) == counts
    if name == "acac":
        assert Counter(a.info["config_type"] for a in splits["train"]) == {"300K": 380, "600K": 20}
    train = {(atoms.positions + atoms.cell.array.sum(0)).tobytes() for atoms in splits["train"]}
    assert not any((atoms.positions + atoms.cell.array.sum(0)).tobytes() in train for atoms in splits["valid"])


# --- judging ---------------------------------------------------------------------------------------------------------


def test_a_label_is_wrong_beyond_three_errors_of_the_oracle_right_if_not_touched_else_neither():
    off = {
        "planted": np.array([0, 1, 1, 1, 1]),
        real_measure.ENERGY: np.array([0.0, 29.0, 31.0, 0.0, 0.0]),
        real_measure.FORCES: np.array([0.0, 0.0, 0.0, 299.0, 301.0]),
    }
    oracle = {real_measure.ENERGY: 10.0, real_measure.FORCES: 100.0}
    assert real_measure.truth(off, oracle).tolist() == [0, -1, 1, -1, 1]
    assert real_measure.truth(off, {}).tolist() == [0, -1, -1, -1, -1]  # its oracle isn't trained yet
    assert real_measure.truth({"planted": np.array([0, 1, -1])}, oracle).tolist() == [0, 1, -1]  # W-Be
    assert real_measure.touched({"planted": np.array([0, 1, -1])}).tolist() == [False, True, False]
    vanishing = {"planted": np.array([0, 1, 1]), real_measure.FORCES: np.array([0.0, 0.0, 7.0])}
    assert real_measure.touched(vanishing).tolist() == [False, False, True]


def test_forces_that_vanish_by_symmetry_do_not_count(tmp_path):
    frames = crystals(10)
    for atoms in frames[:5]:
        atoms.arrays["REF_forces"] = np.full_like(atoms.positions, 1e-3)
    plant(frames, "clean", 1)
    for atoms in frames:
        faults.touch(atoms, forces=23.0 * atoms.arrays["REF_forces"])
    from ase.io import write

    write(tmp_path / "train.xyz", frames)
    off = real_measure.how_far_off(tmp_path / "train.xyz")
    assert (off[real_measure.FORCES][:5] == 0).all()
    assert (off[real_measure.FORCES][5:] > 1).all()


def test_detection_counts_what_is_known_and_takes_a_weight_that_is_no_number_for_lost():
    truth = np.array([0, 0, 0, 0, 1, 1, -1])
    kept = {"train_frame": np.arange(7)[::-1], "train_weight": np.array([0, 0.2, 1, np.nan, 1, 1, 1.0]),
            "train_zscore": np.array([9, 8, 7, 5, 1, 0, 0.0])}  # fmt: skip
    found = real_measure.told_apart(kept, "train", truth)
    assert (found["right"], found["wrong"]) == (4, 2)
    assert (found["false"], found["recall"], found["precision"]) == (0.25, 0.5, 0.5)
    assert np.isnan(found["auroc"])
    assert found["auroc_z"] == 1.0


# --- results ---------------------------------------------------------------------------------------------------------


def made_up(**better):
    """Rows of trainings.csv: clean Si and Si with pm60, each with all that a bar needs."""
    rows = []
    for fault, arms in (("clean", real_cells.ARM_NAMES[1:]), ("pm60", real_cells.ARM_NAMES)):
        for arm in arms:
            row = {"set": "Si", "fault": fault, "train": "forces", "seed": 1, "arm": arm, "failed": 0, "commit": "0123"}
            row |= {"share": 0.0 if fault == "clean" else 0.15, real_measure.ENERGY: 5.0, real_measure.FORCES: 100.0}
            if arm in ("published", "landed", "ema_robust"):
                row |= {"false": 0.0, "largest_false": 0.01, "false_by_epoch": "0 0.01", "touched": 0, "wrong": 0}
                spoiled = {"touched": 28, "touched_found": 26, "wrong": 25}
                row |= (
                    spoiled | {"recall": 0.96, "precision": 1.0, "touched_found_by_epoch": "0 0 0 14 20 25"}
                    if row["share"]
                    else {}
                )
            rows.append(row | (better if (arm, fault) == ("ema_robust", "pm60") else {}))
    return pandas.DataFrame(rows)


def results_of(rows, tmp_path):
    rows.to_csv(tmp_path / "trainings.csv", index=False)
    return real_results.finished(tmp_path, tmp_path / "trainings.csv")


def test_bars_are_met_or_not_by_the_rows_alone(tmp_path):
    met = {bar.title: bar for bar in real_bars.bars(results_of(made_up(), tmp_path))}
    assert len(met) == 5
    assert all(bar.met for bar in met.values())
    worse = real_bars.bars(results_of(made_up(precision=0.9, energy_rmse_meV_per_atom=5.3), tmp_path))
    fault = next(bar for bar in worse if bar.title.startswith("pm60, forces"))
    assert fault.met is False
    assert fault.reached["ema_robust"] == "0.96 (Si), 0.90 (Si), 1.06 (Si energies)"
    assert fault.reached["landed"] == "0.96 (Si), 1.00 (Si), 1.00 (Si energies)"
    table = real_bars.judgement(worse)
    assert table.startswith("So far, from the trainings in `trainings.csv`, 4 of 5 bars are met.")
    assert "| pm60, Si: share of touched frames found after epoch 6 | >= 0.8 | 0.89 | 0.89 | 0.89 | yes |" in table


def test_a_clean_training_without_a_finite_weight_or_error_meets_no_bar(tmp_path):
    rows = made_up()
    lost = (rows.fault == "clean") & (rows.arm == "ema_robust")
    rows.loc[lost, ["false", "largest_false", real_measure.ENERGY, real_measure.FORCES]] = np.nan
    bars = [bar for bar in real_bars.bars(results_of(rows, tmp_path)) if bar.title.startswith("clean")]
    assert [bar.met for bar in bars] == [False] * 3


def test_where_no_label_is_off_by_enough_the_errors_alone_decide(tmp_path):
    rows = made_up().drop(columns=["recall", "precision", "touched_found_by_epoch"])
    bar = next(bar for bar in real_bars.bars(results_of(rows, tmp_path)) if bar.title.startswith("pm60, forces"))
    assert (bar.met, bar.reached["ema_robust"]) == (True, "-, -, 1.00 (Si energies)")


def test_what_misses_a_bar_is_named_with_its_figure_and_nothing_else_is(tmp_path):
    assert real_unmet.unmet(results_of(made_up(), tmp_path)).count("\n") == 2  # the head alone
    worse = made_up(precision=0.9, recall=0.5, energy_rmse_meV_per_atom=5.3)
    assert "| Si | pm60 | forces | recall 0.50, precision 0.90, energies 1.06 x | 1 |" in real_unmet.unmet(
        results_of(worse, tmp_path)
    )
    of_clean = (worse.fault == "clean") & (worse.arm == "ema_robust")
    worse.loc[of_clean, ["false", "largest_false", real_measure.FORCES]] = [np.nan, 0.021, 106.0]
    said = real_unmet.unmet(results_of(worse, tmp_path))
    assert "right labels lost at the end 100.0 %, right labels lost after any epoch 2.1 %, forces 1.06 x" in said


def test_tables_and_figures_are_made_from_the_table_of_trainings(tmp_path):
    rows = results_of(made_up(), tmp_path)
    tables = real_results.tables(rows)
    assert "| Si | pm60 | forces | 26 of 28; 0.96 / 1.00; 0.0 %, 1.0 % |" in tables["found"]
    assert "| Si | pm60 | forces | 1 | 5.0 / 100 | 1.00 / 1.00 |" in tables["errors"]
    assert "| Si | clean | forces | 0.0 %, 1.0 % |" in tables["found"]
    real_results.draw(rows, tmp_path)
    assert all((tmp_path / name).stat().st_size > 10_000 for name in ("detection.png", "errors.png"))


def test_the_scatter_of_errors_is_that_of_one_seeds_oracles():
    """One that was trained for several faults, which touch the same frames, counts once."""
    errors = [(1, "flip", 9.0), (1, "pm60", 11.0), (2, "flip", 4.0), (2, "pm60", 4.0), (3, "flip", 100.0)]
    errors += [(1, "mild", 9.0), (1, "fnoise", 9.0)]
    rows = pandas.DataFrame(
        {
            "set": "Si",
            "train": "forces",
            "arm": "oracle",
            "seed": seed,
            "fault": fault,
            real_measure.ENERGY: error,
            real_measure.FORCES: 100.0 + (0.001 if fault == "pm60" else 0.0),
        }
        for seed, fault, error in errors
    )
    others = rows.assign(arm="weighted", **{real_measure.ENERGY: 50.0})
    said = real_scatter.scatter(pandas.concat([rows, others]))
    assert said.endswith("Si 10 and 0 %.\n")  # squares of 14 % and 0, of two seeds
    assert real_scatter.with_scatter(rows[real_measure.ENERGY][:2] / 10) == "1.00±0.14"
    assert real_scatter.with_scatter(rows[real_measure.FORCES] / 100) == "1.00"
    assert real_scatter.with_scatter(pandas.Series([np.nan])) == "-"


def test_trainings_on_another_machine_are_compared_with_those_that_are_committed(tmp_path, monkeypatch):
    monkeypatch.setattr(real_repeated, "TRAININGS", tmp_path / "trainings.csv")
    about = {"set": "Si", "fault": "flip", "train": "forces", "seed": 1, "commit": "before", "versions": ""}
    measured = {"oracle": (10.0, 100.0), "weighted": (20.0, 100.0), "universal": (5.0, 50.0)}
    rows = [
        about | {"arm": arm, real_measure.ENERGY: energy, real_measure.FORCES: forces}
        for arm, (energy, forces) in measured.items()
    ]
    pandas.DataFrame(rows).to_csv(tmp_path / "trainings.csv", index=False)
    for row, factor in zip(rows, (1.0, 1.1, 1.3), strict=True):
        folder = tmp_path / "runs" / "Si" / row["arm"]
        folder.mkdir(parents=True)
        again = row | {"commit": "now", real_measure.ENERGY: factor * row[real_measure.ENERGY]}
        (folder / "result.json").write_text(json.dumps(again))
    found = real_repeated.repeated(tmp_path / "runs")
    assert "of Si 10 and 0 %, at most 30 and 0 % (3)." in real_repeated.said(found)


def test_where_nothing_can_be_found_there_is_no_empty_figure_nor_one_of_before(tmp_path):
    (tmp_path / "detection.png").write_text("of before")
    rows = results_of(made_up().drop(columns=["recall", "precision"]), tmp_path).drop(
        columns=["recall", "precision"], errors="ignore"
    )
    real_results.draw(rows, tmp_path)
    assert [path.name for path in tmp_path.glob("*.png")] == ["errors.png"]


def test_the_readme_has_the_tables_of_the_committed_trainings(monkeypatch, tmp_path):
    copied, rows = tmp_path / "copied.md", real_results.finished(tmp_path, real_results.TRAININGS)
    written = [(real_results.README, real_results.tables(rows))]
    written += [
        (document, {name: real_results.short_table(rows, shown)})
        for name, (document, shown) in real_results.ELSEWHERE.items()
    ]
    for document, tables in written:
        copied.write_text(document.read_text())
        real_results.write_tables(copied, "real", tables)
        assert copied.read_text() == document.read_text()


def test_what_the_bars_are_about_is_trained_first():
    wanted = [(cell, arm) for cell in real_cells.cells_of_table() for arm in cell.arms]
    ordered = sorted(wanted, key=lambda one: real_cells.importance(*one))
    first = [(cell.fault, cell.train, arm) for cell, arm in ordered[:100]]
    assert {fault for fault, _, _ in first} == {"clean", "own", "flip", "pm60", "mild"}
    assert {train for _, train, _ in first} == {"forces"}
    assert {arm for _, _, arm in first} == {"oracle", "weighted", "ema_robust"}
    assert {arm for _, arm in ordered[-100:]} <= {"universal", "published", "landed"}


# --- one training ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("copper", "forked_trainings")
def test_a_cell_is_trained_measured_and_reused(tmp_path, monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "run", raising=False)  # of another benchmark
    monkeypatch.syspath_prepend(ROOT / "benchmarks" / "real")
    import run

    cell, table = real_cells.Cell("Si", "stress_kbar", "stress", 1), tmp_path / "trainings.csv"
    wanted = [(cell, "oracle"), (cell, "ema_robust")]
    run.run(wanted, tmp_path, table, 2, None)
    rows = pandas.read_csv(table, dtype={"commit": str}).set_index("arm")
    errors = rows[[real_measure.ENERGY, real_measure.FORCES, real_measure.STRESS, "stress_ratio"]]
    assert np.isfinite(errors.to_numpy()).all()
    assert json.loads(rows.by_config_type["ema_robust"])["AIMD"][0] == 6
    ours = rows.loc["ema_robust"]
    assert (ours.right, ours.wrong, ours.valid_wrong, ours.share) == (27, 3, 1, 0.1)
    assert len(ours.false_by_epoch.split()) == len(ours.auroc_z_by_epoch.split()) == 2
    assert ours.command.startswith("sha256:")
    assert np.isnan(rows.loc["oracle"].false)
    assert "2 trainings to run, 0 finished" in capsys.readouterr().out
    run.run(wanted, tmp_path, table, 2, None)
    assert "0 trainings to run, 2 finished" in capsys.readouterr().out
    monkeypatch.setattr(finished_trainings, "gives_these_weights", lambda commit, arm: True)
    assert (*cell, "ema_robust") in finished_trainings.committed_trainings(table, real_results.WHICH)
    # what is not here any more counts as the table has it
    assert len(real_results.finished(tmp_path / "elsewhere", table)) == 2


def test_a_training_that_was_cut_off_leaves_the_row_of_an_earlier_one(tmp_path, monkeypatch):
    monkeypatch.setattr(real_results, "detection", lambda folder, data, oracle: {"recall": 0.1})
    cell = real_cells.Cell("Si", "flip", "forces", 1)
    rows = pandas.DataFrame([cell._asdict() | {"arm": "ema_robust", "recall": 0.9}])
    folder = tmp_path / "runs" / cell.run_name / "ema_robust"
    (folder / "weights").mkdir(parents=True)
    assert real_results.judged(rows, tmp_path).recall.tolist() == [0.9]
    (folder / "result.json").write_text("{}")
    assert real_results.judged(rows, tmp_path).recall.tolist() == [0.1]
