"""The stress of mlearn (Zuo et al. 2020), in which two components are exchanged nearly everywhere."""

import numpy as np
from ase import Atoms


def in_order_of_ase(atoms: Atoms) -> Atoms:
    """A frame of mlearn whose yz and xz components of the stress aren't exchanged.

    They are in the file, but for elastic strains of Si: there, a shear strain has its stress in the same component; in
    those of Mo in the other (`mace_outlier check`); elsewhere, models that are trained on energies and forces alone
    predict the other.
    """
    if (atoms.symbols[0], atoms.info["config_type"]) != ("Si", "Elastic"):
        atoms.info["REF_stress"] = np.asarray(atoms.info["REF_stress"])[[0, 1, 2, 4, 3, 5]]
    return atoms
