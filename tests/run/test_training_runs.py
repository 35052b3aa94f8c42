"""End to end: MACE's own training, started as users start it, with and without the robust loss."""

import math

import numpy as np
import pytest
import torch
from ase.io import read, write
from conftest import PUBLISHED, load_checkpoint
from mace import __version__ as mace_version
from packaging.version import Version
from structures import molecules, spoil, write_xyz

from mace_outlier.mace.context import CONTEXT
from mace_outlier.results.reading import read_results


def same(a, b, **tolerance):
    assert a.keys() == b.keys()
    for key in a:
        torch.testing.assert_close(a[key], b[key], **(tolerance or {"rtol": 0, "atol": 0}))


def differ(a, b):
    return any(not torch.allclose(a[key], b[key]) for key in a if a[key].is_floating_point())


def finite(parameters):
    return all(torch.isfinite(value).all() for value in parameters.values())


# --- parity with stock MACE ------------------------------------------------------------------------------------------


def test_infinite_threshold_trains_the_stock_model(mace):
    stock = mace.train("stock", "--loss=weighted")
    ours = mace.train("ours", "--loss=ema_robust", "--ema_robust_threshold=inf")
    weighted = mace.train("weighted", *PUBLISHED)
    same(ours.parameters, stock.parameters, rtol=1e-9, atol=1e-11)  # sums in another order, over 12 steps of Adam
    assert ours.state["records"]["weight"].eq(1).all()
    assert differ(weighted.parameters, stock.parameters)


def test_default_trains_the_stock_model_where_no_label_is_wrong(mace):
    """No label is believed to be wrong: all weights are exactly 1, and what differs is the order of sums."""
    write_xyz(mace.folder, molecules(64), molecules(16, seed=1))
    flags = ["--max_num_epochs=4", "--num_channels=4"]
    stock = mace.train("stock", "--loss=weighted", *flags)
    ours = mace.train("ours", "--loss=ema_robust", *flags)
    same(ours.parameters, stock.parameters, rtol=1e-8, atol=1e-10)
    assert ours.state["records"]["weight"].eq(1).all()
    assert all(weight == 1 and robust == pytest.approx(loss) for robust, loss, weight in ours.validations)


def test_plain_run_is_bit_identical_with_and_without_the_plugin(mace, mace_run_train):
    from conftest import Run, command_line

    runs = []
    for name, disable in (("with", "0"), ("without", "1")):
        done = mace.start(
            mace_run_train, *command_line(name, ("--loss=universal",)), env={"MACE_OUTLIER_DISABLE": disable}
        )
        assert done.returncode == 0, done.stderr
        assert "OUTLIER" not in done.stdout
        runs.append(Run(mace.folder, name, done.stdout))
    same(*(run.parameters for run in runs))
    assert all("mace_outlier" not in run.checkpoint() for run in runs)


# --- what the run says and keeps -------------------------------------------------------------------------------------


SAID = {
    "default": (["--loss=ema_robust"], ["distribution: mixture, threshold: 8 sigma", "gross errors"]),
    "published": (PUBLISHED, ["distribution: gaussian, threshold: 2 sigma, alpha: 0.9", "mu=", "sigma="]),
}


@pytest.mark.parametrize("how", SAID)
def test_finds_the_wrong_frames_and_says_so(mace, how):
    flags, said = SAID[how]
    train = molecules(40)
    spoil(train, [4, 17, 30], energy=30.0)
    write_xyz(mace.folder, train, molecules(5, seed=1))
    run = mace.train("found", *flags, "--energy_weight=100", "--forces_weight=1")
    weight = run.state["records"]["weight"]
    assert sorted(torch.argsort(weight)[:3].tolist()) == [4, 17, 30]
    for words in ("base loss: weighted", *said):
        assert words in run.log
    for epoch in range(3):
        assert f"Epoch {epoch}: head: Default, ema_robust: mean_weight=" in run.log
    assert "of 40 training configurations" in run.log
    named = [line.split("Suspect: ")[1].split(",")[0] for line in run.log.splitlines() if "Suspect: " in line]
    assert "train.xyz frame 17" in named
    assert set(named[:3]) <= {f"train.xyz frame {i}" for i in (4, 17, 30)}
    assert "mace_outlier report results/found_run-1" in run.log
    assert run.state["records"]["times_seen"].tolist() == [3] * 40


