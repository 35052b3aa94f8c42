"""Observables of liquid water: radial distribution functions, diffusion, vibrations, drift of the energy."""

import json
import logging
import warnings
from typing import Any

import _water_paths  # noqa: F401 (first)
import numpy as np
from ase import units
from scipy.integrate import trapezoid
from scipy.signal import welch
from water_md import Protocol, Replica

warnings.filterwarnings("ignore", category=DeprecationWarning)  # MDAnalysis, when it is imported
import MDAnalysis
from MDAnalysis.analysis.msd import EinsteinMSD
from MDAnalysis.analysis.rdf import InterRDF

logging.getLogger("MDAnalysis").setLevel(logging.WARNING)
PAIRS = {"OO": ("name O", "name O"), "OH": ("name O", "name H"), "HH": ("name H", "name H")}
FIRST_PEAK = {"OO": (2.3, 3.4), "OH": (1.4, 2.4), "HH": (2.0, 3.0)}  # Angstrom, between molecules
RDF_FROM, RDF_BIN = 0.8, 0.05  # Angstrom
RDF_STEP_FS, MSD_STEP_FS = 20.0, 10.0
MSD_FIT = (0.15, 0.4)  # part of the trajectory's length that the slope is fitted to
VISCOSITY = 4.9e-4  # Pa s, of water at 330 K (experiment), for the finite-size correction; the same for all models
YEH_HUMMER = 2.837297
WAVENUMBERS = 4500.0  # 1/cm, largest
LIGHT = 2.99792458e-5  # cm/fs


def observables(replica: Replica) -> dict[str, Any]:
    """All of a finished replica; of one that failed, only when and how.

    RDFs against r (Angstrom), diffusion coefficient (Angstrom^2/ps) as it is in the box and with the finite-size
    correction, vibrational density of states against 1/cm (of unit area), drift in meV/atom/ps.
    """
    record = json.loads(replica.path.read_text())
    found = {name: record[name] for name in ("survived", "failure", "ps")}
    if not record["survived"]:
        return found
    with np.load(replica.frames) as file:
        frames = dict(file)
    universe = as_universe(frames, replica.protocol.frames_every_fs)
    diffusion = diffusion_coefficient(universe, replica)
    correction = finite_size_correction(replica.protocol.temperature, float(frames["cell"][0]))
    return found | {
        "temperature": float(frames["temperatures"].mean()),
        "D": diffusion,
        "D_corrected": diffusion + correction,
        "drift_meV_per_atom_per_ps": energy_drift(frames["nve_energies"], frames["numbers"], replica),
        "rdf": {pair: radial_distribution(universe, pair, replica) for pair in PAIRS},
        "vdos": vibrations(frames["velocities"], frames["numbers"], replica.protocol),
    }


def as_universe(frames: dict[str, np.ndarray], frames_every_fs: float) -> MDAnalysis.Universe:
    """The trajectory in memory; positions are not wrapped into the box."""
    universe = MDAnalysis.Universe.empty(len(frames["numbers"]), trajectory=True)
    universe.add_TopologyAttr("names", ["O" if number == 8 else "H" for number in frames["numbers"]])
    box = np.array([*frames["cell"], 90.0, 90.0, 90.0], dtype=np.float32)
    universe.load_new(frames["positions"], order="fac", dt=frames_every_fs / 1000, dimensions=box)
    return universe


def radial_distribution(universe: MDAnalysis.Universe, pair: str, replica: Replica) -> dict[str, list[float]]:
    """The RDF of a pair of elements up to half the box, with the two neighbours inside a molecule."""
    first, second = (universe.select_atoms(selection) for selection in PAIRS[pair])
    top = RDF_BIN * (universe.dimensions[0] / 2 // RDF_BIN)
    bins = round((top - RDF_FROM) / RDF_BIN)
    itself = (1, 1) if first == second else None
    rdf = InterRDF(first, second, nbins=bins, range=(RDF_FROM, top), exclusion_block=itself)
    rdf.run(step=round(RDF_STEP_FS / replica.protocol.frames_every_fs))
    return {"r": np.round(rdf.results.bins, 4).tolist(), "g": np.round(rdf.results.rdf, 4).tolist()}


def first_peak(rdf: dict[str, list[float]], pair: str) -> tuple[float, float]:
    """Position (Angstrom) and height of the first peak between molecules: a parabola through its top."""
    r, g = np.array(rdf["r"]), np.array(rdf["g"])
    inside = (r >= FIRST_PEAK[pair][0]) & (r <= FIRST_PEAK[pair][1])
    top = np.flatnonzero(inside)[np.argmax(g[inside])]
    own = slice(max(top - 2, 0), top + 3)
    a, b, c = np.polyfit(r[own] - r[top], g[own], 2)
    if a >= 0:  # no peak
        return float(r[top]), float(g[top])
    return float(r[top] - b / (2 * a)), float(c - b**2 / (4 * a))


def diffusion_coefficient(universe: MDAnalysis.Universe, replica: Replica) -> float:
    """One sixth of the slope of the oxygens' mean squared displacement, Angstrom^2/ps."""
    msd = EinsteinMSD(universe, select="name O", msd_type="xyz", fft=True)
    step = round(MSD_STEP_FS / replica.protocol.frames_every_fs)
    msd.run(step=step)
    values = msd.results.timeseries
    time = np.arange(len(values)) * MSD_STEP_FS / 1000
    low, high = (round(part * len(values)) for part in MSD_FIT)
    return float(np.polyfit(time[low:high], values[low:high], 1)[0] / 6)


def finite_size_correction(temperature: float, length: float) -> float:
    """What a cubic box of `length` (Angstrom) takes from D, Angstrom^2/ps: xi k T / (6 pi eta L).

    Yeh and Hummer, J. Phys. Chem. B 108, 15873 (2004).
    """
    joule = temperature * units.kB / units.J
    return YEH_HUMMER * joule / (6 * np.pi * VISCOSITY * length * 1e-10) * 1e20 / 1e12


def vibrations(velocities: np.ndarray, numbers: np.ndarray, protocol: Protocol) -> dict[str, list[float]]:
    """Vibrational density of states, the power spectrum of the mass-weighted velocities, area 1, against 1/cm."""
    weighted = velocities * np.sqrt(np.where(numbers == 8, 15.999, protocol.hydrogen))[None, :, None]
    frequency, power = welch(weighted, fs=1 / protocol.frames_every_fs, nperseg=min(1024, len(velocities)), axis=0)
    wavenumber, spectrum = frequency / LIGHT, power.sum((1, 2))
    inside = wavenumber <= WAVENUMBERS
    spectrum /= trapezoid(spectrum[inside], wavenumber[inside])
    return {"wavenumber": np.round(wavenumber[inside], 2).tolist(), "density": np.round(spectrum[inside], 8).tolist()}


def energy_drift(energies: np.ndarray, numbers: np.ndarray, replica: Replica) -> float:
    """Slope of the total energy without a thermostat, meV/atom/ps."""
    time = np.arange(len(energies)) * replica.protocol.frames_every_fs / 1000
    return float(1000 * np.polyfit(time, energies, 1)[0] / len(numbers))
