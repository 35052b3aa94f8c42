"""Trained MACE models for `mace_outlier audit`: loaded, and given configurations as MACE's training would."""

import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from mace import tools

from .invariants import scalar_columns
from .reading import TrainingFile


class Predictor:
    """A trained model and what its inputs have to look like.

    Args:
        path: a model that MACE's training saved (`<name>.model`). It is a pickled module: loading it can run any code
            that whoever made it put there.
        device: "cpu", "cuda" ...
        dtype: "float32", "float64", or "" for that of the model.
        head: of a model with several; "" for the only one.

    Raises:
        ValueError: the file is no such model, the head is not one of its heads, or there is no such device. Of a file
            that holds no code (a checkpoint) none is run to find that out.
    """

    def __init__(self, path: Path, device: str, dtype: str = "", head: str = "") -> None:
        try:
            self.device = torch.empty(0, device=device).device
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            raise ValueError(f"--device {device}: {error}") from error
        try:
            self.model = _load(path, self.device)
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

    def read(self, path: Path, keys: Mapping[str, str]) -> TrainingFile:
        """Return the samples of a file, read as MACE's training of such a model would; see TrainingFile."""
        with self._dtype():
            embedded = {"embedding_specs": getattr(self.model, "embedding_specs", None)}
            return TrainingFile(path, {**keys, **embedded}, self.r_max, self.numbers, self.heads, self.head)

    def sample(self, file: TrainingFile, position: int) -> Any:
        """Return a sample of a file, of the type of the model."""
        with self._dtype():
            return file[position]

    def batch(self, samples: list[Any]) -> Any:
        """Return MACE's batch of samples."""
        return tools.torch_geometric.Batch.from_data_list(samples)

    @contextmanager
    def _dtype(self) -> Iterator[None]:
        before = torch.get_default_dtype()
        torch.set_default_dtype(self.dtype)
        try:
            yield
        finally:
            torch.set_default_dtype(before)


def _load(path: Path, device: torch.device) -> Any:
    """The model in a file; raises ValueError where there are only numbers, as in a checkpoint, and none is run then."""
    try:
        torch.load(path, map_location=device, weights_only=True)
    except (pickle.UnpicklingError, RuntimeError):  # more than numbers: a module, or no file of torch's at all
        return torch.load(path, map_location=device, weights_only=False)
    raise ValueError(f"--model {path} holds numbers and no model, as a checkpoint does: give <name>.model")