def test_error_tables_and_validation_stay_stock(mace):
    """With stock selection, the validation loss and the tables are those of the base loss, whatever the weights are."""
    robust = [*PUBLISHED, "--ema_robust_threshold=0.01", "--lr=0", "--max_num_epochs=1"]
    run = mace.train("tables", *robust, "--ema_robust_selection=stock")
    stock = mace.train("stock", "--loss=weighted", "--lr=0", "--max_num_epochs=1")
    line = [[x.split(", ", 1)[1] for x in r.log.splitlines() if "RMSE_F=" in x] for r in (run, stock)]
    table = [[x for x in r.log.splitlines() if x.startswith(("| train", "| valid"))] for r in (run, stock)]
    assert line[0] == line[1]
    assert len(line[0]) == 2
    assert table[0] == table[1]
    assert len(table[0]) == 2
    assert run.state["records"]["weight"].min() < 0.5
    selected = mace.train("selected", *robust)
    assert [x for x in selected.log.splitlines() if x.startswith(("| train", "| valid"))] == table[1]
    before_training = next(x.split(", ", 1)[1] for x in selected.log.splitlines() if "RMSE_F=" in x)
    assert before_training == line[1][0]
    assert "Validation: ema_robust loss=" in selected.log


def test_wrong_labels_are_found_and_the_validation_set_is_weighed_alike(spoilt):
    """A third of the labels is wrong, in the validation set as well: the checkpoint is chosen by the right ones."""
    flags = ["--loss=ema_robust", "--energy_weight=100", "--forces_weight=1"]
    run = spoilt.train("two", *flags, "--max_num_epochs=10", "--valid_batch_size=7")
    assert "distribution: mixture" in run.log
    assert "40 of 120 look wrong (33.3 %): energies off by" in run.log
    assert "too high" in run.log
    robust, stock, weight = run.validations[-1]
    assert robust < 0.2 * stock
    assert weight == pytest.approx(2 / 3, abs=0.05)
    assert f"loss={robust:.8f}, RMSE" in run.log  # what MACE chooses by
    table = read_results(spoilt.folder).table
    assert (table.weight < 0.5).tolist() == [i % 3 == 0 for i in (*range(120), *range(24))]
    assert table.split.tolist() == ["train"] * 120 + ["valid"] * 24
    suspects = table[table.weight < 0.5]
    assert "What is wrong with the suspects: " in run.log
    assert (suspects.cause != "").all(), "those of the validation set as well"
    assert (table.cause[table.weight >= 0.5] == "").all()
    distribution = read_results(spoilt.folder).about["distribution"][0]
    assert distribution["share"] == pytest.approx(1 / 3, abs=0.02)


def test_wrong_energies_leave_the_forces_their_say_if_asked(mace):
    train, valid = molecules(120), molecules(24, seed=1)
    for frame in train[::3]:
        frame.info["REF_energy"] += 0.5 * len(frame)
    write_xyz(mace.folder, train, valid)
    flags = ["--loss=ema_robust", "--energy_weight=1", "--forces_weight=1000"]
    whole = mace.train("whole", *flags, "--max_num_epochs=6")
    assert "40 of 120 look wrong (33.3 %): energies off by" in whole.log
    parts = mace.train("parts", *flags, "--ema_robust_scope=property", "--max_num_epochs=6")
    assert "scope: property" in parts.log
    assert forces_rmse(parts) < forces_rmse(whole)  # of the training set: a third of it was not fitted


def forces_rmse(run):
    """RMSE of the forces of the training set, meV/A, in MACE's own table."""
    line = next(line for line in run.log.splitlines() if line.startswith("| train"))
    return float(line.split("|")[3])


def test_an_infinite_threshold_selects_by_the_stock_loss(mace):
    run = mace.train("inf", "--loss=ema_robust", "--ema_robust_threshold=inf", "--valid_batch_size=2")
    lines = [line for line in run.log.splitlines() if "Validation: ema_robust" in line]
    assert len(lines) == 4
    for line in lines:
        robust, stock, weight = (float(part.split("=")[1].rstrip(",")) for part in line.split() if "=" in part)
        assert (robust, weight) == (pytest.approx(stock, rel=1e-7), 1.0)


# --- bad labels ------------------------------------------------------------------------------------------------------


