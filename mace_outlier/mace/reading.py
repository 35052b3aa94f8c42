"""Files as MACE's training reads them, one by one, for `mace_outlier audit`: by its own functions, with our tags."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mace import data, tools
from mace.tools.default_keys import DefaultKeys

from ..data.sources import HDF5, LMDB
from ..data.tagging import TAGGING
from . import applying
from .context import CONTEXT
from .data import ORIGIN_FIELD


class UnknownElementError(ValueError):
    """A configuration has an element that the model doesn't know."""


class Elements(tools.AtomicNumberTable):
    """The elements of a model; says which one is missing."""

    def z_to_index(self, atomic_number: str) -> int:
        """Return the index of an element; raises UnknownElementError."""
        if atomic_number not in self.zs:
            raise UnknownElementError(f"has elements that the model does not know: Z = [{atomic_number}]")
        return int(super().z_to_index(atomic_number))


class TrainingFile:
    """Samples of a training file, by position; they are made when they are asked for.

    What ASE reads is in memory as a whole, as in a training, and its isolated atoms are no samples. Others are read
    sample by sample; None: MACE can't read it (LMDB).

    Args:
        path: the file.
        keys: where labels and conditions are, by MACE's options ("energy_key"), with "embedding_specs"; of what ASE
            reads: others have MACE's own names.
        r_max, zs, heads, head: cutoff (Angstrom), elements and heads of the model, and the head that is evaluated.

    Raises (also when a sample is made): whatever MACE raises.
    """

    def __init__(
        self, path: Path, keys: Mapping[str, Any], r_max: float, zs: list[int], heads: list[str], head: str
    ) -> None:
        if not CONTEXT.applied:
            applying.apply()
        table, suffix = Elements(zs), path.suffix.lower()
        self._configurations: list[Any] | None = None
        self._how: dict[str, Any] = {"z_table": table, "cutoff": r_max, "heads": heads}
        self._items: Any = None
        if suffix in HDF5:
            self._items = data.HDF5Dataset(str(path), r_max=r_max, z_table=table, heads=heads, head=head)
        elif suffix in LMDB:
            self._items = data.LMDBDataset(str(path), r_max=r_max, z_table=table, heads=heads, head=head)
        else:
            names = data.update_keyspec_from_kwargs(data.KeySpecification(), DefaultKeys.keydict() | dict(keys))
            with TAGGING.switched(True, afterwards=False):
                _, self._configurations = data.load_from_xyz(str(path), names, head, extract_atomic_energies=True)

    def __len__(self) -> int:
        return len(self._items if self._configurations is None else self._configurations)

    def frame(self, position: int) -> int:
        """Number of a sample in the file."""
        return position if self._configurations is None else getattr(self._configurations[position], ORIGIN_FIELD)[1]

    def __getitem__(self, position: int) -> Any:
        """Return a sample, with its tag."""
        with TAGGING.switched(True, afterwards=False):
            if self._configurations is None:
                return self._items[position]
            return data.AtomicData.from_config(self._configurations[position], **self._how)
