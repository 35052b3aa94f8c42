"""Which state of this repository a result was made with."""

import subprocess
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGE = REPOSITORY / "mace_outlier"
WEIGHING = ("data", "losses", "mace", "method", "run", "states.py", "weights")
TRAINING = tuple(PACKAGE / name for name in WEIGHING)  # all that weighs labels


def commit_of(*paths: Path) -> str:
    """Short hash of the commit that changed the paths last (none: of the checkout); "-dirty" behind it after changes.

    "" outside of git, or where there is no git.
    """
    of = ["--", *map(str, paths)]
    untracked = "normal" if paths else "no"  # a new file in a folder of sources counts, one elsewhere doesn't
    try:
        commit = git("log", "-1", "--format=%h", *of)
        changes = git("status", "--porcelain", f"--untracked-files={untracked}", *of)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f"{commit}-dirty" if commit and changes else commit


@cache
def is_present(commit: str, *paths: Path) -> bool:
    """Whether the paths (none: all that weighs labels) are now as they were at a commit."""
    try:
        git("diff", "--quiet", commit, "--", *map(str, paths or TRAINING))
    except (OSError, subprocess.CalledProcessError):  # also of a commit that is not known here, or of "-dirty"
        return False
    return True


def git(*arguments: str) -> str:
    """What a command of git says of this repository."""
    command = ["git", "-C", str(REPOSITORY), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
