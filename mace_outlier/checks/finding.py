"""What a check says."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

CERTAIN, LIKELY, LOOK = "certain", "likely", "look"
ORDER = (CERTAIN, LIKELY, LOOK)


@dataclass
class Finding:
    """One thing that is, or may be, wrong.

    Args:
        check: name of the check.
        certainty: "certain" (it is wrong), "likely" (an expert would mend it), "look" (often right, worth a look).
        what: one sentence with the numbers and their units.
        fix: one sentence.
        rows: rows of the survey that it is about, in order; none where it is about a file or an option.
        where: file, config_type or option, for the reader.
        numbers: the numbers by name, for machines.
    """

    check: str
    certainty: str
    what: str
    fix: str
    rows: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    where: str = ""
    numbers: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rows = np.unique(np.asarray(self.rows, dtype=np.int64))


def ranges(frames: np.ndarray, most: int = 6) -> str:
    """Return "3, 7-9, 12 ..." for frame numbers in order; at most so many pieces."""
    if not len(frames):
        return ""
    starts = np.flatnonzero(np.diff(frames, prepend=frames[0] - 2) != 1)
    ends = np.append(starts[1:] - 1, len(frames) - 1)
    pieces = [
        f"{frames[a]}" if a == b else f"{frames[a]}-{frames[b]}"
        for a, b in zip(starts[:most], ends[:most], strict=True)
    ]
    return ", ".join(pieces) + (" ..." if len(starts) > most else "")
