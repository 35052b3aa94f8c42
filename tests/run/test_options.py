"""The options: one dataclass, flags, YAML keys, and clear errors."""

import argparse
import dataclasses
import math

import mace.cli.run_train  # as in a training: it applies the plugin, and check_args is bound after it
import pytest
import torch
from mace.tools import build_default_arg_parser, check_args

from mace_outlier.mace import hooks
from mace_outlier.mace.base_loss import base_losses
from mace_outlier.mace.context import CONTEXT
from mace_outlier.run.options import Options, default_of, flag

REQUIRED = ["--name=test", "--train_file=train.xyz", "--valid_fraction=0.1"]


@pytest.fixture(autouse=True)
def _no_run_is_left():
    yield
    CONTEXT.begin(None)


def parse(*flags):
    return build_default_arg_parser().parse_args([*REQUIRED, *flags])


def options(*flags):
    return Options.from_arguments(parse(*flags), base_losses())


def test_every_option_is_a_flag_with_help_and_its_default():
    text = build_default_arg_parser().format_help()
    for field in dataclasses.fields(Options):
        assert f"--{flag(field.name)}" in text
        assert f"(default: {default_of(field)})" in " ".join(text.split())


def test_defaults_of_the_gaussian_are_the_published_numbers():
    chosen = options("--loss=ema_robust", "--ema_robust_distribution=gaussian")
    assert (chosen.base_loss, chosen.threshold, chosen.alpha) == ("weighted", 2.0, 0.9)
    assert (Options().distribution, Options().threshold) == ("mixture", 8.0)
    assert options("--loss=ema_robust") == Options()


def test_flags_are_read():
    chosen = options(
        "--loss=ema_robust", "--ema_robust_base_loss=universal", "--ema_robust_threshold=inf", "--ema_robust_alpha=0.5",
        "--ema_robust_variance=batch", "--ema_robust_warmup=0",
    )  # fmt: skip
    assert chosen == Options("universal", threshold=math.inf, alpha=0.5, variance="batch", warmup=0)


def test_properties_are_told_apart_by_the_mixture_only():
    assert options("--loss=ema_robust", "--ema_robust_scope=property").scope == "property"
    with pytest.raises(ValueError, match="--ema_robust_scope=property needs --ema_robust_distribution=mixture"):
        options("--loss=ema_robust", "--ema_robust_scope=property", "--ema_robust_distribution=gaussian")


