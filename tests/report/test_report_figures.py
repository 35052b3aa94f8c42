"""The figures of a report, and the drawings of structures."""

import math

import numpy as np
import pytest
from ase import Atoms
from ase.build import fcc111
from made_up_results import made_up_sample, made_up_table, summarised, water_cluster, write_run
from matplotlib.quiver import Quiver

from mace_outlier.report import figures, sample, scatter, structures, summary
from mace_outlier.report.epochs import read_history
from mace_outlier.results.reading import read_results


def parity_sample(frames: list[Atoms], count: int) -> tuple[sample.Sample, summary.Summary]:
    table = made_up_table(count, [0])
    return sample.Sample(dict(enumerate(frames)), ""), summarised(table)


def test_energies_are_relative_to_the_isolated_atoms_or_to_a_fit():
    rng = np.random.default_rng(0)
    frames = [water_cluster(count, rng) for count in (2, 3, 4, 5)]
    for i, frame in enumerate(frames):
        energy = -10.0 * len(frame) / 3
        frame.info.update(
            reference_energy=energy + 6 * (i == 0), predicted_energy=energy, isolated_atoms_energy=energy + 3
        )
    pairs, said = sample.energies(*parity_sample(frames, 4))
    assert "isolated atoms" in said
    assert pairs.values[1] == pytest.approx([-3 / len(frame) for frame in frames])
    del frames[2].info["isolated_atoms_energy"]
    pairs, said = sample.energies(*parity_sample(frames, 4))
    assert "fitted" in said
    assert pairs.values[0] == pytest.approx([1, 0, 0, 0], abs=1e-9)  # the suspect doesn't bend the fit
    assert pairs.suspect.tolist() == [True, False, False, False]


def test_force_pairs_skip_what_is_missing_or_not_finite():
    frames = [water_cluster(1, np.random.default_rng(0)) for _ in range(3)]
    for frame in frames:
        frame.arrays["predicted_forces"] = np.ones((3, 3))
    frames[0].arrays["reference_forces"] = np.zeros((3, 3))
    frames[0].arrays["reference_forces"][1, 2] = np.nan
    frames[2].arrays["reference_forces"] = np.zeros((3, 3))
    pairs = sample.forces(*parity_sample(frames, 3))
    assert pairs.values.shape == (2, 17)
    assert pairs.suspect.sum() == 8
    assert sample.force_errors(frames[0]) is None
    assert sample.force_errors(frames[1]) is None
    assert sample.largest_error(frames[2]) == pytest.approx(math.sqrt(3))


def test_a_sample_of_another_training_is_left_out(tmp_path):
    table = made_up_table(20, [0])
    frames = made_up_sample(table, 5)
    frames[1].info["row"] = 99
    frames[2] += Atoms("H")
    run = read_results(write_run(tmp_path, table, sample=frames))
    assert len(sample.read_sample(run).frames) == len(frames) - 2


def test_suspects_far_out_do_not_set_the_limits():
    values = np.linspace(-1, 1, 200)
    suspect = np.arange(200) == 7
    far = np.stack([np.where(suspect, 1e7, values), values])
    low, high = scatter.limits_of(sample.Pairs(far, suspect))
    assert -4 < low < -1
    assert 1 < high < 4
    assert scatter.limits_of(sample.Pairs(-far, suspect))[0] > -4
    near = np.stack([np.where(suspect, 1.5, values), values])
    assert scatter.limits_of(sample.Pairs(near, suspect))[1] > 1.5


def test_a_sample_with_validation_frames_is_not_called_training():
    table = made_up_table(60, [0, 59])
    table.loc[30:, "split"] = "valid"
    found = summarised(table)
    captions = []
    for part in (table[:30], table):
        frames = {int(frame.info["row"]): frame for frame in made_up_sample(part, 5)}
        with figures.our_style():
            captions.append(scatter.draw_parity(sample.Sample(frames, ""), found).caption)
    assert "the 1 worst training suspects and 5 other training configurations" in captions[0]
    assert "the 2 worst suspects and 5 other configurations" in captions[1]


def test_the_map_bins_many_configurations():
    table = made_up_table(scatter.MOST_POINTS_IN_MAP + 11, range(300))
    table.loc[:9, "force_rmse"] = 0.0
    table.loc[10:19, "force_rmse"] = np.nan
    with figures.our_style():
        drawn = scatter.draw_map(summary.with_categories(table), summarised(table))
    assert "the 100 worst are marked" in drawn.caption
    assert "Not shown: 10" in drawn.caption


