"""The script of the page, in a browser: sorting, filtering, points and rows, structures that turn."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from made_up_results import made_up_sample, made_up_table, with_validation, write_run

from mace_outlier.__main__ import main
from mace_outlier.report.text import DASH

ACTIONS = Path(__file__).with_name("actions.js").read_text()


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if not chromium:
        pytest.skip("chromium is not installed (apt-get install chromium)")
    folder = tmp_path_factory.mktemp("page")
    table = with_validation(made_up_table(90, range(24)), made_up_table(30, range(8), seed=1))
    causes = np.array(["forces all zero", "noise in energy", "unknown"])[np.arange(len(table)) % 3]
    suspect = (table["weight"] < 0.5).to_numpy()
    table = table.assign(cause=np.where(suspect, causes, ""), cause_certainty=0.9, cause_value=np.nan)
    table["config_type"] = np.where(np.arange(len(table)) % 2, "slab", "bulk")
    table["energy_error_per_atom"] *= 20  # beyond 1,000 meV/atom
    table.loc[2, "energy_error_per_atom"] = np.nan
    main(["report", str(write_run(folder, table, sample=made_up_sample(table[:90], 5))), "--top", "4"])
    page = (folder / "demo_run-1_outliers.html").read_text()
    # the page's own policy would not let the actions run
    page = re.sub('<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    (folder / "p.html").write_text(page.replace("</body>", f"<script>{ACTIONS}</script></body>"))
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}", "--dump-dom"]
    url = (folder / "p.html").as_uri()
    done = subprocess.run([chromium, *flags, url], capture_output=True, text=True, timeout=900, check=True)
    [told] = re.findall('<pre id="told">(.*?)</pre>', done.stdout, re.DOTALL)
    return json.loads(told.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))


def values(shown):
    return [float(value.replace(",", "")) for value in shown if value != DASH]


@pytest.mark.parametrize("title", ["frame", "energy"])
def test_a_click_on_a_head_sorts_numbers_as_numbers(seen, title):
    rising, falling = seen[f"{title} rising"], seen[f"{title} falling"]
    assert values(rising) == sorted(values(rising))
    assert values(falling) == sorted(values(falling), reverse=True)
    assert len(set(rising)) > 10
    if title == "energy":
        assert rising[-1] == falling[-1] == DASH  # none, last in both
        assert min(values(rising)) < -1000


def test_a_click_on_a_head_sorts_text(seen):
    rising = seen["config_type rising"]
    assert rising == sorted(rising) == seen["config_type falling"][::-1]
    assert set(rising) == {"bulk", "slab"}


def test_rows_are_filtered_by_words_cause_and_split(seen):
    every = len(seen["frame rising"])
    counted, types, causes = seen["words"]
    assert counted == f"{len(types)} of {every}"
    assert (set(types), set(causes)) == ({"slab"}, {"noise in energy"})
    assert seen["left"] == len(types)  # marked in the map
    assert set(seen["cause"][1]) == {"forces all zero"}
    assert set(seen["split"][1]) == {"valid"}
    assert len(seen["split"][1]) < every
    assert seen["all"] == [f"{every} of {every}", 0]


def test_a_point_and_a_row_belong_together(seen):
    tip, text, ring, place = seen["point"]
    assert tip == f"3: {text}"
    assert ring == pytest.approx(place)
    assert seen["lit"] == ["3"]
    assert seen["nowhere"] == [True, None]
    assert seen["chosen"] == [["3", False]]  # also where a filter had hidden it
    assert seen["others"] == 1
    assert seen["row"][0] == pytest.approx(seen["row"][1])


def test_a_structure_opens_and_turns(seen):
    painted, is_other = seen["turned"]
    assert painted > 2000
    assert is_other
    assert seen["arrows"] > 100
    assert seen["back"] < 100  # there and back
    assert seen["title"].startswith("1: H")
    assert seen["closed"]
