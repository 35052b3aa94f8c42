"""Molecular dynamics of liquid water with a trained model: one replica is one file, whole or absent."""

import json
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import _water_paths  # noqa: F401 (first)
import numpy as np
from ase import Atoms, units
from ase.io import read
from ase.md.bussi import Bussi
from ase.md.md import MolecularDynamics
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution, Stationary
from ase.md.verlet import VelocityVerlet
from demo_results import silent_calculator
from liquid_boxes import CLOSEST, HOTTEST, LONGEST_BOND, MOLECULE, NoLiquidError, check_liquid
from training_files import digest_of, write_json_atomically


@dataclass(frozen=True)
class Protocol:
    """How a replica is simulated."""

    temperature: float = 330.0  # K
    density: float | None = 1.0  # g/cm3; None: that of the starts
    timestep: float = 0.5  # fs
    hydrogen: float = 1.008  # its mass; that of deuterium, 2.014, allows twice the timestep
    equilibration_ps: float = 2.0  # Bussi-Donadio-Parrinello thermostat, time constant 0.1 ps
    production_ps: float = 12.0  # the same with 1 ps, too weak to touch diffusion
    nve_ps: float = 2.0  # for the drift of the total energy
    frames_every_fs: float = 2.0  # hydrogen's stretch takes 9 fs
    hottest: float = HOTTEST  # these three: from where on it is no liquid any more, the model has a hole there
    longest_bond: float = LONGEST_BOND
    closest: float = CLOSEST

    def steps(self, picoseconds: float) -> int:
        """Timesteps in a time."""
        return round(1000 * picoseconds / self.timestep)


class Replica(NamedTuple):
    """One trajectory of one model."""

    model: Path
    starts: Path  # frames to start from: the same for all models
    number: int
    folder: Path
    protocol: Protocol
    device: str = "cpu"

    @property
    def path(self) -> Path:
        """The file that marks it as finished."""
        return self.folder / f"{self.number}.json"

    @property
    def frames(self) -> Path:
        """Positions, velocities and energies."""
        return self.folder / f"{self.number}.npz"

    def key(self) -> dict:
        """What the result depends on."""
        return {
            "sha256_of_model_and_starts": digest_of((self.model, self.starts)),
            "protocol": asdict(self.protocol),
        }


def start(replica: Replica) -> Atoms:
    """A test frame, stretched to the density, with velocities that only its number decides."""
    frames = read(replica.starts, ":")
    atoms = frames[(7 * replica.number) % len(frames)]
    protocol = replica.protocol
    atoms = Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=True)
    if protocol.density is not None:
        length = (len(atoms) // 3 * MOLECULE / protocol.density) ** (1 / 3)
        atoms.set_cell([length] * 3, scale_atoms=True)
    atoms.set_masses([protocol.hydrogen if symbol == "H" else None for symbol in atoms.symbols])
    MaxwellBoltzmannDistribution(
        atoms, temperature_K=protocol.temperature, rng=np.random.default_rng([replica.number, 3])
    )
    Stationary(atoms)  # a box that drifts as a whole would count as diffusion
    return atoms


class Recorder:
    """What is kept of a run, and the check that the liquid is still one."""

    def __init__(self, atoms: Atoms, protocol: Protocol) -> None:
        self.atoms, self.protocol = atoms, protocol
        self.positions, self.velocities, self.temperatures, self.energies = [], [], [], []

    def run(self, dynamics: MolecularDynamics, picoseconds: float) -> None:
        """Run and keep frames. Raises NoLiquidError."""
        protocol, every = self.protocol, self.protocol.steps(self.protocol.frames_every_fs / 1000)
        for _ in range(protocol.steps(picoseconds) // every):
            dynamics.run(every)
            temperature = self.atoms.get_temperature()
            check_liquid(self.atoms, temperature, protocol.hottest, protocol.longest_bond, protocol.closest)
            self.positions.append(self.atoms.positions.astype(np.float32))
            self.velocities.append((self.atoms.get_velocities() * units.fs).astype(np.float32))  # Angstrom/fs
            self.temperatures.append(temperature)
            self.energies.append(self.atoms.get_total_energy())

    def mark(self) -> int:
        """How many frames there are by now."""
        return len(self.energies)


def simulate(replica: Replica) -> None:
    """Equilibrate, produce, then let the energy drift; write the frames and what became of the run."""
    protocol, atoms = replica.protocol, start(replica)
    atoms.calc = silent_calculator(replica.model, replica.device)
    step, rng = protocol.timestep * units.fs, np.random.default_rng([replica.number, 4])
    thermostat = {"temperature_K": protocol.temperature, "rng": rng}
    recorder, marks, failure = Recorder(atoms, protocol), [], ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for dynamics, picoseconds in (
            (Bussi(atoms, step, taut=100 * units.fs, **thermostat), protocol.equilibration_ps),
            (Bussi(atoms, step, taut=1000 * units.fs, **thermostat), protocol.production_ps),
            (VelocityVerlet(atoms, step), protocol.nve_ps),
        ):
            try:
                recorder.run(dynamics, picoseconds)
            except NoLiquidError as error:
                failure = str(error)
                break
            marks.append(recorder.mark())
    save(replica, recorder, marks, failure)


def save(replica: Replica, recorder: Recorder, marks: list[int], failure: str) -> None:
    """The frames of the production and the energies of the NVE run, where the model survived; what happened, last."""
    replica.folder.mkdir(parents=True, exist_ok=True)
    if not failure:
        first, last, _ = marks
        np.savez(
            replica.frames,
            numbers=recorder.atoms.numbers,
            cell=recorder.atoms.cell.lengths(),
            positions=np.stack(recorder.positions[first:last]),
            velocities=np.stack(recorder.velocities[first:last]),
            temperatures=np.array(recorder.temperatures[first:last]),
            nve_energies=np.array(recorder.energies[last:]),
        )
    ps = recorder.mark() * replica.protocol.frames_every_fs / 1000
    record = {"survived": not failure, "failure": failure, "ps": round(ps, 3), "key": replica.key()}
    write_json_atomically(replica.path, record)


def is_finished(replica: Replica) -> bool:
    """Whether the replica was run by the very same protocol, with the model as it is now."""
    return replica.path.exists() and json.loads(replica.path.read_text())["key"] == replica.key()
