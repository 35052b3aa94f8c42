"""A MACE that has changed is told from one that is known, before anything is wrapped; the error names what changed."""

import argparse
import ast
import functools
import inspect
import re
import sys
from pathlib import Path

import mace
import pytest
import warm_python

from mace_outlier.mace import applying, scales, seams

ALL = applying.of_this_mace()


def original(place):
    found = seams.locate(place)[2]
    return getattr(found, "__wrapped__", found)


def with_parameters(function, names):
    """The function as if its parameters were called so."""

    @functools.wraps(function)
    def changed(*args, **kwargs):
        raise AssertionError("only looked at")

    del changed.__wrapped__
    vars(changed).pop("__mace_outlier__", None)
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    changed.__signature__ = inspect.Signature([inspect.Parameter(name, kind) for name in names])
    return changed


def complaint(monkeypatch, place, changed):
    """What is said of a seam, and only of it, when it holds another function."""
    monkeypatch.setattr(seams, "locate", lambda _: (None, place.rpartition(".")[2].rpartition(":")[2], changed))
    with pytest.raises(seams.UnsupportedHostError) as error:
        seams.check_all({place: ALL[place]})
    return str(error.value)


def relied_on():
    """Every argument of every seam that a wrapper relies on."""
    return [(place, name) for place, seam in ALL.items() for name in (*seam.takes, *seam.needs)]


def test_this_mace_is_known():
    for place, seam in ALL.items():
        function = original(place)
        seams.check_all({place: seam})
        assert not hasattr(function, "__mace_outlier__")
    assert len(relied_on()) > 25


@pytest.mark.parametrize(("place", "name"), relied_on())
def test_an_argument_that_is_renamed_or_removed_is_named(place, name, monkeypatch):
    names = list(inspect.signature(original(place)).parameters)
    for changed in ([f"new_{own}" if own == name else own for own in names], [own for own in names if own != name]):
        said = complaint(monkeypatch, place, with_parameters(original(place), changed))
        assert place.replace(":", ".") in said
        assert name in said
        monkeypatch.undo()


@pytest.mark.parametrize("place", [place for place, seam in ALL.items() if len(seam.takes) > 1])
def test_arguments_in_another_order_are_named(place, monkeypatch):
    names = list(inspect.signature(original(place)).parameters)
    changed = [names[1], names[0], *names[2:]]
    said = complaint(monkeypatch, place, with_parameters(original(place), changed))
    assert f"takes ({', '.join(changed)})" in said


@pytest.mark.parametrize("place", [place for place, seam in ALL.items() if seam.called_in])
def test_a_function_that_is_no_longer_called_is_named(place, monkeypatch):
    names = inspect.signature(original(place)).parameters
    name = place.rpartition(":")[2].rpartition(".")[2]
    source = seams.source_of(ALL[place].called_in)
    other = re.sub(rf"(?<!def )\b{name}\(", "something_else(", source)  # and nothing but the calls
    assert other != source
    monkeypatch.setattr(seams, "source_of", lambda module: other)
    said = complaint(monkeypatch, place, with_parameters(original(place), names))
    assert re.search(rf"mace\.\S+ no longer calls {name}", said)


