"""`mace_outlier export --repaired`: suspects with what was wrong with their labels taken back."""

from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms, units
from ase.calculators.singlepoint import SinglePointCalculator
from frames import SUSPECTS, configurations, row, run_export, save, write_hdf5, write_lmdb
from structures import molecules

from mace_outlier.data.sources import read_frames
from mace_outlier.results.files import sample_path

KCAL = units.kcal / units.mol


def rows_of(sources: list[str], frames: list[Atoms], cause: str, **values: Any) -> list[dict[str, Any]]:
    """Rows of sources with so many frames each; the suspects have a cause."""
    known = {"cause_certainty": 0.99, "cause_value": np.nan, **values}
    return [
        row(source, i, atoms, cause=cause if i in SUSPECTS else "", **known)
        for source in sources
        for i, atoms in enumerate(frames)
    ]


def repaired(folder: Path, rows: list[dict[str, Any]], predicted: list[Atoms] = (), **arguments: Any) -> list[Atoms]:
    """Export with a sample of the predicted ones; the repaired suspects."""
    prefix = save(folder, rows, arguments=arguments)
    if predicted:
        ase.io.write(sample_path(prefix), predicted, format="extxyz")
    outputs = {flag: folder / f"{flag}.xyz" for flag in ("suspects", "trusted", "repaired")}
    run_export(prefix, *(f"--{flag}={path}" for flag, path in outputs.items()))
    return ase.io.read(outputs["repaired"], ":", format="extxyz")


@pytest.mark.parametrize("known", [True, False])
def test_forces_are_brought_into_the_order_of_the_atoms_by_predictions(tmp_path, capsys, known):
    """Suspects of the second file, so that the number of a row is no number of a frame."""
    frames, predicted = molecules(4), []
    right = [atoms.arrays["REF_forces"].copy() for atoms in frames]
    ase.io.write(tmp_path / "a.xyz", frames)
    for i in SUSPECTS:
        frames[i].arrays["REF_forces"] = right[i][::-1]
        predicted.append(frames[i].copy())
        predicted[-1].info = {"row": len(frames) + i}
        predicted[-1].arrays["predicted_forces"] = right[i] + 1e-3
    ase.io.write(tmp_path / "b.xyz", frames)
    rows = rows_of(["a.xyz"], frames, "") + rows_of(["b.xyz"], frames, "forces in another order of atoms")
    found = repaired(tmp_path, rows, predicted if known else [])
    assert f"repaired.xyz: {len(found)} of the suspects, repaired" in capsys.readouterr().out
    assert [atoms.info["outlier_frame"] for atoms in found] == (sorted(SUSPECTS) if known else [])
    for atoms in found:
        number = atoms.info["outlier_frame"]
        np.testing.assert_allclose(atoms.arrays["REF_forces"], right[number], atol=1e-7)  # as a file has them
        np.testing.assert_allclose(atoms.info["REF_forces_unrepaired"], right[number][::-1], atol=1e-7)
        assert atoms.info["outlier_source"] == "b.xyz"
        assert atoms.info["outlier_repaired"] == "forces in another order of atoms"


@pytest.mark.parametrize("name", ["train.h5", "train.aselmdb"])
def test_labels_are_where_each_kind_of_file_has_them(tmp_path, capsys, name):
    """The keys of a training are those of its text files; of others, labels get MACE's own names."""
    if name == "train.h5":
        write_hdf5(tmp_path / name, configurations(4))
    else:
        frames = molecules(4, cell=9.0)
        for atoms in frames:
            atoms.calc = SinglePointCalculator(atoms, energy=atoms.info.pop("REF_energy"))
        write_lmdb(tmp_path / name, frames)
    originals = list(read_frames(str(tmp_path / name)))
    old = [atoms.info["REF_energy"] for atoms in originals]
    for atoms, energy in zip(originals, old, strict=True):
        atoms.info |= {"dft_energy": 2 * energy}
    ase.io.write(tmp_path / "valid.xyz", originals)
    rows = rows_of([name, "valid.xyz"], originals, "energy in kcal/mol")
    found = repaired(tmp_path, rows, energy_key="dft_energy", forces_key="dft_forces")
    assert "repaired.xyz: 4 of the suspects, repaired" in capsys.readouterr().out
    for atoms in found:
        energy = old[atoms.info["outlier_frame"]]
        own = atoms.info["outlier_source"] == name
        key, wrong = ("REF_energy", energy) if own else ("dft_energy", 2 * energy)
        assert atoms.info[key] == pytest.approx(KCAL * wrong)
        assert atoms.info[f"{key}_unrepaired"] == pytest.approx(wrong)


def test_each_head_has_keys_of_its_own(tmp_path):
    frames = molecules(4)
    for atoms in frames:
        atoms.info["dft_energy"] = 3 * atoms.info["REF_energy"]
    ase.io.write(tmp_path / "train.xyz", frames)
    rows = [
        own | {"head": head} for head in ("dft", "cc") for own in rows_of(["train.xyz"], frames, "energy in kcal/mol")
    ]
    found = repaired(tmp_path, rows, heads="{'dft': {'energy_key': 'dft_energy'}, 'cc': {}}")
    assert [atoms.info["outlier_head"] for atoms in found] == ["dft", "dft", "cc", "cc"]
    for atoms in found:
        key = {"dft": "dft_energy", "cc": "REF_energy"}[atoms.info["outlier_head"]]
        old = frames[atoms.info["outlier_frame"]].info[key]
        assert atoms.info[key] == pytest.approx(KCAL * old)


def test_heads_that_are_no_dictionary_are_refused(tmp_path):
    frames = molecules(4)
    ase.io.write(tmp_path / "train.xyz", frames)
    with pytest.raises(SystemExit, match="--heads: a dictionary from names to options"):
        repaired(tmp_path, rows_of(["train.xyz"], frames, "energy in kcal/mol"), heads="['a']")
