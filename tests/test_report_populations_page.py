"""The page, the figure and the terminal of a run in which populations of losses were fitted."""

import math

import numpy as np
import pytest
from made_up_results import (
    ONE,
    TWO,
    about_populations,
    made_up_heads,
    made_up_populations,
    made_up_sample,
    population_entry,
    results_of,
    summarised,
    write_run,
)

from mace_outlier.__main__ import main
from mace_outlier.report import chance, distributions, figures, losses, tiles, words
from mace_outlier.report.groups import find_groups

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
    assert alone["population of losses: no sign of a second kind of labels"] == "1"
    assert not [what for what in alone if "false alarms" in what or "chance" in what]
    mixed = numbers(*made_up_heads())
    assert mixed["labels wrong by the fit: 31.0 %, in 1 head with two populations"] == "124"
    assert "by chance, were all labels right (2 heads with a threshold)" in mixed


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
    assert places == pytest.approx([fitted.centre, fitted.upper_centre, fitted.crossing(0.5)])
    assert [text.get_text().strip() for text in axes.texts] == ["right labels", "wrong labels", "weight 1/2"]
    assert "of right and of wrong labels" in figure.caption


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
    run = write_run(tmp_path, *made_up_heads())
    main(["report", str(run), "--top", "2"])
    out, page = capsys.readouterr().out, (tmp_path / "demo_run-1_outliers.html").read_text()
    rows = {
        name: line for line in out.splitlines() for name in ("pbe", "few", "published") if line.startswith(f" {name} ")
    }
    for shown in ("two populations", "0.223", "2.46", "31.0 %"):
        assert shown in rows["pbe"]
        assert shown in page
    assert "lognormal" in rows["few"]
    assert "4.6 to 10.0" in rows["published"]
