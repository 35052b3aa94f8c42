"""Geometries of which MACE predicts NaN never get into a training batch; another sample stands in, without weight."""

import pickle

import numpy as np
import pytest
import torch
from mace import data, tools
from structures import molecules

from mace_outlier.data.batches import TaggingCollater
from mace_outlier.data.dataset import NumberedDataset
from mace_outlier.mace.geometry import fault_of

KEYS = data.KeySpecification(info_keys={"energy": "REF_energy"}, arrays_keys={"forces": "REF_forces"})
LABELS = ("energy", "forces")


def sample(frame):
    table = tools.AtomicNumberTable([1, 8])
    return data.AtomicData.from_config(data.config_from_atoms(frame, KEYS), z_table=table, cutoff=3.0)


def on_one_place(frame, shift=0.0):
    frame.positions[2] = frame.positions[0] + shift
    return frame


CELL, SAME = 6.0, "atoms 0 and 2 are on the same place"
GEOMETRIES = {
    "right": (molecules(1)[0], ""),
    "periodic": (molecules(1, cell=CELL)[0], ""),
    "the same place": (on_one_place(molecules(1)[0]), SAME),
    "nearly": (on_one_place(molecules(1)[0], 1e-7), SAME),
    "an image's place": (on_one_place(molecules(1, cell=CELL)[0], [0, CELL, -CELL]), SAME),
    "close": (on_one_place(molecules(1)[0], 0.01), ""),
}  # fmt: skip


@pytest.mark.parametrize("name", GEOMETRIES)
def test_atoms_on_the_same_place_are_named(name):
    frame, fault = GEOMETRIES[name]
    assert fault_of(sample(frame)) == fault


def test_positions_that_are_no_numbers_are_named():
    item = sample(molecules(1)[0])
    item.positions[1, 1] = torch.nan
    assert fault_of(item) == "a position or the cell is no number"


def test_another_sample_stands_in_for_one_that_is_left_out():
    frames = molecules(6)
    for i in (2, 3, 5):
        on_one_place(frames[i])
    frames[0].info["REF_energy"] = np.nan
    items = [sample(frame) for frame in frames]
    numbered = pickle.loads(pickle.dumps(NumberedDataset(items, LABELS, fault_of=fault_of)))  # as a worker gets it
    for _ in range(2):  # the second time from memory
        read = [numbered[i] for i in range(6)]
        assert [own.row for own in read] == list(range(6))
        assert [own.unusable for own in read[1:]] == [0.0, -np.inf, -np.inf, 0.0, -np.inf]
        assert np.isnan(read[0].unusable)
        for position, of in ((2, 4), (3, 4), (4, 4), (1, 1)):
            assert read[position].item.positions.equal(items[of].positions)
        assert read[5].item.positions.equal(items[0].positions)
        assert read[5].item.energy.isfinite().all(), "a label of the one that stands in"
    batch = TaggingCollater(tools.torch_geometric.dataloader.Collater([None], [None]))(read)
    assert batch.unusable.isfinite().tolist() == [False, True, False, False, True, False]
    assert np.isnan(numbered.check()[0])
    assert np.isneginf(numbered.check()).tolist() == [False, False, True, True, False, True]


def test_validation_samples_stay_as_they_are_and_so_do_those_that_nothing_can_stand_in_for():
    items = [sample(on_one_place(frame)) for frame in molecules(2)]
    for validation in (True, False):
        numbered = NumberedDataset(items, LABELS, validation=validation, fault_of=fault_of)
        assert [numbered[i].item.positions.equal(items[i].positions) for i in range(2)] == [True, True]
        assert [numbered[i].unusable for i in range(2)] == [-np.inf] * 2
