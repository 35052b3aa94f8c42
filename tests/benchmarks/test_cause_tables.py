"""benchmarks/causes: a model of a training is asked for the causes of planted faults."""

import importlib.util
import sys
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parents[2] / "benchmarks" / "causes"
sys.path.insert(0, str(FOLDER))
spec = importlib.util.spec_from_file_location("causes_run", FOLDER / "run.py")
causes_run = importlib.util.module_from_spec(spec)
spec.loader.exec_module(causes_run)


def test_the_frames_of_a_training_are_predicted_and_faults_planted_into_their_labels(mace):
    mace.train("demo", "--loss=ema_robust")
    predicted = causes_run.predicted_by(mace.folder, mace.folder)
    assert len(predicted.frames) == len(predicted.evaluated.frames) == len(predicted.weight) == 25
    for atoms, own in zip(predicted.frames, predicted.evaluated.frames, strict=True):
        np.testing.assert_allclose(own.positions, atoms.positions, atol=1e-6)
    found, chosen = causes_run.planted(predicted, predicted.frames, causes_run.LIBRARY["hartree"], seed=1)
    assert len(found) == len(chosen.suspects) > 0
    assert not set(chosen.suspects) & set(chosen.others)


def test_each_kind_has_a_file_and_what_is_not_found_anew_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(causes_run, "is_present", lambda commit, *paths: commit == "this")
    about = {"set": "Si", "seed": 1, "suspects": 3, "commit": "this"}
    rows = [about | {"kind": kind, "fault": fault} for kind in ("planted", "trained") for fault in ("flip", "kcal")]
    causes_run.write_rows(rows, tmp_path)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["planted.csv", "trained.csv"]
    known = causes_run.known_before(tmp_path)
    assert [(row["kind"], row["fault"]) for row in known.values()] == [(row["kind"], row["fault"]) for row in rows]
    again = rows[2] | {"suspects": 5}
    known[causes_run.key_of(again)] = again
    causes_run.write_rows(list(known.values()), tmp_path)
    assert [row["suspects"] for row in causes_run.known_before(tmp_path).values()] == ["3", "3", "5", "3"]
    causes_run.write_rows([rows[0], rows[1] | {"commit": "other"}], tmp_path)
    assert [row["fault"] for row in causes_run.known_before(tmp_path).values()] == ["flip"], "of other code"


def test_one_of_several_units_is_neither_right_nor_wrong():
    assert causes_run.is_either("stress in kbar or eV (virials), with the wrong sign", ("stress in kbar",))
    assert not causes_run.is_either("stress in GPa or bar", ("stress in kbar",))
    assert not causes_run.is_either("stress in kbar", ("stress in kbar",))
    assert not causes_run.is_either("energy of another charge or spin", ("energy of another charge or spin",))
