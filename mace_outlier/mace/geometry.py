"""Geometries for which MACE predicts NaN, whatever its parameters."""

from typing import Any

import torch

SAME_PLACE = 1e-5  # A: MACE divides by distances, in its radial basis and in the directions of bonds


def fault_of(sample: Any) -> str:
    """Return why MACE can predict nothing for a sample, "" where it can; by the edges that it made of the sample."""
    if not bool(sample.positions.isfinite().all() and sample.shifts.isfinite().all()):
        return "a position or the cell is no number"
    sender, receiver = sample.edge_index
    edges = sample.positions[receiver] - sample.positions[sender] + sample.shifts
    same = torch.nonzero(edges.square().sum(1) < SAME_PLACE**2).flatten()
    if not len(same):
        return ""
    first, second = sorted((int(sender[same[0]]), int(receiver[same[0]])))
    return f"atoms {first} and {second} are on the same place"
