"""Seams of MACE's data sets: which file and frame each training sample comes from.

MACE keeps neither: a file becomes a list of Configurations (isolated atoms taken out, split at random, repeated), and
each of these an AtomicData. A tag travels along, on attributes that MACE does not look at. HDF5 and LMDB data sets make
their samples when they are asked for, by position in a file; for these the data set itself says where a position lies.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from ase.symbols import Symbols

from ..data.identity import content_of
from ..data.metadata import Metadata
from ..data.provenance import Part, Provenance
from ..data.sources import UNKNOWN_SOURCE
from ..data.tagging import TAG_FIELD, Tag, tag_of
from .context import seam, tagging
from .seams import arguments_of
from .treatment import say_what_becomes_of_frames

ORIGIN_FIELD = "__mace_outlier_origin__"  # (source, frame) of an ase.Atoms; and the content, of a Configuration


@seam(
    "mace.data.utils:load_from_xyz", "mace.data:load_from_xyz",
    when=tagging, takes=("file_path", "key_specification"), called_in="mace.tools.scripts_utils",
)  # fmt: skip
def load_from_xyz(original: Callable[..., Any], file_path: str, *args: Any, **kwargs: Any) -> Any:
    """Number the frames of a file as MACE reads it, and say what becomes of some of them."""
    keys = arguments_of(original, (file_path, *args), kwargs)["key_specification"]
    forces = keys.arrays_keys.get("forces")  # MACE changes it
    with frames_numbered(file_path) as held:
        result = original(file_path, *args, **kwargs)
    say_what_becomes_of_frames(str(file_path), held, forces == "forces", result[1])
    return result


@contextmanager
def frames_numbered(source: str) -> Iterator[list[bool]]:
    """Have `ase.io.read` number the frames that it returns: the number is lost when isolated atoms are taken out.

    What it yields says of each frame whether atoms of it are held fixed.
    """
    read, held = ase.io.read, list[bool]()

    def numbered(*args: Any, **kwargs: Any) -> Any:
        frames = read(*args, **kwargs)
        for i, atoms in enumerate(frames if isinstance(frames, list) else [frames]):
            setattr(atoms, ORIGIN_FIELD, (str(source), i))
            held.append(bool(atoms.constraints))
        return frames

    ase.io.read = numbered
    try:
        yield held
    finally:
        ase.io.read = read


@seam(
    "mace.data.utils:config_from_atoms", "mace.data:config_from_atoms",
    when=tagging, takes=("atoms",), called_in="mace.data.utils",
)  # fmt: skip
def config_from_atoms(original: Callable[..., Any], atoms: Atoms, *args: Any, **kwargs: Any) -> Any:
    """Pass the number of the frame on; and know it by the labels of the file, before MACE replaces any (replay)."""
    configuration = original(atoms, *args, **kwargs)
    origin = getattr(atoms, ORIGIN_FIELD, None)
    if origin is not None:
        setattr(configuration, ORIGIN_FIELD, (*origin, content(configuration)))
    return configuration


def content(configuration: Any) -> int:
    """What a Configuration is known by again."""
    own = configuration
    return content_of(own.atomic_numbers, own.positions, own.cell, own.pbc, own.properties)


@seam(
    "mace.data.atomic_data:AtomicData.from_config",
    when=tagging, takes=("cls", "config"), called_in="mace.cli.run_train",
)  # fmt: skip
def from_config(original: Callable[..., Any], cls: type, config: Any, *args: Any, **kwargs: Any) -> Any:
    """Tag the sample with what MACE drops here: the frame, the config_type, and the elements by number."""
    sample = original(cls, config, *args, **kwargs)
    numbers = np.asarray(config.atomic_numbers)
    source, frame, known = getattr(config, ORIGIN_FIELD, None) or (None, -1, content(config))
    forces = None if getattr(sample, "forces", None) is None else sample.forces.numpy()
    name = formula(numbers.tobytes(), numbers.dtype)
    tag = tag_of(config.config_type, name, numbers, config.positions, config.pbc, forces)
    setattr(sample, TAG_FIELD, tag._replace(source=source, frame=frame, content=known))
    return sample


@lru_cache(maxsize=4096)
def formula(numbers: bytes, dtype: Any) -> str:
    """Chemical formula in Hill order of the atomic numbers in a buffer."""
    return str(Symbols(np.frombuffer(numbers, dtype=dtype)).get_chemical_formula("hill"))


@seam("mace.data.hdf5_dataset:HDF5Dataset.__getitem__", when=tagging, takes=("self", "index"))
def hdf5_item(original: Callable[..., Any], dataset: Any, index: int, *rest: Any, **kwargs: Any) -> Any:
    """Name the file and the frame of a sample: where files of several kinds are mixed, MACE makes one list of all."""
    sample = original(dataset, index, *rest, **kwargs)
    return with_origin(sample, str(dataset.file_path), index % len(dataset))


@seam("mace.data.lmdb_dataset:LMDBDataset.__getitem__", when=tagging, takes=("self", "index"))
def lmdb_item(original: Callable[..., Any], dataset: Any, index: int, *rest: Any, **kwargs: Any) -> Any:
    """Name the file and the frame of a sample of a database."""
    sample = original(dataset, index, *rest, **kwargs)
    return with_origin(sample, *place_in_database(dataset, index % len(dataset)))


def with_origin(sample: Any, source: str, frame: int) -> Any:
    """Put source and frame into the tag of a sample that has one."""
    tag = getattr(sample, TAG_FIELD, None)
    if tag is not None:
        setattr(sample, TAG_FIELD, tag._replace(source=source, frame=frame))
    return sample


# --- the training set as a whole -------------------------------------------------------------------------------------


def trace(datasets: Sequence[Any], heads: Sequence[str]) -> tuple[Provenance, Metadata]:
    """Return the rows of one data set of MACE for each of `heads`, and what is known of them without reading them."""
    parts: list[list[Part]] = []  # of each head
    in_memory: list[tuple[int, list[Any]]] = []  # first position, samples
    first = 0
    for dataset in datasets:
        parts.append([])
        for leaf in leaves(dataset):
            parts[-1] += parts_of(leaf, first)
            in_memory += [(first, leaf)] if isinstance(leaf, list) else []
            first += len(leaf)
    rows = Provenance(heads, parts)
    metadata = Metadata(len(rows))
    for first, samples in in_memory:
        of_samples = rows.row_of_position[first : first + len(samples)].tolist()
        metadata.note_all([(row, getattr(one, TAG_FIELD)) for row, one in zip(of_samples, samples, strict=True)])
    return rows, metadata


def leaves(dataset: Any) -> Iterator[Any]:
    """The data sets that a nested concatenation consists of, in the order of positions."""
    if hasattr(dataset, "datasets"):
        for part in dataset.datasets:
            yield from leaves(part)
    else:
        yield dataset


def parts_of(leaf: Any, first: int) -> list[Part]:
    """Sources and frames of the positions of one data set, the first of which is `first` in the training set."""
    if isinstance(leaf, list):
        return runs_of([getattr(sample, TAG_FIELD) for sample in leaf], first)
    if isinstance(leaf, sys.modules["mace.data.hdf5_dataset"].HDF5Dataset):
        return [Part(str(leaf.file_path), np.arange(len(leaf)))]
    if isinstance(leaf, sys.modules["mace.data.lmdb_dataset"].LMDBDataset):
        counts = [len(ids) for ids in leaf.AseDB.db_ids]
        return [Part(path, np.arange(n)) for path, n in zip(database_paths(leaf), counts, strict=True)]
    return [Part(UNKNOWN_SOURCE, np.arange(first, first + len(leaf)))]


def runs_of(tags: list[Tag], first: int) -> list[Part]:
    """Tags of single samples as parts: consecutive samples of one source together."""
    sources = [UNKNOWN_SOURCE if tag.source is None else tag.source for tag in tags]
    frames = np.array([first + i if tag.source is None else tag.frame for i, tag in enumerate(tags)], dtype=np.int64)
    starts = [i for i in range(len(tags)) if i == 0 or sources[i] != sources[i - 1]]
    return [
        Part(sources[start], frames[start:end]) for start, end in zip(starts, [*starts[1:], len(tags)], strict=True)
    ]


def database_paths(dataset: Any) -> list[str]:
    """The files behind an LMDBDataset: it opens all of a folder, sorted."""
    return [str(getattr(database, "filename", UNKNOWN_SOURCE)) for database in dataset.AseDB.dbs]


def place_in_database(dataset: Any, index: int) -> tuple[str, int]:
    """The file and the frame in it of a position of an LMDBDataset."""
    ends = dataset.AseDB._idlen_cumulative
    number = int(np.searchsorted(ends, index, side="right"))
    return database_paths(dataset)[number], index - (ends[number - 1] if number else 0)
