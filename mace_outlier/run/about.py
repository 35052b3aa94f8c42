"""What every result says of itself: versions, settings as JSON can hold them. No torch."""

import math
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("mace-outlier", "mace-torch", "torch", "e3nn", "ase", "numpy")


def stamp(kind: str, prefix: Path, rows: int) -> dict[str, Any]:
    """What every kind of result says of itself."""
    return {
        "kind": kind,
        "name": prefix.name,
        "rows": rows,
        "saved": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "directory": str(Path.cwd()),
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that a result depends on."""
    found = {"python": sys.version.split()[0]}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found


def plain(values: dict[str, Any]) -> dict[str, Any]:
    """Settings as JSON can hold them: infinite numbers and anything unusual become texts."""
    return {
        name: plain(value)
        if isinstance(value, dict)
        else value
        if value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value))
        else str(value)
        for name, value in values.items()
    }
