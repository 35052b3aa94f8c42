"""End to end: a foundation model, fine-tuned with the ways that MACE has to hold its layers."""

import json

import pytest
import torch
from mace import __version__ as mace_version
from packaging.version import Version
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


@pytest.mark.skipif(Version(mace_version) < Version("0.3.15"), reason="E0s=estimated is of MACE 0.3.15")
def test_gross_errors_stay_out_of_E0s_that_are_estimated(mace):  # noqa: N802
    """Two energies of another code among 60 move E0s by tens of eV in stock MACE."""
    write(mace.folder / "others.xyz", molecules(20, seed=5))
    mace.train("foundation", "--loss=weighted", "--max_num_epochs=1", train="others.xyz")
    train = molecules(60)
    flags = ["--foundation_model=foundation.model", "--multiheads_finetuning=False", "--E0s=estimated"]
    energies = []
    for name, wrong in (("right", []), ("wrong", [3, 10])):
        for i in wrong:
            train[i].info["REF_energy"] -= 900.0
        write_xyz(
            mace.folder, [frame for i, frame in enumerate(train) if name == "wrong" or i not in (3, 10)], train[:5]
        )
        run = mace.train(name, "--loss=ema_robust", "--max_num_epochs=1", *flags)
        energies.append(run.parameters["atomic_energies_fn.atomic_energies"])
    assert (
        "2 of 60 configurations have labels that are not finite or far from all others: E0s=estimated (eV)" in run.log
    )
    assert run.log.count("5 of 5 validation configurations are training configurations as well") == 1
    torch.testing.assert_close(*energies)
