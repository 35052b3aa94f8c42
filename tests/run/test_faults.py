"""Whatever of ours fails beside the loss itself, the training goes on, and its model is saved."""

import logging

import pytest
import torch
from structures import molecules, write_xyz

from mace_outlier.data.metadata import Metadata
from mace_outlier.data.provenance import Part, Provenance
from mace_outlier.data.tagging import Tag
from mace_outlier.faults import faults_logged
from mace_outlier.run.tables import Split, columns_of
from mace_outlier.weights.records import Records

FAILING = {  # what raises, and what the log says of it
    "mace.hooks.warn_of_unused_weights": "Settings could not be compared with the loss",
    "results.writing.set_aside": "Earlier results of this name could not be set aside",
    "mace.first_look._look": "The labels could not be checked",
    "run.nonfinite.NonfiniteNames.name_before": "Labels and geometries could not be checked",
    "weights.weigher.Weigher.remembered": "The fit to the losses failed",
    "weights.records.Records.note_suspects": "The labels could not be judged",
    "run.validation.Validation._chosen_by": "The validation set could not be judged",
    "run.training.RobustTraining.state_dict": "A checkpoint lacks the loss statistics",
    "run.logbook.in_words_of": "The summary could not be logged",
    "run.logbook.Logbook.table": "The table of configurations",
    "run.logbook.Logbook.examine": "What the run thinks of its configurations could not be saved",
}
AT_AN_EPOCH_S_END = {
    "run.logbook.Logbook.end_epoch": "What an epoch has shown could not be logged",
    "run.training.RobustTraining.begin_epoch": "An epoch could not be begun",
}


@pytest.mark.parametrize("failing", [FAILING, AT_AN_EPOCH_S_END], ids=["everywhere", "once an epoch"])
def test_a_training_survives_all_faults_of_ours_and_is_the_stock_one(mace, monkeypatch, failing):
    write_xyz(mace.folder, molecules(20), molecules(5, seed=1))
    stock = mace.train("stock", "--loss=weighted", "--max_num_epochs=2")

    def fail(*arguments, **others):
        raise KeyError("made\nup")

    for name in failing:
        monkeypatch.setattr(f"mace_outlier.{name}", fail)
    run = mace.train("failing", "--loss=ema_robust", "--max_num_epochs=2")
    assert (mace.folder / "failing.model").exists()
    for said in failing.values():
        [line, *_] = [line for line in run.log.splitlines() if said in line]
        assert "(KeyError: 'made\\nup'): " in line
    for name, value in stock.parameters.items():
        torch.testing.assert_close(run.parameters[name], value, rtol=1e-9, atol=1e-11)


def test_a_fault_is_logged_in_one_line_with_its_trace_for_those_who_look(caplog):
    with caplog.at_level(logging.DEBUG), faults_logged("It failed", "so what"):
        raise ValueError("two\nlines")
    error, trace = [record.getMessage() for record in caplog.records]
    assert error == "It failed (ValueError: two lines): so what"
    assert "Traceback" in trace
    with pytest.raises(ValueError, match="two"), faults_logged("It failed", passed_on=True):
        raise ValueError("two")


def test_an_empty_config_type_is_no_other_than_that_of_a_row_never_seen():
    metadata = Metadata(2)
    metadata.note(0, Tag("", "H2O", "H2O", 3))
    rows = Provenance(["Default"], [[Part("a.xyz", torch.arange(2).numpy())]])
    columns = columns_of(Split("train", rows, metadata, Records(2)))
    assert list(columns["config_type"]) == ["", ""]
    assert list(columns["formula"]) == ["H2O", ""]
