"""The frames of an export: matched with their rows of the table, and written as suspects or as trusted."""

import copy
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TextIO

import numpy as np
import pandas
from ase import Atoms
from tqdm import tqdm

from ..causes.repair import Repair, repaired, repairs_of
from ..data.extxyz import write_frame
from ..data.labels import LABEL_OF
from ..data.sources import find_source, read_frames
from ..results.files import VALID
from ..states import MODEL, SET_ASIDE, UNUSED

NUMBERS = ("weight", "mean_weight", "zscore", "loss", *LABEL_OF)
CAUSE = ("cause", "cause_certainty", "cause_value")
KEYS = {f"outlier_{name}" for name in (*NUMBERS, *CAUSE, "split", "source", "frame", "head", "state", "repaired")}


@dataclass
class Repairs:
    """Where suspects go whose labels can be repaired.

    `keys`: where labels are, by head and source, and by energy, forces and stress; `predicted_forces`: by number of the
    row, where known.
    """

    file: TextIO
    keys: dict[tuple[str, str], dict[str, str]]
    predicted_forces: dict[int, Any]

    def add(self, atoms: Atoms, row: Any, cause: str) -> bool:
        """Write a suspect with its labels repaired and the old ones beside them; False: that can't be done."""
        atoms, repairs = copy.deepcopy(atoms), repairs_of(cause)  # with the calculator's results
        new = [self._repaired(atoms, row, repair) for repair in repairs]
        if not new or any(label is None for label in new):
            return False
        for place, key, label in filter(None, new):
            atoms.info[f"{key}_unrepaired"] = place[key]  # of forces as well: readers take such an array for labels
            place[key] = float(label) if label.ndim == 0 else label
        atoms.info["outlier_repaired"] = cause
        write_frame(self.file, atoms)
        return True

    def _repaired(self, atoms: Atoms, row: Any, repair: Repair) -> tuple[dict[str, Any], str, Any] | None:
        """Where a label is, its key, and what it ought to be."""
        key = self.keys[row.head, row.source][repair.label]
        results = atoms.calc.results if atoms.calc else {}
        place = next((own for own in (atoms.info, atoms.arrays, results) if key in own), None)
        if place is None:
            return None
        volume = atoms.get_volume() if repair.volume else 1.0
        predicted_forces = self.predicted_forces.get(row.Index)
        label = repaired(np.asarray(place[key], dtype=float), repair, len(atoms), volume, predicted_forces)
        return None if label is None else (place, key, label)


@dataclass
class Export:
    """Where configurations go, and how many went there."""

    suspects: TextIO
    trusted: TextIO
    below: float  # weight
    name_heads: bool
    repairs: Repairs | None = None  # None: nothing is repaired
    counts: Counter[str] = field(default_factory=Counter)  # suspects, trusted, isolated, never seen, validation ...
    notes: Counter[str] = field(default_factory=Counter)  # what extended XYZ changes: in how many configurations

    def add(self, atoms: Atoms, row: Any) -> None:
        """Write a configuration with what is known of it, to the suspects or the trusted."""
        seen, validation = row.times_seen > 0, row.split == VALID
        suspect = row.weight < self.below or (seen and row.state in SET_ASIDE)
        self.counts["suspects" if suspect else "trusted"] += 1
        self.counts["never seen"] += not seen
        self.counts["not judged"] += row.state in (MODEL, UNUSED)
        self.counts["validation"] += validation
        self.counts["validation suspects"] += suspect and validation
        for key in KEYS & atoms.info.keys():  # of an earlier export
            del atoms.info[key]
        known = NUMBERS[NUMBERS.index("zscore") :] if row.state == UNUSED else NUMBERS  # its weight is no judgement
        values = {name: float(getattr(row, name, math.nan)) for name in (*known, *CAUSE[1:])}
        atoms.info |= {f"outlier_{name}": value for name, value in values.items() if not math.isnan(value)}
        atoms.info |= {"outlier_split": row.split, "outlier_source": row.source, "outlier_frame": int(row.frame)}
        atoms.info |= {"outlier_head": row.head} if self.name_heads else {}
        atoms.info |= {"outlier_state": row.state} if row.state else {}
        cause = getattr(row, "cause", "") if suspect else ""
        atoms.info |= {"outlier_cause": cause} if cause else {}
        self.notes.update(write_frame(self.suspects if suspect else self.trusted, atoms))
        if self.repairs is not None and cause:
            self.counts["repaired"] += self.repairs.add(atoms, row, cause)

    def add_without_row(self, atoms: Atoms) -> None:
        """Keep what MACE took for an isolated atom; other frames were not used."""
        isolated = len(atoms) == 1 and atoms.info.get("config_type") == "IsolatedAtom"
        self.counts["isolated" if isolated else "without a row"] += 1
        if isolated:
            self.notes.update(write_frame(self.trusted, atoms))


def export_table(export: Export, table: pandas.DataFrame, directory: str | None) -> None:
    """Write all configurations of the table, source by source, in the order of the table."""
    with tqdm(total=len(table), unit="configurations", disable=None) as progress:
        for (_, source), rows in table.groupby(["head", "source"], sort=False, observed=True):
            for atoms, rows_of_frame in matched(source, rows, directory):
                if not rows_of_frame:
                    export.add_without_row(atoms)
                for row in rows_of_frame:
                    export.add(atoms, row)
                progress.update(len(rows_of_frame))


def matched(source: str, rows: pandas.DataFrame, directory: str | None) -> Iterator[tuple[Atoms, list[Any]]]:
    """Yield each frame of a source with its rows of the table: none, one, or one for each split that it belongs to.

    Raises:
        ValueError: frames and rows don't fit.
    """
    in_order = rows.sort_values("frame", kind="stable").itertuples()
    row, count = next(in_order, None), 0
    for frame, atoms in enumerate(read_frames(source, directory)):
        rows_of_frame = []
        while row is not None and row.frame == frame:
            check_fit(atoms, row)
            rows_of_frame.append(row)
            row = next(in_order, None)
        yield atoms, rows_of_frame
        count += 1
    if row is not None:
        raise ValueError(
            f"{find_source(source, directory)} has {count} frames, but the training used frame {row.frame}: it changed "
            "since the training; put the file back that was trained on"
        )


def check_fit(atoms: Atoms, row: Any) -> None:
    """Raise ValueError unless the frame has the atoms that the table says; it doesn't of what was never read."""
    formula = atoms.get_chemical_formula()
    if row.formula not in ("", formula):
        raise ValueError(
            f"{row.source}: frame {row.frame} is {formula}, but was {row.formula} in the training: the file changed "
            "since; put the file back that was trained on"
        )
