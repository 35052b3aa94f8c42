"""Which state of this repository a result was made with."""

import ast
import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGE = REPOSITORY / "mace_outlier"
WEIGHING = ("data", "losses", "mace", "method", "run", "states.py", "weights")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
TRAINING = tuple(PACKAGE / name for name in WEIGHING)  # all that weighs labels
PREPARING = sorted((REPOSITORY / "scripts").glob("*spice*.py"))  # all that prepares SPICE
SAME_WEIGHTS = (
    REPOSITORY / "benchmarks" / "same_weights.json"
)  # commits that come to the same weights, and how one knows


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


def gives_these_weights(commit: str, arm: str = "") -> bool:
    """Whether labels are weighed as they were at a commit: by the same code, or by one that was seen to do the same.

    Some code was seen to do the same in the trainings of one arm only: for others, that says nothing. Several steps of
    this kind may lead here.
    """
    known = json.loads(SAME_WEIGHTS.read_text(encoding="utf-8")) if SAME_WEIGHTS.exists() else []
    return _leads_here(commit, [one for one in known if arm.startswith(one.get("arm", ""))])


def _leads_here(commit: str, known: list[dict[str, Any]]) -> bool:
    """Whether a commit does what is done here, or what a `before` did whose `after` leads here."""
    return is_present(commit) or any(
        do_the_same(TRAINING, commit, one["before"]) and _leads_here(one["after"], [*known[:i], *known[i + 1 :]])
        for i, one in enumerate(known)
    )


def is_present(commit: str, *paths: Path) -> bool:
    """Whether what the paths (none: all that weighs labels) do is what they did at a commit: see `statements`."""
    return do_the_same(paths or TRAINING, commit, None)


@cache
def do_the_same(paths: tuple[Path, ...], commit: str, other: str | None) -> bool:
    """Whether the paths do the same at two commits; None: as they are."""
    try:
        commits = [commit] if other is None else [commit, other]
        changed = git("diff", "--name-only", "--no-renames", *commits, "--", *map(str, paths)).splitlines()
        return all(statements(at(commit, own)) == statements(at(other, own)) for own in changed)
    except (OSError, subprocess.CalledProcessError, SyntaxError):  # not known here, "-dirty", new, gone, or no Python
        return False


def at(commit: str | None, name: str) -> str:
    """A file at a commit; None: as it is."""
    return (REPOSITORY / name).read_text(encoding="utf-8") if commit is None else git("show", f"{commit}:{name}")


def statements(source: str) -> str:
    """What a module does: its code without comments, docstrings and layout."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.dump(tree)


def git(*arguments: str, of: Path | None = None) -> str:
    """What a command of git says of this repository, or of the one that a folder is in."""
    command = ["git", "-C", str(of or REPOSITORY), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
