"""What spice.sbatch asks before it starts MACE.

python settings.py r_max DATA/statistics.json     # the cutoff that the data were prepared with
python settings.py checkpoint RUN/checkpoints     # can the newest checkpoint be read?
"""

import json
import sys
from pathlib import Path


def r_max(statistics: Path) -> None:
    """Print the cutoff (Angstrom): the number of neighbours in these statistics is that within it."""
    print(json.loads(statistics.read_text(encoding="utf-8"))["r_max"])


def checkpoint(folder: Path) -> None:
    """Exit where the newest checkpoint can't be read: MACE would begin anew, and replace it."""
    newest = max(folder.glob("*.pt"), key=lambda path: path.stat().st_mtime, default=None)
    if newest is None:
        return
    import torch  # takes a second

    try:
        torch.load(newest, map_location="cpu", weights_only=False)
    except Exception as error:
        sys.exit(
            f"spice.sbatch: {newest.resolve()} can't be read ({error}): was the job ended while MACE wrote it? MACE "
            "would start at epoch 0. Delete it, and the job goes on from an older one, if there is one, or begins anew"
        )


if __name__ == "__main__":
    {"r_max": r_max, "checkpoint": checkpoint}[sys.argv[1]](Path(sys.argv[2]))
