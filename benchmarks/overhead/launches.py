"""What the robust loss adds to a step on a GPU, counted on a CPU: kernels, and reads that wait for the device.

    python benchmarks/overhead/launches.py      # seconds; writes launches.json beside it

A loss and its gradient by the model's output are evaluated under a TorchDispatchMode, which sees every operation that
would be a kernel on a GPU, and every one that would make the host wait for it. Views cost nothing and aren't counted.
"""

import json
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from mace.modules import loss as mace_losses
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from source_commit import PACKAGE, commit_of

from mace_outlier.data.metadata import Metadata
from mace_outlier.losses.probe import made_up_batch
from mace_outlier.losses.reduction import PerConfigurationLoss
from mace_outlier.losses.robust import RobustLoss
from mace_outlier.weights.distribution import LossDistribution
from mace_outlier.weights.features import Features
from mace_outlier.weights.mixture import MixtureDistribution
from mace_outlier.weights.records import Records
from mace_outlier.weights.remembered import of_one_model
from mace_outlier.weights.running import GaussianDistribution
from mace_outlier.weights.weigher import Weigher

HERE = Path(__file__).parent
SCALARS, ROWS = 8, 400  # node features that are invariant, of 11; configurations
STEP_MS, LAUNCH_US = 50.0, (1.0, 10.0)

# operations whose result the host has to wait for, or which copy from it to a device as torch.tensor([...]) does
WAITS = {"_local_scalar_dense", "item", "nonzero", "masked_select", "is_nonzero", "equal", "unique", "_unique2",
         "unique_dim", "unique_consecutive", "lift_fresh", "bincount", "allclose"}  # fmt: skip
FREE = {"detach", "alias", "lift", "empty", "empty_like", "empty_strided", "new_empty"}  # nothing runs on the device


@contextmanager
def lines_that_wait() -> Iterator[Counter[str]]:
    """Counts, within the context, the lines of code that make the host wait for a GPU, by torch's own warnings."""
    lines: Counter[str] = Counter()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield lines
        finally:
            torch.cuda.set_sync_debug_mode("default")
    for one in seen:
        if "synchroniz" in str(one.message):
            lines[f"{'/'.join(Path(one.filename).parts[-3:])}:{one.lineno}"] += 1


class Launches(TorchDispatchMode):
    """Counts kernels and waits within the context."""

    def __init__(self) -> None:
        super().__init__()
        self.kernels: Counter[str] = Counter()
        self.waits: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Count one operation, and run it."""
        name = func._schema.name.removeprefix("aten::").rstrip("_") or func._schema.name
        result = func(*args, **(kwargs or {}))
        if name in WAITS or _by_mask(name, args) or _copies(name, args, result):
            self.waits[name] += 1
        if not func.is_view and name not in FREE:
            self.kernels[name] += 1
        return result


def _by_mask(name: str, args: Any) -> bool:
    """Boolean indexing: its result has a size that only the device knows."""
    masks = args[1] if name in ("index", "index_put", "_unsafe_index") else ()
    return any(mask is not None and mask.dtype == torch.bool for mask in masks)


def _copies(name: str, args: Any, result: Any) -> bool:
    """Whether a tensor changes its device, or is repeated as often as the device says."""
    if name == "repeat_interleave":
        return True
    return name in ("_to_copy", "copy") and isinstance(result, Tensor) and result.device != args[0].device


def training_batch(heads: int = 1) -> tuple[Any, dict[str, Tensor]]:
    """A batch of three configurations, and a model's output for it."""
    batch, output = made_up_batch()
    batch["configuration_id"], batch["head"] = torch.arange(3), torch.arange(3) % heads
    batch["unusable"] = torch.tensor([0.0, torch.nan, 0.0])
    batch["labels_absent"] = torch.zeros(3, 6, dtype=torch.bool)
    output["node_feats"] = torch.rand(len(batch["batch"]), SCALARS + 3)
    return batch, {label: value.requires_grad_() for label, value in output.items()}


def settled(heads: int) -> LossDistribution:
    """The default, with weights from a fit."""
    distribution = MixtureDistribution(heads)
    generator = torch.Generator().manual_seed(0)
    errors = 0.01 * torch.randn(ROWS, generator=generator, dtype=torch.float64)
    which, features, residuals = torch.arange(ROWS) % heads, torch.empty(ROWS, 0), {"energy_error_per_atom": errors}
    seen = of_one_model(errors.square(), which, errors != 0, residuals, features, Metadata(ROWS))
    distribution.refit(seen)
    assert distribution.settled
    return distribution


def robust(base: nn.Module, phase: str, heads: int = 1, ranks: bool = False, device: str = "cpu") -> RobustLoss:
    """The robust loss in a phase of the training; `ranks`: as in a distributed run (where the collective itself, of one
    small tensor, comes on top)."""
    split = PerConfigurationLoss(base, mace_losses)
    distributions = {"first epoch": MixtureDistribution, "gaussian": GaussianDistribution}
    distribution = settled(heads) if phase in ("settled", "by property") else distributions[phase](heads)
    share = (lambda tensor: tensor) if ranks else None
    records = Records(10, device, [i % heads for i in range(10)], labels=split.labels)
    features = None if phase == "gaussian" else Features(10, torch.arange(SCALARS, device=device))
    loss = RobustLoss(split)
    names = [str(head) for head in range(heads)]
    weigher = Weigher(distribution.to(torch.device(device)), records, None, features, names, share)
    loss.attach(weigher, by_property=phase == "by property")
    return loss


PHASES = ("first epoch", "settled", "by property", "gaussian")


def count(loss: nn.Module, heads: int = 1) -> Launches:
    """Launches of one evaluation with its gradient."""
    batch, output = training_batch(heads)
    with Launches() as launches:
        loss(ref=batch, pred=output).backward()
    return launches


def main() -> None:
    torch.set_default_dtype(torch.float64)
    rows = []
    bases = {"weighted": mace_losses.WeightedEnergyForcesLoss, "universal": mace_losses.UniversalLoss}
    for name, base in bases.items():
        stock = count(base())
        for phase in PHASES:
            for ranks in (False, True):
                ours = count(robust(base(), phase, ranks=ranks))
                added = ours.kernels.total() - stock.kernels.total()
                rows.append({
                    "base_loss": name, "phase": phase, "distributed": ranks,
                    "kernels_stock": stock.kernels.total(), "kernels_added": added,
                    "waits_stock": stock.waits.total(), "waits_added": ours.waits.total() - stock.waits.total(),
                    "percent_of_a_50_ms_step": [round(added * us / 1000 / STEP_MS * 100, 2) for us in LAUNCH_US],
                })  # fmt: skip
                print(rows[-1])
    about = {
        "command": " ".join(["python", *sys.argv]), "launch_us": LAUNCH_US, "commit": commit_of(PACKAGE),
        "versions": {name: version(name) for name in ("torch", "mace-torch", "mace-outlier")},
    }  # fmt: skip
    (HERE / "launches.json").write_text(json.dumps(about | {"rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
