import logging

import pytest
import torch

from mace import plugins
from mace.modules import loss as loss_module
from mace.modules.loss import WeightedEnergyForcesLoss
from mace.tools.arg_parser import build_default_arg_parser
from mace.tools.checkpoint import CheckpointBuilder, CheckpointState


@pytest.fixture(autouse=True)
def no_plugins(monkeypatch):
    """No installed plugin, and none left behind."""
    monkeypatch.setattr(plugins, "_loaded", True)
    before = {name: list(own) for name, own in plugins._wrappers.items()}
    for wrappers in plugins._wrappers.values():
        wrappers.clear()
    yield
    for name, wrappers in plugins._wrappers.items():
        wrappers[:] = before[name]


def install(monkeypatch, **imported):
    """As if packages with these entry points were installed; to import one is to call it."""

    class EntryPoint:
        def __init__(self, name, load):
            self.name, self.load = name, load

    points = [EntryPoint(name, load) for name, load in imported.items()]
    monkeypatch.setattr(plugins, "_entry_points", lambda: points)
    monkeypatch.setattr(plugins, "_loaded", False)


def known_loss(original, *args, **kwargs):
    parser = original(*args, **kwargs)
    parser._option_string_actions["--loss"].choices.append("my_loss")
    return parser


def test_a_plugin_makes_a_loss_known(monkeypatch):
    def mine():
        plugins.extend("mace.tools.arg_parser.build_default_arg_parser", known_loss)

    required = ["--name=x", "--train_file=y"]
    with pytest.raises(SystemExit):
        build_default_arg_parser().parse_args(["--loss=my_loss", *required])
    install(monkeypatch, mine=mine)
    arguments = build_default_arg_parser().parse_args(["--loss=my_loss", *required])
    assert arguments.loss == "my_loss"


def test_plugins_are_loaded_once_and_wrap_one_another(monkeypatch):
    calls = []

    def plugin_called(name):
        def wrapper(original, state):
            return {**original(state), name: len(calls)}

        def plugin():
            calls.append(name)
            plugins.extend("mace.tools.checkpoint.CheckpointBuilder.create_checkpoint", wrapper)

        return plugin

    install(monkeypatch, b=plugin_called("b"), a=plugin_called("a"))
    model = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    state = CheckpointState(model, optimizer, scheduler)
    assert list(CheckpointBuilder.create_checkpoint(state))[3:] == []
    for _ in range(2):
        build_default_arg_parser()
        checkpoint = CheckpointBuilder.create_checkpoint(state)
        assert list(checkpoint) == ["model", "optimizer", "lr_scheduler", "a", "b"]
    assert calls == ["a", "b"]


def test_a_plugin_that_fails_leaves_nothing_behind(monkeypatch, caplog):
    def broken():
        plugins.extend("mace.tools.arg_parser.build_default_arg_parser", known_loss)
        plugins.extend("mace.no_such_function", known_loss)

    install(monkeypatch, broken=broken)
    with caplog.at_level(logging.WARNING):
        parser = build_default_arg_parser()
    assert "my_loss" not in parser._option_string_actions["--loss"].choices
    assert "The plugin broken is not active: mace.no_such_function" in caplog.text


def test_losses_of_configurations():
    batch = {
        "energy": torch.tensor([1.0, 2.0]),
        "forces": torch.arange(9.0).reshape(3, 3),
        "weight": torch.ones(2),
        "energy_weight": torch.ones(2),
        "forces_weight": torch.ones(2),
        "ptr": torch.tensor([0, 1, 3]),
        "batch": torch.tensor([0, 1, 1]),
        "num_graphs": 2,
    }

    class Batch(dict):
        __getattr__ = dict.__getitem__

    loss = WeightedEnergyForcesLoss(energy_weight=3.0, forces_weight=0.0)
    pred = {"energy": torch.zeros(2), "forces": torch.zeros(3, 3)}
    terms = []

    def keep(raw_loss, ddp):
        terms.append((raw_loss, ddp))
        return raw_loss.mean()

    stock = loss(Batch(batch), pred)
    with loss_module.reduction(keep):
        assert loss(Batch(batch), pred) == stock
    assert 3.0 * terms[0][0].mean() == stock
    assert terms[0][0].shape == (2,)
    assert len(terms) == 2
    assert loss(Batch(batch), pred) == stock
    assert len(terms) == 2
