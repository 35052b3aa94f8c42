"""Drawings of structures: ASE's picture of atoms and cell, and arrows where the forces disagree."""

from typing import Any

import numpy as np
from ase import Atoms
from ase.io.utils import PlottingVariables, make_patch_list
from ase.utils import rotate
from matplotlib.artist import setp
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure as Canvas
from numpy.typing import NDArray

from .figures import SUSPECT
from .sample import force_errors

MOST_ATOMS = 5_000  # of a structure that is drawn
MOST_ARROWS = 600  # atoms of a structure whose force errors are drawn
LONGEST_ARROW = 0.15  # of the size of the structure
SHORTEST_ARROW = 0.15  # of the longest; shorter ones are left out
SMALLEST_PICTURE = 3.0  # A


def draw_structure(frame: Atoms) -> Canvas | None:
    """Draw a structure with arrows along prediction - label of the forces; None where that isn't possible."""
    if not 0 < len(frame) <= MOST_ATOMS or not np.isfinite(frame.positions).all():
        return None
    canvas = Canvas(figsize=(2.6, 2.0))
    canvas.set_layout_engine("none")
    axes = canvas.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    cell = frame.cell if frame.pbc.any() and frame.cell.rank == 3 and np.isfinite(frame.cell.array).all() else None
    rotation = flat_view(frame.positions) if cell is None else rotate("12z,-76x")  # a cell is seen from the side
    atoms = Atoms(frame.numbers, frame.positions, cell=cell)
    picture = PlottingVariables(atoms, rotation=rotation, show_unit_cell=0 if cell is None else 2, scale=1)
    patches = make_patch_list(picture)
    setp(patches, linewidth=0.5)
    axes.add_collection(PatchCollection(patches, match_original=True))
    size = max(picture.w, picture.h, SMALLEST_PICTURE)
    margin = max(0.5 * LONGEST_ARROW * size, (size - max(picture.w, picture.h)) / 2)
    axes.set(xlim=(-margin, picture.w + margin), ylim=(-margin, picture.h + margin), aspect="equal")
    errors = force_errors(frame)
    if errors is not None and errors.any() and len(frame) <= MOST_ARROWS:
        places = picture.positions[: len(frame)]  # in the picture; those of the cell follow
        arrows = LONGEST_ARROW * size * errors @ rotation / np.linalg.norm(errors, axis=1).max()
        seen = np.hypot(*arrows.T[:2]) > SHORTEST_ARROW * LONGEST_ARROW * size
        style: dict[str, Any] = {"angles": "xy", "scale_units": "xy", "scale": 1, "units": "height", "width": 0.012}
        axes.quiver(*places[seen, :2].T, *arrows[seen, :2].T, color=SUSPECT, zorder=5, **style)
    return canvas


def flat_view(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rotation (3, 3), for `positions @ rotation`, that lays a molecule flat before the viewer."""
    rotation = np.linalg.svd(np.vstack([positions - positions.mean(axis=0), np.zeros((3, 3))]))[2].T
    rotation[:, 2] *= np.sign(np.linalg.det(rotation))  # no mirror image
    return rotation
