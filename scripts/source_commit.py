"""Which state of this repository a result was made with."""

import ast
import subprocess
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGE = REPOSITORY / "mace_outlier"
WEIGHING = ("data", "losses", "mace", "method", "run", "states.py", "weights")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
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
    """Whether what the paths (none: all that weighs labels) do is what they did at a commit: see `statements`."""
    try:
        changed = git("diff", "--name-only", "--no-renames", commit, "--", *map(str, paths or TRAINING))
        return all(statements(git("show", f"{commit}:{own}")) == statements(now(own)) for own in changed.splitlines())
    except (OSError, subprocess.CalledProcessError, SyntaxError):  # not known here, "-dirty", new, gone, or no Python
        return False


def now(name: str) -> str:
    """A file as it is."""
    return (REPOSITORY / name).read_text(encoding="utf-8")


def statements(source: str) -> str:
    """What a module does: its code without comments, docstrings and layout."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.dump(tree)


def git(*arguments: str) -> str:
    """What a command of git says of this repository."""
    command = ["git", "-C", str(REPOSITORY), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
