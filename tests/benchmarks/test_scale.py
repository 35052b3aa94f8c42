"""benchmarks/scale: its programs run, and their processes agree."""

import json
import subprocess
import sys
from pathlib import Path

SCALE = Path(__file__).parents[2] / "benchmarks" / "scale"


def measured(program, tmp_path, *processes):
    """Rows of a program for 6,000 configurations and so many processes."""
    out = tmp_path / "out.json"
    command = [sys.executable, SCALE / program, "--sizes", "6000", "--processes", *processes, "--out", out]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(out.read_text())["results"]


def test_processes_that_share_the_end_of_an_epoch_agree(tmp_path):
    alone, two = measured("shared.py", tmp_path, "1", "2")
    assert two["largest_difference_of_weights"] < 1e-6
    assert alone["suspects"] == two["suspects"] > 200


def test_hidden_or_not_the_weights_are_the_same(tmp_path):
    for row in measured("hidden.py", tmp_path, "1"):  # it compares them itself
        assert row["suspects"] > 200
        assert row["seconds_not_hidden"] > 0
