"""Suspects against labels that are known to be wrong, out of the original frames."""

import math
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import write
from made_up_results import made_up_about, made_up_table, summarised, write_run

from mace_outlier.__main__ import main
from mace_outlier.report import truth
from mace_outlier.results.reading import read_results
from mace_outlier.states import LABEL


def printed(capsys, *arguments: object) -> str:
    main(["report", *map(str, arguments)])
    return capsys.readouterr().out


def test_auroc_counts_pairs_and_halves_ties():
    scores, positive = np.array([0.1, 0.5, 0.5, 0.9, 0.2]), np.array([False, True, False, True, False])
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[positive] for b in scores[~positive]]
    assert truth.auroc(scores, positive) == pytest.approx(np.mean(pairs))
    assert truth.auroc(np.array([np.inf, 1.0]), np.array([True, False])) == 1
    assert math.isnan(truth.auroc(scores, np.zeros(5, dtype=bool)))


def run_with_truth(folder: Path, values: list[object]) -> Path:
    table = made_up_table(6, [0, 1, 5])
    table["source"], table["frame"] = ["a.xyz"] * 3 + ["b.xyz"] * 3, [2, 0, 1, 0, 1, 2]
    frames = {name: [Atoms("H") for _ in range(3)] for name in ("a.xyz", "b.xyz")}
    for source, frame, value in zip(table["source"], table["frame"], values, strict=True):
        if value is not None:
            frames[source][frame].info["bad"] = value
    (folder / "data").mkdir()
    for name, atoms in frames.items():
        write(folder / "data" / name, atoms)
    return write_run(folder, table, made_up_about() | {"directory": str(folder / "data")})


def test_truth_is_read_from_the_frames_and_stated(tmp_path, capsys):
    run = run_with_truth(tmp_path, [True, False, None, 0, "yes", 1])
    out = printed(capsys, run, "--truth", "bad")
    assert "By 'bad', 3 of 6 labels are wrong" in out
    assert "precision 66.7 % (2 of 3 suspects" in out
    assert "recall 66.7 % (2 of 3 wrong ones" in out
    assert "1 frame without 'bad'" in out
    loss = read_results(run).table["loss"].to_numpy()
    area = truth.auroc(loss, np.array([True, False, False, False, True, True]))  # z rises with the loss, w falls
    assert f"AUROC {area:.4f} by 1 - weight, {area:.4f} by z" in out
    written = run.with_name("demo_run-1_outliers.html").read_text()
    assert "AUROC of 1 - weight" in written
    assert written.count("truth: wrong") == 2
    assert written.count("truth: right") == 1
    assert (written.count("<td>wrong</td>"), written.count("<td>right</td>")) == (2, 1)


def test_a_label_that_is_not_finite_is_the_most_suspicious(tmp_path):
    run = run_with_truth(tmp_path, [True, False, False, False, False, False])
    results = read_results(run)
    results.table.loc[0, ["loss", "zscore", "weight", "state"]] = [np.nan, np.nan, 0.0, LABEL]
    results.table["source"] = results.table["source"].astype("category")
    found = truth.find_truth(results, summarised(results.table), "bad")
    assert (found.all.auroc_weight, found.all.auroc_zscore) == (1, 1)
    assert not found.by_split


def test_training_and_validation_are_told_apart(tmp_path, capsys):
    run = run_with_truth(tmp_path, [True, False, None, 0, "yes", 1])
    table = read_results(run).table
    table["split"] = ["train"] * 3 + ["valid"] * 3
    prefix = write_run(tmp_path, table, read_results(run).about)
    out = " ".join(printed(capsys, prefix, "--truth", "bad").split())
    for said in (
        "By 'bad', 3 of 6 labels are wrong: 1 of 3 in training, 2 of 3 in validation.",
        "Training: at the cut of 0.5: precision 50.0 % (1 of 2 suspects are wrong), recall 100 % (1 of 1 wrong ones",
        "Validation: at the cut of 0.5: precision 100 % (1 of 1 suspects are wrong), recall 50.0 % (1 of 2 wrong ones",
    ):
        assert said in out
    assert out.count("AUROC") == 2


def test_auroc_of_weights_that_are_tiny(tmp_path):
    """1 - weight is 1 for all of them in floating point."""
    run = run_with_truth(tmp_path, [True, False, False, False, False, False])
    results = read_results(run)
    results.table["weight"] = [1e-30, 1e-25, 1e-20, 1e-20, 1e-20, 1e-20]
    results.table["source"] = results.table["source"].astype("category")
    assert truth.find_truth(results, summarised(results.table), "bad").all.auroc_weight == 1


@pytest.mark.parametrize(
    ("values", "key", "message"),
    [
        ([None] * 6, "bad", "no frame has an info entry"),
        ([True, False, 2.5, 0, 1, 1], "bad", "2.5 in 'a.xyz' is neither true nor false"),
        ([True, False, "maybe", 0, 1, 1], "bad", "maybe in 'a.xyz' is neither"),
    ],
)
def test_truth_that_says_nothing_is_refused(tmp_path, values, key, message):
    run = run_with_truth(tmp_path, values)
    with pytest.raises(SystemExit, match=message):
        main(["report", str(run), "--truth", key, "--no-page"])


def test_truth_needs_the_sources_as_they_were(tmp_path):
    run = run_with_truth(tmp_path, [1] * 6)
    write(tmp_path / "data/b.xyz", [Atoms("H", info={"bad": 1})])
    with pytest.raises(SystemExit, match=r"b\.xyz' has 1 frames now, the training used frame 2"):
        main(["report", str(run), "--truth", "bad", "--no-page"])
    (tmp_path / "data/b.xyz").unlink()
    with pytest.raises(SystemExit, match=r"b\.xyz"):
        main(["report", str(run), "--truth", "bad", "--no-page"])
