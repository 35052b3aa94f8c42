"""A small training that one process or several run alike, for tests of what they share; see test_distributed.py."""

import os
import time
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mace.modules import loss as mace_losses
from torch import Tensor, nn

from mace_outlier.data.labels import LABELS
from mace_outlier.data.metadata import Metadata
from mace_outlier.data.provenance import Part, Provenance
from mace_outlier.data.tagging import TAG_FIELD, Tag
from mace_outlier.losses.probe import MadeUpBatch
from mace_outlier.method.processes import Processes
from mace_outlier.method.sample import MOST
from mace_outlier.run import distributed, parts, training
from mace_outlier.run.options import Options
from mace_outlier.run.training import RobustTraining

FEATURES, UNION = 5, 8  # of an atom; configurations of a step, over all processes
GOOD, OTHER_HEAD = 104, 12
WRONG = range(3, 100, 7)
NOT_FINITE = (4, 5, 6, 7)  # second half of the first step: with two processes, all that one of them sees in it
HEADS = ["water", "ice"]


class Toy(nn.Module):
    """Energies and forces that are linear in made-up features of the atoms."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.energy, self.forces = (nn.Parameter(torch.rand(FEATURES, n, generator=generator)) for n in (1, 3))

    def forward(self, batch: Any) -> dict[str, Tensor]:
        energy = torch.zeros_like(batch["energy"]).index_add(0, batch["batch"], (batch["x"] @ self.energy).squeeze(1))
        return {"energy": energy, "forces": batch["x"] @ self.forces}


class Item(MadeUpBatch):
    """One configuration, as a sample of a data set."""


def items() -> list[Item]:
    """Configurations of 2 to 4 atoms in two heads; some have a wrong energy, some a NaN."""
    generator = torch.Generator().manual_seed(1)
    truth, made = Toy(), []
    for i in range(GOOD + OTHER_HEAD):
        atoms = 2 + i % 3
        item = Item(x=torch.rand(atoms, FEATURES, generator=generator), head=torch.tensor(int(i >= GOOD)))
        item["energy"], item["batch"] = torch.zeros(1), torch.zeros(atoms, dtype=torch.long)
        with torch.no_grad():
            output = truth(item)
        noise = torch.randn(atoms + 1, 3, generator=generator)
        item["energy"] = output["energy"] + 0.03 * atoms * noise[0, 0] + (2.0 * atoms if i in WRONG else 0.0)
        item["forces"] = output["forces"] + 0.03 * noise[1:]
        if i in NOT_FINITE:
            item["forces"][0, 1] = torch.nan
        item["weight"] = torch.ones(1)
        for weight in LABELS.values():
            item[weight] = torch.ones(1)
        setattr(item, TAG_FIELD, Tag("train", f"H{atoms}", f"H{atoms}", atoms, 0.1 + i, "made up", i))
        made.append(item)
    return made


def collate(samples: list[Item]) -> MadeUpBatch:
    """A batch as MACE makes one."""
    fields = [name for name in samples[0] if name not in ("head", "batch")]
    batch = MadeUpBatch({name: torch.cat([sample[name] for sample in samples]) for name in fields})
    atoms = torch.tensor([len(sample["x"]) for sample in samples])
    batch["head"] = torch.stack([sample["head"] for sample in samples])
    batch["ptr"] = torch.cat((torch.zeros(1, dtype=torch.long), atoms.cumsum(0)))
    batch["batch"] = torch.arange(len(samples)).repeat_interleave(atoms)
    return batch


class Shard:
    """Stands in for a DataLoader: what one process sees of an epoch; the last step is not full."""

    def __init__(self, dataset: Any, rank: int, ranks: int) -> None:
        self.dataset, self.collate_fn, self.batch_size = dataset, collate, UNION // ranks
        self.rank, self.ranks = rank, ranks
        self.epoch = 0

    def __len__(self) -> int:
        return -(-len(self.dataset) // UNION)

    def __iter__(self) -> Any:
        generator = np.random.default_rng(self.epoch)
        order = np.concatenate((np.arange(UNION), UNION + generator.permutation(len(self.dataset) - UNION)))
        for first in range(0, len(order), UNION):
            own = np.array_split(order[first : first + UNION], self.ranks)[self.rank]
            yield self.collate_fn([self.dataset[int(i)] for i in own])


class Outcome(NamedTuple):
    """What a training comes to."""

    parameters: dict[str, Tensor]
    state: dict[str, Any]  # of the plugin
    metadata: dict[str, Any]
    losses: list[float]
    collectives: list[int]  # all_reduce calls of each step
    validation: list[float]
    epochs: int


def train(
    rank: int,
    ranks: int,
    distribution: str,
    epochs: int,
    frozen: bool = False,
    failing: int | None = None,
    unpredicted: int | None = None,
    aside: bool = False,
    start: Outcome | None = None,
    folder: Path | None = None,
) -> Outcome:
    """Train with `ranks` processes, of which this is one, to the end of so many epochs.

    `frozen`: hold the weights within an epoch, as LBFGS does; `failing`: the epoch whose fit raises in the first
    process, and in no other; `unpredicted`: a configuration whose prediction is NaN; `aside`: labels are judged beside
    the validation, as of large data sets; `start`: what a training came to with which this one goes on; `folder`: of
    its results, and of a checkpoint after each epoch, in place of the one before.
    """
    training.MOST = 0 if aside else MOST
    made = items()
    if unpredicted is not None:
        made[unpredicted]["x"][0, 0] = torch.nan
    run = RobustTraining(Options(base_loss="weighted", distribution=distribution, warmup=0))
    loss = run.wrap(mace_losses.WeightedEnergyForcesLoss(energy_weight=10.0), mace_losses, "stage_one")
    model = Toy()
    with torch.no_grad():
        model.energy += 0.2
    if start is not None:
        model.load_state_dict(start.parameters)
        run.remember_checkpoint(start.state)
    trained = nn.parallel.DistributedDataParallel(model) if ranks > 1 else model
    optimizer = torch.optim.SGD(trained.parameters(), lr=2e-3)
    parts = [[Part("made up", np.arange(GOOD))], [Part("made up", np.arange(GOOD, len(made)))]]
    rows = Provenance(HEADS, parts), Metadata(len(made))
    validation = Provenance(HEADS, parts), Metadata(len(made))
    loader = Shard(made, rank, ranks)
    valid_loaders = [Shard(made[:GOOD], rank, ranks), Shard(made[GOOD:], rank, ranks)]
    prefix, known = None if folder is None else folder / "run", partial(has_checkpoint, folder)
    run.start(made, *rows, torch.device("cpu"), prefix, validation=validation, has_checkpoint=known)
    losses, collectives, selected = [], [], []
    with run.tagging(loader, valid_loaders), counted_collectives() as calls:
        for epoch in range(start.epochs if start else 0, epochs):
            loader.epoch = epoch
            run.begin_epoch(epoch, loss, len(loader))
            fit = loss.distribution.refit
            if epoch == failing and rank == 0:
                loss.distribution.refit = lambda *arguments: 1 / 0
            with loss.frozen_weights() if frozen else torch.enable_grad(), run.guard.of(optimizer) as guarded:
                for batch in loader:
                    guarded.zero_grad()
                    before = len(calls)
                    value = loss(ref=batch, pred=trained(batch))
                    collectives.append(len(calls) - before)
                    value.backward()
                    guarded.step()
                    losses.append(value.item())
            run.end_epoch(loss)
            value, _ = run.select(loss, lambda: (evaluate(loss, model, valid_loaders[0]), None))
            loss.distribution.refit = fit
            selected.append(value)
            if folder is not None and rank == 0:
                so_far = Outcome(dict(model.named_parameters()), run.state_dict(), {}, [], [], [], epoch + 1)
                for before in folder.glob("checkpoint-*.pt"):
                    before.unlink()
                run.checkpoint_made()
                torch.save(so_far._asdict(), folder / f"checkpoint-{epoch}.pt")
    known = {"n_atoms": rows[1].n_atoms, "formula": rows[1].categories("formula")}
    parameters = {name: own.detach().clone() for name, own in model.named_parameters()}
    return Outcome(parameters, run.state_dict(), known, losses, collectives, selected, epochs)


def has_checkpoint(folder: Path | None, epoch: int) -> bool:
    """Whether there is one of an epoch."""
    return folder is not None and (folder / f"checkpoint-{epoch}.pt").exists()


def checkpoint(folder: Path) -> Outcome:
    """The one that is there."""
    [path] = folder.glob("checkpoint-*.pt")
    return Outcome(**torch.load(path, weights_only=False))


def evaluate(loss: nn.Module, model: nn.Module, loader: Shard) -> float:
    """The stock validation loss, as MACE sums it."""
    values = torch.zeros(2)
    for batch in loader:
        with torch.no_grad():
            values += torch.stack((loss(ref=batch, pred=model(batch)), torch.tensor(float(len(batch["head"])))))
    total, count = distributed.sum_over_ranks(values).tolist()
    return total / count


class counted_collectives:  # noqa: N801 (a context manager, used as a function)
    """Count the calls of all_reduce within the context."""

    def __enter__(self) -> list[int]:
        self.original, calls = torch.distributed.all_reduce, []

        def all_reduce(tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
            calls.append(tensor.numel())
            return self.original(tensor, *args, **kwargs)

        torch.distributed.all_reduce = all_reduce
        return calls

    def __exit__(self, *exception: Any) -> None:
        torch.distributed.all_reduce = self.original


CASES: dict[str, dict[str, Any]] = {
    "gaussian": {"distribution": "gaussian", "epochs": 2},
    "mixture": {"distribution": "mixture", "epochs": 5},
    "failing": {"distribution": "mixture", "epochs": 6, "failing": 4},
    "aside": {"distribution": "mixture", "epochs": 5, "aside": True},
    "failing aside": {"distribution": "mixture", "epochs": 6, "failing": 4, "aside": True},
    "frozen": {"distribution": "gaussian", "epochs": 2, "frozen": True},
    "unpredicted": {"distribution": "mixture", "epochs": 3, "unpredicted": 20},
}


HALF: dict[str, Any] = CASES["mixture"] | {"epochs": 3}


def one_rank(rank: int, ranks: int, folder: Path) -> None:
    """One process of several: run every case, and leave the outcome in the folder."""
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    alone = train(0, 1, **HALF)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=ranks)
    outcomes = {name: train(rank, ranks, **case)._asdict() for name, case in CASES.items()}
    outcomes |= {"half": train(rank, ranks, **HALF)._asdict()}
    outcomes |= {"restarted": train(rank, ranks, **CASES["mixture"], start=alone)._asdict()}
    outcomes["stock"] = stock_and_ours()
    outcomes["rows"] = exchanged(rank, ranks)
    used = distributed.processes(torch.device("cpu"))
    outcomes["threads"] = [(used.sum(np.ones(1))[0], number_of_threads("gloo"))]
    torch.distributed.destroy_process_group()
    outcomes["threads"].append((used.sum(np.ones(1))[0], number_of_threads("gloo")))
    torch.save(outcomes, folder / f"{rank}.pt")


def number_of_threads(word: str) -> int:
    """How many threads of this process have a word in their name (on Linux)."""
    return sum(word in name.read_text() for name in Path("/proc/self/task").glob("*/comm"))


def in_parts(rank: int, ranks: int, folder: Path, epochs: int, killed: int | None, lost: int | None) -> None:
    """One process of several, which save in parts.

    `killed`: an epoch while whose part is written the last process is killed; `lost`: one whose parts of others the
    first process doesn't see.
    """
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    distributed.LARGE = 100
    save = torch.save

    def deadly(state: Any, path: Any, **options: Any) -> None:
        if f"epoch-{killed}-" in str(path) and rank == ranks - 1:
            Path(path).write_bytes(b"half of it")
            while not (Path(path).parent / "_state-00000.pt").exists():
                time.sleep(0.01)
            os._exit(9)
        save(state, path, **options)

    torch.save = deadly
    parts.is_complete = lambda path, _: not path.name.startswith(f"epoch-{lost}-")
    timeout = timedelta(seconds=20)
    store = f"file://{folder}/store-{epochs}-{killed}"
    torch.distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=ranks, timeout=timeout)
    start = checkpoint(folder) if any(folder.glob("checkpoint-*.pt")) else None
    train(rank, ranks, "mixture", epochs, aside=True, start=start, folder=folder)
    torch.distributed.destroy_process_group()


def exchanged(rank: int, ranks: int) -> dict[str, Any]:
    """What a process gets of the rows of all, and of their shares, sent to it alone or by a sum over all."""
    send, rng = torch.distributed.all_to_all_single, np.random.default_rng(rank)
    number = 0 if rank == ranks - 1 else 5 + 4 * rank
    rows, to = rng.random((number, 2)), rng.integers(0, ranks, number)
    found = {}
    for way in ("sent", "summed"):
        processes = distributed.processes(torch.device("cpu"))
        if way == "summed":
            torch.distributed.all_to_all_single = unsupported
        column = np.arange(11)[processes.share(11)]
        columns = [column, column.astype(np.int16), column[:, None] + np.arange(3.0)]
        own = processes.exchange(rows, to), *processes.kept(columns, 11)
        found[way] = own if rank == 0 else own[:1]
        torch.distributed.all_to_all_single = send
    found["aside"] = processes.may_work_aside, without_a_group().may_work_aside
    return {"rows": rows, "to": to} | found


def without_a_group() -> Processes:
    """Those of a run that can have no second group: no network interface that Gloo could use, for instance."""
    new_group, torch.distributed.new_group = torch.distributed.new_group, unsupported
    processes = distributed.processes(torch.device("cpu"))
    torch.distributed.new_group = new_group
    assert processes.gather(np.array([processes.rank])).tolist() == list(range(processes.number))
    return processes


def unsupported(*arguments: Any, **group: Any) -> None:
    """As backends that can't."""
    raise RuntimeError("Backend gloo does not support alltoall")


