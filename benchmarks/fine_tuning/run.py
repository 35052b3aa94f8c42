"""Fine-tuning on wrong labels: what a foundation model knows already. Finished trainings are reused.

    python benchmarks/fine_tuning/run.py     # half an hour on two cores; trainings.csv and its table

The foundation model is our own: stock MACE on clean mini-SPICE (benchmarks/spice; GFN2-xTB). It is fine-tuned on 200
configurations of molecules that it has not seen, and on acetylacetone (DFT, another level of theory), naively and with
several heads, of which one replays 400 configurations of mini-SPICE; 15 % of the labels of training and validation are
wrong. Every arm has the same data, seed, epochs and checkpoint rule. What was found after the first epoch: by the
column suspect_since of the results.
"""

import argparse
import itertools
from dataclasses import dataclass
from pathlib import Path

import _tuning_paths  # noqa: F401 (first)
import mini_spice
import numpy as np
import pandas
import real_sets
import spice_cells
from ase import Atoms
from ase.io import read
from demo_arms import ARMS, REPOSITORY, RESULT_FILE, Training, began_with, finished_result, run_all
from demo_results import errors_on_test_set
from faults import FAULTS as LIBRARY
from faults import plant
from finished_trainings import finished_trainings, over_the_oracle
from readme_tables import markdown, write_tables
from real_measure import versions
from real_results import IN_FULL, WHAT_IS_WRONG
from training_files import digest_of, write_atomically, write_json_atomically, write_training_files

from mace_outlier.results.reading import read_results

HERE = Path(__file__).resolve().parent
WORK, TRAININGS = REPOSITORY / "build" / "fine_tuning", HERE / "trainings.csv"
DOCUMENTS = (HERE / "README.md", REPOSITORY / "docs" / "pages" / "measured.md")
SEED, EPOCHS, SHARE = 1, 20, 0.15
SIZES = {"train": 200, "valid": 40, "test": 200}
REPLAYED = {"train": 400, "valid": 40}
FAULTS = {"acac": "pm60", "acac-flip": "flip"}
SETS = {
    "molecules": "unconverged, 15 %",
    **{name: WHAT_IS_WRONG[fault] for name, fault in FAULTS.items()},
}
SHARES = {name: LIBRARY[FAULTS[name]].share if name in FAULTS else SHARE for name in SETS}
WAYS = ("naive", "multihead")
ARM_NAMES = ("oracle", "weighted", "ema_robust")
COMMON = ("--lr=0.002", "--lr_scheduler_gamma=0.9", "--batch_size=5", "--r_max=4.5")
ENERGY, FORCES = "energy_rmse_meV_per_atom", "force_rmse_meV_per_A"
WHICH = ["set", "way", "arm", "seed"]


def foundation() -> Training:
    """The training of the foundation model."""
    return spice_cells.training(0.0, "weighted", SEED)


@dataclass(frozen=True)
class Tuning(Training):
    """One fine-tuning: of a data set, in a way."""

    of: tuple[str, str] = ("", "")

    @property
    def title(self) -> str:
        """See Training."""
        return f"{'-'.join(self.of)} {self.arm}"

    def key(self) -> dict:
        """See Training; the foundation model decides as well."""
        return super().key() | {"foundation": digest_of([foundation().folder / "demo.model"])}


def tuning(name: str, way: str, arm: str) -> Tuning:
    """A fine-tuning, its data written."""
    data = WORK / "data" / name
    write_data(data, name)
    flags = [*COMMON, f"--foundation_model={foundation().folder / 'demo.model'}"]
    if way == "multihead":
        replay = {f"--pt_{split}_file": data.parent / "replay" / f"{split}.xyz" for split in REPLAYED}
        flags += ["--multiheads_finetuning=True", *(f"{flag}={path}" for flag, path in replay.items())]
    else:
        flags += ["--multiheads_finetuning=False"]
    e0s = "foundation" if name == "molecules" else average(read(data / "train.xyz", ":"))
    folder = WORK / "runs" / f"{name}-{way}" / arm
    return Tuning(arm, SEED, EPOCHS, data, folder, e0s, 10.0, tuple(flags), of=(name, way))


def average(frames: list[Atoms]) -> str:
    """E0s by least squares, as MACE's --E0s=average, which it refuses with several heads."""
    numbers = np.unique(np.concatenate([atoms.numbers for atoms in frames]))
    counts = np.array([[np.count_nonzero(atoms.numbers == number) for number in numbers] for atoms in frames])
    energies = np.linalg.lstsq(counts, [atoms.info["REF_energy"] for atoms in frames], rcond=None)[0]
    return str(dict(zip(numbers.tolist(), energies.tolist(), strict=True)))


# --- data ------------------------------------------------------------------------------------------------------------


def write_data(folder: Path, name: str) -> None:
    """Write the files of a set, and what is replayed, unless they are there."""
    if (folder / "test.xyz").exists():
        return
    rng = np.random.default_rng(SEED)
    write_replay(folder.parent / "replay")
    if name == "molecules":
        write_training_files(molecules(rng), folder, SHARE, SEED)
        return
    folder.mkdir(parents=True)
    for split, frames in acac(rng, FAULTS[name]).items():
        if split != "test":
            write_atomically(folder / f"{split}_good.xyz", [own for own in frames if not is_wrong(own)])
        write_atomically(folder / f"{split}.xyz", frames)


def is_wrong(atoms: Atoms) -> bool:
    """Whether the label of a training frame is, as either of those that write them says."""
    return bool(atoms.info.get("planted") or atoms.info.get("unconverged"))


