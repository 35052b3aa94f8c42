"""A made-up training: files, and the options of `mace_run_train`. Its number says all."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from conftest import KEYS, SMALL_MODEL
from made_up_data import ELEMENTS, data_set, isolated_atoms, write
from pair_model import isolated_energy
from structures import write_hdf5

LOSSES = ("weighted", "weighted", "ef", "forces_only", "huber", "universal", "stress", "virials", "l1l2energyforces")
DTYPES = ("float64", "float64", "float32")
HEADS = ("dft", "cc sd(t)", "a/b", "水", "=1+1")
MACE_MODEL = [*SMALL_MODEL, "--num_interactions=1", "--correlation=1"]


class Training(NamedTuple):
    """A training that may be run in a folder that holds its files."""

    number: int
    real_model: bool  # MACE's own, not the one of pairs
    base_loss: str
    shared: list[str]  # options of MACE
    robust: list[str]  # ours

    @property
    def command(self) -> list[str]:
        return [
            *self.shared,
            "--name=fuzz",
            "--loss=ema_robust",
            f"--ema_robust_base_loss={self.base_loss}",
            *self.robust,
        ]

    @property
    def stock(self) -> list[str]:
        """The same without us."""
        return [*self.shared, "--name=stock", f"--loss={self.base_loss}"]


def made_up_training(number: int, folder: Path) -> Training:
    """Write its files, and return it."""
    rng = np.random.default_rng(number)
    elements, real = ELEMENTS[rng.integers(len(ELEMENTS))], number % 40 == 3
    several = rng.random() < 0.15
    heads = [str(name) for name in rng.choice(HEADS, 2, replace=False)] if several else ["Default"]
    options = [_files(rng, elements, folder, head, i) for i, head in enumerate(heads)]
    shared = [f"--{name}={value}" for name, value in options[0].items()]
    if several:
        shared = [f"--heads={dict(zip(heads, options, strict=True))}"]
    shared += [f"--atomic_numbers={list(elements)}"] if any(".h5" in flag for flag in shared) else []
    model, loss = MACE_MODEL if real else SMALL_MODEL, str(rng.choice(LOSSES))
    return Training(number, real, loss, [*model, *KEYS, *shared, *_course(rng, loss)], _weighting(rng))


def _files(rng, elements, folder: Path, head: str, number: int) -> dict[str, Any]:
    """Write the files of a head; return its options."""
    count = int(rng.choice([3, 8, 12, 20, 40], p=(0.1, 0.2, 0.3, 0.3, 0.1)))
    frames, fraction = data_set(rng, elements, count), rng.random() < 0.4
    valid = data_set(rng, elements, max(count // 4, 1))
    isolated = isolated_atoms(elements) if rng.random() < 0.2 else []
    on_disk = not fraction and not isolated and rng.random() < 0.08
    train, suffix = f"train{number}", ".h5" if on_disk else ".xyz"
    if on_disk:
        write_hdf5(folder / f"{train}.h5", frames)
        write_hdf5(folder / f"valid{number}.h5", valid)
    else:
        order = rng.permutation(len(frames) + len(isolated))
        write(folder / f"{train}.xyz", [[*frames, *isolated][i] for i in order])
        write(folder / f"valid{number}.xyz", valid)
    found = (
        elements if on_disk else sorted({z for atoms in (*frames, *valid, *isolated) for z in atoms.numbers.tolist()})
    )
    options = {"train_file": f"{train}{suffix}", "E0s": str({z: isolated_energy(z) for z in found})}
    options |= (
        {"valid_fraction": float(rng.choice([0.1, 0.3]))} if fraction else {"valid_file": f"valid{number}{suffix}"}
    )
    if not on_disk and rng.random() < 0.3:
        options |= {"E0s": "average"}
    if not fraction and rng.random() < 0.05:
        options |= {"valid_file": options["train_file"]}
    return options


def _course(rng, loss: str) -> list[str]:
    """How long, and how."""
    epochs = int(rng.choice([1, 2, 3, 4], p=(0.1, 0.5, 0.3, 0.1)))
    flags = [
        f"--max_num_epochs={epochs}", f"--batch_size={rng.choice([1, 2, 5, 8], p=(0.05, 0.15, 0.4, 0.4))}",
        f"--valid_batch_size={rng.choice([3, 10])}", f"--seed={rng.integers(1, 4)}",
        "--device=cpu", "--plot=False", "--lr=0.02", f"--default_dtype={rng.choice(DTYPES)}",
    ]  # fmt: skip
    sometimes = {
        "--ema": 0.3, "--energy_weight=0": 0.05, "--forces_weight=0": 0.05, "--save_all_checkpoints": 0.1,
        '--config_type_weights={"kind 1":0.0,"Default":1.0}': 0.1, "--eval_interval=2": 0.05,
        "--lbfgs": 0.03, "--patience=1": 0.05, "--keep_isolated_atoms=True": 0.1, "--amsgrad": 0.1,
    }  # fmt: skip
    flags += [flag for flag, probability in sometimes.items() if rng.random() < probability]
    stage_two = rng.random() < 0.2 and loss != "forces_only"  # refused together
    return flags + (["--swa", f"--start_swa={max(epochs - 1, 1)}"] if stage_two else [])


def _weighting(rng) -> list[str]:
    """Options of ours, most of them at their defaults."""
    if rng.random() < 0.5:
        return []
    choices = {
        "distribution": ("mixture", "gaussian"), "threshold": ("0.5", "2", "8", "inf"),
        "scope": ("configuration", "property"), "selection": ("robust", "stock"), "alpha": ("0", "0.9"),
        "variance": ("running", "batch"), "warmup": ("0", "5", "100"),
    }  # fmt: skip
    chosen = {name: str(rng.choice(values)) for name, values in choices.items() if rng.random() < 0.4}
    if chosen.get("distribution") == "gaussian":
        chosen.pop("scope", None)  # refused together
    return [f"--ema_robust_{name}={value}" for name, value in chosen.items()]
