"""benchmarks/water: boxes and labels, observables of known trajectories, verdicts, and a run of the whole in small."""

import contextlib
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas
import pytest
from ase import Atoms, units
from ase.calculators.calculator import Calculator
from ase.io import read
from scipy.integrate import trapezoid

ROOT = Path(__file__).parents[2]
for folder in ("scripts", "benchmarks", "benchmarks/ablation", "benchmarks/water"):
    sys.path.insert(0, str(ROOT / folder))

import liquid_contacts  # noqa: E402
import liquid_water  # noqa: E402
import observe  # noqa: E402
import water_cells  # noqa: E402
import water_frames  # noqa: E402
import water_observables as observables  # noqa: E402
import water_results  # noqa: E402
import water_summary  # noqa: E402
import water_tables  # noqa: E402
from liquid_boxes import NoLiquidError, check_liquid, random_box  # noqa: E402
from liquid_contacts import push_together  # noqa: E402
from liquid_water import LiquidSettings  # noqa: E402
from make_water import make_labelled  # noqa: E402
from water_md import Protocol, Recorder, Replica, simulate, start  # noqa: E402

REPLICA = Replica(Path("model"), Path("starts"), 0, Path("folder"), Protocol())
BOX = 12.0  # Angstrom


# --- boxes and labels ------------------------------------------------------------------------------------------------


def test_a_random_box_has_the_density_and_molecules_apart_from_one_another():
    box = random_box(12, 0.95, np.random.default_rng(0))
    grams = box.get_masses().sum() / units.mol
    assert grams / (box.get_volume() * 1e-24) == pytest.approx(0.95, rel=1e-3)
    distances = box.get_all_distances(mic=True)
    molecule = np.arange(len(box)) // 3
    between = distances[molecule[:, None] != molecule]
    assert between.min() > 1.2
    assert box.get_chemical_symbols() == ["O", "H", "H"] * 12
    assert np.allclose(distances[::3, 1::3].diagonal(), 0.97, atol=0.01)


def test_conditions_spread_over_temperatures_and_densities():
    settings = LiquidSettings()
    conditions = np.array([settings.conditions(i, 40) for i in range(40)])
    assert conditions[:, 0].min() < 302 < 348 < conditions[:, 0].max()
    assert conditions[:, 1].min() < 0.955 < 1.045 < conditions[:, 1].max()
    assert abs(np.corrcoef(conditions.T)[0, 1]) < 0.1


def labelled(count=60):
    frames = []
    for i in range(count):
        atoms = Atoms("OH2", np.zeros((3, 3)))
        for number, name in enumerate(("converged", *liquid_water.SEVERITIES)):
            atoms.info[f"{name}_energy"] = 10.0 * number + i
            atoms.arrays[f"{name}_forces"] = np.full((3, 3), 10.0 * number + i)
        frames.append(atoms)
    return frames


def test_a_severity_is_one_or_drawn_for_each_frame():
    frames = labelled()
    liquid_water.choose_severity({"train": frames}, "gross", 1)
    assert [atoms.info["unconverged_energy"] for atoms in frames] == [30.0 + i for i in range(60)]
    liquid_water.choose_severity({"train": frames}, "mixed", 1)
    drawn = [(atoms.info["unconverged_energy"] - atoms.info["converged_energy"]) / 10 for atoms in frames]
    assert min(drawn.count(number) for number in (1, 2, 3)) > 10
    assert all(
        (atoms.arrays["unconverged_forces"] == atoms.info["unconverged_energy"]).all() for atoms in frames
    )  # energy and forces of the same calculation


def test_severities_differ_and_the_converged_label_is_lowest():
    atoms = random_box(4, 0.9, np.random.default_rng(1))
    liquid_water.label(atoms, tuple(liquid_water.SEVERITIES))
    off = [atoms.info[f"{name}_energy"] - atoms.info["converged_energy"] for name in liquid_water.SEVERITIES]
    assert all(shift > 0.01 for shift in off)


