"""Public data, where they lie beside the repository: wrong labels are named, right ones are not."""

from pathlib import Path

import numpy as np
import pytest
from ase.io import iread
from made_up_checks import sure

from mace_outlier.checks import catalogue
from mace_outlier.checks.inputs import gather
from mace_outlier.checks.settings import Settings
from mace_outlier.checks.survey_files import survey

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "real"
pytestmark = pytest.mark.skipif(not REAL.exists(), reason=f"{REAL} is not there: see benchmarks/README.md")


def findings(*names):
    known = survey(gather([str(REAL / name) for name in names], {}, {}), Settings(), workers=1)
    return catalogue.run(known, list(catalogue.CHECKS))


def test_the_wrong_labels_of_tungsten_and_beryllium():
    truth = np.array([atoms.info["known_wrong"] for atoms in iread(REAL / "wbe.xyz", ":")])
    named = np.zeros(len(truth), dtype=bool)
    for finding in sure(findings("wbe.xyz")):
        named[finding.rows] = True
    assert named[truth == 1].mean() >= 0.95
    assert (truth[named & (truth >= 0)] == 1).mean() >= 0.95


def test_the_stress_of_molybdenum():
    (finding,) = sure(findings("mlearn_Mo_training.xyz"))
    assert (finding.check, len(finding.rows)) == ("stress", 56)
    assert "if its last three components are xz, yz, xy, where ASE and MACE read yz, xz, xy" in finding.what
    assert finding.numbers["slope"] == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("name", ["mlearn_Si_training.xyz", "mlearn_Si_test.xyz", "acac_test.xyz"])
def test_right_labels(name):
    said = findings(name)
    assert sure(said) == []
    assert not any("outside of all others" in finding.what for finding in said)
