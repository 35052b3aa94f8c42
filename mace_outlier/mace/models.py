"""Trained MACE models for `mace_outlier audit`: loaded, and given configurations as MACE's training would."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from mace import data, tools

from ..weights.features import CONDITIONS
from .invariants import scalar_columns


class Predictor:
    """A trained model and what its inputs have to look like.

    Args:
        path: a model that MACE's training saved (`<name>.model`); loading one runs code in it, as in all of MACE.
        device: "cpu", "cuda" ...
        dtype: "float32", "float64", or "" for that of the model.
        head: of a model with several; "" for the only one.

    Raises:
        ValueError: the file is no such model, the head is not one of its heads, or there is no such device.
    """

    def __init__(self, path: Path, device: str, dtype: str = "", head: str = "") -> None:
        try:
            self.device = torch.empty(0, device=device).device
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            raise ValueError(f"--device {device}: {error}") from error
        try:
            self.model = torch.load(path, map_location=self.device, weights_only=False)
            self.numbers = [int(z) for z in self.model.atomic_numbers]
            self.r_max = float(self.model.r_max)
            self.model.eval().requires_grad_(False)
        except (OSError, pickle.UnpicklingError, AttributeError, RuntimeError, EOFError, ImportError) as error:
            raise ValueError(f"--model {path} is not a model saved by MACE's training: {error}") from error
        if dtype:
            self.model.to(getattr(torch, dtype))
        self.dtype = next(self.model.parameters()).dtype
        self.heads = list(getattr(self.model, "heads", None) or ["Default"])
        if head not in self.heads and (head or len(self.heads) > 1):
            raise ValueError(f"--head {head or '(none given)'}: the model has the heads {', '.join(self.heads)}")
        self.head = head or self.heads[0]
        self.scalars = scalar_columns(self.model)

    def batch(self, frames: list[Atoms], keys: dict[str, str]) -> Any:
        """Return MACE's batch of configurations whose labels are under `keys` ("energy", "forces")."""
        return self.collate(self.samples(frames, keys))

    def collate(self, samples: list[Any]) -> Any:
        """Return MACE's batch of its samples."""
        return tools.torch_geometric.Batch.from_data_list(samples)

    def samples(self, frames: list[Atoms], keys: dict[str, str]) -> list[Any]:
        """Return MACE's samples of configurations whose labels are under `keys` ("energy", "forces")."""
        specification = data.KeySpecification(
            info_keys={"energy": keys["energy"]} | {name: name for name in CONDITIONS},
            arrays_keys={"forces": keys["forces"]},
        )
        table, before = tools.AtomicNumberTable(self.numbers), torch.get_default_dtype()
        torch.set_default_dtype(self.dtype)  # of the samples
        try:
            return [
                data.AtomicData.from_config(
                    data.config_from_atoms(atoms, specification, head_name=self.head),
                    z_table=table,
                    cutoff=self.r_max,
                    heads=self.heads,
                )
                for atoms in frames
            ]
        finally:
            torch.set_default_dtype(before)

    def unknown_elements(self, numbers: np.ndarray) -> list[int]:
        """Return the atomic numbers that the model doesn't know."""
        return sorted(set(numbers.tolist()) - set(self.numbers))
