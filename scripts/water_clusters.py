"""Water clusters from GFN2-xTB molecular dynamics, each labelled twice at the same geometry.

The two labels are the converged one, and that of the same self-consistent-charge (SCC) calculation stopped far too
early, which is what a reference calculation with too loose thresholds gives. Used by make_water.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms, units
from ase.build import molecule
from ase.constraints import Hookean
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from side_by_side import side_by_side
from tqdm import tqdm

METHOD = "GFN2-xTB"
GROUND_STATE_MULTIPLICITY = {"H": 2, "O": 3}


@dataclass(frozen=True)
class WaterSettings:
    """What decides the configurations and their two labels (which frames are bad is decided later, by its own seed)."""

    n_molecules: int = 5
    n_train: int = 400
    n_valid: int = 80
    n_test: int = 200
    frames_per_trajectory: int = 20
    temperature: float = 350.0  # K
    timestep: float = 1.0  # fs; hydrogen carries the mass of deuterium, which leaves the sampled distribution as it is
    equilibration_steps: int = 200
    steps_between_frames: int = 40
    accuracy: float = 0.1  # tblite's factor on its SCC thresholds, converged labels
    unconverged_accuracy: float = 1e6  # the same factor, labels of an SCC that stops almost at once
    seed: int = 1

    @property
    def counts(self) -> dict[str, int]:
        """Number of frames in each split."""
        return {"train": self.n_train, "valid": self.n_valid, "test": self.n_test}


def xtb_calculator(method: str = METHOD, **options):
    """GFN2-xTB as an ASE calculator, or another method of tblite."""
    try:
        from tblite.ase import TBLite
    except ImportError as error:
        raise SystemExit(
            f"the water data need tblite ({error}): install it with  pip install 'mace-outlier[demo]'"
        ) from None
    return TBLite(method=method, verbosity=0, **options)


# --- configurations ---------------------------------------------------------------------------------------------


def sphere_radius(n_molecules: int) -> float:
    """Radius (Angstrom) that the oxygen atoms may reach freely: that of a drop of water at 1 g/cm3."""
    volume_per_molecule = 29.9  # Angstrom^3
    return (3 * n_molecules * volume_per_molecule / (4 * np.pi)) ** (1 / 3)


def random_cluster(n_molecules: int, rng: np.random.Generator, closest: float = 2.6) -> Atoms:
    """Randomly placed and rotated water molecules in the sphere, oxygen atoms at least `closest` Angstrom apart."""
    radius = sphere_radius(n_molecules)
    centres: list[np.ndarray] = []
    while len(centres) < n_molecules:
        trial = rng.uniform(-radius, radius, 3)
        if np.linalg.norm(trial) < radius and all(np.linalg.norm(trial - other) > closest for other in centres):
            centres.append(trial)
    cluster = Atoms()
    for centre in centres:
        water = molecule("H2O")
        water.euler_rotate(*rng.uniform(0, 360, 3), center=water.positions[0])
        water.translate(centre - water.positions[0])
        cluster += water
    return cluster


def confine(atoms: Atoms) -> None:
    """Pull oxygen atoms that leave the sphere back with a spring, so that the cluster does not evaporate."""
    oxygens = [index for index, symbol in enumerate(atoms.symbols) if symbol == "O"]
    radius = sphere_radius(len(oxygens))
    atoms.set_constraint([Hookean(index, (0.0, 0.0, 0.0), k=2.0, rt=radius) for index in oxygens])


def sample_trajectory(settings: WaterSettings, index: int) -> list[Atoms]:
    """Decorrelated frames of one Langevin trajectory; its own random stream makes it independent of the others."""
    rng = np.random.default_rng([settings.seed, index])
    atoms = random_cluster(settings.n_molecules, rng)
    confine(atoms)
    atoms.set_masses([2.014 if symbol == "H" else None for symbol in atoms.symbols])
    atoms.calc = xtb_calculator(accuracy=10.0)
    MaxwellBoltzmannDistribution(atoms, temperature_K=settings.temperature, rng=rng)
    dynamics = Langevin(
        atoms,
        settings.timestep * units.fs,
        temperature_K=settings.temperature,
        friction=0.02 / units.fs,
        fixcm=False,  # ASE's fixcm does not sample the canonical ensemble; the sphere holds the cluster in place
        rng=rng,
    )
    dynamics.run(settings.equilibration_steps)
    frames = []
    for _ in range(settings.frames_per_trajectory):
        dynamics.run(settings.steps_between_frames)
        frames.append(Atoms(atoms.symbols, positions=atoms.positions))
    return frames


# --- labels -----------------------------------------------------------------------------------------------------


def single_point(atoms: Atoms, accuracy: float, method: str = METHOD, **options) -> tuple[float, np.ndarray]:
    """Energy (eV) and forces (eV/Angstrom) of an SCC that starts from scratch (never from another frame's charges)."""
    atoms = atoms.copy()
    atoms.calc = xtb_calculator(method, accuracy=accuracy, **options)
    return float(atoms.get_potential_energy()), atoms.get_forces()


def label(atoms: Atoms, settings: WaterSettings) -> None:
    """Store both labels on the frame; `assign_labels` later keeps one of them."""
    for prefix, accuracy in (("converged", settings.accuracy), ("unconverged", settings.unconverged_accuracy)):
        atoms.info[f"{prefix}_energy"], atoms.arrays[f"{prefix}_forces"] = single_point(atoms, accuracy)


def labelled_trajectory(task: tuple[WaterSettings, int]) -> tuple[int, list[Atoms]]:
    """One trajectory with labels, and its number (they come in any order)."""
    settings, index = task
    frames = sample_trajectory(settings, index)
    for atoms in frames:
        atoms.info["trajectory"] = index
        label(atoms, settings)
    return index, frames


def labelled_splits(settings: WaterSettings, processes: int = 2) -> dict[str, list[Atoms]]:
    """Frames of each split; no trajectory feeds two splits, so the test set holds nothing the training set has seen."""
    n_trajectories = {split: -(-count // settings.frames_per_trajectory) for split, count in settings.counts.items()}
    tasks = [(settings, index) for index in range(sum(n_trajectories.values()))]
    results = side_by_side(labelled_trajectory, tasks, processes)
    trajectories = dict(tqdm(results, total=len(tasks), desc="molecular dynamics and labels", unit="trajectory"))
    splits, start = {}, 0
    for split, count in settings.counts.items():
        own = range(start, start + n_trajectories[split])
        splits[split] = [atoms for index in own for atoms in trajectories[index]][:count]
        start += n_trajectories[split]
    return splits


def isolated_atom_energies(method: str = METHOD) -> dict[int, float]:
    """Energies (eV) of the free atoms by atomic number, for MACE's --E0s.

    Their ground states: doublet H and triplet O, in the plain (spin-restricted) method of the labels.
    """
    energies = {}
    for symbol, multiplicity in GROUND_STATE_MULTIPLICITY.items():
        atom = Atoms(symbol)
        atom.calc = xtb_calculator(method, multiplicity=multiplicity)
        energies[int(atom.numbers[0])] = float(atom.get_potential_energy())
    return energies
