"""Give a MACE of your own a seam for plugins, or take it away again.

    python scripts/apply_patch.py --mace ~/src/mace               # a checkout or a fork
    python scripts/apply_patch.py --mace $(python -c 'import mace; print(mace.__path__[0])')     # an installed package
    python scripts/apply_patch.py --mace ~/src/mace --reverse

All files are changed or none. With the seam, MACE itself loads mace-outlier by its entry point, and the hook at the
start of Python does nothing. Needs git (`git apply`), not a repository.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PATCHES = Path(__file__).resolve().parent.parent / "patches"
VERSION_FILE = Path("mace/__version__.py")


class RefusedError(Exception):
    """The patch can't be applied or reversed; the message says why and what to do. Nothing has been changed."""


def root_of(path: Path) -> Path:
    """The folder that holds the folder `mace`, of a checkout or of an installation."""
    for root in (path, path.parent):
        if (root / VERSION_FILE).is_file() and (root / "mace") in (path / "mace", path):
            return root.resolve()
    raise RefusedError(
        f"--mace {path}: there is no {VERSION_FILE} in it; give a checkout of MACE, or the package's folder"
    )


def patch_for(root: Path) -> Path:
    """The patch for the version of a MACE."""
    version = re.search(r"__version__ = [\"'](.+?)[\"']", (root / VERSION_FILE).read_text())
    found = version[1] if version else "unknown"
    path = PATCHES / f"mace-torch-{found}.patch"
    if not path.exists():
        known = sorted(one.stem.removeprefix("mace-torch-") for one in PATCHES.glob("mace-torch-*.patch"))
        raise RefusedError(
            f"{root} is MACE {found}, and there are patches for {', '.join(known)} only; "
            "patches/make_patch.py makes one from the sources of a release"
        )
    return path


def parts_of(patch: Path, root: Path) -> list[str]:
    """Files that the patch touches; of an installed package, those of the package only."""
    files = re.findall(r"^diff --git a/(\S+) b/", patch.read_text(), re.M)
    is_checkout = (root / "README.md").is_file() and (root / "tests").is_dir()
    return files if is_checkout else [file for file in files if file.startswith("mace/")]


def git_apply(patch: Path, folder: Path, files: list[str], *flags: str) -> subprocess.CompletedProcess:
    """`git apply` on some of the files of a patch, in a folder that is taken for no part of a repository."""
    environment = os.environ | {"GIT_CEILING_DIRECTORIES": str(folder.parent)}
    chosen = [f"--include={file}" for file in files]
    return subprocess.run(
        ["git", "apply", *flags, *chosen, str(patch)], cwd=folder, env=environment, capture_output=True, text=True
    )


def changed(root: Path, patch: Path, reverse: bool) -> dict[str, bytes | None]:
    """The files as they are afterwards (None: gone); raises RefusedError where the patch doesn't fit."""
    files = parts_of(patch, root)
    flags = ("--reverse",) if reverse else ()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in (file for file in files if (root / file).is_file()):
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / file, folder / file)
        done = git_apply(patch, folder, files, *flags)
        if done.returncode:
            other_way = git_apply(patch, folder, files, "--check", *(() if reverse else ("--reverse",)))
            if not other_way.returncode:
                raise RefusedError(f"{root} {'does not have' if reverse else 'has'} this patch: nothing to do")
            raise RefusedError(f"{root} differs from the released version where {patch.name} applies:\n{done.stderr}")
        return {file: (folder / file).read_bytes() if (folder / file).is_file() else None for file in files}


def replace_all(root: Path, after: dict[str, bytes | None]) -> None:
    """Write, replace and remove files; where that fails half way, put back what was there."""
    before = {file: (root / file).read_bytes() if (root / file).is_file() else None for file in after}
    try:
        for file, content in after.items():
            put(root / file, content)
    except OSError as error:
        for file, content in before.items():
            put(root / file, content)
        raise RefusedError(f"{error}; everything is as it was") from None


def put(path: Path, content: bytes | None) -> None:
    """Make a file have a content, or be gone; a reader sees the old or the new one. Keeps its permissions."""
    if content is None or (path.is_file() and path.read_bytes() == content):
        if content is None:
            path.unlink(missing_ok=True)
        return
    temporary = path.with_name(path.name + ".mace-outlier-tmp")
    try:
        temporary.write_bytes(content)
        if path.exists():
            shutil.copymode(path, temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


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
        after = changed(root, patch, options.reverse)
        if not options.check:
            replace_all(root, after)
    except RefusedError as error:
        sys.exit(f"apply_patch: {error}")
    done = "would be " * options.check + ("reversed" if options.reverse else "applied")
    print(f"{patch.name} {done}: {len(after)} files in {root}")


if __name__ == "__main__":
    main()
