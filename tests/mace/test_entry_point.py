"""The entry point of the group `mace.plugins`: a module that is imported for its side effects, by whatever MACE."""

import subprocess
import sys
import textwrap

LOAD = """
import importlib.metadata, sys

def load():
    (point,) = (own for own in importlib.metadata.entry_points(group="mace.plugins") if own.name == "mace_outlier")
    return point.load()
"""
V1 = """
import types

registry = {}

def register_loss(name):  # the contract that MACE v1 has published
    def put(cls):
        if name in registry:
            raise ValueError(f"{name} is registered already")
        registry[name] = cls
        return cls
    return put

train = types.ModuleType("mace_torch.train")
train.register_loss = register_loss
sys.modules |= {"mace_torch": types.ModuleType("mace_torch"), "mace_torch.train": train}
"""


def python(code, **env):
    import os

    command = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **env})


def test_imported_by_nobody_it_does_nothing():
    done = python(LOAD + "load(); print(sorted(name for name in sys.modules if name in ('mace', 'torch', 'numpy')))")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[]\n"


def test_in_mace_v1_the_loss_says_what_works_and_what_does_not():
    code = LOAD + V1 + "load(); assert 'mace' not in sys.modules; registry['ema_robust'](weights={'energy': 1.0})"
    done = python(code)
    assert "RuntimeError: ema_robust does not work in MACE v1 yet" in done.stderr
    assert "train with mace-torch 0.3.13 to 0.3.16, or put mace_outlier.RobustWeights into" in done.stderr
    done = python(LOAD + V1 + "load(); print(list(registry))", MACE_OUTLIER_DISABLE="1")
    assert done.stdout == "[]\n", done.stderr


def test_a_name_that_is_taken_is_an_error_that_the_host_reports():
    done = python(LOAD + V1 + "register_loss('ema_robust')(object); load()")
    assert "ValueError: ema_robust is registered already" in done.stderr
