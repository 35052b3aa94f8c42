"""The configurations of a training file, in the order and numbering in which MACE sees them. No torch but for LMDB.

Training files are what ASE reads (extended XYZ, ASE databases, trajectories ...), MACE's preprocessed HDF5, and LMDB.
One configuration is in memory at a time; ASE holds 100 bytes for each frame of an XYZ file, and JSON files as a whole.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms

HDF5 = (".h5", ".hdf5")
LMDB = (".lmdb", ".aselmdb", ".mdb")
SHARDS = ("*.h5", "*.hdf5", "*.lmdb", "*.aselmdb")  # the files of a folder that is given as training data
UNKNOWN_SOURCE = "training set"  # a kind of data that we don't know; frame: position in it, counted over all heads
BLOCK = 1000  # rows of an ASE database that are in memory at a time
# MACE's name of a property -> the key that MACE reads by default. But ASE's reader takes "dipole" for a result of a
# calculator, where MACE doesn't look, so that dipoles need --dipole_key=REF_dipole.
KEYS = {name: f"REF_{name}" for name in ("energy", "forces", "stress", "virials", "charges", "dipole")}
# these are never per atom, even where they have as many rows as there are atoms
PER_CONFIGURATION = ("energy", "stress", "virials", "dipole", "polarizability")


def shards(name: str) -> list[str]:
    """Return the files behind a name: a folder stands for its HDF5 or LMDB files, sorted.

    Raises:
        ValueError: the folder has none.
    """
    if not Path(name).is_dir():
        return [name]
    paths = sorted(str(path) for pattern in SHARDS for path in Path(name).glob(pattern))
    if not paths:
        raise ValueError(f"{name}: no {', '.join(SHARDS)} in this folder")
    return paths


def find_source(source: str, directory: str | Path | None = None) -> Path:
    """Return the file of a source: seen from here, or else from `directory`, where the training ran.

    An "@selection" is dropped: MACE asks ASE for all frames, which overrides it.

    Raises:
        ValueError: there is no such file, or the training could not tell which it was.
    """
    if source == UNKNOWN_SOURCE:
        raise ValueError(
            "the training had data of a kind that mace-outlier doesn't know: the table counts their positions in the "
            "training set, and not the frames of a file"
        )
    path = Path(source)
    if path.suffix.lower() not in (*HDF5, *LMDB):
        path = path.with_name(path.name.rpartition("@")[0] or path.name)
    folders = [Path(), Path(directory or "")]
    for folder in folders:
        if (folder / path).is_file():
            return folder / path
    places = " or ".join(dict.fromkeys(str((folder / path).absolute().parent) for folder in folders))
    raise ValueError(
        f"there is no training file {path.name} in {places}: put it back, or run this in the folder from which it can "
        "be found by this name"
    )


def read_frames(source: str, directory: str | Path | None = None) -> Iterator[Atoms]:
    """Yield the configurations of a training source; number `frame` is that of the table.

    Labels stay where the file has them; those of HDF5 and LMDB are under the keys that MACE reads by default.

    Raises:
        ValueError: the file is missing, cut short, or not what its suffix says.
    """
    path = find_source(source, directory)
    number = 0
    try:
        for atoms in _reader(path):
            yield atoms
            number += 1
    except Exception as error:  # the readers of so many formats raise anything
        raise ValueError(
            f"{path}: frame {number} can't be read ({type(error).__name__}: {error}): is the file complete, and the "
            "one that was trained on?"
        ) from error


def _reader(path: Path) -> Iterator[Atoms]:
    suffix = path.suffix.lower()
    if suffix in HDF5:
        return _read_hdf5(path)
    if suffix in LMDB:
        from ..mace.databases import read_lmdb

        return read_lmdb(path)
    if suffix == ".db":
        return _read_database(path)
    return ase.io.iread(str(path), index=":", do_not_split_by_at_sign=True)


def _read_database(path: Path) -> Iterator[Atoms]:
    """ASE holds all rows that it was asked for, so ask block by block."""
    for start in itertools.count(0, BLOCK):
        block = list(ase.io.iread(str(path), index=slice(start, start + BLOCK), do_not_split_by_at_sign=True))
        yield from block
        if len(block) < BLOCK:
            return


# --- MACE's HDF5 -----------------------------------------------------------------------------------------------------


def _read_hdf5(path: Path) -> Iterator[Atoms]:
    yield from read_hdf5(path, 0, hdf5_size(path))


def hdf5_size(path: Path) -> int:
    """Return the number of configurations in MACE's HDF5."""
    import h5py

    with h5py.File(path, "r") as file:
        if "config_batch_0" not in file:
            raise ValueError("no HDF5 file of mace_prepare_data: it has no group config_batch_0")
        return len(file) * len(file["config_batch_0"])  # all batches are of this size, and MACE reads no others


def read_hdf5(path: Path, start: int, stop: int) -> Iterator[Atoms]:
    """Yield frames start to stop - 1; k * batch_size + i is config_batch_<k>/config_<i>, whatever the file's order."""
    import h5py

    with h5py.File(path, "r") as file:
        batch_size = len(file["config_batch_0"])
        for frame in range(start, stop):
            batch, index = divmod(frame, batch_size)
            yield _from_hdf5(file[f"config_batch_{batch}/config_{index}"])


def _from_hdf5(group: Any) -> Atoms:
    """A configuration with the info and arrays of which MACE's `config_from_atoms` makes the same one again."""
    cell, pbc = _value(group, "cell"), _value(group, "pbc")
    atoms = Atoms(numbers=_value(group, "atomic_numbers"), positions=_value(group, "positions"), cell=cell, pbc=pbc)
    properties, weights = group["properties"], group["property_weights"]
    for name in properties:
        value = _value(properties, name)
        if value is None:
            continue
        per_atom = name not in PER_CONFIGURATION and np.shape(value)[:1] == (len(atoms),)
        place: dict[str, Any] = atoms.arrays if per_atom else atoms.info
        place[KEYS.get(name, name)] = value
        weight = _weight_of(weights, name)
        if np.any(weight != 1.0):
            atoms.info[f"config_{name}_weight"] = weight
    config_type, weight = _value(group, "config_type"), _value(group, "weight")
    atoms.info |= {} if config_type is None else {"config_type": config_type}
    atoms.info |= {} if weight in (None, 1.0) else {"config_weight": weight}
    return atoms


def _value(group: Any, name: str) -> Any:
    """MACE writes None as the text "None", and texts are bytes when read. h5py's wrappers would take longer.

    Raises KeyError where there is no such data set.
    """
    import h5py

    dataset = h5py.h5d.open(group.id, name.encode())
    array = np.empty(dataset.shape, dataset.dtype)
    dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, array)
    value = array[()]
    value = value.decode() if isinstance(value, bytes) else value
    return None if isinstance(value, str) and value == "None" else value


def _weight_of(weights: Any, name: str) -> Any:
    """The weight of a property; 1 where the file has none."""
    try:
        return _value(weights, name)
    except KeyError:
        return 1.0