def stock_and_ours() -> dict[str, tuple[Tensor, ...]]:
    """MACE's losses, alone and in the robust loss with weights 1: value and gradients on a batch of this process."""
    from base_losses import BASES

    rank = torch.distributed.get_rank()
    made = items()[8 + rank : 8 + 5 * rank + 3]  # another number of configurations and atoms in each process
    found = {}
    for base in BASES:
        run = RobustTraining(Options(base_loss="weighted", distribution="gaussian", threshold=torch.inf))
        loss = run.wrap(base(), mace_losses, "stage_one")
        run.start(made, Provenance(["one"], [[Part("a", np.arange(99))]]), Metadata(99), torch.device("cpu"))
        batch, output = with_all_labels(collate(made))
        stock = value_and_gradients(loss.base, batch, output)
        batch.configuration_id = torch.arange(len(made))
        found[base.__name__] = (*stock, *value_and_gradients(loss, batch, output))
    return found


def with_all_labels(batch: MadeUpBatch) -> tuple[MadeUpBatch, dict[str, Tensor]]:
    """The batch with labels that Toy doesn't have, and a model's output for it."""
    size, atoms = len(batch["head"]), len(batch["x"])
    shapes = {"energy": (size,), "forces": (atoms, 3), "stress": (size, 3, 3), "virials": (size, 3, 3)}
    shapes |= {"dipole": (size, 3), "polarizability": (size, 3, 3)}
    generator = torch.Generator().manual_seed(atoms)
    output = {label: torch.rand(shape, generator=generator).requires_grad_() for label, shape in shapes.items()}
    for label, shape in shapes.items():
        batch[label] = torch.rand(shape, generator=generator)
    for label in ("dipole", "polarizability"):
        batch[LABELS[label]] = torch.ones(size, *(1,) * (len(shapes[label]) - 1)).expand(shapes[label])
    return batch, output


def value_and_gradients(loss: nn.Module, batch: Any, output: dict[str, Tensor]) -> tuple[Tensor, list[Tensor]]:
    """Value of a loss, and its gradients by what the model predicts."""
    value = loss(ref=batch, pred=output)
    found = torch.autograd.grad(value, list(output.values()), allow_unused=True)
    gradients = [torch.zeros_like(of) if own is None else own for own, of in zip(found, output.values(), strict=True)]
    return value.detach(), list(gradients)
