"""benchmarks/fine_tuning and the long trainings of benchmarks/real: their data, counts and tables."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pandas
import pytest
from ase.io import read

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data"
for folder in (
    "scripts",
    "benchmarks",
    "benchmarks/ablation",
    "benchmarks/real",
    "benchmarks/spice",
    "benchmarks/fine_tuning",
):
    sys.path.insert(0, str(ROOT / folder))

import real_long  # noqa: E402
from real_cells import Cell  # noqa: E402

spec = importlib.util.spec_from_file_location("tuning", ROOT / "benchmarks" / "fine_tuning" / "run.py")
tuning = importlib.util.module_from_spec(spec)
sys.modules["tuning"] = tuning  # for its dataclass
spec.loader.exec_module(tuning)


@pytest.mark.skipif(not (SHARED / "real").exists(), reason="../shared/data is not there")
@pytest.mark.parametrize(("name", "wrong"), [("acac", 30), ("acac-flip", 40)])
def test_so_many_labels_are_wrong(tmp_path, monkeypatch, name, wrong):
    monkeypatch.setattr(tuning, "write_replay", lambda folder: None)
    tuning.write_data(tmp_path / name, name)
    planted = {
        path.stem: [atoms.info.get("planted", 0) for atoms in read(path, ":")] for path in (tmp_path / name).iterdir()
    }
    sizes = {split: len(own) for split, own in planted.items()}
    assert sizes == tuning.SIZES | {"train_good": 200 - wrong, "valid_good": 40 - wrong // 5}
    assert sum(planted["train"]) == wrong
    assert not any(planted["test"] + planted["train_good"] + planted["valid_good"])


def test_what_is_found_is_counted_by_frame_and_head(tmp_path, monkeypatch):
    """Frame 0 of the file is wrong and found at once, frame 1 later, frame 2 is right and lost; MACE repeats all."""
    own = pandas.DataFrame({"frame": [0, 1, 2, 3], "weight": [0.0, 0.1, 0.2, 1.0], "suspect_since": [0, 3, 0, -1]})
    replay = pandas.DataFrame({"frame": [0, 1], "weight": [1.0, 0.3], "suspect_since": [-1, 2]})
    table = pandas.concat([own.assign(head="Default"), own.assign(head="Default"), replay.assign(head="pt_head")])
    monkeypatch.setattr(
        tuning, "read_results", lambda folder: type("Results", (), {"table": table.assign(split="train")})
    )
    frames = [type("Frame", (), {"info": {"planted": planted}}) for planted in (1, 1, 0, 0)]
    monkeypatch.setattr(tuning, "read", lambda file, which: frames)
    training = type("Training", (), {"folder": tmp_path, "data": tmp_path})
    assert tuning.found(training) == {
        "wrong": 2, "found": 2, "after_one": 1, "after_two": 1, "right": 2, "lost": 1,
        "replayed": 2, "replayed_lost": 1,
    }  # fmt: skip


def test_a_line_for_each_set_and_way():
    counts = {
        "wrong": 30,
        "found": 29,
        "after_one": 3,
        "after_two": 27,
        "right": 170,
        "lost": 0,
        "replayed": 0,
        "replayed_lost": 0,
    }
    rows = pandas.DataFrame([
        {"set": "acac", "way": "naive", "arm": arm, tuning.ENERGY: 4.0 * ratio, tuning.FORCES: 50.0 * ratio}
        | {"energy_ratio": ratio, "force_ratio": ratio} | counts
        for arm, ratio in (("oracle", 1.0), ("weighted", 2.5), ("ema_robust", 1.1))
    ])  # fmt: skip
    [line] = tuning.table(rows).splitlines()[2:]
    assert line.startswith("| acetylacetone | energies +60")
    assert line.endswith("| naive | 29 of 30 | 3, 27 | 0 of 170 | - | 2.50 | 1.10 | 2.50 | 1.10 |")


def test_the_documents_have_the_table_of_the_committed_trainings(tmp_path):
    made = tuning.table(pandas.read_csv(tuning.TRAININGS))
    assert all(made in document.read_text() for document in tuning.DOCUMENTS)


def test_long_trainings_differ_in_their_epochs_alone(tmp_path, monkeypatch):
    monkeypatch.setattr("real_cells.write_data", lambda *rest: None)
    cell = Cell("Si", "flip", "stage_two", 1)
    usual, longer = cell.training("ema_robust").command(), real_long.training(cell).command()
    flags = [dict(word.removeprefix("--").partition("=")[::2] for word in own) for own in (usual, longer)]
    differ = {name for name in flags[1] if flags[0].get(name) != flags[1][name] and name.isidentifier()}
    folders = {"work_dir", "train_file", "valid_file"}
    assert differ == {"max_num_epochs", "start_swa", "lr_scheduler_gamma"} | folders
    assert (flags[1]["max_num_epochs"], flags[1]["start_swa"]) == ("300", "200")
    rates = [float(own["lr_scheduler_gamma"]) ** int(own["max_num_epochs"]) for own in flags]
    assert rates[1] == pytest.approx(rates[0], rel=1e-2)


def test_what_moves_late_is_shown():
    epochs = 300
    found, lost = np.full(epochs, 10), np.zeros(epochs)
    found[:5], found[250], lost[3], lost[260] = 0, 5, 0.08, 0.02
    row = {"set": "Si", "fault": "flip", "touched": 10, real_long.ENERGY: 3.0, real_long.FORCES: 90.0}
    row |= {"touched_found_by_epoch": " ".join(map(str, found)), "false_by_epoch": " ".join(map(str, lost))}
    [line] = real_long.lines_of(pandas.DataFrame([row]))
    assert line == [
        "silicon",
        real_long.WHAT_IS_WRONG["flip"],
        "10 of 10",
        "5 to 10",
        "0.0 %",
        "2.0 %",
        "8.0 %",
        "3.00 / 90.0",
    ]


def test_average_e0s_are_those_of_mace():
    from ase.build import molecule
    from mace.data import compute_average_E0s, config_from_atoms
    from mace.data.utils import KeySpecification
    from mace.tools import AtomicNumberTable

    frames = [molecule(name) for name in ("H2O", "CH4", "CO2", "C2H6")]
    for number, atoms in enumerate(frames):
        atoms.info["REF_energy"] = -10.0 * len(atoms) - number
    keys = KeySpecification(info_keys={"energy": "REF_energy"}, arrays_keys={})
    expected = compute_average_E0s([config_from_atoms(own, keys) for own in frames], AtomicNumberTable([1, 6, 8]))
    assert eval(tuning.average(frames)) == pytest.approx(expected)
