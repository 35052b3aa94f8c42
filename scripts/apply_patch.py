"""Give a MACE of your own a seam for plugins, or take it away again.

    python scripts/apply_patch.py --mace ~/src/mace               # a checkout or a fork
    python scripts/apply_patch.py --mace $(python -c 'import mace; print(mace.__path__[0])')     # an installed package
    python scripts/apply_patch.py --mace ~/src/mace --reverse

All files are changed or none; after a kill half way, the same command once more completes it. With the seam, MACE
itself loads mace-outlier by its entry point, and the hook at the start of Python does nothing. Needs git (`git apply`),
not a repository.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

PATCHES = Path(__file__).resolve().parent.parent / "patches"
VERSION_FILE = Path("mace/__version__.py")
NEW_MODULE = "mace/plugins.py"  # the other files import it: it comes first and goes last
SOURCES = ("pyproject.toml", "setup.cfg", "setup.py")  # one of them lies in a checkout
TEMPORARY, BACKUP = ".mace-outlier-new", ".mace-outlier-old"  # suffixes


class RefusedError(Exception):
    """The patch can't be applied or reversed; the message says why and what to do. Nothing has been changed."""


class Change(NamedTuple):
    """What becomes of the files of a MACE."""

    content: dict[str, bytes | None]  # of each file afterwards (None: gone)
    left_out: list[str]  # files beside the package where the patch doesn't fit


def root_of(path: Path) -> Path:
    """The folder that holds the folder `mace`, of a checkout or of an installation."""
    path = path.resolve()
    for root in (path, path.parent):
        if (root / VERSION_FILE).is_file() and (root / "mace") in (path / "mace", path):
            return root
    raise RefusedError(
        f"--mace {path}: there is no {VERSION_FILE} in it; give a checkout of MACE, or the package's folder"
    )


def patch_for(root: Path) -> Path:
    """The patch for the version of a MACE."""
    version = re.search(r"__version__ = [\"'](.+?)[\"']", (root / VERSION_FILE).read_text(encoding="utf-8"))
    found = version[1] if version else "unknown"
    path = PATCHES / f"mace-torch-{found}.patch"
    if not path.exists():
        known = sorted(one.stem.removeprefix("mace-torch-") for one in PATCHES.glob("mace-torch-*.patch"))
        raise RefusedError(
            f"{root} is MACE {found}, and there are patches for {', '.join(known)} only; "
            "patches/make_patch.py makes one from the sources of a release"
        )
    return path


def git_apply(patch: Path, folder: Path, file: str, *flags: str) -> subprocess.CompletedProcess:
    """`git apply` of what concerns one file, in a folder that is no part of a repository, whatever the caller's git."""
    environment = os.environ | {
        "GIT_CEILING_DIRECTORIES": str(folder.parent),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
    }
    return subprocess.run(
        ["git", "apply", *flags, f"--include={file}", str(patch)],
        cwd=folder, env=environment, capture_output=True, text=True,
    )  # fmt: skip


def changes(root: Path, patch: Path, reverse: bool) -> Change:
    """What to do to each file that isn't yet as it is to be; raises RefusedError where the patch doesn't fit."""
    is_checkout = any((root / name).is_file() for name in SOURCES)
    flags, other_way = (("--reverse",), ()) if reverse else ((), ("--reverse",))
    content: dict[str, bytes | None] = {}
    misfits: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        for file in re.findall(r"^diff --git a/(\S+) b/", patch.read_text(encoding="utf-8"), re.M):
            if not (is_checkout or file.startswith("mace/")):
                continue
            copy = folder / file
            copy.parent.mkdir(parents=True, exist_ok=True)
            if (root / file).is_file():
                shutil.copyfile(root / file, copy)
            before = content_of(copy)
            done = git_apply(patch, folder, file, *flags)
            if not done.returncode:
                content[file] = content_of(copy)
                if content[file] == before:
                    raise RefusedError(f"git apply did nothing to {file}: is {folder} in a repository?")
            elif git_apply(patch, folder, file, "--check", *other_way).returncode:
                misfits[file] = done.stderr
    fatal = [why for file, why in misfits.items() if file.startswith("mace/")]
    if fatal:
        raise RefusedError(f"{root} differs from the released version where {patch.name} applies:\n{''.join(fatal)}")
    if not content:
        raise RefusedError(f"{root} {'does not have' if reverse else 'has'} this patch: nothing to do")
    return Change(content, list(misfits))


def content_of(path: Path) -> bytes | None:
    """What is in a file; None where there is none."""
    return path.read_bytes() if path.is_file() else None


def replace_all(root: Path, content: dict[str, bytes | None]) -> None:
    """Give files their content, all or none: everything is written beside them first, then only renamed.

    Raises RefusedError where that fails; whatever else interrupts it takes it back as well.
    """
    applying = content.get(NEW_MODULE) is not None
    files = sorted(content, key=lambda file: file == NEW_MODULE, reverse=applying)
    targets = {(root / file).resolve(): content[file] for file in files}  # what links lead to
    done: list[Path] = []
    try:
        for target, new in targets.items():
            prepare(target, new, like=root / "mace" / "__init__.py")
        for target, new in targets.items():
            done.append(target)
            if new is None:
                target.unlink()
            else:
                os.replace(beside(target, TEMPORARY), target)
    except BaseException as error:
        for target in reversed(done):
            take_back(target)
        if isinstance(error, OSError):
            raise RefusedError(f"{error}; everything is as it was") from None
        raise
    finally:
        for target in targets:
            for suffix in (TEMPORARY, BACKUP):
                beside(target, suffix).unlink(missing_ok=True)


def beside(target: Path, suffix: str) -> Path:
    """A file in the same folder, so that a rename is enough."""
    return target.with_name(target.name + suffix)


def prepare(target: Path, new: bytes | None, like: Path) -> None:
    """Write the new content beside a file, with its permissions (those of `like` where it is new), and keep the old."""
    if target.exists():
        shutil.copy2(target, beside(target, BACKUP))
    if new is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        beside(target, TEMPORARY).write_bytes(new)
        shutil.copymode(target if target.exists() else like, beside(target, TEMPORARY))


def take_back(target: Path) -> None:
    """Put the old file back; one that was not there is removed."""
    if beside(target, BACKUP).exists():
        os.rename(beside(target, BACKUP), target)
    else:
        target.unlink(missing_ok=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mace", type=Path, required=True, help="a checkout of MACE, or the folder of the package")
    parser.add_argument("--reverse", action="store_true", help="take the seam away")
    parser.add_argument("--check", action="store_true", help="change nothing; say whether it would work")
    options = parser.parse_args()
    if shutil.which("git") is None:
        sys.exit("apply_patch: git is not on PATH")
    try:
        root = root_of(options.mace)
        patch = patch_for(root)
        change = changes(root, patch, options.reverse)
        if not options.check:
            replace_all(root, change.content)
    except RefusedError as error:
        sys.exit(f"apply_patch: {error}")
    done = "would be " * options.check + ("reversed" if options.reverse else "applied")
    print(f"{patch.name} {done}: {len(change.content)} files in {root}")
    if change.left_out:
        print(f"left out, because they differ from the release: {', '.join(change.left_out)}")


if __name__ == "__main__":
    main()
