"""Showing strings and numbers. Strings out of data files are untrusted: what is shown of them goes through `clean`."""

import math
import os
from collections.abc import Iterable

from ..data.clean import clean as clean

DASH = "\N{EN DASH}"  # no value
NOT_ASE = (".h5", ".hdf5", ".lmdb", ".aselmdb", ".mdb")  # formats that ase.io.read doesn't read
LONGEST_LINE = 600  # characters


def common_folder(paths: Iterable[str]) -> str:
    """Return the folder that all of these absolute paths lie in, with its separator; "" where there is none to name."""
    folders = {os.path.dirname(path) for path in paths}
    if not folders or not all(os.path.isabs(folder) for folder in folders):
        return ""
    common = os.path.commonpath(folders)
    return "" if common == os.path.dirname(common) else os.path.join(common, "")  # not for the root


def count(number: float) -> str:
    """Return a number of things, with commas; an expected number below 10 with one digit after the point."""
    return f"{number:,.0f}" if number >= 9.95 or number == int(number) else f"{number:.1f}"


def about(number: float) -> str:
    """Return an expected number of things in words."""
    return "fewer than 0.1" if number < 0.05 else f"about {count(number)}"


def of_many(number: int, one: str) -> str:
    """Return "1 configuration" or "2 configurations"."""
    return f"{number:,} {one}{'s' * (number != 1)}"


def percent(share: float) -> str:
    """Return a share in [0, 1] as a percentage that is 0 or 100 only if it is."""
    if math.isnan(share):
        return DASH
    if share in (0, 1):
        return f"{100 * share:.0f} %"
    if share < 0.0005 or share >= 0.9995:
        return "< 0.1 %" if share < 0.5 else "> 99.9 %"
    return f"{100 * share:.1f} %"


def unbroken(sentence: str) -> str:
    """Return a sentence whose percentages stay on one line."""
    return sentence.replace(" %", "\u00a0%")


def fixed(value: float, digits: int = 2, signed: bool = False) -> str:
    """Return a number with `digits` after the point, in scientific notation where it is huge; a dash for NaN."""
    sign = "+" if signed else ""
    if math.isnan(value):
        return DASH
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    return f"{value:{sign}.2e}" if abs(value) >= 1e5 else f"{value:{sign},.{digits}f}"


def milli(value: float, signed: bool = False) -> str:
    """Return eV as meV (or eV/A as meV/A)."""
    return fixed(1000 * value, 1, signed)


def significant(value: float, digits: int = 3) -> str:
    """Return a number with so many significant digits; a dash for NaN."""
    return DASH if math.isnan(value) else f"{value:.{digits}g}"


def line_to_copy(source: str, frame: int) -> str:
    """Return the Python that reads a frame with ASE; "" where ASE can't read the file, or the path is too long."""
    quoted = repr(source)
    if '"' not in quoted and "\\" not in quoted:
        quoted = f'"{quoted[1:-1]}"'
    line = f"ase.io.read({quoted}, {frame})"
    return "" if source.lower().endswith(NOT_ASE) or len(line) > LONGEST_LINE else line
