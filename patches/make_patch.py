"""Make the patch that gives a MACE a plugin seam, from the sources of its release.

    pip download --no-deps --no-binary :all: mace-torch==0.3.16
    python patches/make_patch.py mace_torch-0.3.16.tar.gz       # writes patches/mace-torch-0.3.16.patch

What goes into the patch: plugins.py and test_plugins.py of this folder as they are, `@extensible` on the functions
below (`@extensible_start` where a training begins), another way to reduce the losses, and a paragraph of the README.
"""

import argparse
import ast
import difflib
import re
import tarfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
EXTENSIBLE = {
    "mace/data/atomic_data.py": ["AtomicData.from_config"],
    "mace/data/hdf5_dataset.py": ["HDF5Dataset.__getitem__"],
    "mace/data/lmdb_dataset.py": ["LMDBDataset.__getitem__"],
    "mace/data/utils.py": ["config_from_atoms", "load_from_xyz", "compute_average_E0s", "estimate_e0s_from_foundation"],
    "mace/modules/utils.py": ["compute_mean_std_atomic_inter_energy", "compute_mean_rms_energy_forces"],
    "mace/tools/arg_parser.py": ["build_default_arg_parser"],
    "mace/tools/arg_parser_tools.py": ["check_args"],
    "mace/tools/checkpoint.py": ["CheckpointBuilder.create_checkpoint", "CheckpointBuilder.load_checkpoint"],
    "mace/tools/scripts_utils.py": ["get_loss_fn", "get_swa"],
    "mace/tools/train.py": ["train", "train_one_epoch", "take_step_lbfgs", "evaluate"],
}
LATER = {"estimate_e0s_from_foundation"}  # not in 0.3.13 and 0.3.14
STARTS = {  # a training, or a worker process of one, begins with these: they load the plugins
    "build_default_arg_parser", "check_args", "train", "HDF5Dataset.__getitem__", "LMDBDataset.__getitem__",
}  # fmt: skip
LOSS = "mace/modules/loss.py"
REDUCTION = '''_reduction: Optional[Callable[[torch.Tensor, Optional[bool]], torch.Tensor]] = None


@contextmanager
def reduction(function: Callable[[torch.Tensor, Optional[bool]], torch.Tensor]):
    """
    Within this context, the losses reduce each of their element-wise terms by
    function(raw_loss, ddp), for example over each configuration.
    """
    global _reduction  # pylint: disable=global-statement
    before, _reduction = _reduction, function
    try:
        yield
    finally:
        _reduction = before


def reduce_loss('''
README, README_MARK = "README.md", "### Evaluation\n"
README_TEXT = """#### Plugins

Other packages can add losses and take part in a training through entry points of the group `mace.plugins`, see
`mace/plugins.py`.

"""


def decorated(source: str, names: list[str]) -> str:
    """The source with `@extensible` on functions or methods, and the import."""
    found = dict(_functions(ast.parse(source)))
    names = [name for name in names if name in found or name not in LATER]
    lines = source.split("\n")
    decorators = {name: "extensible_start" if name in STARTS else "extensible" for name in names}
    for line, name in sorted(((found[name].lineno, name) for name in names), reverse=True):
        indent = re.match(" *", lines[line - 1])[0]
        lines.insert(line - 1, f"{indent}@{decorators[name]}")
    return with_import("\n".join(lines), sorted(set(decorators.values())))


def _functions(tree: ast.Module):
    """Functions and methods by their qualified names."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        if isinstance(node, ast.ClassDef):
            for method in node.body:
                if isinstance(method, ast.FunctionDef):
                    yield f"{node.name}.{method.name}", method


def with_import(source: str, names: list[str]) -> str:
    """The source with the import of the decorators where isort puts it."""
    line_of_import = f"from mace.plugins import {', '.join(names)}"
    lines = source.split("\n")
    imports = [node for node in ast.parse(source).body if isinstance(node, ast.Import | ast.ImportFrom)]
    own = [node for node in imports if isinstance(node, ast.ImportFrom) and not node.level and _is_mace(node.module)]
    if own:
        after = [node for node in own if node.module < "mace.plugins"]
        line = after[-1].end_lineno if after else own[0].lineno - 1
        lines.insert(line, line_of_import)
        return "\n".join(lines)
    others = [node for node in imports if not getattr(node, "level", 0)]
    line = others[-1].end_lineno
    lines[line:line] = ["", line_of_import]
    return "\n".join(lines)


def _is_mace(module: str | None) -> bool:
    return module is not None and module.split(".")[0] == "mace"


def with_reduction(source: str) -> str:
    """The losses, with another way to reduce them."""
    source = replaced(source, "from typing import Optional\n", "from typing import Callable, Optional\n")
    source = replaced(source, "\nfrom typing import", "\nfrom contextlib import contextmanager\nfrom typing import")
    source = replaced(source, "def reduce_loss(", REDUCTION)
    first = "    ddp = is_ddp_enabled() if ddp is None else ddp\n    if ddp and dist.is_initialized():\n"
    return replaced(source, first, "    if _reduction is not None:\n        return _reduction(raw_loss, ddp)\n" + first)


def replaced(text: str, old: str, new: str) -> str:
    """Replace what has to be there exactly once."""
    if text.count(old) != 1:
        raise SystemExit(f"{old!r} is there {text.count(old)} times: this MACE has changed")
    return text.replace(old, new)


def patched(files: dict[str, str]) -> dict[str, str]:
    """The files that the patch changes or adds, as they are after it."""
    after = {path: decorated(files[path], names) for path, names in EXTENSIBLE.items()}
    after[LOSS] = with_reduction(files[LOSS])
    after[README] = replaced(files[README], README_MARK, README_TEXT + README_MARK)
    after["mace/plugins.py"] = (HERE / "plugins.py").read_text()
    after["tests/test_plugins.py"] = (HERE / "test_plugins.py").read_text()
    return after


def as_patch(before: dict[str, str], after: dict[str, str]) -> str:
    """A unified diff, as git writes it."""
    parts = []
    for path in sorted(after):
        new = path not in before
        old = [] if new else before[path].splitlines(keepends=True)
        parts.append(f"diff --git a/{path} b/{path}\n" + ("new file mode 100644\n" if new else ""))
        parts += difflib.unified_diff(
            old, after[path].splitlines(keepends=True), "/dev/null" if new else f"a/{path}", f"b/{path}"
        )
    return "".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sdist", type=Path, help="mace_torch-<version>.tar.gz")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of the patch (default: this one)")
    options = parser.parse_args()
    version = re.fullmatch(r"mace_torch-(.+)\.tar\.gz", options.sdist.name)[1]
    with tarfile.open(options.sdist) as archive:
        members = {member.name.partition("/")[2]: member for member in archive.getmembers() if member.isfile()}
        wanted = [*EXTENSIBLE, LOSS, README]
        before = {path: archive.extractfile(members[path]).read().decode() for path in wanted}
    path = options.out / f"mace-torch-{version}.patch"
    path.write_text(as_patch(before, patched(before)))
    print(path)


if __name__ == "__main__":
    main()