def test_nonfinite_labels_end_stock_mace_but_not_ours(mace):
    train = molecules(20)
    train[7].arrays["REF_forces"][1, 0] = np.inf
    train[11].info["REF_energy"] = np.nan
    write_xyz(mace.folder, train, molecules(5, seed=1))
    stock = mace.train("stock", "--loss=weighted")
    ours = mace.train("ours", "--loss=ema_robust")
    weights = [v for k, v in stock.parameters.items() if k.endswith("weight")]
    assert weights
    assert all(torch.isnan(value).all() for value in weights)
    assert finite(ours.parameters)
    named = "train.xyz frame {} has weight 0: non-finite {} in"
    assert named.format(7, "forces") in ours.log
    assert named.format(11, "energy") in ours.log
    assert ours.log.count("has weight 0") == 2
    assert torch.nonzero(torch.isnan(ours.state["records"]["loss"])).flatten().tolist() == [7, 11]


def test_the_log_names_twenty_nonfinite_configurations_and_counts_the_rest(mace):
    train = molecules(30)
    for frame in train[:23]:
        frame.info["REF_energy"] = np.inf
    write_xyz(mace.folder, train, molecules(5, seed=1))
    run = mace.train("many", "--loss=ema_robust", "--max_num_epochs=2")
    assert run.log.count("has weight 0: non-finite energy") == 20
    assert run.log.count("3 more training configurations have weight 0") == 1
    assert "have a weight below 0.5, 23 x label not finite" in run.log


def test_nonfinite_labels_leave_scale_and_e0s_as_if_they_were_not_there(mace):
    good = molecules(20)
    write_xyz(mace.folder, good, molecules(5, seed=1))
    flags = ("--loss=ema_robust", "--E0s=average", "--batch_size=1", "--max_num_epochs=1")
    reference = mace.train("reference", *flags)
    bad = molecules(3, seed=9)
    for frame in bad:
        frame.info["REF_energy"] = np.nan
    write(mace.folder / "train.xyz", good + bad)
    run = mace.train("run", *flags)
    for key in ("scale_shift.scale", "atomic_energies_fn.atomic_energies"):
        torch.testing.assert_close(run.parameters[key], reference.parameters[key])
    assert finite(run.parameters)


# --- checkpoints -----------------------------------------------------------------------------------------------------

# Stock MACE starts its shuffling anew at a restart, and trains the epoch of the checkpoint again: batches of the whole
# training set make the order irrelevant, and a run of 3 epochs continued to epoch 5 has trained 6 times.
WHOLE = (*PUBLISHED, "--batch_size=20", "--save_all_checkpoints", "--ema_robust_threshold=1.0")


def test_restart_is_the_uninterrupted_run(mace):
    whole = mace.train("whole", *WHOLE, "--max_num_epochs=6")
    mace.train("parts", *WHOLE, "--max_num_epochs=3")
    parts = mace.train("parts", *WHOLE, "--max_num_epochs=5", "--restart_latest")
    assert "Continuing with the loss statistics of the checkpoint" in parts.log
    same(parts.parameters, whole.parameters, rtol=1e-7, atol=1e-10)
    same(parts.state["statistics"]["stage_one"], whole.state["statistics"]["stage_one"], rtol=1e-8, atol=0)
    assert torch.equal(parts.state["records"]["times_seen"], whole.state["records"]["times_seen"])
    torch.testing.assert_close(parts.state["records"]["weight"], whole.state["records"]["weight"], rtol=1e-4, atol=1e-6)
    assert parts.state["records"]["weight"].min() < 0.9


