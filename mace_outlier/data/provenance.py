"""Where each training configuration comes from and what it is, so that a weight can be tied to a frame of a file.

A row is a configuration of the user: (head, source file, frame). Several positions of the training set can hold the
same row (multi-head fine-tuning repeats its data), and rows have an order of their own, by head, file name and frame,
because the order of positions is not stable: hosts list the files of a folder as they like, and splits shuffle.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from ase.formula import Formula
from torch import Tensor

TAG_FIELD = "__mace_outlier_tag__"  # of a sample; hosts such as torch_geometric don't collate names with underscores

describing = True  # False while a sample is made of which all is known: its tag may leave out what takes time
tagging = False  # True while the samples that the host makes are to carry tags; set in worker processes as well


class Tag(NamedTuple):
    """What a sample says of its configuration."""

    config_type: str
    formula: str  # Hill order
    molecule: str  # the formula, and what tells isomers apart where that is known
    n_atoms: int
    force: float = 0.0  # root mean square of its force labels' components, eV/A; 0: none
    source: str | None = None  # file, as the user named it; None: known of the whole data set, not of the sample
    frame: int = -1  # 0-based, in the source


def force_size(forces: Any) -> float:
    """Root mean square of the components of force labels (A, 3), an array; 0 where there are none, or not finite ones.

    In the unit of the labels.
    """
    value = 0.0 if forces is None or not np.size(forces) else float(np.sqrt(np.mean(np.square(forces))))
    return value if np.isfinite(value) else 0.0


class Part(NamedTuple):
    """Consecutive positions of the training set that come from one source."""

    source: str
    frames: np.ndarray  # (positions,) integer


class Provenance:
    """Rows of a training set.

    Args:
        heads: names of the heads.
        parts: for each head, in the same order, its parts of the training set in the order of positions.

    Attributes: `head` (N,) index, `source` (N,) index into `sources`, `frame` (N,); `row_of_position` (P,) for the P
    positions of the training set, `position_of_row` (N,) one of those that hold it.
    """

    def __init__(self, heads: Sequence[str], parts: Sequence[Sequence[Part]]) -> None:
        self.heads = list(heads)
        names = {part.source for own in parts for part in own}
        # by file name first: data staged to another folder keep their order
        self.sources = sorted(names, key=lambda name: (os.path.basename(name), name))
        index = {name: i for i, name in enumerate(self.sources)}
        columns = [
            np.column_stack(np.broadcast_arrays(head, index[part.source], part.frames))
            for head, own in enumerate(parts)
            for part in own
        ]
        keys = np.concatenate(columns) if columns else np.zeros((0, 3), dtype=np.int64)
        rows, self.position_of_row, self.row_of_position = _unique(keys.astype(np.int64))
        self.head, self.source, self.frame = rows.T

    def __len__(self) -> int:
        return len(self.frame)

    def fingerprint(self) -> str:
        """A text that tells this training set from another one; folders don't count, so that data may be moved."""
        digest = hashlib.blake2b(repr((self.heads, [os.path.basename(name) for name in self.sources])).encode())
        for column in (self.head, self.source, self.frame):
            digest.update(np.ascontiguousarray(column, dtype="<i8").tobytes())
        return digest.hexdigest()[:32]

    def name(self, row: int) -> str:
        """A configuration as the user knows it."""
        name = f"{self.sources[self.source[row]]} frame {self.frame[row]}"
        return name if len(self.heads) == 1 else f"{name} (head {self.heads[self.head[row]]})"


def _unique(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sorted unique rows of `keys` (P, 3), where each first stands, and the unique row of each; by one integer each."""
    spans = keys.max(axis=0, initial=0) + 1
    packed = (keys[:, 0] * spans[1] + keys[:, 1]) * spans[2] + keys[:, 2]
    _, first, inverse = np.unique(packed, return_index=True, return_inverse=True)
    return keys[first], first, inverse


class Descriptions:
    """What each row is, on the host: config_type, formula, molecule, number of atoms, size of its force labels.

    Learnt when a sample is first made.

    Large data sets are read sample by sample in the order of the training, so that what is known of them grows in the
    first epoch. Texts are held once, by a 64-bit hash, so that the processes of a distributed run can merge what each
    has seen without agreeing on an order: 32 bytes a row.
    """

    def __init__(self, size: int) -> None:
        self.n_atoms = torch.zeros(size, dtype=torch.int32)  # 0: not seen yet
        self.force = torch.zeros(size, dtype=torch.float32)  # 0: none
        self.texts = {name: torch.zeros(size, dtype=torch.int64) for name in ("config_type", "formula", "molecule")}
        self.vocabulary: dict[int, str] = {0: ""}

    def note(self, row: int, tag: Tag) -> None:
        """Take in what a sample says of its row."""
        self.n_atoms[row], self.force[row] = tag.n_atoms, tag.force
        for name, codes in self.texts.items():
            codes[row] = self._code(getattr(tag, name))

    def _code(self, text: str) -> int:
        code = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1
        self.vocabulary[code] = text
        return code

    @property
    def molecules(self) -> np.ndarray:
        """Which rows are of the same molecule, as numbers (N,); 0: not known."""
        return self.texts["molecule"].numpy()

    @property
    def complete(self) -> bool:
        """True when every row is known."""
        return bool((self.n_atoms > 0).all())

    def merge(
        self,
        largest_over_ranks: Callable[[Tensor], Tensor],
        gather: Callable[[Any], list[Any]],
        device: torch.device | str = "cpu",
    ) -> None:
        """Take over what the other processes have seen; all of them have to call it."""
        force = self.force.view(torch.int32)  # the bits of numbers that are not negative are in their order
        codes = torch.stack((self.n_atoms.long(), force.long(), *self.texts.values())).to(device)
        merged = largest_over_ranks(codes).cpu()  # what nobody has seen is 0, and the others agree
        self.n_atoms, self.force = merged[0].int(), merged[1].int().view(torch.float32)
        self.texts = dict(zip(self.texts, merged[2:], strict=True))
        for vocabulary in gather(self.vocabulary):
            self.vocabulary.update(vocabulary)

    @property
    def composition(self) -> dict[str, np.ndarray]:
        """Share of each element among the atoms of the rows (N,), by element; 0: not known."""
        unique, codes = np.unique(self.texts["formula"].numpy(), return_inverse=True)
        counts = [Formula(self.vocabulary[int(code)]).count() for code in unique]
        shares = [{element: own[element] / sum(own.values()) for element in own} for own in counts]
        elements = sorted({element for own in counts for element in own})
        return {element: np.array([own.get(element, 0.0) for own in shares])[codes] for element in elements}

    def categories(self, name: str) -> tuple[np.ndarray, list[str]]:
        """Codes (N,) of a text column and the texts that they stand for."""
        unique, codes = np.unique(self.texts[name].numpy(), return_inverse=True)
        return codes, [self.vocabulary[int(code)] for code in unique]
