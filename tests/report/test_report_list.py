"""The list of suspects, the points of the map and the structures of the page: what the script gets."""

import io
import json

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from made_up_results import HOSTILE, made_up_sample, made_up_table, results_of, summarised, write_run
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from mace_outlier.__main__ import main
from mace_outlier.report import cards, figures, points, sample, scatter, structures, summary
from mace_outlier.report.html import fill, policy


def found(table, **options):
    """The points of a table, and the figure, drawn."""
    table, said = results_of(table).table, summarised(table)
    listed = summary.worst(table, said, options.get("most", 1000))
    with figures.our_style():
        figure = scatter.draw_map(table, said)
    picture = io.BytesIO()
    with figures.our_style():
        figure.canvas.savefig(picture, format="png", dpi=200)
    picture.seek(0)
    return points.find_points(table, said, figure, listed), imread(picture)


# --- points ----------------------------------------------------------------------------------------------------------


def test_points_lie_on_their_marks():
    """Where a suspect is said to be, the picture is orange; where another one is, blue."""
    marked, picture = found(made_up_table(30, range(0, 30, 5)))
    assert sorted(point.rank for point in marked if point.rank) == [1, 2, 3, 4, 5, 6]
    assert len(marked) == 30
    for point in marked:
        height, width, _ = picture.shape
        colour = picture[round(point.down * height), round(point.across * width), :3]
        distances = {name: np.abs(colour - to_rgb(name)).max() for name in (figures.SUSPECT, figures.OTHER)}
        nearest = min(distances, key=distances.get)
        assert nearest == (figures.SUSPECT if point.rank else figures.OTHER)
        assert distances[nearest] < 0.35  # the others are transparent


def test_points_are_those_of_the_list_and_a_sample_of_the_others(monkeypatch):
    monkeypatch.setattr(points, "MOST_OTHERS", 50)
    table = made_up_table(400, range(40))
    table.loc[0, "force_rmse"], table.loc[1, "energy_error_per_atom"] = 0.0, np.nan
    marked, _ = found(table, most=20)
    listed = summary.worst(results_of(table).table, summarised(table), 20)
    assert [point.rank for point in marked if point.rank] == [suspect.rank for suspect in listed if suspect.row != 1]
    assert sum(not point.rank for point in marked) == 50
    assert len({point.text for point in marked}) == len(marked)
    assert all(0 < point.across < 1 and 0 < point.down < 1 for point in marked)


def test_a_point_says_what_it_is():
    table = made_up_table(3, [1]).assign(cause=["", "forces of the wrong sign", ""], source="/data/a.xyz")
    table.loc[1, ["energy_error_per_atom", "force_rmse", "weight", "config_type"]] = [-0.0123, 0.5, 0.25, "slab\n"]
    [text] = [point.text for point in found(table)[0] if point.rank]
    assert text.splitlines()[0].endswith(", slab\\n")
    assert text.splitlines()[1:] == [
        "a.xyz, frame 1",
        "energy error -12.3 meV/atom",
        "force RMSE 500.0 meV/Å",
        "weight 0.250, forces of the wrong sign",
    ]


def test_no_points_without_both_errors():
    assert found(made_up_table(4, [0]).assign(force_rmse=np.nan))[0] == []


# --- structures ------------------------------------------------------------------------------------------------------


def turned(frames: list[Atoms]):
    table = made_up_table(len(frames), range(len(frames)))
    suspects = summary.worst(results_of(table).table, summarised(table), len(frames))
    rows = {suspect.row: suspect.rank for suspect in suspects}
    return structures.find_structures(sample.Sample(dict(enumerate(frames)), ""), suspects), rows


def test_structures_that_can_be_turned():
    salt = bulk("NaCl", "rocksalt", a=5.6)
    salt.arrays["reference_forces"] = np.zeros((2, 3))
    salt.arrays["predicted_forces"] = np.array([[0.1, 0, 0], [0, -0.2, 0]])
    atom, broken, huge = Atoms("H"), Atoms("H", [[np.nan, 0, 0]]), Atoms("H601", np.arange(1803.0).reshape(601, 3))
    data, ranks = turned([salt, atom, broken, huge])
    assert set(data["by_rank"]) == {ranks[0], ranks[1]}
    own = data["by_rank"][ranks[0]]
    assert own["errors"] == salt.arrays["predicted_forces"].tolist()
    assert np.allclose(own["cell"], salt.cell.array, atol=1e-3)
    assert np.allclose(np.array(own["view"]) @ np.array(own["view"]).T, np.eye(3), atol=1e-3)
    assert data["by_rank"][ranks[1]]["cell"] is data["by_rank"][ranks[1]]["errors"] is None
    assert {z: name for z, (name, *_) in data["elements"].items()} == {1: "H", 11: "Na", 17: "Cl"}


