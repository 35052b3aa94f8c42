"""Alloys of five metals, labelled by effective medium theory (ase.calculators.emt): data that no setting was made for.

Random binary to quaternary face-centred cubic alloys of Ni, Cu, Pd, Ag and Au, 31 or 32 atoms, 36 in slabs: bulk and
vacancies at 300 to 1500 K, strained cells, and (111) surfaces. Every label is right: the theory has a closed form, and
nothing in it has to converge.
"""

from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.build import bulk, fcc111
from ase.calculators.emt import EMT
from ase.io import read
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from tqdm import tqdm
from training_files import write_atomically

LATTICE_CONSTANTS = {"Ni": 3.49, "Cu": 3.61, "Pd": 3.88, "Ag": 4.06, "Au": 4.06}  # A, of the theory's own pure metals
KINDS = {"bulk": 0.45, "vacancy": 0.20, "surface": 0.20, "strained": 0.15}
TEMPERATURES = (300.0, 1500.0)  # K
STEPS, TIME_STEP, FRICTION = 40, 4.0, 0.02  # fs; 1/fs: thermalised, more or less, from the lattice
STRAIN, SHEAR = 0.02, 0.03  # standard deviations
NUMBER, SEED = 600, 0
MADE = Path(__file__).resolve().parent.parent / "build" / "real" / "alloys.xyz"


def alloys(path: Path = MADE) -> list[Atoms]:
    """All configurations, made where the file isn't there: four minutes."""
    if not path.exists():
        rng = np.random.default_rng(SEED)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, [labelled(configuration(rng)) for _ in tqdm(range(NUMBER), desc="alloys")])
    return read(path, ":")


def configuration(rng: np.random.Generator) -> Atoms:
    """One of them, its config_type the kind."""
    kind = rng.choice(list(KINDS), p=list(KINDS.values()))
    chosen = rng.choice(list(LATTICE_CONSTANTS), size=rng.integers(2, 5), replace=False)
    symbols = rng.choice(chosen, size=36, p=rng.dirichlet(np.ones(len(chosen))))
    constant = np.mean([LATTICE_CONSTANTS[symbol] for symbol in symbols]) * (1 + STRAIN * rng.normal())
    if kind == "surface":
        atoms = fcc111("Cu", (3, 3, 4), a=constant, vacuum=6.0, periodic=True)
    else:
        atoms = bulk("Cu", "fcc", a=constant, cubic=True).repeat(2)
    atoms.symbols[:] = symbols[: len(atoms)]
    if kind == "vacancy":
        del atoms[rng.integers(len(atoms))]
    if kind == "strained":
        shear = SHEAR * rng.normal(size=(3, 3))
        atoms.set_cell(atoms.cell @ (np.eye(3) + (shear + shear.T) / 2), scale_atoms=True)
    heat(atoms, rng.uniform(*TEMPERATURES), rng)
    atoms.info["config_type"] = str(kind)
    return atoms


def heat(atoms: Atoms, temperature: float, rng: np.random.Generator) -> None:
    """Move the atoms as they move at a temperature, in K."""
    atoms.calc = EMT()
    MaxwellBoltzmannDistribution(atoms, temperature_K=2 * temperature, rng=rng)  # half of it becomes potential energy
    friction = FRICTION / units.fs
    Langevin(atoms, TIME_STEP * units.fs, temperature_K=temperature, friction=friction, rng=rng).run(STEPS)


def labelled(atoms: Atoms) -> Atoms:
    """A plain configuration with its labels."""
    frame = Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    frame.info |= {"config_type": atoms.info["config_type"], "REF_energy": atoms.get_potential_energy()}
    frame.arrays["REF_forces"] = atoms.get_forces()
    return frame
