"""The page, the figure and the terminal of a run in which populations of losses were fitted."""

import math

import numpy as np
import pytest
import torch
from made_up_fits import BOTH, ENERGIES, ONE, SCATTER, THREE, TWO, population_entry
from made_up_results import (
    about_populations,
    made_up_heads,
    made_up_populations,
    made_up_sample,
    results_of,
    summarised,
    with_validation,
    write_run,
)

from mace_outlier.__main__ import main
from mace_outlier.mixture import MixtureDistribution
from mace_outlier.report import chance, distributions, figures, losses, tiles, words
from mace_outlier.report.groups import find_groups
from mace_outlier.weighting import Remembered

SIMILAR = TWO | {"share": 0.45}


def numbers(table, about):
    found = summarised(table, about)
    shown = tiles.tiles_of(found, find_groups(results_of(table).table, found), None)
    return {what: value for value, what, _ in shown}


def test_tiles_follow_the_kind():
    table = made_up_populations(400, TWO)
    odds = summarised(table, about_populations(TWO)).heads[0].odds
    shown = numbers(table, about_populations(TWO))
    assert shown["labels wrong by the fit: 31.0 %"] == "124"
    assert shown[f"expected false alarms; {odds.missed:.1f} wrong labels missed"] == f"{odds.false_alarms:.1f}"
    assert not [what for what in shown if "chance" in what]
    alone = numbers(made_up_populations(400, ONE), about_populations(ONE))
    assert alone["population: no sign of a second kind of labels"] == "1"
    assert not [what for what in alone if "false alarms" in what or "chance" in what]
    mixed = numbers(*made_up_heads())
    assert mixed["labels wrong by the fit: 31.0 %, in 1 head with wrong labels"] == "124"
    assert "by chance, were all labels right (2 heads with a threshold)" in mixed
    validation = made_up_populations(80, TWO, share=0.5, seed=1)
    split = numbers(with_validation(table, validation), about_populations(TWO))
    low = [int((part["weight"] < 0.5).sum()) for part in (table, validation)]
    assert split[f"suspects of 480: {low[0]} in training, {low[1]} in validation"] == str(sum(low))
    assert split["training labels wrong by the fit: 31.0 %"] == "124"


def drawn(table, about):
    with figures.our_style():
        return distributions.draw_losses(results_of(table).table, summarised(table, about))


def test_the_figure_shows_both_populations_and_where_they_cross():
    figure = drawn(made_up_populations(400, TWO), about_populations(TWO))
    [axes] = figure.canvas.axes
    fitted = losses.read_losses(population_entry(TWO), {"threshold": 8.0})
    lines = {line.get_label(): line for line in axes.lines}
    right, wrong, both = (lines[name] for name in ("right labels (fitted)", "wrong labels (fitted)", "their sum"))
    assert right.get_xdata()[np.nanargmax(right.get_ydata())] == pytest.approx(math.exp(-1.5), rel=0.02)
    assert wrong.get_xdata()[np.nanargmax(wrong.get_ydata())] == pytest.approx(math.exp(0.9), rel=0.02)
    assert np.nanmax(both.get_ydata()) >= np.nanmax(right.get_ydata())
    places = [line.get_xdata()[0] for line in axes.lines if len(line.get_xdata()) == 2]
    assert places == pytest.approx([fitted.centre, *fitted.upper_centres, fitted.crossing(0.5)])
    assert [text.get_text().strip() for text in axes.texts] == ["right labels", "wrong labels", "weight 1/2"]
    assert "of right and of wrong labels" in figure.caption
    assert "At the line, judged by its loss alone, a label is as likely to be wrong as right" in figure.caption
    assert "relative" not in figure.caption
    forces = drawn(made_up_populations(400, TWO).assign(energy_error_per_atom=np.nan), about_populations(TWO))
    assert "At the line a label is as likely to be wrong as right" in forces.caption


def test_the_figure_shows_every_population_of_wrong_labels():
    [axes] = drawn(made_up_populations(400, THREE, share=0.448), about_populations(THREE)).canvas.axes
    places = [line.get_xdata()[0] for line in axes.lines if len(line.get_xdata()) == 2]
    assert sorted(places) == pytest.approx([math.exp(x) for x in (-1.6, -0.5, 0.9)])
    assert [text.get_text().strip() for text in axes.texts if text.get_text()] == ["right labels", "wrong labels"]


@pytest.mark.parametrize("fit", [BOTH, ENERGIES, SCATTER])
def test_no_loss_is_a_limit_where_energies_tell(fit):
    figure = drawn(made_up_populations(400, fit), about_populations(fit))
    [axes] = figure.canvas.axes
    assert sorted(text.get_text().strip() for text in axes.texts) == ["right labels", "wrong labels"]
    assert "so that there is no line at weight 1/2" in figure.caption
    assert "At the line" not in figure.caption