def test_structures_are_few_enough_for_a_page(monkeypatch):
    monkeypatch.setattr(structures, "MOST_TURNED", 5)
    data, ranks = turned([Atoms("H2", [[0, 0, 0], [0.7, 0, 0]]) for _ in range(4)])
    assert set(data["by_rank"]) == {1, 2}
    assert len(ranks) == 4


def test_a_page_holds_drawings_of_many_atoms():
    crowd = Atoms("CHNOF" * 120, np.random.default_rng(0).uniform(0, 20, (600, 3)))
    assert len(cards.drawing(crowd)) < 100_000  # base64; 220,000 in all colours


# --- the page --------------------------------------------------------------------------------------------------------


def page(folder, *arguments) -> str:
    main(["report", str(folder), *map(str, arguments)])
    return (folder / "demo_run-1_outliers.html").read_text()


def test_the_list_goes_on_where_the_drawings_end(tmp_path, monkeypatch, capsys):
    table = made_up_table(300, range(40))
    suspects = int((table["weight"] < 0.5).sum())
    monkeypatch.setattr(summary, "MOST_LISTED", 30)
    html = page(write_run(tmp_path, table, sample=made_up_sample(table)).parent, "--top", 4)
    assert html.count('<tr data-rank="') == 30
    assert html.count('class="more"') == 26
    assert html.count('<section class="card"') == html.count('<a href="#suspect-') == 4
    assert f"The worst 30 of {suspects} suspects" in html
    assert "The complete list is in <code>demo_run-1_outliers.csv</code>" in html
    assert f"The worst 4 of {suspects} suspects" in capsys.readouterr().out
    assert page(tmp_path, "--top", 35).count('<section class="card"') == 35


def test_the_page_answers_in_order(tmp_path):
    table = made_up_table(300, range(40)).assign(cause="", cause_certainty=np.nan, cause_value=np.nan)
    table.loc[150:, "source"] = "more.xyz"
    table.loc[table["weight"] < 0.5, "cause"] = "noise in energy"
    html = page(write_run(tmp_path, table, sample=made_up_sample(table)).parent)
    questions = ["look wrong", "How sure is that?</h2>", "What is wrong with them</h2>", "Where</h2>", "Each one</h2>"]
    headings = [*questions, "The worst 20</h3>", "The run</h2>"]
    order = [html.index(heading) for heading in headings]
    assert order == sorted(order)
    where = html[html.index("Where</h2>") : html.index("Each one</h2>")]
    assert where.index("By file") < where.index("By config_type")
    assert where.index('<td class="name">train.xyz') < where.index('<td class="name">more.xyz')  # that of the suspects
    assert html.count('<td class="name">noise in energy</td>') == 1 + (table["weight"] < 0.5).sum()


def test_a_page_without_suspects_has_no_list(tmp_path):
    table = made_up_table(30).assign(weight=0.99)
    html = page(write_run(tmp_path, table, sample=made_up_sample(table)).parent)
    assert 'id="list"' not in html
    assert "Errors of energy and forces</h2>" in html
    assert len(json.loads(html.split('id="data">')[1].split("</script>")[0])["points"]) == 30


# --- what may run ----------------------------------------------------------------------------------------------------


def test_only_the_script_of_the_page_may_run():
    assert "script-src" not in policy("")
    digest = "E6jQvrT2ZivWG9GJ4AAEZf4MhI7l3QkLroW4hgvUT4c="
    others = "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    assert policy("start();") == f"default-src 'none'; script-src 'sha256-{digest}'; {others}"


@pytest.mark.parametrize("word", HOSTILE)
def test_no_string_ends_the_block_of_data(word):
    block = fill("data.html.jinja", data=[word, "</script>", "<!--"])
    assert block.count("<") == 2
    assert json.loads(block.split(">", 1)[1].rsplit("<", 1)[0]) == [word, "</script>", "<!--"]


def test_data_that_is_no_json_is_refused():
    with pytest.raises(ValueError, match="JSON compliant"):
        fill("data.html.jinja", data=[np.nan])
