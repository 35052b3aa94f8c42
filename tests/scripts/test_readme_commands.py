"""The README's commands for the results of a training, run as they stand there."""

import re
import shlex
import sys
from pathlib import Path

from ase.io import read, write
from structures import molecules, spoil

README = (Path(__file__).parents[2] / "README.md").read_text()
REPORTS = (Path(__file__).parents[2] / "docs" / "pages" / "reports.md").read_text()


def test_report_export_and_audit_as_the_readme_has_them(mace):
    frames = molecules(30)
    spoil(frames, [4, 17], energy=30.0)
    for i, frame in enumerate(frames):
        frame.info["unconverged"] = i in (4, 17)
    write(mace.folder / "train.xyz", frames)
    write(mace.folder / "new_data.xyz", frames[::-1])
    mace.train("water", "--loss=ema_robust", "--seed=123", "--energy_weight=100", "--forces_weight=1")
    commands = re.findall(r"^(mace_outlier \w+\b.*?)(?: +#.*)?$", README, flags=re.M)
    assert [command.split()[1] for command in commands] == ["report", "report", "export", "audit", "check", "doctor"]
    truth = re.search(r"`(--truth \w+)`", REPORTS)[1]
    output = ""
    for command in [*commands, f"{commands[0]} {truth}"]:
        program, *arguments = shlex.split(command)
        done = mace.start(str(Path(sys.executable).with_name(program)), *arguments)
        expected = 1 if "check" in command else 0  # wrong labels are there
        assert done.returncode == expected, done.stderr
        output += done.stdout
    assert "AUROC 1" in output
    suspects, trusted = read(mace.folder / "s.xyz", ":"), read(mace.folder / "t.xyz", ":")
    assert {frame.info["outlier_frame"] for frame in suspects if frame.info["outlier_split"] == "train"} <= {4, 17}
    assert [frame.info["outlier_split"] for frame in suspects + trusted].count("train") == 30
    assert len(suspects) + len(trusted) == 30 + 5
    for name in ("results/water_run-123_outliers.html", "new_data_audit_outliers.html"):
        assert "<!doctype html>" in (mace.folder / name).read_text()[:100].lower()
