"""Which state of this repository a result was made with."""

import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


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


def git(*arguments: str) -> str:
    """What a command of git says of this repository."""
    command = ["git", "-C", str(REPOSITORY), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
