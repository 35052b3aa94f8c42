"""What is kept of a model's features for each configuration: pooled over atoms, projected where they are many."""

import numpy as np
import pytest
import torch
from mace import modules

from mace_outlier.losses.probe import MadeUpBatch
from mace_outlier.mace.invariants import scalar_columns
from mace_outlier.weights.features import EXTRA, WIDEST, Features
from mace_outlier.weights.noted import Noted

pytestmark = pytest.mark.usefixtures("double_precision")


def batch_of(atoms, columns, seed=0, **known):
    """Configurations of so many atoms each, as a batch and a model's output for them."""
    generator = torch.Generator().manual_seed(seed)
    counts = torch.tensor(atoms)
    batch = MadeUpBatch(
        ptr=torch.cat((torch.zeros(1, dtype=torch.long), counts.cumsum(0))),
        batch=torch.arange(len(atoms)).repeat_interleave(counts),
        weight=torch.ones(len(atoms)),
        **known,
    )
    draw = {"node_feats": (sum(atoms), columns), "forces": (sum(atoms), 3)}
    return batch, {name: torch.randn(shape, generator=generator) for name, shape in draw.items()}


def latest(noted):
    """What was noted last of each row, in ascending order."""
    return noted.columns[noted.latest()[1]]


def test_features_are_pooled_over_the_atoms_of_each_configuration():
    scalars = torch.tensor([0, 1, 4])
    features = Features(5, scalars)
    batch, output = batch_of([1, 3, 7], 6, total_charge=torch.tensor([0.0, 1.0, -1.0]), total_spin=torch.ones(3))
    features.observe(torch.tensor([4, 0, 2]), batch, output)
    rows, places = features.noted.latest()
    table = features.noted.columns[places]
    assert rows.tolist() == [0, 2, 4]
    force, conditions, pooled = ({0: own[0], 2: own[1], 4: own[2]} for own in Features.split(table))
    for place, (row, first, last) in enumerate(((4, 0, 1), (0, 1, 4), (2, 4, 11))):
        own = output["node_feats"][first:last][:, scalars]
        expected = torch.cat((own.mean(0), own.std(0, unbiased=False)))
        torch.testing.assert_close(pooled[row].double(), expected, atol=1e-6, rtol=1e-5)
        assert force[row].item() == pytest.approx(output["forces"][first:last].square().mean().sqrt().item(), rel=1e-6)
        assert conditions[row][:2].tolist() == [[0.0, 1.0, -1.0][place], 1.0]
        assert conditions[row][2].isnan()  # no electronic temperature


def test_without_features_or_forces_what_there_is_is_noted():
    batch, output = batch_of([2, 3], 4)
    del output["forces"]
    features = Features(2)
    features.observe(torch.arange(2), batch, output)
    table = latest(features.noted)
    assert table.shape == (2, EXTRA)
    assert table.isnan().all()
    force, conditions, pooled = Features.split(torch.empty(2, 0))  # of a run that notes nothing
    assert force.isnan().all()
    assert (conditions.shape, pooled.shape) == ((2, EXTRA - 1), (2, 0))


def test_many_features_are_projected_onto_their_largest_components_of_the_epoch_before():
    """Of 120 scalars, three directions are all that varies: what is kept tells them."""
    generator = torch.Generator().manual_seed(1)
    mixing = torch.randn(3, 120, generator=generator)
    features, hidden = Features(40, torch.arange(120)), []
    for epoch in range(2):
        features.begin_epoch()
        hidden = []
        for rows in torch.arange(40).split(8):
            batch, output = batch_of([4] * 8, 120, seed=int(rows[0]))
            own = torch.randn(8, 3, generator=generator)
            output["node_feats"] = (own @ mixing).repeat_interleave(4, dim=0)
            features.observe(rows, batch, output)
            hidden.append(own)
        if epoch == 0:
            assert latest(features.noted)[:, EXTRA:].eq(0).all()  # it isn't known yet how
            features.end_epoch()
            assert features.measure(batch, output)[:, EXTRA:].eq(0).all()  # a validation set is as the training set
    pooled = Features.split(latest(features.noted))[2]
    assert pooled.shape == (40, WIDEST)
    design = np.column_stack((pooled.numpy()[:, -8:], np.ones(40)))
    wanted = torch.cat(hidden).numpy()
    explained = design @ np.linalg.lstsq(design, wanted, rcond=None)[0]
    np.testing.assert_allclose(explained, wanted, atol=1e-3)


