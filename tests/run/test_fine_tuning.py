"""End to end: a foundation model, fine-tuned with the ways that MACE has to hold its layers."""

import json

import pytest
import torch
from structures import molecules, spoil, write, write_xyz

FACTORS = {"embedding": 0.0, "interactions": 0.5, "products": 1.0, "readouts": 1.0}
SLOWER = json.dumps({f"{layer}_lr_factor": factor for layer, factor in FACTORS.items()})


@pytest.mark.parametrize("flags", [("--freeze=6",), (f"--lr_params_factors={SLOWER}",)], ids=["freeze", "soft freeze"])
def test_frozen_layers_stay_while_wrong_labels_lose_their_weight(mace, flags):
    write(mace.folder / "others.xyz", molecules(20, seed=5))
    foundation = mace.train("foundation", "--loss=weighted", "--max_num_epochs=1", train="others.xyz")
    train = molecules(20)
    spoil(train, [3], energy=30.0)
    write_xyz(mace.folder, train, molecules(5, seed=1))
    run = mace.train(
        "tuned", "--loss=ema_robust", "--foundation_model=foundation.model", "--multiheads_finetuning=False",
        "--energy_weight=100", "--forces_weight=1", "--max_num_epochs=2", *flags,
    )  # fmt: skip
    before, after = foundation.parameters, run.parameters
    moved = {name.partition(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert "node_embedding" not in moved
    assert "readouts" in moved
    assert int(run.state["records"]["weight"].argmin()) == 3
