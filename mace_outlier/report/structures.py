"""Structures: ASE's picture of atoms and cell, with arrows where the forces disagree, and what a viewer needs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols, covalent_radii
from ase.data.colors import jmol_colors
from ase.io.utils import PlottingVariables, make_patch_list
from ase.utils import rotate
from matplotlib.artist import setp
from matplotlib.collections import PatchCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure as Canvas
from numpy.typing import NDArray

from .figures import SUSPECT
from .sample import Sample, force_errors

MOST_ATOMS = 5_000  # of a structure that is drawn
MOST_ARROWS = 600  # atoms of a structure whose force errors are drawn
LONGEST_ARROW = 0.15  # of the size of the structure
SHORTEST_ARROW = 0.15  # of the longest; shorter ones are left out
SMALLEST_PICTURE = 3.0  # A
MOST_TURNED = 20_000  # atoms of all structures that can be turned


def draw_structure(frame: Atoms) -> Canvas | None:
    """Draw a structure with arrows along prediction - label of the forces; None where that isn't possible."""
    if not 0 < len(frame) <= MOST_ATOMS or not np.isfinite(frame.positions).all():
        return None
    canvas = Canvas(figsize=(2.6, 2.0))
    canvas.set_layout_engine("none")
    axes = canvas.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    cell, rotation = _cell_of(frame), _view_of(frame)
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


def _cell_of(frame: Atoms) -> NDArray[np.float64] | None:
    """The unit cell (3, 3) that is drawn."""
    cell = frame.cell
    return cell.array if frame.pbc.any() and cell.rank == 3 and np.isfinite(cell.array).all() else None


def _view_of(frame: Atoms) -> NDArray[np.float64]:
    """The rotation (3, 3) of a picture: a molecule lies flat, a cell is seen from the side."""
    return flat_view(frame.positions) if _cell_of(frame) is None else rotate("12z,-76x")


def flat_view(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rotation (3, 3), for `positions @ rotation`, that lays a molecule flat before the viewer."""
    rotation = np.linalg.svd(np.vstack([positions - positions.mean(axis=0), np.zeros((3, 3))]))[2].T
    rotation[:, 2] *= np.sign(np.linalg.det(rotation))  # no mirror image
    return rotation


# --- for the viewer of the page ---------------------------------------------------------------------------------------


def find_structures(sample: Sample, suspects: Sequence[Any]) -> dict[str, Any]:
    """Return the structures that can be turned, by rank, the worst first, and the look of their elements."""
    structures: dict[int, dict[str, Any]] = {}
    numbers: set[int] = set()
    atoms = 0
    for suspect in suspects:
        frame = sample.frames.get(suspect.row)
        if frame is None or not 0 < len(frame) <= MOST_ARROWS or not np.isfinite(frame.positions).all():
            continue
        atoms += len(frame)
        if atoms > MOST_TURNED:
            break
        structures[suspect.rank] = _structure(frame)
        numbers |= set(frame.numbers.tolist())
    elements = {
        z: [chemical_symbols[z], float(covalent_radii[z]), to_hex(jmol_colors[min(z, len(jmol_colors) - 1)])]
        for z in numbers
    }
    return {"by_rank": structures, "elements": elements}


def _structure(frame: Atoms) -> dict[str, Any]:
    """Positions and cell (A), force errors (eV/A) and the first view."""
    cell, errors = _cell_of(frame), force_errors(frame)
    return {
        "numbers": frame.numbers.tolist(),
        "positions": frame.positions.round(3).tolist(),
        "errors": None if errors is None else errors.round(4).tolist(),
        "cell": None if cell is None else cell.round(3).tolist(),
        "view": _view_of(frame).round(4).tolist(),
    }
