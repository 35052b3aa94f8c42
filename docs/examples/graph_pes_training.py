"""RobustWeights in graph-pes (pip install graph-pes): a PaiNN model, trained by graph-pes's own trainer.

    python docs/examples/graph_pes_training.py train.xyz valid.xyz [EPOCHS]

Files of extended XYZ with REF_energy and REF_forces. Two pieces are ours: a loss of each structure that is multiplied
by its factor, and a callback that has the weights judged at the end of an epoch.
"""

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytorch_lightning
import torch
from ase import Atoms
from ase.io import read
from graph_pes.atomic_graph import AtomicGraph, structure_sizes, sum_per_structure
from graph_pes.config.training import FittingOptions
from graph_pes.data.datasets import ASEToGraphDataset, DatasetCollection
from graph_pes.models import PaiNN
from graph_pes.training.loss import Loss, TotalLoss
from graph_pes.training.opt import LRScheduler, Optimizer
from graph_pes.training.tasks import train_with_lightning

from mace_outlier import RobustWeights

LABELS = {"shifted_energy": "energy", "REF_forces": "forces"}
CUTOFF, BATCH = 4.0, 10  # A; structures
ENERGY, FORCES = 10.0, 1.0  # weights of squared errors in (eV/atom)^2 and (eV/A)^2


class EnergiesAndForces(Loss):
    """Squared errors of energies per atom and forces; in training, each structure's by its factor of `weights`.

    The features are what the model's readout sees of each atom: their mean over the atoms.
    """

    def __init__(self, model: PaiNN, weights: RobustWeights | None) -> None:
        super().__init__(weight=1.0)
        self.weights, self.atoms = weights, torch.empty(0)
        model.read_out.register_forward_pre_hook(self._keep)

    def _keep(self, _: Any, inputs: tuple[torch.Tensor, ...]) -> None:
        self.atoms = inputs[0].detach()

    @property
    def name(self) -> str:
        """For graph-pes's log."""
        return "energies_and_forces"

    @property
    def required_properties(self) -> list:
        """What the model has to predict."""
        return ["energy", "forces"]

    def forward(self, model: Any, graph: AtomicGraph, predictions: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the mean over the structures of a batch."""
        sizes = structure_sizes(graph)
        energy_error = (predictions["energy"] - graph.properties["energy"]) / sizes
        squares = (predictions["forces"] - graph.properties["forces"]).square().mean(1)
        force_error = (sum_per_structure(squares, graph) / sizes).sqrt()
        losses = ENERGY * energy_error.square() + FORCES * force_error.square()
        if self.weights is not None and model.training:
            squares = predictions["forces"].detach().square().mean(1)
            losses = losses * self.weights(
                graph.other["row"].long().flatten(),
                energy_error=energy_error,
                force_error=force_error,
                features=sum_per_structure(self.atoms, graph) / sizes.unsqueeze(1),
                predicted_force=(sum_per_structure(squares, graph) / sizes).sqrt(),
            )
        return losses.mean()


class JudgeEachEpoch(pytorch_lightning.Callback):
    """Has the weights judged when an epoch of the training ends."""

    def __init__(self, weights: RobustWeights) -> None:
        self.weights = weights

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        """For the epoch that follows."""
        self.weights.end_epoch(trainer.optimizers[0])


def typical_energy(frames: Sequence[Atoms]) -> float:
    """Median energy, eV/atom: subtracted from labels, because float32 holds no total energies."""
    return float(np.median([atoms.info["REF_energy"] / len(atoms) for atoms in frames]))


def train(
    frames: Sequence[Atoms], valid: Sequence[Atoms], weights: RobustWeights | None, epochs: int, seed: int
) -> PaiNN:
    """Train by graph-pes, with weights or without."""
    pytorch_lightning.seed_everything(seed, verbose=False)
    shift = typical_energy(frames)
    for own in (frames, valid):
        for row, atoms in enumerate(own):
            atoms.info |= {"row": row, "shifted_energy": atoms.info["REF_energy"] - shift * len(atoms)}
    data = DatasetCollection(*(ASEToGraphDataset(own, CUTOFF, False, LABELS, ["row"]) for own in (frames, valid)))
    model = PaiNN(cutoff=CUTOFF, channels=32, layers=3)
    trainer = pytorch_lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        logger=False,
        callbacks=[] if weights is None else [JudgeEachEpoch(weights)],
    )
    options = FittingOptions(True, None, None, {"batch_size": BATCH}, None, False, "last")
    steps = epochs * -(-len(frames) // BATCH)
    decay = LRScheduler("ExponentialLR", gamma=0.02 ** (1 / steps))
    loss = TotalLoss([EnergiesAndForces(model, weights)])
    train_with_lightning(trainer, model, data, loss, options, Optimizer("AdamW", lr=5e-3), scheduler=decay)
    return model


def main() -> None:
    """Train on a file and print which of its frames look wrong."""
    train_file, valid_file, *more = sys.argv[1:]
    frames = read(train_file, ":")
    sizes = [float(np.sqrt(np.mean(np.square(atoms.arrays["REF_forces"])))) for atoms in frames]
    weights = RobustWeights(len(frames), formulas=[str(atoms.symbols) for atoms in frames], label_forces=sizes)
    train(frames, read(valid_file, ":"), weights, epochs=int(more[0]) if more else 60, seed=1)
    print(weights.report([f"{train_file} frame {i}" for i in range(len(frames))]))


if __name__ == "__main__":
    main()