def molecules(rng: np.random.Generator) -> dict[str, list[Atoms]]:
    """Configurations of molecules that the foundation model has not seen, with both kinds of labels."""
    frames = mini_spice.labelled()["test"]
    ends = np.cumsum([0, *SIZES.values()])
    chosen = rng.permutation(len(frames))
    return {
        split: [frames[i] for i in chosen[first:last]]
        for split, first, last in zip(SIZES, ends[:-1], ends[1:], strict=True)
    }


def acac(rng: np.random.Generator, fault: str) -> dict[str, list[Atoms]]:
    """Acetylacetone of benchmarks/real, fewer of them, with a fault planted as there."""
    splits = real_sets.SOURCES["acac"][0](rng)
    splits = {
        split: real_sets.taken(splits[split], rng.permutation(len(splits[split]))[:n]) for split, n in SIZES.items()
    }
    for number, split in enumerate(("train", "valid")):
        plant(splits[split], fault, 1000 * SEED + number)
    return splits


def write_replay(folder: Path) -> None:
    """Write some right configurations of what the foundation model was trained on."""
    folder.mkdir(parents=True, exist_ok=True)
    frames, rng = mini_spice.labelled(), np.random.default_rng(SEED)
    for split, number in REPLAYED.items():
        chosen = rng.permutation(len(frames[split]))[:number]
        write_atomically(
            folder / f"{split}.xyz", list(map(real_sets.converged, real_sets.taken(frames[split], chosen)))
        )


# --- results ---------------------------------------------------------------------------------------------------------


def collect(training: Tuning, seconds: float) -> dict:
    """Measure a finished fine-tuning; kept in its folder, which marks it as finished."""
    name, way = training.of
    result = {"set": name, "way": way, "arm": training.arm, "seed": training.seed, "seconds": round(seconds, 1)}
    result |= {"commit": began_with(training), "versions": versions(), "key": training.key()}
    result |= errors_on_test_set(training.folder / "demo.model", read(training.data / "test.xyz", ":"))
    if ARMS[training.arm].loss == "ema_robust":
        result |= found(training)
    write_json_atomically(training.folder / RESULT_FILE, result)
    return result


def found(training: Tuning) -> dict[str, float]:
    """What lost its weight: of the wrong labels, after the first epoch and at the end; of the right ones; of replay."""
    table = read_results(training.folder / "results").table
    table = table[table.split == "train"]
    of_replay = table["head"] == "pt_head"
    own, replayed = table[~of_replay].drop_duplicates("frame"), table[of_replay]
    wrong = np.array([is_wrong(atoms) for atoms in read(training.data / "train.xyz", ":")])[own.frame]
    low, since = (own.weight < 0.5).to_numpy(), own.suspect_since.to_numpy()
    counts = {"wrong": wrong.sum(), "found": (low & wrong).sum(), "after_one": (low & (since == 0) & wrong).sum()}
    counts |= {"after_two": (low & (since <= 1) & wrong).sum()}
    counts |= {"right": (~wrong).sum(), "lost": (low & ~wrong).sum(), "replayed": of_replay.sum()}
    counts |= {"replayed_lost": (replayed.weight < 0.5).sum()}
    return {name: int(number) for name, number in counts.items()}


COUNTS = ("wrong", "found", "after_one", "after_two", "right", "lost", "replayed", "replayed_lost")


def table(rows: pandas.DataFrame) -> str:
    """Markdown: a line for each set and way; errors over the oracle's."""
    arms = {"weighted": "stock", "ema_robust": "**`ema_robust`**"}
    head = ["fine-tuned on", "wrong labels", "way", "found", "after one, two epochs", "right ones lost", "of replay"]
    head += [f"{what}: {arm}" for what in ("energies", "forces") for arm in arms.values()]
    lines = []
    for (name, way), of_both in rows.groupby(["set", "way"], sort=False):
        own = of_both.set_index("arm")
        number = own.loc["ema_robust", list(COUNTS)].astype(int)
        what = name.partition("-")[0]
        cells = [IN_FULL.get(what, what), SETS[name], way]
        cells += [f"{number.found} of {number.wrong}", f"{number.after_one}, {number.after_two}"]
        cells += [f"{number.lost} of {number.right}"]
        cells += [f"{number.replayed_lost} of {number.replayed}" if number.replayed else "-"]
        cells += [f"{own[ratio][arm]:.2f}" for ratio in ("energy_ratio", "force_ratio") for arm in arms]
        lines.append(cells)
    return markdown(head, lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    if finished_result(foundation()) is None:
        from spice_errors import collect as collect_foundation

        run_all([foundation()], 1, collect_foundation)
    wanted = [tuning(*which) for which in itertools.product(SETS, WAYS, ARM_NAMES)]
    run_all([one for one in wanted if finished_result(one) is None], options.processes, collect)
    rows = finished_trainings(WORK / "runs", TRAININGS, WHICH)
    rows["share"] = rows.set.map(SHARES)
    rows = over_the_oracle(
        rows.assign(which=rows.set + rows.way), "which", {ENERGY: "energy_ratio", FORCES: "force_ratio"}
    )
    rows = rows.drop(columns="which").sort_values(WHICH)
    rows.to_csv(TRAININGS, index=False)
    for document in DOCUMENTS:
        write_tables(document, "fine_tuning", {"table": table(rows)})


if __name__ == "__main__":
    main()