def test_labels_that_are_known_to_be_wrong_are_ringed_in_the_map():
    table, wrong = made_up_table(60, [0, 1]), np.arange(60) < 3
    table.loc[2, "force_rmse"] = np.nan
    with figures.our_style():
        drawn = scatter.draw_map(summary.with_categories(table), summarised(table), wrong).canvas
        stock = scatter.draw_map(summary.with_categories(table), summarised(table)).canvas
    rings = next(own for own in drawn.axes[0].collections if not len(own.get_facecolor()) and len(own.get_offsets()))
    expected = 1000 * table.loc[:1, ["force_rmse", "energy_error_per_atom"]].to_numpy()
    assert np.allclose(rings.get_offsets(), expected)
    names = [[text.get_text() for text in canvas.legends[0].get_texts()] for canvas in (drawn, stock)]
    assert names == [["trusted", "suspect", "known to be wrong"], ["trusted", "suspect"]]


@pytest.mark.filterwarnings("error")
def test_names_are_no_mathematics_and_may_have_any_letters():
    canvas = figures.Canvas()
    with figures.our_style():
        canvas.suptitle(figures.label("$x^$ \\frac 漢字"))
    assert figures.encoded(canvas, "svg").startswith("data:image/svg+xml")


def test_history_keeps_the_last_of_a_repeated_epoch():
    about = {
        "history": [
            {"epoch": e, "head": h, "mean_weight": i}
            for i, (e, h) in enumerate([(0, "a"), (1, "a"), (1, "a"), (0, "b")])
        ]
    }
    history = read_history(about)
    assert history[["head", "epoch", "mean_weight"]].to_numpy().tolist() == [
        ["a", 0, 0.0],
        ["b", 0, 3.0],
        ["a", 1, 2.0],
    ]
    assert read_history({}).empty


@pytest.mark.parametrize(
    ("frame", "drawn"),
    [
        (Atoms("H"), True), (Atoms("N2", [[0, 0, 0], [1.1, 0, 0]]), True), (fcc111("Pt", (2, 2, 2), vacuum=5), True),
        (Atoms("X5000", positions=np.random.default_rng(0).random((5000, 3)) * 30), True), (Atoms(), False),
        (Atoms("H", [[np.nan, 0, 0]]), False),
    ],
)  # fmt: skip
def test_structures_are_drawn_where_they_can_be(frame, drawn):
    frame.arrays["reference_forces"] = np.zeros((len(frame), 3))
    frame.arrays["predicted_forces"] = np.ones((len(frame), 3))
    with figures.our_style():
        canvas = structures.draw_structure(frame)
    assert (canvas is not None) == drawn
    if canvas:
        assert figures.encoded(canvas, "png").startswith("data:image/png;base64,")


def arrows_of(frame: Atoms):
    with figures.our_style():
        canvas = structures.draw_structure(frame)
    return [drawn for drawn in canvas.axes[0].collections if isinstance(drawn, Quiver)]


def test_arrows_are_those_of_the_force_errors():
    """To scale, also where they start: on the atoms that have an error."""
    frame = Atoms("HHeLi", [[0, 0, 0], [3, 0, 0], [0, 2, 0]])
    errors = np.array([[0, 0.4, 0], [0.2, 0, 0], [0, 0, 0.01]])
    frame.arrays["reference_forces"] = np.ones((3, 3))
    frame.arrays["predicted_forces"] = 1 + errors
    [arrows] = arrows_of(frame)
    lengths = np.hypot(arrows.U, arrows.V)
    assert len(lengths) == 2  # none that can't be seen
    assert lengths[0] == pytest.approx(2 * lengths[1])
    assert np.linalg.norm(np.diff(arrows.XY, axis=0)) == pytest.approx(3.0)
    frame.arrays["predicted_forces"] = np.ones((3, 3))
    assert not arrows_of(frame)


def test_a_molecule_lies_flat_and_is_not_mirrored():
    for seed in range(6):
        frame = water_cluster(1, np.random.default_rng(seed))
        rotation = structures.flat_view(frame.positions)
        assert np.linalg.det(rotation) == pytest.approx(1)
        heights = (frame.positions - frame.positions.mean(axis=0)) @ rotation
        assert heights[:, 2] == pytest.approx(0, abs=0.1)
