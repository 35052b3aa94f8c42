import bz2
import dataclasses
import gzip
import lzma

import numpy as np
import pytest
from ase.db import connect
from ase.io import read as ase_read
from ase.io import write
from made_up_checks import KEYS, series
from structures import molecules, write_hdf5

from mace_outlier.checks import catalogue
from mace_outlier.checks.inputs import Inputs, Source
from mace_outlier.checks.reading import pick
from mace_outlier.checks.settings import Settings
from mace_outlier.checks.shape import is_symmetric, shape_of
from mace_outlier.checks.survey_files import survey

SMALL = dataclasses.replace(Settings(), chunk=2, back=4)


def read(*paths, settings=None, workers=1):
    return survey(Inputs([Source(str(path), keys=KEYS) for path in paths]), settings or Settings(), workers)


@pytest.fixture
def frames():
    return series(14) + molecules(5)


def test_chunks_and_workers_change_nothing(tmp_path, frames):
    write(tmp_path / "a.xyz", frames)
    once = read(tmp_path / "a.xyz", settings=dataclasses.replace(SMALL, chunk=100))
    for workers in (1, 2):
        other = read(tmp_path / "a.xyz", settings=SMALL, workers=workers)
        assert other.formulas == once.formulas
        np.testing.assert_array_equal(other.frames["frame"], np.arange(19))
        for name in once.frames.dtype.names:
            np.testing.assert_array_equal(other.frames[name], once.frames[name])
        links = {(link["one"], link["two"]) for link in once.links}
        assert links <= {(link["one"], link["two"]) for link in other.links}
        assert len(once.links) >= 13


def test_all_formats_say_the_same(tmp_path, frames):
    write(tmp_path / "a.xyz", frames)
    write_hdf5(tmp_path / "b.h5", frames[:10])
    write_hdf5(tmp_path / "c.h5", frames[10:])
    write(tmp_path / "d.xyz.gz", frames)
    one = read(tmp_path / "a.xyz", settings=SMALL)
    for other in (
        read(tmp_path / "b.h5", tmp_path / "c.h5", settings=SMALL),
        read(tmp_path / "d.xyz.gz", settings=SMALL),
    ):
        for name in ("atoms", "energy", "net_force", "rms_force", "nearest", "volume", "fingerprint"):
            np.testing.assert_allclose(other.frames[name], one.frames[name], rtol=1e-5, atol=1e-6)
    both = read(tmp_path / "b.h5", tmp_path / "c.h5")
    assert (both.frames["frame"][10:] == np.arange(9)).all()
    assert both.of_source(1) == slice(10, 19)
    assert len(one.sample) == 19


def test_an_ase_database(tmp_path, frames):
    with connect(tmp_path / "a.db") as database:
        for atoms in frames:
            database.write(atoms, data={})
    assert len(read(tmp_path / "a.db", settings=SMALL).frames) == 19


@pytest.mark.parametrize("text", ["2\n\nH 0 0 0\n", "x\n", "1\nProperties=species:S:1:pos:R:3\nH 0 a 0\n"])
def test_a_file_that_is_cut_short_or_none(tmp_path, text):
    (tmp_path / "a.xyz").write_text("1\n\nH 0 0 0\n" + text)
    with pytest.raises(ValueError, match="frame 1"):
        read(tmp_path / "a.xyz")


def test_text_that_is_no_utf8_is_named_by_its_line(tmp_path, frames):
    path = tmp_path / "a.xyz"
    write(path, frames)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[7] = lines[7].replace(b"\n", b" method=M\xfcller\n")  # the comment of the second frame
    path.write_bytes(b"".join(lines))
    (tmp_path / "a.xyz.gz").write_bytes(gzip.compress(path.read_bytes()))
    for reader in (read, lambda path: pick(str(path), [18])):
        for name in ("a.xyz", "a.xyz.gz"):
            with pytest.raises(ValueError, match=rf"{name}: line 8 is no UTF-8"):
                reader(tmp_path / name)


@pytest.mark.parametrize(("before", "size"), [(4, 2), (3, 2), (4, 100)])
def test_a_file_that_goes_on_after_a_blank_line(tmp_path, frames, before, size):
    """As `cat` makes it of two files; a chunk may end there."""
    write(tmp_path / "a.xyz", frames[:before])
    write(tmp_path / "b.xyz", frames)
    first, second = (tmp_path / "a.xyz").read_text(), (tmp_path / "b.xyz").read_text()
    (tmp_path / "c.xyz").write_text(first + "\n" + second)
    settings = dataclasses.replace(SMALL, chunk=size)
    known = read(tmp_path / "b.xyz", tmp_path / "c.xyz", settings=settings)
    assert len(known.frames) == 19 + before == 19 + len(ase_read(tmp_path / "c.xyz", ":"))
    assert known.unread == {1: 6 * before + 1}
    (finding,) = catalogue.run(known, ["labels"])
    assert (finding.certainty, finding.where) == ("certain", str(tmp_path / "c.xyz"))
    assert f"after a blank line (line {6 * before + 1}), where MACE stops: it reads {before} frames" in finding.what
    (tmp_path / "c.xyz").write_text(first + "\n \n\n")
    assert not read(tmp_path / "c.xyz", settings=settings).unread


@pytest.mark.parametrize(
    ("suffix", "compress"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)]
)
def test_compressed_text_is_read_as_text(tmp_path, frames, suffix, compress):
    """In chunks, by workers; MACE reads it by the same reader."""
    write(tmp_path / "a.xyz", frames)
    text = (tmp_path / "a.xyz").read_bytes()
    (tmp_path / f"a.xyz{suffix}").write_bytes(compress(text + b"\n" + text))
    known, plain = read(tmp_path / f"a.xyz{suffix}"), read(tmp_path / "a.xyz")
    np.testing.assert_array_equal(known.frames["energy"], plain.frames["energy"])
    assert known.unread == {0: text.count(b"\n") + 1}
    np.testing.assert_allclose(
        pick(str(tmp_path / f"a.xyz{suffix}"), [18])[18].positions, frames[18].positions, atol=1e-7
    )


def test_the_sample_holds_something_of_every_kind(tmp_path, frames):
    write(tmp_path / "a.xyz", frames)
    kept = read(tmp_path / "a.xyz", settings=dataclasses.replace(SMALL, sample=6)).sample
    assert len(kept) == 6
    assert len({item.atoms.get_chemical_formula() for item in kept}) == 3


def test_distances_over_the_border_of_small_and_skew_cells():
    from ase.build import bulk

    for atoms in (bulk("Cu", a=3.6), bulk("Cu", a=3.6, cubic=True), bulk("Cu", a=3.6) * (3, 1, 2)):
        shape = shape_of(atoms, Settings())
        assert shape.nearest == pytest.approx(3.6 / np.sqrt(2))
        each = shape.fingerprint[:4] / len(atoms)
        np.testing.assert_allclose(each, shape_of(bulk("Cu", a=3.6), Settings()).fingerprint[:4], rtol=1e-9)
        assert is_symmetric(atoms, Settings())
    atoms.positions[0] += [0.05, 0, 0]
    assert not is_symmetric(atoms, Settings())