def test_kept_configurations_are_labelled_in_parts_wherever_they_are(tmp_path, monkeypatch):
    monkeypatch.setattr(water_frames, "PART", 2)
    monkeypatch.setattr(water_frames, "run_missing", lambda function, tasks, *rest: list(map(function, tasks)))
    frames = [random_box(2, 0.3, np.random.default_rng(i)) for i in range(5)]
    for i, atoms in enumerate(frames):
        atoms.info.update(split=["train", "valid", "test"][i // 2], trajectory=i)
    settings, path = LiquidSettings(n_molecules=2), tmp_path / "frames.npz"
    water_frames.keep(frames, settings, path)
    water_frames.label_kept(replace(settings, seed=2), tmp_path / "liquid", 1, path)
    assert not (tmp_path / "liquid").exists(), "others are made anew"
    water_frames.label_kept(settings, tmp_path / "liquid", 1, path)
    splits = make_labelled(settings, tmp_path / "liquid")
    found = [atoms for own in splits.values() for atoms in own]
    assert [len(own) for own in splits.values()] == [2, 2, 1]
    assert [atoms.info["trajectory"] for atoms in found] == list(range(5))
    for atoms, before in zip(found, frames, strict=True):
        np.testing.assert_allclose(atoms.positions, before.positions, atol=1e-5)
        np.testing.assert_allclose(atoms.cell, before.cell, atol=1e-5)
        assert atoms.get_chemical_symbols() == before.get_chemical_symbols()
        assert atoms.pbc.all()
        liquid_water.label(before, tuple(liquid_water.SEVERITIES))
        for name in ("converged", *liquid_water.SEVERITIES):
            assert atoms.info[f"{name}_energy"] == pytest.approx(before.info[f"{name}_energy"], abs=1e-3)
            np.testing.assert_allclose(atoms.arrays[f"{name}_forces"], before.arrays[f"{name}_forces"], atol=1e-2)
    written = (tmp_path / "liquid" / "labelled.xyz").read_bytes()
    water_frames.label_kept(settings, tmp_path / "liquid", 1, path)
    assert (tmp_path / "liquid" / "labelled.xyz").read_bytes() == written


class Uncoupled(Calculator):
    """Molecules that feel nothing."""

    implemented_properties = ("energy", "forces")

    def calculate(self, atoms, *others):
        self.results = {"energy": 0.0, "forces": np.zeros((len(atoms), 3))}


SMALL = LiquidSettings(n_molecules=4, frames_per_trajectory=2, equilibration_steps=3, steps_between_frames=2)


@pytest.mark.parametrize(
    ("generation", "attempts", "fused"),
    [(2, 5, 2), (2, 0, 2), (1, 5, 2), (2, 2, 2)],
    ids=["another", "as_is", "early", "none"],
)
def test_frames_with_fused_molecules_are_replaced_by_those_of_another_start(monkeypatch, generation, attempts, fused):
    """Only in the last generation, which makes the data; and an error says what to do where none will do."""
    starts = []

    def box(n_molecules, density, rng):
        starts.append(random_box(n_molecules, density, rng))
        atoms = starts[-1].copy()
        if len(starts) <= fused:
            atoms.positions[3:6] = atoms.positions[:3] + np.array([1.5, 0, 0])
        return atoms

    monkeypatch.setattr(liquid_water, "random_box", box)
    monkeypatch.setattr(liquid_water, "silent_calculator", lambda model: Uncoupled())
    settings = replace(SMALL, attempts=attempts)
    wanted = liquid_water.Trajectory(settings, generation, 3, (300.0, 0.9), Path("frames"), Path("model"), ())
    if (generation, attempts) == (2, 2):
        with pytest.raises(
            NoLiquidError, match=r"trajectory 3 of generation 2: two molecules fused; .*--sampler_epochs"
        ):
            liquid_water.sample(wanted)
        return
    frames = liquid_water.sample(wanted)
    replaced = (generation, attempts) == (2, 5)
    assert len(frames) == 2
    for atoms in frames:
        with contextlib.nullcontext() if replaced else pytest.raises(NoLiquidError):
            check_liquid(atoms, 300.0)
    assert len(starts) == (3 if replaced else 1)
    assert len({tuple(atoms.positions[0]) for atoms in starts}) == len(starts)


def test_frames_of_other_settings_are_refused(tmp_path):
    liquid_water.check_same_settings(LiquidSettings(), tmp_path)
    liquid_water.check_same_settings(LiquidSettings(), tmp_path)
    with pytest.raises(SystemExit, match="holds water of other settings"):
        liquid_water.check_same_settings(LiquidSettings(n_train=7), tmp_path)


# --- observables -----------------------------------------------------------------------------------------------------


def universe(positions):
    frames = {"numbers": np.array([8, 1, 1] * (positions.shape[1] // 3)), "cell": np.full(3, BOX)}
    return observables.as_universe(frames | {"positions": positions.astype(np.float32)}, 2.0)


def test_diffusion_of_a_random_walk():
    rng, known = np.random.default_rng(0), 0.3  # Angstrom^2/ps
    steps = rng.normal(0, np.sqrt(2 * known * 0.002), (4000, 60, 3))  # 2 fs
    found = observables.diffusion_coefficient(universe(np.cumsum(steps, 0)), REPLICA)
    assert found == pytest.approx(known, rel=0.15)


def test_an_ideal_gas_has_no_structure_and_a_crystal_has():
    rng = np.random.default_rng(0)
    rdf = observables.radial_distribution(universe(rng.uniform(0, BOX, (600, 60, 3))), "OO", REPLICA)
    r, g = np.array(rdf["r"]), np.array(rdf["g"])
    assert g[r > 3].mean() == pytest.approx(1.0, abs=0.06)
    assert r.max() < BOX / 2
    grid = np.argwhere(np.ones((4, 4, 4))) * 3.0
    positions = np.repeat(grid, 3, axis=0)[None] + rng.normal(0, 0.05, (300, 192, 3))
    position, height = observables.first_peak(observables.radial_distribution(universe(positions), "OO", REPLICA), "OO")
    assert position == pytest.approx(3.0, abs=0.02)
    assert height > 5


def test_a_parabola_finds_the_peak_between_bins():
    r = np.arange(2.0, 4.0, 0.05)
    peak = observables.first_peak({"r": r.tolist(), "g": (2.8 - 20 * (r - 2.763) ** 2).tolist()}, "OO")
    assert peak == pytest.approx((2.763, 2.8))
    rising = observables.first_peak({"r": r.tolist(), "g": (r**2).tolist()}, "OO")
    assert rising[1] > 0  # no peak: its largest value


def test_vibrations_of_an_oscillator():
    time, wavenumber = np.arange(6000) * 2.0, 3500.0
    motion = np.cos(2 * np.pi * wavenumber * observables.LIGHT * time)[:, None, None]
    found = observables.vibrations(motion * np.ones((1, 3, 3)), np.array([8, 1, 1]), Protocol(frames_every_fs=2.0))
    at, density = np.array(found["wavenumber"]), np.array(found["density"])
    assert at[density.argmax()] == pytest.approx(wavenumber, abs=20)
    assert trapezoid(density, at) == pytest.approx(1.0, abs=1e-3)


def test_drift_and_finite_size_correction():
    energies = -100 + 0.003 * np.arange(500) * 0.002  # eV, 3 meV/ps, 3 atoms
    assert observables.energy_drift(energies, np.array([8, 1, 1]), REPLICA) == pytest.approx(1.0)
    # Yeh and Hummer: 2.837297 * 1.380649e-23 * 330 / (6 pi * 4.9e-4 * 1e-9) m^2/s, in Angstrom^2/ps (1e-8 m^2/s)
    assert observables.finite_size_correction(330.0, 10.0) == pytest.approx(0.1400, rel=1e-3)


def test_a_start_has_the_density_and_the_same_velocities_for_every_model(tmp_path):
    from ase.io import write

    write(tmp_path / "test.xyz", [random_box(4, 0.9, np.random.default_rng(i)) for i in range(3)])
    replicas = [REPLICA._replace(starts=tmp_path / "test.xyz", model=Path(name), number=1) for name in ("a", "b")]
    one, other = map(start, replicas)
    assert (one.get_velocities() == other.get_velocities()).all()
    assert np.abs(one.get_momenta().sum(0)).max() < 1e-10, "the box as a whole would diffuse"
    assert 4 * 18.015 / units.mol / (one.get_volume() * 1e-24) == pytest.approx(1.0, rel=1e-3)
    another = start(replicas[0]._replace(number=2))
    assert (one.get_velocities() != another.get_velocities()).all()


def test_a_run_that_gets_hot_has_blown_up():
    atoms = Atoms("OH2", [[0, 0, 0], [0, 0.76, 0.59], [0, -0.76, 0.59]], cell=[9] * 3, pbc=True)
    atoms.set_velocities(np.full((3, 3), 10.0))
    atoms.calc = SimpleNamespace(get_potential_energy=lambda *a, **k: 0.0, calculate=None)
    recorder = Recorder(atoms, Protocol())
    with pytest.raises(NoLiquidError, match="blew up"):
        recorder.run(SimpleNamespace(run=lambda steps: None), 0.1)
    assert recorder.mark() == 0


def test_molecules_that_break_or_fuse_are_no_liquid():
    """Also across the border of the box."""
    good = random_box(8, 0.9, np.random.default_rng(0))
    check_liquid(good, 330.0)
    wrapped = good.copy()
    wrapped.wrap()
    assert np.abs(wrapped.positions - good.positions).max() > 1
    check_liquid(wrapped, 330.0)
    broken = good.copy()
    broken.positions[4] += 1.7 * (good.positions[4] - good.positions[3])
    with pytest.raises(NoLiquidError, match="a molecule broke"):
        check_liquid(broken, 330.0)
    fused, length = good.copy(), good.cell.lengths()[0]
    fused.positions[:3] += good.positions[3] - good.positions[0] + np.array([length + 1.9, 0, 0])
    with pytest.raises(NoLiquidError, match="two molecules fused"):
        check_liquid(fused, 330.0)
    check_liquid(fused, 330.0, closest=1.0)


def test_what_became_of_a_trajectory_is_kept(tmp_path, monkeypatch):
    def run(self, dynamics, picoseconds):
        raise NoLiquidError("two molecules fused")

    from ase.io import write

    write(tmp_path / "test.xyz", random_box(4, 0.9, np.random.default_rng(1)))
    (tmp_path / "a.model").write_text("")
    monkeypatch.setattr(Recorder, "run", run)
    monkeypatch.setattr("water_md.silent_calculator", lambda model, device: None)
    own = REPLICA._replace(starts=tmp_path / "test.xyz", model=tmp_path / "a.model", folder=tmp_path, number=0)
    simulate(own)
    found = water_summary.summarise([observables.observables(own)])
    assert found["failures"] == ["two molecules fused"]
    assert water_tables.survival(found) == "0 of 1, two molecules fused"


# --- what is said ----------------------------------------------------------------------------------------------------


def replica(diffusion=0.2, position=2.8, survived=True):
    if not survived:
        return {"survived": False, "failure": "blew up", "ps": 1.0}
    r = np.arange(1.0, 4.5, 0.05)
    curve = {"r": r.tolist(), "g": (3.0 - 20 * (r - position) ** 2).tolist()}
    hydrogen = {"r": r.tolist(), "g": (3.0 - 20 * (r - position + 0.9) ** 2).tolist()}
    scalars = dict.fromkeys(("temperature", "D_corrected", "drift_meV_per_atom_per_ps"), 1.0)
    density = {"wavenumber": [0.0, 10.0], "density": [0.0, 0.1]}
    return {"survived": True, "failure": "", "ps": 16.0, "D": diffusion, "vdos": density} | scalars | {
        "rdf": {"OO": curve, "OH": hydrogen, "HH": {**curve, "g": (3.0 - 20 * (r - 2.4) ** 2).tolist()}}
    }  # fmt: skip


def test_summary_of_trajectories():
    found = water_summary.summarise([replica(0.1), replica(0.3), replica(survived=False)])
    assert (found["survived"], found["trajectories"]) == (2, 3)
    assert found["D"] == {"mean": pytest.approx(0.2), "error": pytest.approx(0.1)}
    assert found["peaks"]["OO"]["position"]["mean"] == pytest.approx(2.8, abs=1e-3)
    assert water_summary.summarise([replica(survived=False)])["survived"] == 0


def test_verdict_compares_with_the_clean_model():
    clean = water_summary.summarise([replica(0.19), replica(0.21)])
    same = {"survived": True, "diffusion": True, "structure": True}
    assert water_summary.verdict(water_summary.summarise([replica(0.2), replica(0.22)]), clean) == same
    faster = water_summary.verdict(water_summary.summarise([replica(0.3), replica(0.32)]), clean)
    assert faster == same | {"diffusion": False}
    elsewhere = water_summary.verdict(water_summary.summarise([replica(0.19, 2.9), replica(0.21, 2.9)]), clean)
    assert elsewhere == same | {"structure": False}
    [apart] = water_summary.over_seeds([model(1, 0.2, 0.2, position=2.9), model(2, 0.19, position=3.0)])
    off = water_summary.peaks_off(apart, clean)
    assert set(off) == {("OO", "position"), ("OH", "position")}
    assert off["OO", "position"] == {"mean": pytest.approx(0.1 / 2.8, rel=1e-3), "error": pytest.approx(0, abs=1e-9)}
    assert water_tables.said(apart, clean).startswith("no: O-O position: +3.6 ± 0.0 %, O-H position: +5.3 ± 0.0 %")
    [alone] = water_summary.over_seeds([model(1, 0.5, position=2.9)])
    assert water_tables.said(alone, clean).startswith("one trajectory, O-O position: +3.6 %, O-H"), (
        "its D tells nothing"
    )
    lost = water_summary.summarise([replica(0.2), replica(survived=False)])
    assert water_summary.verdict(lost, clean) == {"survived": False}


def model(seed, *diffusion, arm="default", share=0.4, position=2.8):
    about = {"kind": "mixed", "share": share, "arm": arm, "seed": seed}
    replicas = [replica(D, position) if D else replica(survived=False) for D in diffusion]
    return about | water_summary.summarise([one | {"number": 2 * (seed - 1) + i} for i, one in enumerate(replicas)])


def test_errors_are_those_of_the_scatter_between_models_where_there_are_several():
    """Trajectories of a model agree with one another more than those of two models do."""
    clean = [model(1, 0.5, 0.5, arm="weighted", share=0.0), model(2, 0.6, None, arm="weighted", share=0.0)]
    models = [*clean, model(1, 0.29, 0.31), model(2, 0.5, 0.5), model(3, 0.4, 0.4), model(3, None, arm="oracle")]
    reference, own, oracle = water_summary.over_seeds(models)
    assert own["D"] == {"mean": pytest.approx(0.4), "error": pytest.approx(0.1 / np.sqrt(3))}
    assert (own["models"], own["trajectories"], own["survived"], own["failures"]) == (3, 6, 6, [])
    assert own["peaks"]["OO"]["position"]["mean"] == pytest.approx(2.8, abs=1e-3)
    assert own["rdf"]["OO"] == models[2]["rdf"]["OO"]
    assert own["vdos"] == models[2]["vdos"]
    assert (reference["models"], reference["survived"], reference["failures"]) == (2, 3, ["blew up"])
    assert reference["D"] == {"mean": pytest.approx(0.55), "error": pytest.approx(0.05)}
    assert oracle == {"kind": "mixed", "share": 0.4, "arm": "oracle", "models": 1, "trajectories": 1, "survived": 0,
                      "failures": ["blew up"], "each": []}  # fmt: skip
    assert water_summary.errors_off(own["D"], reference["D"]) == pytest.approx(-0.15 / np.hypot(0.05, 0.1 / np.sqrt(3)))
    table = water_tables.liquid([reference, own, oracle])
    assert "| 40 % bad | **`ema_robust`** | 3 | 6 of 6 | 0.400 ± 0.058 | -2.0 SE |" in table
    [alone] = water_summary.over_seeds(models[2:3])
    assert alone["D"] == models[2]["D"]


def test_differences_are_those_of_trajectories_that_begin_alike():
    """However much trajectories of one model differ: each is 10 % off its own."""
    clean = water_summary.over_models([model(1, 0.2, 0.4, arm="weighted", share=0.0), model(2, 0.9, arm="weighted")])
    own = model(1, 0.22, 0.44)
    assert water_summary.difference(own, clean, "D") == {"mean": pytest.approx(0.1), "error": pytest.approx(1 / 30)}
    one = water_summary.difference(model(2, 0.99), clean, "D")
    assert one == {"mean": pytest.approx(0.1), "error": None}
    other = water_summary.difference(model(3, 0.5, 0.6), clean, "D")  # no trajectory of that number
    assert other["mean"] == pytest.approx(0.55 / 0.6 - 1)  # two models: 0.3 and 0.9
    assert other["error"] == pytest.approx(np.hypot(0.05, 0.3) / 0.6)
    named = {"kind": "mixed", "arm": "default", "models": 1}
    table = water_tables.differences([clean | named | {"share": 0.0}, own | named | {"share": 0.4}])
    assert "| 40 % bad | **`ema_robust`** | 2 | +10.0 ± 3.3 % | +0.0 ± 0.0 % |" in table


def test_only_what_decides_is_run_with_further_seeds():
    full = water_cells.FULL
    assert set(full.simulated_with(1)) < set(full.trained_with(1))
    assert full.trained_with(2) == full.repeated
    assert set(full.simulated_with(2)) == set(full.repeated) & set(full.simulated)


def test_every_trajectory_of_an_arm_has_another_start():
    full = water_cells.FULL
    of_arms = {
        cell: [[one.number for one in full.replicas(cell, seed)] for seed in full.seeds] for cell in full.repeated
    }
    assert of_arms["mixed", 0.4, "oracle"] == [[0, 1], [2, 3], [4, 5]]
    assert of_arms[water_cells.CLEAN] == of_arms["mixed", 0.4, "oracle"], "all models begin from the same"


def test_results_of_seeds_that_are_not_run_now_are_kept(tmp_path):
    benchmark = replace(water_cells.QUICK, work=tmp_path, out=tmp_path / "results", seeds=(2,))
    (tmp_path / "results").mkdir()
    committed = {"models": [model(1, 0.5, arm="weighted", share=0.0), model(2, 0.5, arm="weighted", share=0.0)]}
    (tmp_path / "results" / "observables.json").write_text(json.dumps(committed))
    trained = pandas.DataFrame(
        [{"kind": "mixed", "share": 0.0, "arm": "weighted", "seed": seed, "commit": "a"} for seed in (1, 2)]
    )
    assert [own["seed"] for own in water_results.simulated(benchmark, trained)] == [1, 2]
    committed["models"][0]["commit"] = "before"  # of this one a newer model is known, and not its liquid
    (tmp_path / "results" / "observables.json").write_text(json.dumps(committed))
    assert [own["seed"] for own in water_results.simulated(benchmark, trained)] == [2]
    (benchmark.runs(water_cells.CLEAN, 2)).mkdir(parents=True)
    (benchmark.runs(water_cells.CLEAN, 2) / "demo.model").write_text("")  # nor of the one that is trained here
    assert water_results.simulated(benchmark, trained) == []


@pytest.mark.parametrize("name", ["settings", "E0s_eV", "severity"])
def test_results_of_other_frames_are_not_mixed_with_those_of_these(name, tmp_path):
    benchmark = replace(water_cells.QUICK, work=tmp_path, out=tmp_path / "results")
    data = {
        "settings": {"seed": 1},
        "E0s_eV": {"1": -10.0},
        "severity": {"mild": {"std": 58.1}},
        "versions": {"ase": "1"},
    }
    rounded = {"versions": {"ase": "2"}, "E0s_eV": {"1": -10.0 + 1e-9}}
    for folder, file, content in (
        ("liquid", "data.json", data), ("results", "results.json", {"data": data | rounded})
    ):  # fmt: skip
        (tmp_path / folder).mkdir()
        (tmp_path / folder / file).write_text(json.dumps(content))
    water_results.refuse_other_frames(benchmark)
    other = {"settings": {"seed": 2}, "E0s_eV": {"1": -10.1}, "severity": {"mild": {"std": 58.2}}}
    (tmp_path / "liquid" / "data.json").write_text(json.dumps(data | {name: other[name]}))
    with pytest.raises(SystemExit, match=f"{benchmark.out} are of other frames than those in .*--out"):
        water_results.write_results(benchmark)
    assert sorted(path.name for path in benchmark.out.iterdir()) == ["results.json"]
    water_results.refuse_other_frames(replace(benchmark, out=tmp_path / "empty"))


def test_results_of_nothing(tmp_path):
    with pytest.raises(SystemExit, match=r"No frames in .*, no results in .*out \(--out\): first run.py"):
        water_results.write_results(replace(water_cells.QUICK, work=tmp_path, out=tmp_path / "out"))
    assert not list(tmp_path.iterdir())


def test_tables_name_what_is_missing():
    rows = pandas.DataFrame(
        {"arm": arm, "kind": "mixed", "share": share, "seed": 1, water_tables.ENERGY: 2.0, water_tables.FORCES: 40.0,
         "energy_ratio": 1.0, "force_ratio": 1.0}
        for arm, share in (("weighted", 0.0), ("oracle", 0.4), ("default", 0.4))
    )  # fmt: skip
    table = water_tables.errors(rows)
    assert "| arm | all converged | 40 % bad |" in table
    assert "| **`ema_robust`** | - | 2.00 / 40.0 (1.00 x / 1.00 x) |" in table
    unknown = water_tables.errors(rows.assign(energy_ratio=np.nan, force_ratio=np.nan))
    assert "| **`ema_robust`** | - | 2.00 / 40.0 |" in unknown, "before the oracle is trained"
    about = {"kind": "mixed", "seed": 1}
    clean = about | {"share": 0.0, "arm": "weighted"} | water_summary.summarise([replica(), replica()])
    lost = about | {"share": 0.4, "arm": "weighted"} | water_summary.summarise([replica(survived=False)])
    front = water_tables.short(rows, water_summary.over_seeds([clean, lost]))
    assert "| all converged | stock `weighted` | 2.0 | 40.0 | 2.800 ± 0.000 | 1.900 ± 0.000 | 0.20 ± 0.00 |" in front
    assert "| 40 % bad | stock `weighted` | - | - | - | - | - |" in front
    text = water_tables.liquid(water_summary.over_seeds([clean, lost]))
    assert "| 40 % bad | stock `weighted` | 1 | 0 of 1, blew up | - |" in text
    assert text.rstrip().endswith("no: survived |")


def test_molecules_are_pushed_together_as_they_are_and_no_others_get_too_close():
    box = random_box(32, 1.0, np.random.default_rng(0))
    for seed in range(5):
        pushed = push_together(box, np.random.default_rng(seed))
        assert np.array_equal(pushed.positions, push_together(box, np.random.default_rng(seed)).positions)
        apart = pushed.get_all_distances(mic=True)
        moved = np.flatnonzero(np.abs(pushed.positions - box.positions).max(1) > 1e-9) // 3
        assert sorted(set(moved)) == sorted(moved[::3]), "whole molecules"
        assert len(moved) == 3 * 2 * liquid_contacts.CONTACTS
        places = box.positions.reshape(-1, 3, 3)
        shapes = [own - own[:, :1] for own in (places, pushed.positions.reshape(-1, 3, 3))]
        np.testing.assert_allclose(*shapes, atol=1e-12)
        other = np.arange(96)[:, None] // 3 != np.arange(96) // 3
        oxygens = np.isin(np.arange(96) % 3, [0])
        between = lambda one, two: apart[np.ix_(one, two)][other[np.ix_(one, two)]]  # noqa: B023, E731
        close = np.sort(between(oxygens, oxygens))[: 2 * liquid_contacts.CONTACTS : 2]
        assert ((close >= liquid_contacts.PUSHED[0]) & (close <= liquid_contacts.PUSHED[1])).all()
        assert between(~oxygens, ~oxygens).min() > liquid_contacts.ROOM[1, 1] - 1e-9
        assert between(oxygens, ~oxygens).min() > liquid_contacts.ROOM[1, 8] - 1e-9


def test_frames_are_taken_evenly():
    assert liquid_water.some_of(list(range(10)), 4) == [0, 2, 5, 7]
    assert liquid_water.some_of([], 0) == []


@pytest.mark.parametrize("more", [{"n_close": 81}, {"n_close": 8, "n_train": 7}, {"n_close": 1, "generations": 0}])
def test_more_frames_of_the_first_trajectories_than_there_are_is_an_error_before_anything_runs(more, tmp_path):
    with pytest.raises(SystemExit, match=f"--n_close {more['n_close']}: no more than the first trajectories have"):
        liquid_water.labelled_splits(LiquidSettings(**more), tmp_path / "water")
    assert not (tmp_path / "water").exists()
    liquid_water.check_same_settings(LiquidSettings(n_close=80), tmp_path)


# --- the whole, in small ---------------------------------------------------------------------------------------------


@pytest.fixture
def tiny(tmp_path):
    liquid = LiquidSettings(
        attempts=0,
        n_molecules=8, n_train=8, n_close=2, n_valid=4, n_test=4, frames_per_trajectory=4, first_trajectories=2,
        first_steps_between_frames=3, generations=1, equilibration_steps=4, steps_between_frames=4, sampler_epochs=2,
    )  # fmt: skip
    short = {"equilibration_ps": 0.01, "production_ps": 0.12, "nve_ps": 0.01}
    protocol = Protocol(**water_cells.HEAVY, **short, hottest=1e5, longest_bond=99.0, closest=0.0)
    cells = (water_cells.CLEAN, (liquid_water.MIXED, 0.4, "default"))
    return replace(
        water_cells.QUICK, work=tmp_path, out=tmp_path / "results", liquid=liquid, epochs=2, trained=cells,
        refined=(), simulated=cells,
        trajectories=1, protocol=protocol, repeated=cells[:1], seeds=(1, 2),
    )  # fmt: skip


def test_frames_that_observe_does_not_understand(tmp_path):
    from ase.io import write

    box = random_box(2, 0.5, np.random.default_rng(0))
    for name, atoms, said in (
        ("slab", Atoms(box.symbols, box.positions, cell=[9, 9, 20], pbc=True), "frame 0: no periodic cubic box"),
        ("order", box[[1, 0, 2, 3, 4, 5]], "not in the order O, H, H"),
    ):
        write(tmp_path / f"{name}.xyz", atoms)
        with pytest.raises(SystemExit, match=said):
            observe.check_starts(tmp_path / f"{name}.xyz")
    write(tmp_path / "good.xyz", box)
    observe.check_starts(tmp_path / "good.xyz")


@pytest.mark.usefixtures("forked_trainings")
def test_data_training_dynamics_and_results_then_nothing_twice(tiny, monkeypatch, capsys):
    import importlib.util

    cells = tiny.trained

    spec = importlib.util.spec_from_file_location("water_run", ROOT / "benchmarks" / "water" / "run.py")
    run = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(run)
    monkeypatch.setattr(run, "FULL", tiny)
    monkeypatch.setattr(sys, "argv", ["run.py", "--processes=1"])
    run.main()
    said = capsys.readouterr().out
    assert "seed 1: 2 trainings to run" in said
    assert "seed 2: 1 trainings to run" in said
    out = tiny.work / "results"
    models = json.loads((out / "observables.json").read_text())["models"]
    assert [(model["seed"], model["survived"]) for model in models] == [(1, 1), (2, 1), (1, 1)]
    assert all(np.isfinite(model["D"]["mean"]) for model in models)
    for name in ("errors", "liquid", "diffusion"):
        assert (out / f"{name}.png").stat().st_size > 10_000, name
    bad = [atoms.info["unconverged"] for atoms in read(tiny.data("mixed", 0.4, 1) / "train.xyz", ":")]
    assert sum(bad) == 3
    contacts = [read(tiny.work / "liquid" / "contacts" / f"00{i}.xyz").positions for i in range(2)]
    trained = read(tiny.data("mixed", 0.4, 1) / "train.xyz", ":2")
    assert np.allclose([atoms.positions for atoms in trained], contacts)
    observed = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "water" / "observe.py", "--model", tiny.runs(cells[0], 1) / "demo.model",
         "--starts", tiny.data(*cells[0][:2], 1) / "test.xyz", "--out", tiny.work / "own", "--replicas=1",
         "--equilibration_ps=0.01", "--production_ps=0.12", "--nve_ps=0.01"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert "of 1 trajectories survived" in observed.stdout, observed.stderr
    made = {path: path.stat().st_mtime_ns for path in tiny.work.rglob("*.npz")}
    run.main()
    assert "0 trainings to run, 2 finished" in capsys.readouterr().out
    described = tiny.work / "liquid" / "data.json"
    made_here = described.read_text()
    described.write_text(made_here.replace('"1": -10', '"1": -11'))
    with pytest.raises(SystemExit, match="of other frames"):
        run.main()
    described.write_text(made_here)
    assert made == {path: path.stat().st_mtime_ns for path in tiny.work.rglob("*.npz")}
    written = {name: (out / name).read_text() for name in ("trainings.csv", "observables.json")}
    for path in tiny.work.iterdir():  # as a new checkout finds it
        if path != out:
            shutil.rmtree(path)
    monkeypatch.setattr(sys, "argv", ["run.py", "--processes=1", f"--out={out}"])
    run.main()
    assert "0 trainings to run, 0 finished" in capsys.readouterr().out
    assert written == {name: (out / name).read_text() for name in written}
    both_seeds = "| all converged | stock `weighted` | 2 | 2 of 2 |"
    assert (out / "README.md").read_text().count(both_seeds) == 1
    assert water_results.finished_before(replace(tiny, trajectories=2), 1) == set()
