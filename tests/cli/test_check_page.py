"""The page of `mace_outlier check --html`."""

from importlib.resources import files

import numpy as np
import pytest
from ase.io import write
from made_up_checks import series
from page_reader import Reader
from structures import molecules, write_hdf5

from mace_outlier.__main__ import main
from mace_outlier.checks.reading import pick

HOSTILE = "</td><script>alert(1)</script><img src=http://example.org/a.png>"


def page(folder, *arguments):
    with pytest.raises(SystemExit):  # something is certain
        main(["check", *map(str, arguments), "--html", str(folder / "f.html")])
    return (folder / "f.html").read_text()


@pytest.fixture
def faulty():
    train = series(40) + molecules(20)
    train[6].info["REF_energy"] += 3.0
    train[9].positions[1] = train[9].positions[0] + [0.2, 0, 0]
    train[45].arrays["REF_forces"] += [0, 0, 1.0]
    train[50].info["REF_energy"] = np.nan
    for atoms in train:
        atoms.info["config_type"] = HOSTILE
    return train


def test_the_page_has_all_findings_by_check_with_drawings(tmp_path, capsys, faulty):
    write(tmp_path / "train.xyz", faulty)
    html = page(tmp_path, tmp_path / "train.xyz")
    read = Reader(html)
    said = " ".join(read.text.split())
    assert "60 frames in 1 file." in said
    for words in (
        "energy and forces of a frame contradict near frames", "train.xyz: frame 6 (1)", "atoms within each other's",
        "the forces add up to", "train.xyz: frame 45 (1)", "the energy is NaN or infinite (1 of 60 frames)",
        "leave these frames out, or recompute them", "frame 9", "Nothing was found by: units",
    ):  # fmt: skip
        assert words in said, words
    order = [said.index(f" {name} ") for name in ("labels", "work", "net_force", "geometry")]
    assert order == sorted(order)
    assert read.tags.count("img") == 4  # frames 6, 45, and 9, which overlaps and is alone
    assert f"page: {tmp_path / 'f.html'}" in capsys.readouterr().out


def test_nothing_out_of_a_file_acts_and_nothing_is_loaded(tmp_path, faulty):
    write(tmp_path / "a<b>&.xyz", faulty)
    html = page(tmp_path, tmp_path / "a<b>&.xyz")
    read = Reader(html)
    assert "script" not in read.tags
    assert HOSTILE[:20] in read.text
    assert all(address.startswith("data:") for address in read.addresses)
    assert "default-src 'none'" in html
    assert len(html) < 5e6


def test_both_pages_have_one_style_sheet(tmp_path, faulty):
    write(tmp_path / "train.xyz", faulty)
    style = files("mace_outlier.report").joinpath("style.css").read_text()
    assert style in page(tmp_path, tmp_path / "train.xyz")


def test_a_finding_of_most_frames_has_no_drawing(tmp_path):
    train = series(30)
    for atoms in train:
        atoms.arrays["REF_forces"] += [0, 0, 1.0]
    write(tmp_path / "train.xyz", train)
    assert "img" not in Reader(page(tmp_path, tmp_path / "train.xyz", "--only", "net_force")).tags


def test_the_name_of_a_page_ends_in_html(tmp_path, capsys):
    write(tmp_path / "train.xyz", molecules(3))
    with pytest.raises(SystemExit) as stop:
        main(["check", str(tmp_path / "train.xyz"), "--html", "page.txt"])
    assert stop.value.code == 2
    assert "has to end in .html" in capsys.readouterr().err


def test_frames_are_read_again_by_their_numbers(tmp_path):
    frames = molecules(12)
    write(tmp_path / "a.xyz", frames)
    write(tmp_path / "b.xyz.gz", frames)
    write_hdf5(tmp_path / "c.h5", frames)
    for name in ("a.xyz", "b.xyz.gz", "c.h5"):
        found = pick(str(tmp_path / name), [7, 2])
        assert set(found) == {2, 7}
        for number, atoms in found.items():
            np.testing.assert_allclose(atoms.positions, frames[number].positions, atol=1e-6)
