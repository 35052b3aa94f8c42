"""What is known of each row besides its labels: config_type, formula, molecule, number of atoms, size of its forces."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from ase.formula import Formula
from torch import Tensor

from .tagging import Tag


class Metadata:
    """What each row is, on the host, learnt when a sample is first made.

    Large data sets are read sample by sample in the order of the training, so that what is known of them grows in the
    first epoch. Texts are held once, by a 64-bit hash, so that the processes of a distributed run can merge what each
    has seen without agreeing on an order: 40 bytes a row.
    """

    def __init__(self, size: int) -> None:
        self.n_atoms = torch.zeros(size, dtype=torch.int32)  # 0: not seen yet
        self.force = torch.zeros(size, dtype=torch.float32)  # 0: none
        self.content = torch.zeros(size, dtype=torch.int64)  # see `identity.content_of`; 0: not known
        self.texts = {name: torch.zeros(size, dtype=torch.int64) for name in ("config_type", "formula", "molecule")}
        self.vocabulary: dict[int, str] = {0: ""}

    @classmethod
    def of_formulas(cls, size: int, formulas: Sequence[str]) -> "Metadata":
        """What is known of rows by their formulas ("H2O"); of none where there are none."""
        metadata, parsed = cls(size), {text: Formula(text) for text in set(formulas)}
        tags = {text: Tag("", f"{formula:hill}", f"{formula:hill}", len(formula)) for text, formula in parsed.items()}
        for row, text in enumerate(formulas):
            metadata.note(row, tags[text])
        return metadata

    def note(self, row: int, tag: Tag) -> None:
        """Take in what a sample says of its row."""
        self.n_atoms[row], self.force[row], self.content[row] = tag.n_atoms, tag.force, tag.content
        for name, codes in self.texts.items():
            codes[row] = self._code(getattr(tag, name))

    def _code(self, text: str) -> int:
        if not text:
            return 0  # as of a row that is not known: two names for one text would be no categories
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
        codes = torch.stack((self.n_atoms.long(), force.long(), self.content, *self.texts.values())).to(device)
        merged = largest_over_ranks(codes).cpu()  # what nobody has seen is 0, and the others agree
        self.n_atoms, self.force = merged[0].int(), merged[1].int().view(torch.float32)
        self.content, self.texts = merged[2], dict(zip(self.texts, merged[3:], strict=True))
        for vocabulary in gather(self.vocabulary):
            self.vocabulary.update(vocabulary)

    @property
    def composition(self) -> dict[str, np.ndarray]:
        """Share of each element among the atoms of the rows (N,), by element; 0: not known."""
        import pandas

        codes, formulas = self.categories("formula")
        counts = pandas.DataFrame([Formula(formula).count() for formula in formulas]).fillna(0)
        shares = counts.div(counts.sum(axis=1), axis=0).fillna(0)
        return {element: shares[element].to_numpy()[codes] for element in sorted(shares)}

    def categories(self, name: str) -> tuple[np.ndarray, list[str]]:
        """Codes (N,) of a text column and the texts that they stand for."""
        unique, codes = np.unique(self.texts[name].numpy(), return_inverse=True)
        return codes, [self.vocabulary[int(code)] for code in unique]
