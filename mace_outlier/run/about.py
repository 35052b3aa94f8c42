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
    return {"python": sys.version.split()[0]} | {name: _version(name) for name in PACKAGES}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def plain(values: dict[str, Any]) -> dict[str, Any]:
    """Settings as JSON can hold them: infinite numbers and anything unusual become texts."""
    return {name: _plain(value) for name, value in values.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return plain(value)
    as_it_is = math.isfinite(value) if isinstance(value, float) else value is None or isinstance(value, int | str)
    return value if as_it_is else str(value)
