"""The page, the figure and the terminal of a run whose labels were judged."""

import html

import numpy as np
import pytest
from made_up_fits import BOTH, ENERGIES, MANY, NONE, UNDECIDED, population_entry
from made_up_results import (
    about_populations,
    made_up_about,
    made_up_heads,
    made_up_populations,
    made_up_sample,
    made_up_table,
    results_of,
    summarised,
    with_validation,
    write_run,
)

from mace_outlier.__main__ import main
from mace_outlier.report import distributions, figures, judgements, tiles, words
from mace_outlier.report.groups import find_groups


def numbers(table, about):
    found = summarised(table, about)
    shown = tiles.tiles_of(found, find_groups(results_of(table).table, found), None)
    return {what: value for value, what, _ in shown}


# --- tiles -----------------------------------------------------------------------------------------------------------


def test_tiles_of_wrong_labels():
    table = made_up_populations(400, BOTH)
    expected = summarised(table, about_populations(BOTH)).heads[0].expected
    shown = numbers(table, about_populations(BOTH))
    energies = "meV/atom more than geometry explains: typical wrong energies, 14.9 %, too high and too low alike"
    assert shown[energies] == "60"
    assert shown["x what is expected: typical wrong forces, 3.0 %"] == "2.4"
    missed = f"expected false alarms; {expected.missed:.1f} wrong labels missed"
    assert float(shown[missed]) == pytest.approx(expected.false_alarms, abs=0.05)
    assert not [what for what in shown if "chance" in what]
    mixed = numbers(*made_up_heads())
    assert mixed["x what is expected: typical wrong forces, 3.0 %, in 1 head"] == "2.4"
    assert "by chance, were all labels right (2 heads with a threshold)" in mixed
    validation = made_up_populations(80, BOTH, share=0.5, seed=1)
    split = numbers(with_validation(table, validation), about_populations(BOTH))
    low = [int((part["weight"] < 0.5).sum()) for part in (table, validation)]
    assert split[f"suspects of 480: {low[0]} in training, {low[1]} in validation"] == str(sum(low))


def test_tiles_where_nothing_was_found_or_decided():
    alone = numbers(made_up_populations(400, NONE), about_populations(NONE))
    assert alone["evidence for wrong labels, of the 6 that are needed"] == "3"
    assert not [what for what in alone if "false alarms" in what or "chance" in what]
    undecided = numbers(made_up_populations(400, NONE), about_populations(UNDECIDED))
    assert undecided["look wrong, but undecided"] == "12.0 %"
    assert not [what for what in undecided if "evidence" in what]


def test_the_tile_of_wrong_labels_that_are_too_close():
    close = NONE | {"gain": 113.4}
    shown = numbers(made_up_populations(400, close), about_populations(close))
    assert shown["evidence for errors of two sizes, too close to tell wrong labels from hard geometries"] == "113"


def test_tiles_of_several_heads_with_wrong_labels():
    table, about = made_up_heads()
    about["distribution"][1] = population_entry(ENERGIES, "r2scan")
    table.loc[table.index[table["head"] == "r2scan"][:30], "weight"] = 0.1
    assert numbers(table, about)["of 4 heads have wrong labels"] == "2"


# --- the figure ------------------------------------------------------------------------------------------------------


def drawn(table, about):
    with figures.our_style():
        return distributions.draw_losses(results_of(table).table, summarised(table, about))


def bars(axes, name="configurations"):
    """Counts and edges of the bins of a panel."""
    [data] = [patch.get_data() for patch in axes.patches if patch.get_label() == name]
    return data.values, data.edges


def test_the_figure_shows_losses_and_distances_without_curves():
    table = made_up_populations(400, BOTH)
    figure = drawn(table, about_populations(BOTH))
    left, right = figure.canvas.axes
    suspects = int((table["weight"] < 0.5).sum())
    for axes in (left, right):
        assert not axes.lines
        assert not axes.texts
        assert (bars(axes)[0].sum(), bars(axes, "suspects")[0].sum()) == (400, suspects)
    counts, edges = bars(right, "suspects")
    assert edges[:-1][counts > 0].min() > 3  # widths of right labels
    assert edges[-1] > table["zscore"].max()
    assert "not by the loss" in figure.caption
    assert "line" not in figure.caption


