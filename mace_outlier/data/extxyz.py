"""Extended XYZ that ASE reads back as it was: every number to the last bit, and any entry of a configuration.

ASE's own writer rounds columns to eight decimals (a label of 1e-9 is gone), turns None into True and "001" into 1, and
an empty value swallows the entry after it. Here, an entry is spelled so that ASE's reader gives it back as it is.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, TextIO

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms, FixCartesian
from ase.io.extxyz import PROPERTY_NAME_MAP, SPECIAL_3_3_KEYS, key_val_str_to_dict
from ase.stress import voigt_6_to_full_3x3_stress

PER_ATOM = (
    "forces",
    "stresses",
    "charges",
    "magmoms",
    "energies",
    "born_effective_charges",
)  # results with such shapes
RESERVED = {"Lattice", "Properties", "pbc"}
DERIVED = ("numbers", "positions", "symbols", "species", "pos")  # no columns of their own
INT32 = np.iinfo(np.int32)


def write_frame(file: TextIO, atoms: Atoms) -> list[str]:
    """Append a configuration with info, arrays, results and fixed atoms; return notes on what comes back changed."""
    info, arrays, notes = _contents(atoms)
    entries = [f'Lattice="{" ".join(map(repr, atoms.cell.array.ravel().tolist()))}"'] if atoms.cell.any() else []
    properties = ["species:S:1"]
    columns = [atoms.get_chemical_symbols()]
    for name, array in {"positions": atoms.positions, **arrays}.items():
        letter, texts, note = _column(np.asarray(array))
        notes += [f"array {name} {note}"] * bool(note)
        if re.search(r"[\s:=\"'\\{}\[\]]", name) or not texts:
            notes += [f"array {name} is left out: extended XYZ can't hold it"] * (not note)
            continue
        properties.append(f"{PROPERTY_NAME_MAP.get(name, name)}:{letter}:{len(texts)}")
        columns += texts
    entries += [f"Properties={':'.join(properties)}", f'pbc="{" ".join("FT"[flag] for flag in atoms.pbc.tolist())}"']
    for key, value in info.items():
        text, note = spell(str(key), value)
        entries += [text] * bool(text)
        notes += [f"info entry {key} {note}"] * bool(note)
    file.write(f"{len(atoms)}\n{' '.join(entries)}\n")
    file.writelines(" ".join(row) + "\n" for row in zip(*columns, strict=True))
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
    mask, others = _free(atoms)
    arrays |= {} if mask.all() else {"move_mask": mask}
    notes += [f"constraint {name} is left out: extended XYZ can't hold it" for name in others]
    return info, arrays, notes


def _free(atoms: Atoms) -> tuple[np.ndarray, list[str]]:
    """Which atoms are free to move: (n,), or (n, 3) where single directions are fixed; names of other constraints."""
    mask = np.ones((len(atoms), 3), dtype=bool)
    others, by_direction = [], False
    for constraint in atoms.constraints:
        if isinstance(constraint, FixAtoms):
            mask[constraint.index] = False
        elif isinstance(constraint, FixCartesian):
            mask[constraint.index] &= ~np.asarray(constraint.mask, dtype=bool)
            by_direction = True
        else:
            others.append(type(constraint).__name__)
    return mask if by_direction else mask[:, 0], others


# --- columns ---------------------------------------------------------------------------------------------------------


def _column(array: np.ndarray) -> tuple[str, list[list[str]], str]:
    """Type letter, texts (columns, atoms) and a note for an array with one entry for each atom."""
    flat = array.reshape(len(array), -1).T
    note = "" if array.ndim == 1 or (array.ndim == 2 and len(flat) > 1) else "comes back with another shape"
    kind = array.dtype.kind
    if kind == "b":
        return "L", [["FT"[value] for value in column] for column in flat.tolist()], note
    if kind in "iu" and array.size and (array.min() < INT32.min or array.max() > INT32.max):
        note = "comes back as real numbers: ASE reads whole numbers of 32 bits"
        flat, kind = flat.astype(float), "f"
    if kind in "iuf":
        return "R" if kind == "f" else "I", [list(map(repr, column)) for column in flat.tolist()], note
    if kind in "UO" and all(isinstance(value, str) and value.split() == [value] for value in flat.flat):
        return "S", flat.tolist(), note
    return "", [], ""


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
        for spelling in _spellings(key, candidate) if key not in RESERVED else ():
            entry = f"{_quoted(key)}={spelling}"
            if _reads_back(entry, key, candidate):
                return entry, note
    return "", "is left out: extended XYZ can't hold it"


def _spellings(key: str, value: Any) -> Iterator[str]:
    if key in SPECIAL_3_3_KEYS and np.shape(value) == (3, 3):
        yield _quoted(" ".join(repr(number) for column in zip(*value, strict=True) for number in column))
    if isinstance(value, (bool, int, float, str)):
        yield _quoted(_word(value))
    elif isinstance(value, list) and value and all(isinstance(item, (bool, int, float)) for item in value):
        yield _quoted(" ".join(map(_word, value)))
    yield _quoted(f"_JSON {_canonical(value)}")


def _word(value: bool | int | float | str) -> str:
    if isinstance(value, bool):
        return "FT"[value]
    return value if isinstance(value, str) else repr(value)


def _quoted(text: str) -> str:
    if re.fullmatch(r"[\w.+/:-]+", text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _reads_back(entry: str, key: str, value: Any) -> bool:
    """Whether ASE's reader gives this value, and leaves alone what follows."""
    after = "a" if key != "a" else "b"
    if "\n" in entry or "\r" in entry:
        return False
    try:
        read = key_val_str_to_dict(f"{entry} {after}=1")
    except (ValueError, TypeError, KeyError, IndexError, RecursionError):
        return False
    if list(read) != [key, after]:
        return False
    found = _plain(read[key])
    return type(found) is type(value) and _canonical(found) == _canonical(value)


def _plain(value: Any) -> Any:
    """The value as builtins; lists and arrays are one, and so are whole and real numbers within one of them."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if not isinstance(value, (list, tuple)):
        return value
    items = [_plain(item) for item in value]
    try:
        array = np.array(items)
    except ValueError:  # ragged
        return items
    return array.tolist() if array.dtype.kind == "f" else items


def _canonical(value: Any) -> str:
    return json.dumps(value, default=str)