def test_yaml_keys_are_the_same(tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text(
        "name: test\ntrain_file: train.xyz\nloss: ema_robust\nema_robust_threshold: .inf\nema_robust_base_loss: huber\n"
    )
    arguments = build_default_arg_parser().parse_args([f"--config={config}"])
    chosen = Options.from_arguments(arguments, base_losses())
    assert chosen == Options("huber", threshold=math.inf)


BAD_FLAGS = [
    ("--ema_robust_threshold=0", "argument --ema_robust_threshold: '0' is not a number of sigmas > 0, or inf"),
    ("--ema_robust_threshold=nan", "argument --ema_robust_threshold: 'nan' is not a number of sigmas > 0"),
    ("--ema_robust_threshold=two", "argument --ema_robust_threshold: 'two' is not a number of sigmas > 0"),
    ("--ema_robust_alpha=1", r"argument --ema_robust_alpha: '1' is not in [0, 1)"),
    ("--ema_robust_alpha=-0.1", r"argument --ema_robust_alpha: '-0.1' is not in [0, 1)"),
    ("--ema_robust_warmup=-1", "argument --ema_robust_warmup: '-1' is not a whole number >= 0"),
    ("--ema_robust_warmup=1.5", "argument --ema_robust_warmup: '1.5' is not a whole number >= 0"),
    ("--ema_robust_variance=total", "argument --ema_robust_variance: 'total' is not one of running, batch"),
    ("--ema_robust_base_loss=mse", "argument --ema_robust_base_loss: invalid choice: 'mse' (choose from"),
    ("--ema_robust_base_loss=ema_robust", "argument --ema_robust_base_loss: invalid choice: 'ema_robust'"),
    ("--ema_robust_treshold=2", "unrecognized arguments: --ema_robust_treshold=2"),
]


@pytest.mark.parametrize(("bad", "message"), BAD_FLAGS)
def test_a_bad_flag_is_an_argparse_error_that_names_flag_value_and_range(bad, message, capsys):
    with pytest.raises(SystemExit) as stop:
        parse("--loss=ema_robust", bad)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


BAD_ARGUMENTS = [
    ({"ema_robust_threshold": -1}, "--ema_robust_threshold: -1 is not a number of sigmas"),
    ({"ema_robust_warmup": 1.5}, "--ema_robust_warmup: 1.5 is not a whole number"),
    ({"ema_robust_alpha": None}, "--ema_robust_alpha: None is not in"),
    ({"ema_robust_base_loss": "mse"}, "--ema_robust_base_loss: 'mse' is not a loss of MACE: choose from ef, we"),
    ({"ema_robust_base_loss": "ema_robust"}, "--ema_robust_base_loss: 'ema_robust' is not a loss of MACE"),
    ({"loss": "universal", "ema_robust_alpha": 0.9}, "--ema_robust_alpha has no effect with --loss=universal: add"),
]


@pytest.mark.parametrize(("change", "message"), BAD_ARGUMENTS)
def test_a_namespace_made_by_hand_is_checked_as_well(change, message):
    arguments = argparse.Namespace(**{**vars(parse("--loss=ema_robust")), **change})
    with pytest.raises(ValueError, match="ema_robust") as error:
        check_args(arguments)
    assert message in str(error.value)


def test_mace_sees_the_base_loss_and_the_caller_keeps_its_namespace():
    arguments = parse("--loss=ema_robust", "--ema_robust_base_loss=stress")
    seen, _ = check_args(arguments)
    assert seen.loss == "stress"
    assert arguments.loss == "ema_robust"
    assert CONTEXT.run is not None
    check_args(parse("--loss=stress"))
    assert CONTEXT.run is None


CONFIGS = {  # what the YAML file says, the flags beside it -> the base loss
    "its loss": ("loss: stress", ["--loss=ema_robust"], "stress"),
    "ours in it": ("loss: ema_robust", [], "weighted"),
    "both named": ("loss: stress", ["--loss=ema_robust", "--ema_robust_base_loss=huber"], "huber"),
    "no loss": ("lr: 0.01", ["--loss=ema_robust"], "weighted"),
    "named in it": ("loss: stress\nema_robust_base_loss: virials", ["--loss=ema_robust"], "virials"),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_the_loss_of_a_yaml_file_is_the_one_that_is_weighed(case, tmp_path):
    text, flags, expected = CONFIGS[case]
    (tmp_path / "water.yaml").write_text(text + "\n")
    seen, _ = check_args(parse(f"--config={tmp_path / 'water.yaml'}", *flags))
    assert seen.loss == expected
    assert CONTEXT.run.options.base_loss == expected


@pytest.mark.parametrize("config", [None, "nowhere.yaml", 7, "broken.yaml", "list.yaml"])
def test_a_namespace_whose_config_cannot_be_read_has_the_default(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.yaml").write_text("loss: [stress")
    (tmp_path / "list.yaml").write_text("- loss\n")
    arguments = parse("--loss=ema_robust")
    arguments.config = config
    assert check_args(arguments)[0].loss == "weighted"
    del arguments.config
    assert check_args(arguments)[0].loss == "weighted"


def test_a_weight_that_the_base_loss_does_not_use_is_named(caplog):
    def warnings(*flags):
        caplog.clear()
        args, _ = check_args(parse("--loss=ema_robust", *flags))
        mace.tools.scripts_utils.get_loss_fn(args, False, False)
        return [record.getMessage() for record in caplog.records if "has no effect" in record.getMessage()]

    [warning] = warnings("--stress_weight=10", "--dipole_weight=2", "--virials_weight=0")
    assert warning.startswith(
        "--stress_weight=10 --dipole_weight=2 has no effect: the base loss weighted doesn't use it"
    )
    assert "--ema_robust_base_loss" in warning
    assert not warnings("--stress_weight=10", "--ema_robust_base_loss=stress")
    assert not warnings()


def test_a_foreign_loss_that_cannot_be_split_stops_the_run():
    class Foreign(torch.nn.Module):
        def forward(self, ref, pred, ddp=None):
            return (ref["energy"] - pred["energy"]).square().mean()

    check_args(parse("--loss=ema_robust"))
    with pytest.raises(RuntimeError, match=r"Foreign.*mace\.modules\.loss\.reduce_loss.*ema_robust"):
        hooks.get_loss_fn(lambda *_: Foreign(), argparse.Namespace(loss="weighted"), False, False)