def test_the_projection_goes_round(tmp_path):
    features, others = Features(8, torch.arange(120)), Features(8, torch.arange(120))
    batch, output = batch_of([4] * 8, 120)
    features.observe(torch.arange(8), batch, output)
    features.end_epoch()
    torch.save(features.state_dict(), tmp_path / "state.pt")
    others.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    features.begin_epoch()
    torch.testing.assert_close(others.measure(batch, output), features.measure(batch, output), equal_nan=True)
    assert others.measure(batch, output)[:, EXTRA:].abs().max() > 0


def test_what_a_process_sees_is_noted_whatever_the_order_and_of_repeated_rows_the_latest():
    """More often than there are rows, as in a closure that is evaluated many times: memory stays that of the rows."""
    noted, latest = Noted(10), {}
    generator = torch.Generator().manual_seed(0)
    for step in range(40):
        rows = torch.randperm(10, generator=generator)[:3]
        columns = torch.full((3, 2), float(step))
        noted.add(rows, columns)
        latest |= dict.fromkeys(rows.tolist(), float(step))
        assert len(noted._rows) <= 13
    rows, places = noted.latest()
    columns = noted.columns[places]
    assert dict(zip(rows.tolist(), columns[:, 0].tolist(), strict=True)) == latest
    assert rows.tolist() == sorted(latest)
    noted.clear()
    noted.add(torch.tensor([4]), torch.zeros(1, 2))
    assert noted.latest()[0].tolist() == [4]


def test_what_is_repeated_is_put_in_order_every_so_many_batches(monkeypatch):
    """Else each batch would sort all rows, as LBFGS evaluates all of them in each closure."""
    noted, sorted_out, keep_latest = Noted(1000), [], Noted._keep_latest
    monkeypatch.setattr(Noted, "_keep_latest", lambda self: sorted_out.append(self.count) or keep_latest(self))
    for step in range(500):  # five passes
        noted.add(torch.arange(1000)[10 * (step % 100) :][:10], torch.full((10, 2), float(step)))
    assert 0 < len(sorted_out) <= 20
    assert len(noted._rows) <= 1260
    rows, places = noted.latest()
    assert rows.tolist() == list(range(1000))
    assert noted.columns[places, 0].tolist() == [400 + i // 10 for i in range(1000)]


def model_of(irreps, layers):
    from e3nn import o3  # once MACE is there, which tells torch how to read its constants

    return modules.ScaleShiftMACE(
        r_max=3.0, num_bessel=4, num_polynomial_cutoff=5, max_ell=1, num_interactions=layers, num_elements=2,
        interaction_cls=modules.interaction_classes["RealAgnosticResidualInteractionBlock"],
        interaction_cls_first=modules.interaction_classes["RealAgnosticResidualInteractionBlock"],
        hidden_irreps=o3.Irreps(irreps), MLP_irreps=o3.Irreps("4x0e"), gate=torch.nn.functional.silu,
        atomic_energies=np.zeros((1, 2)), avg_num_neighbors=8.0, atomic_numbers=[1, 8], correlation=2,
        atomic_inter_scale=1.0, atomic_inter_shift=0.0, radial_MLP=[8],
    )  # fmt: skip


@pytest.mark.parametrize(("irreps", "layers", "expected"), [
    ("128x0e+128x1o", 2, [*range(128), *range(512, 640)]),  # the last layer has scalars only
    ("8x0e", 1, [*range(8)]),
    ("4x0e+4x1o", 3, [*range(4), *range(16, 20), *range(32, 36)]),
])  # fmt: skip
def test_the_scalars_of_a_model_are_known_and_do_not_change_as_it_is_turned(irreps, layers, expected):
    from ase.build import molecule
    from mace import data, tools

    model = model_of(irreps, layers)
    columns = scalar_columns(model)
    assert columns.tolist() == expected
    atoms = molecule("H2O")
    found = []
    for angle in (0, 77):
        atoms.rotate(angle, (1, 2, 3))
        sample = data.AtomicData.from_config(
            data.config_from_atoms(atoms), z_table=tools.AtomicNumberTable([1, 8]), cutoff=3.0
        )
        batch = tools.torch_geometric.Batch.from_data_list([sample])
        found.append(model(batch.to_dict(), compute_force=False)["node_feats"].detach())
    assert (found[0] - found[1])[:, columns].abs().max() < 1e-9
    others = [column for column in range(found[0].shape[1]) if column not in expected]
    assert not others or (found[0] - found[1])[:, others].abs().max() > 1e-6


def test_a_model_that_says_nothing_of_its_features_has_none():
    assert scalar_columns(torch.nn.Linear(2, 2)) is None
