"""Check `labels`: missing ones, wrong keys, NaN, text, and zeros that mean something else."""

import numpy as np

from .evidence import Evidence
from .finding import CERTAIN, LIKELY, LOOK, Finding
from .frame import Flag

# flag -> certainty, what, fix
TABLE = {
    Flag.BAD_ENERGY: (CERTAIN, "the energy is NaN or infinite", "leave these frames out, or recompute them"),
    Flag.BAD_FORCES: (CERTAIN, "forces are NaN or infinite", "leave these frames out, or recompute them"),
    Flag.BAD_STRESS: (CERTAIN, "the stress is NaN or infinite", "leave these labels out, or recompute them"),
    Flag.TEXT: (CERTAIN, "a text stands where a number belongs", "write numbers, or leave the entry out"),
    Flag.SHAPE: (CERTAIN, "a label has the wrong shape", "one energy, three forces for each atom, 6 or 9 of a stress"),
    Flag.BAD_CONDITIONS: (
        LIKELY, "the total charge or spin is NaN or infinite",
        "give a number, or leave the entry out: MACE has a default",
    ),
    Flag.ZERO_FORCES: (
        LIKELY, "all forces are exactly 0, in geometries that aren't symmetric: 0 seems to mean that there are none",
        "leave the forces out of these frames: MACE then takes the energy alone",
    ),
    Flag.ZERO_STRESS: (
        LIKELY, "the stress of a periodic cell is exactly 0: it seems to mean that there is none",
        "leave the stress out of these frames",
    ),
    Flag.FIXED: (
        CERTAIN, "forces of atoms that a constraint fixes are 0: ASE has put zeros in their place",
        "read them with get_forces(apply_constraint=False), or from the output of the calculation",
    ),
    Flag.SOME_ZERO: (
        LIKELY, "forces of some atoms are exactly 0, and the others don't add up to 0: a constraint, it seems",
        "take the forces from the output of the calculation",
    ),
}  # fmt: skip


def check(evidence: Evidence) -> list[Finding]:
    """Find labels that can't be used, or mean something else."""
    survey, found = evidence.survey, []
    for number, source in enumerate(survey.sources):
        rows = np.arange(len(survey.frames))[survey.of_source(number)]
        flags = survey.frames["flags"][rows]
        if line := survey.unread.get(number):
            what = f"the file goes on after a blank line (line {line}), where MACE stops: it reads {len(rows)} frames"
            fix, numbers = "remove the blank line", {"line": line, "frames": len(rows)}
            found.append(Finding("labels", CERTAIN, what, fix, where=source.path, numbers=numbers))
        if not len(rows):
            found.append(Finding("labels", CERTAIN, "the file holds no frame", "name another file", where=source.path))
            continue
        found += _missing(evidence, number, rows, flags)
        for flag, (certainty, what, fix) in TABLE.items():
            chosen = rows[(flags & int(flag)) != 0]
            if len(chosen):
                text = f"{what} ({len(chosen)} of {len(rows)} frames)"
                found.append(Finding("labels", certainty, text, fix, chosen, source.path, {"frames": len(chosen)}))
    return found


def _missing(evidence: Evidence, number: int, rows: np.ndarray, flags: np.ndarray) -> list[Finding]:
    """Labels that aren't there, or are there under another name."""
    source, found = evidence.survey.sources[number], []
    without = {"energy": (flags & int(Flag.NO_ENERGY)) != 0, "forces": (flags & int(Flag.NO_FORCES)) != 0}
    without["forces"] &= (flags & int(Flag.ISOLATED_ATOM)) == 0  # which feels no force
    for label, missing in without.items():
        key = source.keys[label]
        others = {k: n for (kind, k), n in evidence.survey.elsewhere[number].items() if kind == label and k != key}
        other = min(others, key=lambda k: (-others[k], k != label, len(k), k), default="")
        count = others.get(other, 0)
        none = bool(missing.all())
        if not missing.any():
            continue
        if count and (none or count >= 0.5 * missing.sum()):
            what = f"{missing.sum()} of {len(rows)} frames have no '{key}', but '{other}': MACE doesn't train on that"
            fix = f"--{label}_key={other}" if none else f"rename '{other}' to '{key}'"
            if other in ("energy", "forces"):
                fix += ", better under a name such as REF_" + other
            certainty = CERTAIN if none else LIKELY
            found.append(Finding("labels", certainty, what, fix, rows[missing], source.path, {"key": other}))
        elif key == label:  # MACE asks the calculator, and takes what it doesn't say for 0
            what = f"{missing.sum()} of {len(rows)} frames have no '{key}': under this key, MACE trains on 0 instead"
            fix = f"rename it in the file, to REF_{label} for instance: MACE then leaves out what is absent"
            found.append(Finding("labels", CERTAIN, what, fix, rows[missing], source.path))
        elif none and without["energy"].all() and without["forces"].all():
            what, fix = f"no frame has '{key}'", f"--{label}_key=NAME, with the name that the file has"
            found.append(Finding("labels", CERTAIN, what, fix, rows, source.path))
        else:
            what = f"{missing.sum()} of {len(rows)} frames have no '{key}'"
            fix = "right, where there is none: MACE takes the other labels alone"
            found.append(Finding("labels", LOOK, what, fix, rows[missing], source.path))
    return found