def test_calls_are_read_without_importing(tmp_path, monkeypatch):
    (tmp_path / "never_imported.py").write_text(
        "raise SystemExit\ndef one(used):\n    return tools.other(lambda: third()), used.attribute, 'fourth()'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert seams.calls_in(seams.source_of("never_imported")) == {"other", "third"}
    assert "never_imported" not in sys.modules
    with pytest.raises(seams.UnsupportedHostError, match="there is no source of nowhere_at_all"):
        seams.source_of("nowhere_at_all")


PASSED_ON = [place for place, own in ALL.items() if own.wrapper and not place.endswith("build_default_arg_parser")]


@pytest.mark.parametrize("place", PASSED_ON)
def test_plain_mace_goes_on_when_a_function_gets_one_more_argument_or_result(place):
    """What is added doesn't concern us, and a run that didn't ask for us must not notice."""
    given = {}

    def grown(*args, **kwargs):
        given.update(args=args, kwargs=kwargs)
        return "one", "two", "three"

    arguments = argparse.Namespace(loss="weighted")
    first = [arguments] if place.endswith("check_args") else []
    known = [*first, *range(len(ALL[place].takes) - len(first))]
    found = ALL[place].wrapper(grown, *known, "new", by_name="new as well")
    assert found == ("one", "two", "three")
    assert given == {"args": (*known, "new"), "kwargs": {"by_name": "new as well"}}


# --- what MACE derives from labels -----------------------------------------------------------------------------------

LABELS = {"energy", "forces", "stress", "virials", "dipole", "charges", "polarizability"}
# functions of MACE that read labels (or predictions of that name), and derive nothing that a training begins with
OTHER_READERS = {
    "mace.data.atomic_data.AtomicData.from_config": "a reader",
    "mace.data.lmdb_dataset.LMDBDataset.__getitem__": "a reader",
    "mace.data.utils.save_AtomicData_to_HDF5": "a writer",
    "mace.tools.multihead_tools.generate_pseudolabels_for_configs": "predictions, which replace labels of the replay",
    "mace.tools.train": "the training itself",
    "mace.modules.loss": "losses",
    "mace.modules.models": "predictions",
    "mace.modules.utils._compute_mean_": "called by nothing",
    "mace.calculators": "predictions",
    "mace.cli.eval_configs": "predictions",
    "mace.cli.visualise_train": "errors, to be drawn",
}


def readers_of_labels(folder):
    """Functions of the modules in a folder that take a label by its name from something, by their full names."""
    for path in folder.rglob("*.py"):
        module = ".".join((folder.name, *path.relative_to(folder).with_suffix("").parts))
        yield from _readers(ast.parse(path.read_text()), module)


def _readers(tree, name):
    for node in ast.iter_child_nodes(tree):
        inner = f"{name}.{node.name}" if isinstance(node, (ast.FunctionDef, ast.ClassDef)) else name
        got = isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("get", "getattr") and node.args
        key = node.slice if isinstance(node, ast.Subscript) else node.args[0] if got else None
        label = getattr(key, "value", None) if key else getattr(node, "attr", None)
        if label in LABELS and isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
            yield name
        yield from _readers(node, inner)


def test_all_that_is_derived_from_labels_is_known():
    """A function of MACE that newly reads labels: is a training begun with what it derives? See scales.DERIVED."""
    found = set(readers_of_labels(Path(mace.__file__).parent))
    unknown = {name for name in found if name not in scales.DERIVED and not name.startswith(tuple(OTHER_READERS))}
    assert not unknown
    now = applying.in_numbers(mace.__version__)
    gone = {name for name, (since, *_) in scales.DERIVED.items() if applying.in_numbers(since) <= now} - found
    assert not gone


@pytest.mark.parametrize(
    "reads", ["batch.energy.mean()", "sum(c.properties['forces'] for c in x)", "x.get('stress')", "lambda: x['dipole']"]
)
def test_a_new_reader_is_noticed(reads, tmp_path):
    (tmp_path / "new.py").write_text(
        f"class New:\n    def stored(self, x):\n        x.energy = 1\n\n    def read(self, x):\n        {reads}\n"
    )
    assert set(readers_of_labels(tmp_path)) == {f"{tmp_path.name}.new.New.read"}


def test_what_is_said_to_be_guarded_has_a_seam():
    guarded = {name for name, (*_, treatment) in scales.DERIVED.items() if treatment == scales.GUARDED}
    wrapped = seams.by_name({place: own for place, own in ALL.items() if own.wrapper})
    known = {
        name
        for name in guarded
        if applying.in_numbers(scales.DERIVED[name][0]) <= applying.in_numbers(mace.__version__)
    }
    assert known <= set(wrapped)


# --- a copied MACE ---------------------------------------------------------------------------------------------------

CHANGES = {  # what is replaced by what in all of MACE -> what is said
    "renamed function": (r"\bget_swa\b", "get_stage_two", "there is no mace.tools.scripts_utils.get_swa"),
    "renamed argument": (r"reduce_loss\(raw_loss", "reduce_loss(terms", "reduce_loss takes (terms, ddp)"),
    "other call": (r"(?<!def )train_one_epoch\(", "run_epoch(", "mace.tools.train no longer calls train_one_epoch"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_copied_mace_that_has_changed(change, copied_mace, tmp_path):
    before, after, said = CHANGES[change]
    for path in copied_mace.rglob("*.py"):
        stock = path.read_text()
        if (changed := re.sub(before, after, stock)) != stock:
            path.write_text(changed)
    command = ["-m", "mace.cli.run_train", "--name=x", "--train_file=none.xyz", "--loss=ema_robust"]
    done = warm_python.run(*command, env={"PYTHONPATH": str(copied_mace.parent)}, cwd=tmp_path)
    assert done.returncode != 0
    assert said in done.stderr
    assert "plain MACE is untouched" in done.stderr
    assert "RuntimeError: --loss=ema_robust: mace-outlier is not active" in done.stderr


@pytest.mark.parametrize(
    ("version", "known"),
    [("0.3.13", 1), ("0.3.16+site.2", 1), ("0.4.0rc1", 1), ("1.0", 1), ("0.3.12", 0), ("0.3.12+site", 0), ("0.2.9", 0)],
)
def test_versions_of_forks_are_read(version, known, monkeypatch):
    monkeypatch.setattr(mace, "__version__", version)
    if known:
        return applying.check_version()
    with pytest.raises(seams.UnsupportedHostError, match=re.escape(f"needs mace-torch >= 0.3.13, found {version}")):
        applying.check_version()
