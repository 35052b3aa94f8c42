"""Drawings of structures: balls and sticks, the cell, and where the forces disagree."""

from itertools import product
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.data.colors import jmol_colors
from ase.neighborlist import neighbor_list
from ase.utils import rotate
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Circle, Patch, Polygon
from numpy.typing import NDArray

from .figures import SUSPECT
from .sample import force_errors

MOST_ATOMS = 20_000  # of a structure that is drawn
MOST_BONDED = 600  # atoms of a structure whose bonds and force errors are drawn
BALL, SMALLEST_BALL = 0.55, 0.24  # of the covalent radius; A
STICK = 0.1  # A, half the width of a bond
BONDED = 1.15  # times the sum of the covalent radii
ARROW = 0.15  # of the height of the picture, for the largest force error
ASPECT = 1.3  # width / height

Array = NDArray[np.float64]


def draw_structure(frame: Atoms) -> Canvas | None:
    """Draw a structure with arrows along prediction - label of the forces; None where that isn't possible."""
    if not 0 < len(frame) <= MOST_ATOMS or not np.isfinite(frame.positions).all():
        return None
    canvas = Canvas(figsize=(2.0 * ASPECT, 2.0))
    canvas.set_layout_engine("none")
    axes = canvas.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    turn, centre = _view(frame)
    places = (frame.positions - centre) @ turn  # (n_atoms, 3); the third axis points to the viewer
    radii = np.maximum(BALL * covalent_radii[frame.numbers], SMALLEST_BALL)
    outline = [places[:, :2] - radii[:, None], places[:, :2] + radii[:, None], _draw_cell(axes, frame, turn, centre)]
    height = _fit(axes, np.concatenate(outline))
    _draw_atoms(axes, frame, places, radii)
    _draw_errors(axes, frame, places, turn, height)
    return canvas


def _view(frame: Atoms) -> tuple[Array, Array]:
    """The viewer's axes as columns, and the centre: a cell is seen from the side, a molecule from its widest."""
    if _periodic(frame):
        return rotate("12z,-76x"), frame.cell.array.sum(axis=0) / 2
    centre = frame.positions.mean(axis=0)
    turn = np.linalg.svd(np.vstack([frame.positions - centre, np.zeros((3, 3))]))[2].T
    turn[:, 2] *= np.sign(np.linalg.det(turn))  # no mirror image
    return turn, centre


def _periodic(frame: Atoms) -> bool:
    return bool(frame.pbc.any()) and frame.cell.rank == 3 and bool(np.isfinite(frame.cell.array).all())


def _draw_cell(axes: Axes, frame: Atoms, turn: Array, centre: Array) -> Array:
    """Draw the edges of the cell; return its corners, (8, 2) or (0, 2)."""
    if not _periodic(frame):
        return np.zeros((0, 2))
    steps = np.array(list(product((0, 1), repeat=3)))
    corners = ((steps @ frame.cell.array - centre) @ turn)[:, :2]
    edges = [(i, j) for i in range(8) for j in range(i) if np.abs(steps[i] - steps[j]).sum() == 1]
    axes.add_collection(LineCollection([corners[[i, j]] for i, j in edges], colors="#b5b5b5", linewidths=0.7, zorder=0))
    return corners


def _draw_atoms(axes: Axes, frame: Atoms, places: Array, radii: Array) -> None:
    """Balls and sticks, the furthest first, and paler."""
    colours = jmol_colors[frame.numbers]
    patches: list[Patch] = [Circle((x, y), radius) for (x, y, _), radius in zip(places, radii, strict=True)]
    depths = list(places[:, 2])
    faces = list(colours)
    if len(frame) <= MOST_BONDED:
        for i, j in zip(*_bonds(frame), strict=True):
            middle = (places[i] + places[j]) / 2
            patches.append(_stick(places[i, :2], middle[:2]))
            depths.append((places[i, 2] + middle[2]) / 2 - radii[i] / 2)
            faces.append(colours[i])
    order = np.argsort(depths)
    depth = np.array(depths)[order]
    pale = 0.35 * (depth.max() - depth)[:, None] / max(float(np.ptp(depth)), 4.0)
    shown = np.array(faces)[order] * (1 - pale) + pale
    collection = PatchCollection([patches[i] for i in order], facecolors=shown, edgecolors=0.45 * shown, linewidths=0.5)
    axes.add_collection(collection)


def _bonds(frame: Atoms) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs (i, j) and (j, i) of bonded atoms, none across the boundary of the cell."""
    bare = Atoms(numbers=frame.numbers, positions=frame.positions)
    return neighbor_list("ij", bare, list(BONDED * covalent_radii[frame.numbers]))


def _stick(start: Array, end: Array) -> Polygon:
    along = end - start
    across = STICK * np.array([-along[1], along[0]]) / max(float(np.hypot(*along)), 1e-9)
    return Polygon([start + across, end + across, end - across, start - across])


def _draw_errors(axes: Axes, frame: Atoms, places: Array, turn: Array, height: float) -> None:
    """Arrows along the force errors; short ones are left out."""
    errors = force_errors(frame)
    if errors is None or len(frame) > MOST_BONDED or not errors.any():
        return
    arrows = ARROW * height * errors @ turn / np.linalg.norm(errors, axis=1).max()
    visible = np.hypot(arrows[:, 0], arrows[:, 1]) > 0.15 * ARROW * height
    style: dict[str, Any] = {"angles": "xy", "scale_units": "xy", "scale": 1, "units": "height", "width": 0.012}
    axes.quiver(*places[visible, :2].T, *arrows[visible, :2].T, color=SUSPECT, zorder=5, **style)


def _fit(axes: Axes, points: Array) -> float:
    """Show all points, to scale and with room for the arrows; return the height of the picture, A."""
    low, high = points.min(axis=0), points.max(axis=0)
    height = (1 + ARROW) * max(high[1] - low[1], (high[0] - low[0]) / ASPECT, 3.0)
    middle = (low + high) / 2
    axes.set(xlim=middle[0] + np.array([-0.5, 0.5]) * ASPECT * height, ylim=middle[1] + np.array([-0.5, 0.5]) * height)
    return float(height)