def test_distances_that_are_none_or_huge_are_drawn():
    table = made_up_populations(60, BOTH)
    table.loc[:3, "zscore"] = [np.nan, np.inf, -2.0, 1e9]
    right = drawn(table, about_populations(BOTH)).canvas.axes[1]
    assert bars(right)[0].sum() == 59
    right = drawn(table.assign(zscore=np.nan), about_populations(BOTH)).canvas.axes[1]
    assert [text.get_text() for text in right.texts] == ["no z-score recorded"]


def test_a_distribution_keeps_its_curve_and_its_lines():
    [axes] = drawn(made_up_table(400), made_up_about()).canvas.axes
    curve = next(line for line in axes.lines if line.get_label() == "fitted distribution")
    edges = bars(axes)[1]
    expected = np.interp(np.sqrt(edges[1:] * edges[:-1]), curve.get_xdata(), np.nan_to_num(curve.get_ydata()))
    assert expected.sum() == pytest.approx(0.77 * 400, rel=0.05)  # a normal one has losses below 0
    places = [line.get_xdata()[0] for line in axes.lines if len(line.get_xdata()) == 2]
    assert places == pytest.approx([0.61, 0.61 + 2 * 0.82])


def test_the_validation_set_is_not_in_the_histogram():
    table = made_up_populations(400, BOTH)
    figure = drawn(with_validation(table, made_up_populations(80, BOTH)), about_populations(BOTH))
    assert [bars(axes)[0].sum() for axes in figure.canvas.axes] == [400, 400]
    assert "The validation set is left out." in figure.caption
    assert "validation" not in drawn(table, about_populations(BOTH)).caption


def test_the_figure_of_heads_of_several_kinds():
    figure = drawn(*made_up_heads())
    texts = [{text.get_text().strip() for text in axes.texts} for axes in figure.canvas.axes]
    assert texts == [set(), set(), set(), set(), {"mu", "mu + 2 sigma"}, {"exp(mu)", "exp(mu + 5 sigma)"}]
    labels = [axes.get_xlabel() for axes in figure.canvas.axes]
    assert labels == ["", "", "", "z (widths of right labels)", "", "loss at the last visit (unit of the base loss)"]
    [legend] = figure.canvas.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert sorted(names) == ["configurations", "fitted distribution", "suspects"]


def test_a_cut_far_beyond_the_losses_does_not_stretch_the_axis():
    about = made_up_about()
    about["distribution"][0]["threshold"] = 1000.0
    [axes] = drawn(made_up_table(400), about).canvas.axes
    assert axes.get_xlim()[1] < 50
    assert [text.get_text().strip() for text in axes.texts] == ["mu"]


# --- the whole -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fit", [MANY, UNDECIDED])
def test_terminal_and_page_say_the_same(tmp_path, capsys, fit):
    table = made_up_populations(120, fit)
    about = about_populations(fit)
    run = write_run(tmp_path, table, about, made_up_sample(table, 5))
    main(["report", str(run), "--top", "2"])
    out = " ".join(capsys.readouterr().out.split())
    page = " ".join((tmp_path / "demo_run-1_outliers.html").read_text().replace("&#39;", "'").split())
    found = summarised(table, about)
    sentences = [
        judgements.DOUBTS_TITLE,
        *judgements.doubts(found),
        judgements.DOUBTS_ADVICE,
        words.headline(found),
        *words.how_sure(found),
    ]
    for sentence in sentences:
        assert sentence in out
        assert sentence in page
    assert "threshold 8 sigma" not in page


def test_the_table_of_heads_shows_wrong_labels(tmp_path, capsys):
    table, about = made_up_heads()
    about["distribution"][0]["properties"]["energy"] |= {"too_low": 0.97}
    run = write_run(tmp_path, table, about)
    main(["report", str(run), "--top", "2"])
    out, page = capsys.readouterr().out, (tmp_path / "demo_run-1_outliers.html").read_text()
    rows = {
        name: line for line in out.splitlines() for name in ("pbe", "few", "published") if line.startswith(f" {name} ")
    }
    for shown in ("wrong labels", "0.223", "14.9 %, -60", "3.0 %, 2.4 x", "245", "> 99.9 %"):
        assert shown in rows["pbe"]
        assert html.escape(shown) in page
    assert "lognormal" in rows["few"]
    assert "4.6 to 10.0" in rows["published"]
    assert "stress" not in out