@pytest.mark.parametrize("scope", ["configuration", "property"])
def test_a_restart_judges_as_the_uninterrupted_run(mace, scope):
    """All that is known of the labels is in the checkpoint: evidence, what looked wrong before, and the populations."""
    train, valid = molecules(120), molecules(12, seed=1)
    for frame in train[::3]:
        frame.info["REF_energy"] += 5.0 * len(frame)
    write_xyz(mace.folder, train, valid)
    flags = ["--loss=ema_robust", f"--ema_robust_scope={scope}"]
    flags += ["--save_all_checkpoints", "--batch_size=120", "--energy_weight=1", "--forces_weight=1000"]
    whole = mace.train("whole", *flags, "--max_num_epochs=7")
    mace.train("parts", *flags, "--max_num_epochs=5")
    parts = mace.train("parts", *flags, "--max_num_epochs=6", "--restart_latest")
    assert "share_below_0.5=33.33 %, 40 of 120 look wrong (33.3 %): energies" in parts.log
    same(parts.parameters, whole.parameters, rtol=1e-6, atol=1e-9)
    judge, reference = (run.state["statistics"]["stage_one"]["judges"][0] for run in (parts, whole))
    for kind in ("values", "epochs"):
        same(judge["evidence"][kind], reference["evidence"][kind], rtol=1e-4, atol=1e-4)
    same(judge["looked"], reference["looked"], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(parts.state["records"]["weight"], whole.state["records"]["weight"], rtol=1e-3, atol=1e-4)
    assert parts.validations[-1][0] == pytest.approx(whole.validations[-1][0], rel=1e-3)  # in the units of before


def test_stock_mace_continues_our_checkpoint(mace, mace_run_train):
    from conftest import command_line

    mace.train("mixed", *WHOLE)
    plain = ("--loss=weighted", "--batch_size=20", "--max_num_epochs=4", "--restart_latest", "--save_all_checkpoints")
    done = mace.start(mace_run_train, *command_line("mixed", plain), env={"MACE_OUTLIER_DISABLE": "1"})
    assert done.returncode == 0, done.stderr
    assert "epoch-2.pt" in done.stdout
    assert "Epoch 3: head: Default, loss=" in done.stdout
    assert "Epoch 1:" not in done.stdout


def test_a_plain_checkpoint_is_continued_with_fresh_statistics(mace):
    mace.train("mixed", "--loss=weighted", "--batch_size=20", "--save_all_checkpoints")
    run = mace.train("mixed", *WHOLE, "--max_num_epochs=4", "--restart_latest")
    assert "The checkpoint comes from a run without ema_robust: the statistics start fresh" in run.log
    assert run.state["statistics"]["stage_one"]["seen"].tolist() == [40.0]


def test_a_checkpoint_of_another_version_is_continued_with_fresh_statistics(mace):
    run = mace.train("older", "--loss=ema_robust", "--save_all_checkpoints")
    checkpoint = run.checkpoint()
    checkpoint["mace_outlier"].pop("format")
    checkpoint["mace_outlier"]["statistics"]["stage_one"] = {"another": "kind"}
    torch.save(checkpoint, run.checkpoints[-1])
    run = mace.train("older", "--loss=ema_robust", "--save_all_checkpoints", "--max_num_epochs=4", "--restart_latest")
    assert "The checkpoint is of another version of mace-outlier: the statistics start fresh" in run.log
    assert run.state["format"] == 3
    assert run.state["records"]["times_seen"].max() <= 3


def test_changed_options_and_training_set_are_reported_at_a_restart(mace):
    mace.train("changed", *WHOLE)
    write(mace.folder / "train.xyz", read(mace.folder / "train.xyz", ":")[:18])
    run = mace.train(
        "changed",
        *PUBLISHED,
        "--ema_robust_threshold=3",
        "--max_num_epochs=4",
        "--restart_latest",
        "--lr=1e-5",
    )
    assert "ema_robust_threshold: the checkpoint has 1.0, this run continues with 3.0" in run.log
    assert "The training set has changed since the checkpoint: 18 of 18 configurations go on with" in run.log


def test_another_distribution_and_base_loss_at_a_restart(mace):
    """What can't be continued starts fresh; the rest goes on."""
    mace.train("another", *WHOLE)
    run = mace.train(
        "another", "--loss=ema_robust", *WHOLE[3:-1], "--ema_robust_base_loss=stress",
        "--max_num_epochs=5", "--restart_latest", "--compute_stress=True",
    )  # fmt: skip
    assert "ema_robust_distribution: the checkpoint has gaussian, this run continues with mixture" in run.log
    assert "The statistics of another distribution can't be continued: they start fresh" in run.log
    assert "Continuing with the loss statistics" not in run.log
    assert run.state["records"]["times_seen"].max() > 3
    assert "first" in run.state["statistics"]["stage_one"]


def test_what_a_program_does_after_a_training_is_plain_mace(mace):
    write_xyz(mace.folder, molecules(8), molecules(4, seed=1))
    mace.train("run", "--loss=ema_robust", "--max_num_epochs=1")
    assert CONTEXT.run is None


def test_several_runs_in_one_process_don_t_mix(mace):
    mace.train("first", "--loss=ema_robust")
    plain = mace.train("second", "--loss=weighted")
    assert "mace_outlier" not in plain.checkpoint()
    third = mace.train("third", "--loss=ema_robust", "--max_num_epochs=1")
    assert third.state["records"]["times_seen"].max() == 1


# --- all of MACE's training; EMA, AMSGrad, batches of 1: tests/fuzz ---------------------------------------------------

DIPOLE = ["--max_ell=1", "--hidden_irreps=4x0e+4x1o", "--MLP_irreps=4x0e"]
ROUTES = {
    "schedulefree": ["--optimizer=schedulefree"],
    "float32": ["--default_dtype=float32"],
    "cueq": ["--enable_cueq=True"],
    "workers": ["--num_workers=1"],
    "universal": ["--ema_robust_base_loss=universal"],
    "huber": ["--ema_robust_base_loss=huber"],
    "stress": ["--ema_robust_base_loss=stress"],
    "virials": ["--ema_robust_base_loss=virials"],
    "l1l2": ["--ema_robust_base_loss=l1l2energyforces"],
    "forces_only": ["--ema_robust_base_loss=forces_only"],
    "ef": ["--ema_robust_base_loss=ef"],
    "dipole": [
        "--ema_robust_base_loss=dipole", "--model=AtomicDipolesMACE", "--error_table=DipoleRMSE", *DIPOLE,
    ],
    "energy_forces_dipole": [
        "--ema_robust_base_loss=energy_forces_dipole", "--model=EnergyDipolesMACE", "--error_table=EnergyDipoleRMSE",
        *DIPOLE,
    ],
    "dipole_polar": [
        "--ema_robust_base_loss=dipole_polar", "--model=AtomicDielectricMACE", "--error_table=DipolePolarRMSE",
        "--hidden_irreps=4x0e+4x1o+4x2e", "--MLP_irreps=4x0e+4x1o+4x2e", "--max_ell=2",
        "--polarizability_key=REF_polarizability",
    ],
}  # fmt: skip


JUDGED = {
    "stress": {"energy", "forces", "stress"}, "virials": {"energy", "forces", "virials"}, "forces_only": {"forces"},
    "universal": {"energy", "forces", "stress"}, "huber": {"energy", "forces", "stress"},
    "dipole": set(), "dipole_polar": set(),
}  # fmt: skip
SINCE = {"dipole_polar": "0.3.15", "heads": "0.3.14", "lora": "0.3.15"}  # the first MACE that trains it, stock too


def needs(feature):
    """Skip a test with a MACE that is older than what it is about; see scripts/version_matrix.py."""
    if Version(mace_version) < Version(SINCE.get(feature, "0")):
        pytest.skip(f"MACE {mace_version} does not train {feature}, {SINCE[feature]} does")


def write_spoiled(folder):
    """Write files of periodic molecules; energy and forces of one are wrong, and the dipole of another."""
    train = molecules(10, cell=9.0)
    spoil(train, [3])
    train[5].info["REF_dipole"] = train[5].info["REF_dipole"] + 10
    write_xyz(folder, train, molecules(5, seed=1, cell=9.0))


@pytest.mark.parametrize("route", ROUTES)
def test_trains_with(route, mace):
    needs(route)
    write_spoiled(mace.folder)
    run = mace.train(route, "--loss=ema_robust", "--max_num_epochs=2", *ROUTES[route])
    assert finite(run.parameters)
    assert run.state["records"]["times_seen"].eq(2).all()
    statistics = run.state["statistics"]["stage_one"]
    evidence = statistics["judges"][0]["evidence"]
    judged = {name for name, epochs in evidence["epochs"].items() if epochs.max() > 0}
    assert judged == JUDGED.get(route, {"energy", "forces"})
    assert all(epochs.max() == 2 for epochs in evidence["epochs"].values() if epochs.max() > 0)
    assert statistics["first"]["seen"].item() == (10 if judged else 20)  # it weighs until labels are judged


PUBLISHED_ROUTES = ("workers", "stress", "dipole")


@pytest.mark.parametrize("route", PUBLISHED_ROUTES)
def test_the_published_scheme_trains_with(route, mace):
    needs(route)
    write_spoiled(mace.folder)
    run = mace.train(route, *PUBLISHED, "--max_num_epochs=2", *ROUTES[route])
    assert finite(run.parameters)
    assert run.state["statistics"]["stage_one"]["seen"].item() == 20
    assert run.state["records"]["weight"].min() < 0.9
    assert run.state["records"]["times_seen"].eq(2).all()


@pytest.mark.parametrize("how", SAID)
def test_lbfgs_holds_the_weights_within_a_step(mace, how):
    write_spoiled(mace.folder)
    run = mace.train("lbfgs", *SAID[how][0], "--lbfgs", "--max_num_epochs=3", "--batch_size=7")
    statistics, records = run.state["statistics"]["stage_one"], run.state["records"]
    # one update of the statistics for each step, from all configurations, however often LBFGS evaluated the loss
    steps = int(run.checkpoints[-1].stem.rsplit("-", 1)[1]) + 1
    if how == "published":
        assert statistics["seen"].item() == 10 * steps
    else:
        assert statistics["judges"][0]["evidence"]["epochs"]["energy"].tolist() == [3] * 10
    assert records["times_seen"].eq(steps).all()
    assert finite(run.parameters)
    assert records["weight"].argmin() == 3
    assert records["weight"][3] < 0.99


def test_stage_two_has_statistics_of_its_own(mace):
    run = mace.train("swa", *PUBLISHED, "--swa", "--start_swa=2", "--max_num_epochs=4", "--swa_energy_weight=1e6")
    last = sorted(mace.folder.glob("checkpoints/*_swa.pt"))[-1]
    statistics = load_checkpoint(last)["mace_outlier"]["statistics"]
    assert statistics["stage_one"]["seen"].item() == 40
    assert statistics["stage_two"]["seen"].item() in (20, 40)
    assert statistics["stage_two"]["mean"] > 10 * statistics["stage_one"]["mean"]
    assert "Changing loss based on Stage Two Weights" in run.log
    assert (mace.folder / "swa_stagetwo.model").exists()


def test_stage_two_begins_with_the_weights_of_stage_one(mace):
    """Its own statistics know nothing in their first epoch: the wrong labels must not come back with it."""
    train = molecules(120)
    for frame in train[::3]:
        frame.info["REF_energy"] += 5.0 * len(frame)
    write_xyz(mace.folder, train, molecules(5, seed=1))
    flags = ["--loss=ema_robust", "--energy_weight=100", "--forces_weight=1"]
    mace.train("begin", *flags, "--swa", "--start_swa=8", "--max_num_epochs=9")
    results = read_results(mace.folder)
    assert [entry["stage"] for entry in results.about["history"]] == ["stage_one"] * 8 + ["stage_two"]
    trained = results.table[results.table.split == "train"]
    assert (trained.weight < 0.5).tolist() == [i % 3 == 0 for i in range(120)]


@pytest.mark.parametrize("how", SAID)
def test_heads_and_multi_head_fine_tuning_keep_the_robust_loss(mace, how):
    """MACE forces the universal loss here, and duplicates the new data; the replay head has its own statistics."""
    needs("heads")
    write(mace.folder / "replay.xyz", molecules(20, seed=5))
    shape = ["--radial_MLP=[8,8,8]", "--correlation=3"]  # MACE 0.3.14 fine-tunes models of this shape only
    mace.train("foundation", "--loss=weighted", "--max_num_epochs=1", "--foundation_model_elements=False", *shape)
    few = molecules(6, seed=6)
    for frame in few:  # another scale of losses
        frame.arrays["REF_forces"] *= 10
    write(mace.folder / "few.xyz", few)
    run = mace.train(
        "tuned", *SAID[how][0], "--foundation_model=foundation.model", "--pt_train_file=replay.xyz",
        "--multiheads_finetuning=True", "--max_num_epochs=2", "--batch_size=4", "--real_pt_data_ratio_threshold=0.7",
        *shape, train="few.xyz",
    )  # fmt: skip
    assert "MACE trains with loss universal instead of weighted" in run.log
    assert "Epoch 0: head: pt_head, ema_robust:" in run.log
    assert "Epoch 0: head: Default, ema_robust:" in run.log
    state = run.state
    assert state["heads"] == ["pt_head", "Default"]
    replay = state["records"]["head"] == 0
    assert replay.sum() == 20 - 2  # a tenth of the replay data goes to its validation set
    assert len(replay) == 20 - 2 + 6  # the few are in the training set several times, but have one row each
    positions = int(run.log.split("Head 'Default' training dataset size: ")[1].split()[0]) + 18
    assert positions > len(replay)
    statistics = state["statistics"]["stage_one"]
    if how == "published":
        assert statistics["mean"][1] > 2 * statistics["mean"][0] > 0
        assert statistics["seen"].sum() == 2 * (positions // 4) * 4
    else:
        judged, few_judged = (judge["evidence"]["epochs"] for judge in statistics["judges"])
        assert judged["energy"][replay].min() >= 1
        assert judged["energy"][~replay].max() == 0
        assert not few_judged  # too few to be compared


def test_lora_fine_tuning(mace):
    needs("lora")
    mace.train("foundation", "--loss=weighted", "--max_num_epochs=1")
    run = mace.train(
        "lora", "--loss=ema_robust", "--foundation_model=foundation.model", "--multiheads_finetuning=False",
        "--lora=True", "--lora_rank=2", "--max_num_epochs=1",
    )  # fmt: skip
    assert "Injecting LoRA" in run.log
    epochs = run.state["statistics"]["stage_one"]["judges"][0]["evidence"]["epochs"]
    assert epochs["energy"].tolist() == epochs["forces"].tolist() == [1] * 20


def preprocess(mace, folder):
    from mace.cli.preprocess_data import run
    from mace.tools import build_preprocess_arg_parser

    run(
        build_preprocess_arg_parser().parse_args(
            [
                "--train_file", str(mace.folder / "train.xyz"), "--valid_file", str(mace.folder / "valid.xyz"),
                "--energy_key=REF_energy", "--forces_key=REF_forces", "--r_max=3.0", "--num_process=2",
                f"--h5_prefix={folder}/", "--seed=1",
            ]
        )
    )  # fmt: skip


def test_hdf5(mace):
    write_spoiled(mace.folder)
    folder = mace.folder / "h5"
    folder.mkdir()
    preprocess(mace, folder)
    run = mace.train(
        "hdf5", "--loss=ema_robust", "--atomic_numbers=[1,8]", "--max_num_epochs=2",
        train=str(folder / "train"), valid=str(folder / "val"),
    )  # fmt: skip
    assert run.state["records"]["times_seen"].eq(2).all()
    assert (run.state["records"]["weight"] < 0.5).sum() == 1  # the files are shuffled


def test_lmdb(mace):
    from mace.tools.fairchem_dataset.lmdb_dataset_tools import LMDBDatabase

    for name in ("train", "valid"):
        folder = mace.folder / f"{name}_lmdb"
        folder.mkdir()
        with LMDBDatabase(str(folder / "data.aselmdb"), readonly=False) as database:
            for frame in read(mace.folder / f"{name}.xyz", ":"):
                from ase.calculators.singlepoint import SinglePointCalculator

                frame.calc = SinglePointCalculator(
                    frame, energy=frame.info.pop("REF_energy"), forces=frame.arrays.pop("REF_forces")
                )
                frame.info = {}
                database.write(frame)
    run = mace.train(
        "lmdb", "--loss=ema_robust", "--atomic_numbers=[1,8]", "--max_num_epochs=2",
        train="train_lmdb", valid="valid_lmdb",
    )  # fmt: skip
    assert run.state["records"]["times_seen"].eq(2).all()


def test_wandb_gets_the_weights(mace, monkeypatch):
    import wandb

    logged = []
    log = wandb.sdk.wandb_run.Run.log  # wandb.init rebinds wandb.log
    monkeypatch.setattr(
        wandb.sdk.wandb_run.Run, "log", lambda run, values, **kw: logged.append((values, kw)) or log(run, values, **kw)
    )
    mace.train(
        "wandb", "--loss=ema_robust", "--wandb", "--wandb_project=test", "--wandb_entity=nobody", "--wandb_name=x",
        "--max_num_epochs=1", "--ema_robust_threshold=inf",
    )  # fmt: skip
    wandb.finish()
    ours = [(values, kwargs) for values, kwargs in logged if any(key.startswith("ema_robust/") for key in values)]
    assert len(ours) == 1
    values, kwargs = ours[0]
    assert kwargs == {"commit": False}
    assert values["ema_robust/Default/mean_weight"] == 1.0
    assert values["ema_robust/Default/share_below_0.5"] == 0.0
    assert math.isfinite(values["ema_robust/Default/mu"])
    assert math.isfinite(values["ema_robust/Default/sigma"])
    assert values["ema_robust/Default/weights"].histogram == [0] * 19 + [20]
