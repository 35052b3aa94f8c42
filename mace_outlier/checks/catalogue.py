"""The checks by name."""

from collections.abc import Callable, Collection

from . import duplicates, energies, geometry, labels, net_force, options, series, sizes, stress, units
from .evidence import Evidence
from .finding import ORDER, Finding
from .survey import Survey

Check = Callable[[Evidence], list[Finding]]
CHECKS: dict[str, tuple[Check, str]] = {
    "labels": (labels.check, "missing labels, wrong keys, NaN, text, zeros that mean something else"),
    "units": (units.check, "sign and unit of the forces, unit of the energies, of a file or config_type"),
    "work": (series.check, "energy against work: frames that contradict near frames"),
    "stress": (stress.check, "stress against strain: its sign, unit and order of components, of a config_type"),
    "net_force": (net_force.check, "forces that don't add up to zero, torques of molecules"),
    "sizes": (sizes.check, "forces and stress that no bond can make"),
    "duplicates": (duplicates.check, "one geometry with different labels, or in training and validation"),
    "energies": (energies.check, "energies that no composition explains, groups of another unit or reference, spin"),
    "geometry": (
        geometry.check,
        "atoms that overlap, cells without volume, rare elements, frames that are alone",
    ),
    "settings": (
        options.check,
        "E0s against the data, isolated atoms, validation from file or trajectory of the training",
    ),
}


def chosen(only: Collection[str], skip: Collection[str]) -> list[str]:
    """Return the names of the checks to run; raises ValueError for one that isn't known."""
    unknown = [name for name in (*only, *skip) if name not in CHECKS]
    if unknown:
        raise ValueError(f"no check {', '.join(unknown)}: there are {', '.join(CHECKS)}")
    return [name for name in CHECKS if (not only or name in only) and name not in skip]


def run(survey: Survey, names: Collection[str]) -> list[Finding]:
    """Run checks; what is certain comes first."""
    evidence = Evidence(survey)
    found = [finding for name in names for finding in CHECKS[name][0](evidence)]
    return sorted(found, key=lambda finding: ORDER.index(finding.certainty))
