"""Made-up configurations with labels and predictions, and faults in the labels: for the tests of causes."""

from collections.abc import Callable

import numpy as np
from scipy.spatial.transform import Rotation

from mace_outlier.causes.frames import Frame
from mace_outlier.data.units import BOHR, ENERGIES, FORCES, HARTREE, STRESSES

ENERGY_ERROR, FORCE_ERROR, STRESS_ERROR = 0.003, 0.08, 0.0005  # eV/atom, eV/A, eV/A^3
OFFSETS = {1: 0.1, 6: -0.2, 8: 0.6}  # eV
ELEMENTS = {1: -13.6, 6: -1030.0, 8: -2040.0}  # eV, isolated atoms


def made_up_frame(rng: np.random.Generator) -> Frame:
    """A right one: three formulas, forces of 0.5 to 2 eV/A."""
    numbers = np.repeat([1, 6, 8], [(8, 4, 2), (6, 6, 2), (4, 5, 5)][rng.integers(3)])
    isolated = float(sum(ELEMENTS[int(z)] for z in numbers))
    predicted = isolated - 4.0 * len(numbers) + rng.normal() * 1.5
    forces = rng.normal(size=(len(numbers), 3)) * rng.uniform(0.5, 2.0)
    stress = _symmetric(rng.normal(size=(3, 3))) * 0.02
    return Frame(
        formula="-".join(map(str, np.bincount(numbers, minlength=9)[[1, 6, 8]])),
        numbers=numbers,
        is_finite=True,
        energy=predicted + rng.normal() * ENERGY_ERROR * len(numbers),
        predicted_energy=predicted,
        isolated=isolated,
        forces=forces + rng.normal(size=forces.shape) * FORCE_ERROR,
        predicted_forces=forces,
        stress=stress + _symmetric(rng.normal(size=(3, 3))) * STRESS_ERROR,
        predicted_stress=stress,
        volume=10.0 * len(numbers),
    )


def made_up_frames(number: int, seed: int = 0) -> list[Frame]:
    """Right ones."""
    rng = np.random.default_rng(seed)
    return [made_up_frame(rng) for _ in range(number)]


def _symmetric(matrix: np.ndarray) -> np.ndarray:
    return (matrix + matrix.T) / 2


Fault = Callable[[Frame, np.random.Generator], Frame]


def energy(change: Callable[[Frame, np.random.Generator], float]) -> Fault:
    return lambda frame, rng: frame._replace(energy=change(frame, rng))


def forces(change: Callable[[Frame, np.random.Generator], np.ndarray]) -> Fault:
    return lambda frame, rng: frame._replace(forces=change(frame, rng))


def stress(change: Callable[[Frame, np.random.Generator], np.ndarray]) -> Fault:
    return lambda frame, rng: frame._replace(stress=change(frame, rng))


def some_atoms(frame: Frame, rng: np.random.Generator) -> np.ndarray:
    changed = frame.forces.copy()
    changed[rng.permutation(frame.atoms)[:2]] += rng.normal(size=(2, 3)) * 4
    return changed


def other_order(frame: Frame, rng: np.random.Generator) -> np.ndarray:
    return frame.forces[rng.permutation(frame.atoms)]


def voigt(frame: Frame, rng: np.random.Generator) -> np.ndarray:
    changed = frame.stress.copy()
    changed[1, 2] = changed[2, 1] = frame.stress[0, 1]
    changed[0, 1] = changed[1, 0] = frame.stress[1, 2]
    return changed


def unconverged(frame: Frame, rng: np.random.Generator) -> Frame:
    scattered = frame.forces + rng.normal(size=frame.forces.shape) * 0.8
    return frame._replace(energy=frame.energy + rng.uniform(0.03, 0.3) * frame.atoms, forces=scattered)


def atomic_units(frame: Frame, rng: np.random.Generator) -> Frame:
    return frame._replace(energy=frame.energy / HARTREE, forces=frame.forces / (HARTREE / BOHR))


FAULTS: dict[str, Fault] = {  # by the words of the cause
    "forces of the wrong sign": forces(lambda f, rng: -f.forces),
    **{f"forces in {unit}": forces(lambda f, rng, size=size: f.forces / size) for unit, size in FORCES.items()},
    "forces in kcal/mol/A, with the wrong sign": forces(lambda f, rng: -f.forces / FORCES["kcal/mol/A"]),
    "forces in eV/A, the others in hartree/bohr": forces(lambda f, rng: f.forces * FORCES["hartree/bohr"]),
    "forces off by a factor": forces(lambda f, rng: 1.45 * f.forces),
    "forces in another order of atoms": forces(other_order),
    "forces turned against the positions": forces(
        lambda f, rng: f.forces @ Rotation.random(random_state=int(rng.integers(1 << 30))).as_matrix()
    ),
    "forces off by the same vector": forces(lambda f, rng: f.forces + rng.normal(size=3)),
    "forces of some atoms": forces(some_atoms),
    "forces all zero": forces(lambda f, rng: 0 * f.forces),
    "noise in forces": forces(lambda f, rng: f.forces + rng.normal(size=f.forces.shape) * 0.8),
    **{f"energy in {unit}": energy(lambda f, rng, size=size: f.energy / size) for unit, size in ENERGIES.items()},
    "energy off by a constant": energy(lambda f, rng: f.energy + 0.06 * f.atoms * rng.choice([-1, 1])),
    "energy off by a constant for each element": energy(lambda f, rng: f.energy + sum(map(OFFSETS.get, f.numbers))),
    "energy of another charge or spin": energy(lambda f, rng: f.energy + 11.0 + rng.normal()),
    "energy per atom": energy(lambda f, rng: f.energy / f.atoms),
    "energy without isolated atoms": energy(lambda f, rng: f.energy - f.isolated),
    "noise in energy": energy(lambda f, rng: f.energy + 0.2 * rng.normal() * f.atoms),
    "stress of the wrong sign": stress(lambda f, rng: -f.stress),
    **{f"stress in {unit}": stress(lambda f, rng, size=size: f.stress / size) for unit, size in STRESSES.items()},
    "stress in eV (virials)": stress(lambda f, rng: -f.stress * f.volume),
    "stress in another order of components": stress(voigt),
    "unconverged": unconverged,
    "energy in hartree; forces in hartree/bohr": atomic_units,
}
