"""RobustWeights in a training loop of your own: a small potential for water, 15 % of whose energies are wrong.

    python docs/examples/plain_torch.py

Trained three times: on all labels as they are, on all with weights, and on the right ones only.
"""

import torch
from torch import Tensor, nn

from mace_outlier import RobustWeights

N, WRONG, EPOCHS, BATCH = 400, 0.15, 60, 20


def molecules(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Positions (count, 3, 3) of water at some 3,000 K, energies (count,) and forces of harmonic bonds and angle."""
    ideal = torch.tensor([[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]], dtype=torch.float64)
    noise = torch.randn(count, 3, 3, generator=generator, dtype=torch.float64)
    positions = (ideal + 0.08 * noise).requires_grad_()
    bonds = distances(positions)
    energy = (
        22.0 * ((bonds[:, :2] - 0.96) ** 2).sum(1) + 4.0 * (bonds[:, 2] - 1.52) ** 2 - 8.0 * (bonds[:, 0] - 0.96) ** 3
    )
    forces = -torch.autograd.grad(energy.sum(), positions)[0]
    return positions.detach(), energy.detach(), forces


def distances(positions: Tensor) -> Tensor:
    """O-H, O-H and H-H (count, 3)."""
    pairs = positions[:, [0, 0, 1]] - positions[:, [1, 2, 2]]
    return pairs.norm(dim=2)


class Potential(nn.Module):
    """Energy of the three distances; what its last hidden layer says of a geometry are the features."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Sequential(nn.Linear(3, 32), nn.SiLU(), nn.Linear(32, 32), nn.SiLU())
        self.readout = nn.Linear(32, 1)

    def forward(self, positions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Energies (B,), forces (B, 3, 3) and features (B, 32)."""
        positions = positions.detach().requires_grad_()
        features = self.hidden((distances(positions) - 1.15) * 5.0)
        energy = self.readout(features).squeeze(1)
        forces = -torch.autograd.grad(energy.sum(), positions, create_graph=True)[0]
        return energy, forces, features


def train(data: tuple[Tensor, Tensor, Tensor], weights: RobustWeights | None) -> Potential:
    """Train a potential, with weights or without."""
    torch.manual_seed(0)
    model = Potential().double()
    optimiser = torch.optim.Adam(model.parameters(), lr=5e-3)
    positions, energies, forces = data
    for _ in range(EPOCHS):
        for ids in torch.randperm(len(positions)).split(BATCH):
            energy, force, features = model(positions[ids])
            energy_error = (energy - energies[ids]) / 3
            force_error = (force - forces[ids]).square().mean((1, 2)).sqrt()
            loss = 10 * energy_error.square() + force_error.square()  # of each configuration
            if weights is not None:
                factors = weights(ids, energy_error=energy_error, force_error=force_error, features=features)
                loss = factors * loss
            optimiser.zero_grad()
            loss.mean().backward()
            optimiser.step()
        if weights is not None:
            weights.end_epoch(optimiser)
    return model


def main() -> dict[str, float]:
    """Print the errors on right labels, in meV/atom, and what was found; return the errors."""
    generator = torch.Generator().manual_seed(1)
    positions, energies, forces = molecules(N, generator)
    test = molecules(200, generator)
    wrong = torch.rand(N, generator=generator) < WRONG
    labels = energies + 0.3 * wrong  # 100 meV/atom
    weights = RobustWeights(N, formulas=["H2O"] * N)
    models = {
        "all labels": train((positions, labels, forces), None),
        "with weights": train((positions, labels, forces), weights),
        "right labels only": train((positions[~wrong], labels[~wrong], forces[~wrong]), None),
    }
    errors = {
        name: float((model(test[0])[0].detach() - test[1]).square().mean().sqrt()) / 3 * 1000
        for name, model in models.items()
    }
    for name, error in errors.items():
        print(f"{name:18} {error:6.2f} meV/atom")
    suspects = weights.table().index[weights.table().weight < 0.5]
    print(f"found {int(wrong[list(suspects)].sum())} of {int(wrong.sum())} wrong labels, {len(suspects)} suspects")
    print(weights.report(most=3))
    return errors


if __name__ == "__main__":
    main()