def test_names_of_populations_do_not_cross():
    fit = ENERGIES | {"high_mean": -1.6}  # wrong labels with the lower losses
    [axes] = drawn(made_up_populations(400, fit), about_populations(fit)).canvas.axes
    sides = {text.get_text().strip(): text.get_horizontalalignment() for text in axes.texts}
    assert sides == {"right labels": "left", "wrong labels": "right"}


def bars(figure):
    """The losses of the configurations in a figure of one head: counts and edges of the bins."""
    [axes] = figure.canvas.axes
    [data] = [patch.get_data() for patch in axes.patches if patch.get_label() == "configurations"]
    return data.values, data.edges


def test_losses_are_drawn_relative_to_their_formula():
    """As the fit that is drawn with them sees them."""
    table = made_up_populations(600, BOTH)
    kind = np.arange(600) % 3
    table["formula"] = np.array(["H2O", "CH4", "CO"])[kind]
    table["loss"] *= np.array([1.0, 0.1, 30.0])[kind]
    loss, energy = (torch.tensor(table[name].to_numpy()) for name in ("loss", "energy_error_per_atom"))
    distribution, heads = MixtureDistribution(), torch.zeros(600, dtype=torch.long)
    distribution.refit(Remembered(loss, energy, heads, heads == 0, torch.zeros(600), np.column_stack((kind, kind))))
    about = about_populations(BOTH) | {"distribution": [{"head": "Default"} | distribution.describe()[0]]}
    assert about["distribution"][0]["share"] == pytest.approx(0.31, abs=0.02)
    figure = drawn(table, about)
    values, edges = bars(figure)
    curve = next(line for line in figure.canvas.axes[0].lines if line.get_label() == "their sum")
    expected = np.interp(np.sqrt(edges[1:] * edges[:-1]), curve.get_xdata(), np.nan_to_num(curve.get_ydata()))
    assert np.abs(values - expected).sum() < 0.25 * 600
    assert "loss / (typical loss of the formula)" in figure.caption
    del about["distribution"][0]["molecules"]  # as an older version, which compared all losses
    assert np.ptp(np.log(bars(drawn(table, about))[1])) > np.ptp(np.log(edges)) + 3


def test_the_validation_set_is_not_in_the_histogram():
    table = made_up_populations(400, TWO)
    figure = drawn(with_validation(table, made_up_populations(80, TWO)), about_populations(TWO))
    assert bars(figure)[0].sum() == 400
    assert "The validation set is left out." in figure.caption
    assert "validation" not in drawn(table, about_populations(TWO)).caption


def test_the_figure_of_heads_of_several_kinds():
    figure = drawn(*made_up_heads())
    texts = [{text.get_text().strip() for text in axes.texts} for axes in figure.canvas.axes]
    assert texts[1:] == [
        {"one population", "weight 1/2"}, {"mu", "mu + 2 sigma"}, {"exp(mu)", "exp(mu + 5 sigma)"},
    ]  # fmt: skip
    [legend] = figure.canvas.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert sorted(names) == sorted({*names})
    assert {"fitted distribution", "wrong labels (fitted)"} < {*names}


def test_a_cut_far_beyond_the_losses_does_not_stretch_the_axis():
    wide = ONE | {"right": 3.0}
    figure = drawn(made_up_populations(400, ONE), about_populations(wide))
    [axes] = figure.canvas.axes
    assert axes.get_xlim()[1] < 50
    assert [text.get_text().strip() for text in axes.texts] == ["one population"]


def test_terminal_and_page_say_the_same(tmp_path, capsys):
    table = made_up_populations(120, SIMILAR)
    about = about_populations(SIMILAR)
    run = write_run(tmp_path, table, about, made_up_sample(table, 5))
    main(["report", str(run), "--top", "2"])
    out = " ".join(capsys.readouterr().out.split())
    page = " ".join((tmp_path / "demo_run-1_outliers.html").read_text().replace("&#39;", "'").split())
    found = summarised(table, about)
    sentences = [
        chance.SIMILAR_TITLE,
        *chance.similar_populations(found),
        chance.SIMILAR_ADVICE,
        *words.how_sure(found),
    ]
    for sentence in sentences:
        assert sentence in out
        assert sentence in page
    assert words.meaning_of_z(found) in page
    assert "threshold 8 sigma" not in page


def test_the_table_of_heads_shows_populations(tmp_path, capsys):
    table, about = made_up_heads()
    about["distribution"][0]["high_error"] = 0.02
    run = write_run(tmp_path, table, about)
    main(["report", str(run), "--top", "2"])
    out, page = capsys.readouterr().out, (tmp_path / "demo_run-1_outliers.html").read_text()
    rows = {
        name: line for line in out.splitlines() for name in ("pbe", "few", "published") if line.startswith(f" {name} ")
    }
    for shown in ("two populations", "0.223", "2.46", "-20.0", "31.0 %", "97.0 %"):
        assert shown in rows["pbe"]
        assert shown in page
    assert "lognormal" in rows["few"]
    assert "4.6 to 10.0" in rows["published"]
