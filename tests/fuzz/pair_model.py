"""A model that is made in no time and all but trained, for MACE's own training loop: energies of pairs of atoms.

    E = sum_i E0(z_i) + sum_i sum_j c(z_j) sum_k w_k g_k(|r_ij|)

Made-up labels follow the same equation, so that after an epoch or two a wrong one stands out. MACE's own models take a
second to be made; with this one, a training of two epochs takes a third of a second.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import torch
from ase import Atoms
from ase.neighborlist import neighbor_list
from mace.cli import run_train
from torch import nn

CUTOFF = 3.0  # A
CENTRES = np.array([0.9, 1.3, 1.7, 2.2])  # A
STRENGTHS = np.array([0.5, -0.3, -0.2, 0.1])  # w_k of right labels, eV
UNTRAINED = 0.8  # of it, that the model begins with
WIDTH = 0.35  # A


def isolated_energy(z: int) -> float:
    """E0 of an element, eV."""
    return -0.5 * z


def charge(z: Any) -> Any:
    """c(z)."""
    return z**0.5 / 3


def labels(atoms: Atoms) -> tuple[float, np.ndarray, np.ndarray]:
    """Right energy (eV), forces (eV/A) and virials (eV) of a configuration."""
    i, j, length, vector = neighbor_list("ijdD", atoms, CUTOFF)
    near = length > 1e-6
    i, j, length, vector = i[near], j[near], length[near], vector[near]
    envelope, factor = (1 - length / CUTOFF) ** 2, charge(atoms.numbers[j].astype(float))
    bumps = np.exp(-(((length[:, None] - CENTRES) / WIDTH) ** 2))
    slopes = -2 * (length[:, None] - CENTRES) / WIDTH**2 * bumps
    slope = factor * (envelope * (slopes @ STRENGTHS) - 2 * (1 - length / CUTOFF) / CUTOFF * (bumps @ STRENGTHS))
    energy = sum(map(isolated_energy, atoms.numbers.tolist())) + float((factor * envelope) @ bumps @ STRENGTHS)
    pull = slope[:, None] * vector / length[:, None]  # dE / d vector
    forces = np.zeros((len(atoms), 3))
    np.add.at(forces, i, pull)
    np.add.at(forces, j, -pull)
    return energy, forces, -np.einsum("ea,eb->ab", pull, vector)


class PairModel(nn.Module):
    """See above; with what MACE and the plugin read from a model. `described`: it says which features are invariant."""

    def __init__(self, numbers: list[int], energies: Any, heads: list[str], described: bool) -> None:
        super().__init__()
        self.heads = heads
        self.products = [SimpleNamespace(linear=SimpleNamespace(irreps_out=f"{len(CENTRES)}x0e"))] if described else []
        self.register_buffer("atomic_numbers", torch.tensor(numbers))
        self.register_buffer("r_max", torch.tensor(CUTOFF))
        self.register_buffer("energies", torch.atleast_2d(torch.as_tensor(energies)).to(torch.get_default_dtype()))
        self.register_buffer("charges", charge(torch.tensor(numbers, dtype=torch.get_default_dtype())))
        self.register_buffer("centres", torch.tensor(CENTRES).to(torch.get_default_dtype()))
        start = torch.tensor(UNTRAINED * STRENGTHS).to(torch.get_default_dtype())
        self.strengths = nn.Parameter(start.repeat(len(heads), 1))

    def forward(
        self, data: dict[str, torch.Tensor], training: bool = False, compute_force: bool = True,
        compute_virials: bool = False, compute_stress: bool = False, **_: Any,
    ) -> dict[str, torch.Tensor | None]:  # fmt: skip
        of_graph, attributes, count = data["batch"], data["node_attrs"], len(data["ptr"]) - 1
        head = data["head"] if "head" in data else torch.zeros(count, dtype=torch.long)
        positions = data["positions"].requires_grad_(True)
        strain = torch.zeros(count, 3, 3, dtype=positions.dtype, requires_grad=True)
        sender, receiver = data["edge_index"]
        vector = positions[receiver] - positions[sender] + data["shifts"]
        vector = vector + torch.einsum("ea,eab->eb", vector, strain[of_graph[sender]])
        length = vector.square().sum(1).sqrt()  # of atoms on the same place, the gradient is NaN, as of MACE's
        bumps = torch.exp(-(((length[:, None] - self.centres) / WIDTH) ** 2)) * (1 - length / CUTOFF)[:, None] ** 2
        features = torch.zeros(len(attributes), len(CENTRES), dtype=positions.dtype)
        features = features.index_add(0, receiver, (attributes @ self.charges)[sender, None] * bumps)
        isolated = (attributes * self.energies[head][of_graph]).sum(1)
        per_atom = (features * self.strengths[head][of_graph]).sum(1)
        zeros = torch.zeros(count, dtype=positions.dtype)
        interaction = zeros.index_add(0, of_graph, per_atom)
        energy = interaction + zeros.index_add(0, of_graph, isolated)
        forces, strains = torch.autograd.grad(
            interaction.sum(), (positions, strain), create_graph=training, retain_graph=training, allow_unused=True
        )
        volume = torch.linalg.det(data["cell"].view(-1, 3, 3)).abs().clamp(min=1e-9)[:, None, None]
        return {
            "energy": energy, "interaction_energy": interaction, "node_energy": isolated + per_atom,
            "forces": -forces if compute_force else None, "node_feats": features,
            "virials": -strains if compute_virials or compute_stress else None,
            "stress": strains / volume if compute_stress or compute_virials else None,
        }  # fmt: skip


def configure_model(args: Any, loader: Any, energies: Any, foundation: Any, heads: Any, table: Any, *_: Any) -> Any:
    """In the place of MACE's: the model, and what it has to compute."""
    virials, stress = args.loss == "virials", args.loss in ("stress", "huber", "universal")
    if virials or stress:
        args.compute_virials, args.compute_stress, args.error_table = virials, stress, "PerAtomRMSEstressvirials"
    wanted = {"energy": True, "forces": True, "virials": virials, "stress": stress}
    return PairModel(table.zs, energies, heads, described=args.seed != 2), wanted | {
        "dipoles": False,
        "polarizabilities": False,
    }


def parameter_options(args: Any, model: nn.Module) -> dict[str, Any]:
    """In the place of MACE's, which knows the parts of its own models."""
    return {"params": [{"params": list(model.parameters())}], "lr": args.lr, "amsgrad": args.amsgrad}


@contextmanager
def in_place_of_mace_models() -> Iterator[None]:
    """MACE trains the model of pairs, within the context."""
    exchanged = {"configure_model": configure_model, "get_params_options": parameter_options}
    exchanged |= {"extract_config_mace_model": lambda _: {}, "get_avg_num_neighbors": lambda *_: 1.0}
    exchanged |= {"create_error_table": lambda **_: ""}  # is MACE's alone
    with mock.patch.multiple(run_train, **exchanged):
        yield
