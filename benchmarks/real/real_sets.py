"""The data sets, as training, validation and test frames, and the files of a training with planted faults."""

from pathlib import Path

import _real_paths  # noqa: F401 (first)
import mini_spice
import numpy as np
from alloys import alloys
from ase import Atoms
from ase.io import read
from faults import plant
from make_water import make_labelled
from mlearn import in_order_of_ase
from training_files import write_atomically
from water_clusters import WaterSettings

REPOSITORY = Path(__file__).resolve().parent.parent.parent
SHARED = REPOSITORY.parent / "shared" / "data"
WATER = REPOSITORY / "build" / "demo" / "data"  # the demo's, made where it is missing: two minutes
LABELS = {"energies": ("energy",), "forces": ("energy", "forces"), "stress": ("energy", "forces", "stress")}
HELD_OUT = {"mlearn": 0.12, "wbe": 0.10}
Splits = dict[str, list[Atoms]]


def missing(name: str) -> str:
    """Why a data set can't be made here; "" where it can."""
    files = SOURCES[name][1]
    absent = [path for path in files if not path.exists()]
    return f"{name}: {absent[0]} is not there (see ../shared/data/README.md for where it comes from)" if absent else ""


# --- sources; the choices of a seed are those of the first replays ---------------------------------------------------


def mlearn(element: str, rng: np.random.Generator) -> Splits:
    """Elemental solids: 12 % of the training file for validation, and the test file."""
    frames, test = (list(map(in_order_of_ase, read(path, ":"))) for path in SOURCES[element][1])
    return divided(frames, HELD_OUT["mlearn"], rng) | {"test": test}


def acac(rng: np.random.Generator) -> Splits:
    """Acetylacetone, 95 % at 300 K and 5 % at 600 K; tested at both."""
    frames, test = (read(path, ":") for path in SOURCES["acac"][1])
    cold, hot = ([a for a in frames if a.info["config_type"] == name] for name in ("300K", "600K"))
    of_cold, of_hot = rng.permutation(len(cold)), rng.permutation(len(hot))
    train = taken(cold, of_cold[:380]) + taken(hot, of_hot[:20])
    return {"train": train, "valid": taken(cold, of_cold[380:456]) + taken(hot, of_hot[20:24]), "test": test}


def wbe(rng: np.random.Generator) -> Splits:
    """Tungsten and beryllium with the wrong labels that it was published with; tested on what is known to be right."""
    splits = divided(read(SOURCES["wbe"][1][0], ":"), HELD_OUT["wbe"], rng)
    return splits | {"test": [atoms for atoms in splits["valid"] if atoms.info["known_wrong"] == 0]}


def water(rng: np.random.Generator) -> Splits:
    """(H2O)5 of the demo with converged labels."""
    return {split: list(map(converged, frames)) for split, frames in make_labelled(WaterSettings(), WATER).items()}


def dft_water(rng: np.random.Generator) -> Splits:
    """Liquid water, PBE0-TS."""
    return in_three(read(SOURCES["dft_water"][1][0], ":"), (120, 140, 180), rng)


def spice(rng: np.random.Generator) -> Splits:
    """Small organic molecules with converged labels, split by molecule."""
    return {split: list(map(converged, frames)) for split, frames in mini_spice.labelled().items()}


def metals(rng: np.random.Generator) -> Splits:
    """Alloys of five metals by effective medium theory."""
    return in_three(alloys(), (400, 460, 600), rng)


def in_three(frames: list[Atoms], ends: tuple[int, int, int], rng: np.random.Generator) -> Splits:
    """Training, validation and test frames, at random; `ends`: where each ends among all."""
    parts = np.split(rng.permutation(len(frames)), ends)
    return {split: taken(frames, part) for split, part in zip(("train", "valid", "test"), parts, strict=False)}


def taken(frames: list[Atoms], which: np.ndarray) -> list[Atoms]:
    return [frames[i] for i in sorted(which)]


def divided(frames: list[Atoms], share: float, rng: np.random.Generator) -> Splits:
    """A share of the frames for validation, the others for training."""
    order, count = rng.permutation(len(frames)), round(share * len(frames))
    return {"train": taken(frames, order[count:]), "valid": taken(frames, order[:count])}


def converged(atoms: Atoms) -> Atoms:
    """A frame of the generated data with its right labels alone."""
    frame = Atoms(atoms.symbols, positions=atoms.positions)
    frame.info["REF_energy"] = atoms.info["converged_energy"]
    frame.arrays["REF_forces"] = atoms.arrays["converged_forces"]
    if "config_type" in atoms.info:
        frame.info["config_type"] = atoms.info["config_type"]
    return frame


SOURCES = {
    "Si": (lambda rng: mlearn("Si", rng), [SHARED / "real" / f"mlearn_Si_{kind}.xyz" for kind in ("training", "test")]),
    "Mo": (lambda rng: mlearn("Mo", rng), [SHARED / "real" / f"mlearn_Mo_{kind}.xyz" for kind in ("training", "test")]),
    "acac": (acac, [SHARED / "real" / f"acac_{kind}.xyz" for kind in ("train", "test")]),
    "wbe": (wbe, [SHARED / "real" / "wbe.xyz"]),
    "water": (water, []),
    "dft_water": (dft_water, [SHARED / "water_pbe0ts.xyz"]),
    "spice": (spice, [mini_spice.SOURCE]),
    "alloys": (metals, []),
}


# --- files -----------------------------------------------------------------------------------------------------------


def write_data(folder: Path, name: str, fault: str, seed: int, labels: str) -> None:
    """Write the files of a training, unless they are there; the oracle's are those of the frames not touched."""
    if (folder / "test.xyz").exists():
        return
    if missing(name):
        raise SystemExit(missing(name))
    splits = SOURCES[name][0](np.random.default_rng(100 + seed))
    folder.mkdir(parents=True, exist_ok=True)
    for number, split in enumerate(("train", "valid"), start=1):
        frames = [tidied(atoms) for atoms in splits[split]]
        if fault == "own":
            for atoms in frames:
                atoms.info["planted"] = atoms.info["known_wrong"]
        else:
            plant(frames, fault, 1000 * seed + number)
        for atoms in frames:
            keep_labels(atoms, LABELS[labels])
        write_atomically(folder / f"{split}.xyz", frames)
        write_atomically(folder / f"{split}_good.xyz", [atoms for atoms in frames if atoms.info["planted"] == 0])
    write_atomically(folder / "test.xyz", [tidied(atoms) for atoms in splits["test"]])  # last: the folder is complete


def tidied(atoms: Atoms) -> Atoms:
    """A copy without what no training needs."""
    frame = atoms.copy()
    for name in ("description", "tags"):
        frame.info.pop(name, None)
    return frame


def keep_labels(atoms: Atoms, labels: tuple[str, ...]) -> None:
    """Leave only these labels, as in a file that never had others."""
    if "forces" not in labels:
        del atoms.arrays["REF_forces"]
    if "stress" not in labels:
        atoms.info.pop("REF_stress", None)
