"""Extended XYZ that ASE reads back as it was: every number to the last bit, and any entry of a configuration.

ASE's own writer rounds columns to eight decimals (a label of 1e-9 is gone), turns None into True and "001" into 1, and
an empty value swallows the entry after it. Here, its format of a column and its spelling of an entry are used where its
reader gives back what went in; otherwise numbers are written in full, and entries as JSON. So are texts beyond ASCII:
ASE opens files in the encoding of the locale, which isn't UTF-8 on Windows.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, TextIO

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms, FixCartesian
from ase.io.extxyz import SPECIAL_3_3_KEYS, key_val_dict_to_str, key_val_str_to_dict, output_column_format
from ase.stress import voigt_6_to_full_3x3_stress

# results with a value for each atom
PER_ATOM = ("forces", "stresses", "charges", "magmoms", "energies", "born_effective_charges")
RESERVED = {"Lattice", "Properties", "pbc"}
DERIVED = ("numbers", "positions", "symbols", "species", "pos")  # no columns of their own
INT32 = np.iinfo(np.int32)


def write_frame(file: TextIO, atoms: Atoms) -> list[str]:
    """Append a configuration with info, arrays, results and fixed atoms; return notes on what comes back changed."""
    info, arrays, notes = _contents(atoms)
    columns = {"symbols": np.array(atoms.get_chemical_symbols()), "positions": atoms.positions}
    for name, array in arrays.items():
        column, note = _column(name, np.asarray(array))
        columns |= {} if column is None else {name: column}
        notes += [f"array {name} {note}"] * bool(note)
    comment, _, _, line = output_column_format(atoms, list(columns), columns, write_info=False)
    entries = [comment]
    for key, value in info.items():
        entry, note = spell(str(key), value)
        entries += [entry] * bool(entry)
        notes += [f"info entry {key} {note}"] * bool(note)
    file.write(f"{len(atoms)}\n{' '.join(entries)}\n")
    line = re.sub(r"%[\d.]*f", "%r", line)  # a number in full
    rows = zip(*(part for column in columns.values() for part in np.atleast_2d(column.T).tolist()), strict=True)
    file.writelines(line % row for row in rows)
    return notes


def _contents(atoms: Atoms) -> tuple[dict[str, Any], dict[str, np.ndarray], list[str]]:
    """Info and arrays with the calculator's results among them, which is how extended XYZ holds these."""
    info, notes = dict(atoms.info), []
    arrays = {name: array for name, array in atoms.arrays.items() if name not in DERIVED}
    for name, value in (atoms.calc.results if atoms.calc else {}).items():
        place: dict[str, Any] = arrays if name in PER_ATOM else info
        if name in place and not np.array_equal(place[name], value):
            notes.append(f"entry {name} is left out: the calculator has a result of this name")
        place[name] = value
    free = np.ones((len(atoms), 3), dtype=bool)  # atoms and the directions in which they can move
    for constraint in atoms.constraints:
        if isinstance(constraint, FixAtoms | FixCartesian):
            free[constraint.index] &= ~np.asarray(getattr(constraint, "mask", True), dtype=bool)
        else:
            notes.append(f"constraint {type(constraint).__name__} is left out: extended XYZ can't hold it")
    if not free.all():
        arrays["move_mask"] = free[:, 0] if (free == free[:, :1]).all() else free
    return info, arrays, notes


def _column(name: str, array: np.ndarray) -> tuple[np.ndarray | None, str]:
    """The array as one that ASE reads, (n,) or (n, columns), None where it can't; and a note if it isn't the same."""
    kind, note = array.dtype.kind, ""
    words = kind in "UO" and all(isinstance(value, str) and value.split() == [value] for value in array.flat)
    if re.search(r"[\s:=\"'\\{}\[\]]", name) or not (words or kind in "biuf") or not array[:1].size:
        return None, "is left out: extended XYZ can't hold it"
    if array.ndim > 2 or array.shape[1:] == (1,):
        array, note = array.reshape(len(array), -1), "comes back with another shape"
    if kind in "iu" and (array.min() < INT32.min or array.max() > INT32.max):
        return array.astype(float), "comes back as real numbers: ASE reads whole numbers of 32 bits"
    return array.astype(int) if kind == "u" else array, note


# --- entries of the comment line -------------------------------------------------------------------------------------


def spell(key: str, value: Any) -> tuple[str, str]:
    """Return `key=value` so that ASE reads the same, or its JSON text, or ""; and a note if it isn't the same."""
    plain = key.isidentifier() and key not in ("uid", *SPECIAL_3_3_KEYS, *RESERVED)
    if plain and (type(value) is float or (type(value) is int and abs(value) < 2**63)):
        return f"{key}={value!r}", ""  # most entries; needs no trial
    value = _plain(value)
    if key in SPECIAL_3_3_KEYS and np.shape(value) == (6,):
        value = voigt_6_to_full_3x3_stress(value).tolist()
    for candidate, note in ((value, ""), (_canonical(value), "comes back as JSON text")):
        for entry in _spellings(key, candidate) if key not in RESERVED else ():
            if _reads_back(entry, key, candidate):
                return entry, note
    return "", "is left out: extended XYZ can't hold it"


def _spellings(key: str, value: Any) -> Iterator[str]:
    """As ASE spells it, as text, and as JSON."""
    array = _array(value) if isinstance(value, list) else None
    if array is not None or isinstance(value, (bool, int, float, str)):
        yield key_val_dict_to_str({key: value if array is None else array})
    for text in (value, f"_JSON {_canonical(value)}"):
        if isinstance(text, str):
            yield f"{_quoted(key)}={_quoted(text)}"


def _quoted(text: str) -> str:
    if re.fullmatch(r"[\w.+/:-]+", text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _reads_back(entry: str, key: str, value: Any) -> bool:
    """Whether ASE's reader gives this value, and leaves alone what follows."""
    after = "a" if key != "a" else "b"
    if "\n" in entry or "\r" in entry or (key.isascii() and not entry.isascii()):
        return False
    try:
        read = key_val_str_to_dict(f"{entry} {after}=1")
    except (ValueError, TypeError, KeyError, IndexError, RecursionError):
        return False
    if list(read) != [key, after]:
        return False
    read_value = _plain(read[key])
    return type(read_value) is type(value) and _canonical(read_value) == _canonical(value)


def _plain(value: Any) -> Any:
    """The value as builtins; lists and arrays are one, and so are whole and real numbers within one of them."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if not isinstance(value, (list, tuple)):
        return value
    items = [_plain(item) for item in value]
    array = _array(items)
    return items if array is None else array.tolist()


def _array(items: list[Any]) -> np.ndarray | None:
    """Numbers as an array; None for a ragged list, or one of something else."""
    try:
        array = np.array(items)
    except ValueError:
        return None
    return array if array.dtype.kind in "bif" else None


def _canonical(value: Any) -> str:
    return json.dumps(value, default=str)
