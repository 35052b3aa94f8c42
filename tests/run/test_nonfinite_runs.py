"""Labels, geometries, losses and a model that are not finite: log, table, report and export say the same of each."""

import numpy as np
import pytest
import torch
from ase.io import read
from conftest import within
from structures import molecules, write_xyz

from mace_outlier.__main__ import main
from mace_outlier.results.reading import read_results
from mace_outlier.run.training import RobustTraining
from mace_outlier.states import GEOMETRY, JUDGED, LABEL, LOSS, MODEL

TRAINED, BROKEN = 40, 4  # configurations; the epoch in which the model becomes NaN
LABELS, PLACES, HUGE, WRONG = [3], [8, 9], [14], [20, 21, 22]
ENERGIES = ["--loss=ema_robust", "--energy_weight=100", "--forces_weight=1"]


def spoilt_frames():
    """A NaN label, two frames with atoms on the same place, a label beyond what a loss can hold, three gross errors."""
    train = molecules(TRAINED)
    train[LABELS[0]].info["REF_energy"] = np.nan
    for frame in PLACES:
        train[frame].positions[1] = train[frame].positions[0]
    train[HUGE[0]].info["REF_energy"] = 1e200
    for frame in WRONG:
        train[frame].info["REF_energy"] += 300.0
    return train


def exported(mace, name, capsys):
    """What report prints, and the frames that export calls suspects and trusted."""
    with within(mace.folder):
        main(["report", f"results/{name}_run-1"])
        printed = " ".join(capsys.readouterr().out.split())
        main(["export", f"results/{name}_run-1", f"--suspects={name}_s.xyz", f"--trusted={name}_t.xyz"])
        said = capsys.readouterr().out
    files = {kind: mace.folder / f"{name}_{kind}.xyz" for kind in "st"}
    frames = {kind: read(path, ":") if path.stat().st_size else [] for kind, path in files.items()}
    return printed, said, frames


def test_what_is_not_finite_is_told_apart_until_the_model_itself_is_not(mace, capsys, monkeypatch):
    write_xyz(mace.folder, spoilt_frames(), molecules(5, seed=1))
    fine = mace.train("fine", *ENERGIES, f"--max_num_epochs={BROKEN}")
    aside = [*LABELS, *PLACES, *HUGE]
    table = read_results(mace.folder / "results" / "fine_run-1").table
    trained = table[table.split == "train"]
    for frames, state in ((LABELS, LABEL), (PLACES, GEOMETRY), (HUGE, LOSS)):
        assert trained.frame[trained.state == state].tolist() == frames
    assert trained.frame[trained.weight < 0.5].tolist() == sorted([*aside, *WRONG])
    assert trained.loss[trained.state != JUDGED].isna().all()
    assert all(torch.isfinite(value).all() for value in fine.parameters.values())
    started = fine.log.index("Started training")
    assert "train.xyz frame 3 has weight 0: non-finite energy in its labels" in fine.log[:started]
    assert "train.xyz frame 8 has weight 0: atoms 0 and 1 are on the same place; it is left out" in fine.log[:started]
    assert fine.log.count("has weight 0: its loss is not finite") == 1
    assert "steps were not taken" not in fine.log
    printed, _, frames = exported(mace, "fine", capsys)
    assert "1 configuration has a label that is not a finite number" in printed
    assert "2 configurations have atoms on the same place" in printed
    assert "1 configuration has a loss that is not finite" in printed
    assert len(frames["s"]) == len(aside) + len(WRONG)
    states = [frame.info.get("outlier_state") for frame in frames["s"]]
    assert sorted(filter(None, states)) == sorted([LABEL, GEOMETRY, GEOMETRY, LOSS])
    # the same training again, but the model becomes NaN
    begin = RobustTraining.begin_epoch

    def spoil_the_model(run, epoch, *arguments):
        begin(run, epoch, *arguments)
        if epoch == BROKEN:
            run.guard.optimizer.kept.parameters[0].data.fill_(torch.nan)

    monkeypatch.setattr(RobustTraining, "begin_epoch", spoil_the_model)
    broken = mace.train("broken", *ENERGIES, f"--max_num_epochs={BROKEN + 3}")
    results = read_results(mace.folder / "results" / "broken_run-1")
    after = results.table
    unfinished = after.frame.isin([*LABELS, *PLACES]) & (after.split == "train")
    assert (after.state[~unfinished & (after.times_seen == BROKEN + 3)] == MODEL).all()
    assert (after.state == MODEL).sum() >= TRAINED - len(aside)
    assert after.weight[~unfinished & (after.frame != HUGE[0])].tolist() == pytest.approx(
        table.weight[~unfinished & (table.frame != HUGE[0])].tolist()
    ), "those of before"
    assert results.about["distribution"][0]["not_finite_since"] == BROKEN
    assert f"head Default: the model is not finite since epoch {BROKEN}, step 0 (train.xyz frame " in broken.log
    assert f"Epoch {BROKEN}: 8 of 8 steps were not taken, because their gradients were not finite" in broken.log
    assert broken.log.count("has weight 0: its loss") == 1
    assert "ERROR: The" not in broken.log
    assert len(broken.validations) == BROKEN + 1, "none where there is nothing to choose by"
    assert [f"{BROKEN - 1}" in path.name for path in broken.checkpoints] == [True], "the last one that is finite"
    assert all(torch.isfinite(value).all() for value in broken.parameters.values())
    printed, said, frames = exported(mace, "broken", capsys)
    assert f"The model is not finite since epoch {BROKEN}: labels were not judged since then" in printed
    assert "look wrong" in printed
    assert len(frames["s"]) == (after.weight < 0.5).sum()
    assert f"{(after.state == MODEL).sum()} of them were not judged at their last visit" in said


def test_a_model_that_never_was_finite_says_nothing_of_the_labels(mace, capsys):
    run = mace.train("never", *ENERGIES, "--lr=1e300", "--max_num_epochs=2")
    table = read_results(mace.folder / "results" / "never_run-1").table
    assert set(table.state) <= {MODEL, JUDGED}
    assert (table.state == MODEL).sum() >= 15
    assert (table.weight == 1).all()
    assert "the model is not finite since epoch 0, step 1" in run.log
    assert "has weight 0" not in run.log
    printed, _, frames = exported(mace, "never", capsys)
    assert "looks wrong" not in printed
    assert "No label was judged: the model is not finite" in printed
    assert (len(frames["s"]), len(frames["t"])) == (0, 25)
