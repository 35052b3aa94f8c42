"""MACE's training, with what the plugin thinks of each configuration kept after each epoch.

    python observed_training.py FOLDER <arguments of mace_run_train>

FOLDER/code.json says which code of the plugin ran; FOLDER/weights/epoch-000.npz and so on hold, for the training and
the validation set, frame, weight and z-score (those of the validation set are of the evaluation before), and end.npz
what there was at the end; FOLDER/seen/epoch-000.npz and so on what the judgement was shown (real_replays.py judges it
again). FOLDER/failed.txt: the training raised an error after its first epoch, and why.
"""

import dataclasses
import json
import subprocess
import sys
import traceback
from pathlib import Path

import numpy as np


def main() -> None:
    folder = Path(sys.argv[1])
    sys.argv = ["mace_run_train", *sys.argv[2:]]
    import mace.cli.run_train as run_train

    (folder / "code.json").write_text(json.dumps(which_code(), indent=2) + "\n")
    observe(folder / "weights")
    keep_seen(folder / "seen")
    try:
        run_train.main()
    except Exception as error:
        if not any((folder / "weights").glob("epoch-*")):
            raise  # nothing has been trained: a mistake of the call
        traceback.print_exc()
        (folder / "failed.txt").write_text(f"{error!r}\n")


def which_code() -> dict[str, str]:
    """File and commit of the plugin that is active; "-dirty" where its files have changed since."""
    import mace_outlier

    package = Path(mace_outlier.__file__).parent
    changed = git(package, "status", "--porcelain", "--", ".")
    commit = git(package, "rev-parse", "--short", "HEAD") + ("-dirty" if changed else "")
    print(f"observed: {mace_outlier.__file__} at {commit}", flush=True)
    return {"file": mace_outlier.__file__, "version": mace_outlier.__version__, "commit": commit}


def git(folder: Path, *arguments: str) -> str:
    """What a command of git says of a folder; "" where there is no git."""
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def observe(folder: Path) -> None:
    """Keep what each epoch ends with; the one place here that knows the plugin's inside."""
    folder.mkdir(exist_ok=True)
    modules = [module for name, module in sys.modules.items() if name.startswith("mace_outlier.")]
    training = next(module.RobustTraining for module in modules if hasattr(module, "RobustTraining"))
    end_epoch, finish, epochs = training.end_epoch, training.finish, iter(range(1_000_000))

    def keep(run, name: str) -> None:
        splits = {"train": run, "valid": run.validation}
        np.savez(
            folder / f"{name}.npz",
            **{f"{split}_frame": np.asarray(own.provenance.frame) for split, own in splits.items()},
            **{f"{split}_weight": own.records.weight.cpu().numpy() for split, own in splits.items()},
            **{f"{split}_zscore": own.records.zscore.cpu().numpy() for split, own in splits.items()},
        )

    def end_epoch_and_keep(self, *args, **kwargs):
        result = end_epoch(self, *args, **kwargs)
        keep(self, f"epoch-{next(epochs):03d}")
        return result

    def finish_and_keep(self, *args, **kwargs):
        keep(self, "end")
        return finish(self, *args, **kwargs)

    training.end_epoch, training.finish = end_epoch_and_keep, finish_and_keep


def keep_seen(folder: Path) -> None:
    """Keep what each epoch showed to the judgement of the (only) head; the code of before had none."""
    judge = getattr(sys.modules.get("mace_outlier.method.judge"), "HeadJudge", None)
    if judge is None:
        return
    folder.mkdir(exist_ok=True)
    refit, epochs = judge.refit, iter(range(1_000_000))

    def keep_and_refit(self, rows, seen, size, *processes):
        np.savez(folder / f"epoch-{next(epochs):03d}.npz", rows=rows, size=size, **flat(seen))
        return refit(self, rows, seen, size, *processes)

    judge.refit = keep_and_refit


def flat(seen) -> dict[str, np.ndarray]:
    """What was seen, as arrays with names: "errors:energy" for one of several."""
    found = {}
    for field in dataclasses.fields(seen):
        value = getattr(seen, field.name)
        several = {f"{field.name}:{key}": own for key, own in value.items()} if isinstance(value, dict) else None
        found |= several if several is not None else {field.name: value}
    return found


if __name__ == "__main__":
    main()
