"""What is known of each row besides its labels: config_type, formula, molecule, number of atoms, size of its forces."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from ase.formula import Formula
from torch import Tensor

from ..method.processes import ALONE, Processes
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
        self._codes = {"": 0}  # as of a row that is not known: two names for one text would be no categories
        self._shares: tuple[np.ndarray, dict[str, np.ndarray]] | None = None  # of elements in formulas, once asked for

    @classmethod
    def of_formulas(cls, size: int, formulas: Sequence[str]) -> "Metadata":
        """What is known of rows by their formulas ("H2O"); of none where there are none."""
        metadata, parsed = cls(size), {text: Formula(text) for text in set(formulas)}
        tags = {text: Tag("", f"{formula:hill}", f"{formula:hill}", len(formula)) for text, formula in parsed.items()}
        metadata.note_all([(row, tags[text]) for row, text in enumerate(formulas)])
        return metadata

    def note(self, row: int, tag: Tag) -> None:
        """Take in what a sample says of its row."""
        self.note_all([(row, tag)])

    def note_all(self, tagged: Sequence[tuple[int, Tag]]) -> None:
        """Take in what samples say of their rows, all at once: a row at a time would cost 20 times as much."""
        if not tagged:
            return
        self._shares = None
        rows, tags = zip(*tagged, strict=True)
        which, columns = np.array(rows), dict(zip(Tag._fields, zip(*tags, strict=True), strict=True))
        for name, column in (("n_atoms", self.n_atoms), ("force", self.force), ("content", self.content)):
            column.numpy()[which] = columns[name]  # NumPy's are the quicker ones for so few
        for name, codes in self.texts.items():
            codes.numpy()[which] = [self._code(text) for text in columns[name]]

    def _code(self, text: str) -> int:
        code = self._codes.get(text)
        if code is None:
            code = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1
            self.vocabulary[code], self._codes[text] = text, code
        return code

    @property
    def molecules(self) -> np.ndarray:
        """Which rows are of the same molecule, as numbers (N,), the same in all data sets; 0: not known."""
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
        self._shares = None
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
        return self.composition_of(np.arange(len(self.n_atoms)))

    def composition_of(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Share of each element of the data set among the atoms of some rows (n,); 0: not known."""
        if self._shares is None:
            self._shares = self._shares_of_formulas()
        formulas, shares = self._shares
        codes = np.searchsorted(formulas, self.texts["formula"].numpy()[rows])
        return {element: of_formula[codes] for element, of_formula in shares.items()}

    def _shares_of_formulas(self) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Codes of all formulas (F,), ascending, and the share of each element in them (F,)."""
        import pandas

        codes = np.unique(self.texts["formula"].numpy())
        formulas = [Formula(self.vocabulary[int(code)]) for code in codes]
        counts = pandas.DataFrame([formula.count() for formula in formulas]).fillna(0)
        shares = counts.div(counts.sum(axis=1), axis=0).fillna(0)
        return codes, {element: shares[element].to_numpy() for element in sorted(shares)}

    def categories(
        self, name: str, share: slice = slice(None), processes: Processes = ALONE
    ) -> tuple[np.ndarray, list[str]]:
        """Codes (n,) of a share of a text column, and the texts that they stand for, alike in all processes."""
        import pandas

        codes, own = pandas.factorize(self.texts[name].numpy()[share])  # np.unique would sort all rows
        every = np.unique(processes.gather(own))
        return np.searchsorted(every, own)[codes], [self.vocabulary[int(code)] for code in every]
