"""The workflows that a maintainer switches on, and what they run: whether all of it is there."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
yaml = pytest.importorskip("yaml")


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.stem)
def workflow(request):
    return yaml.safe_load(request.param.read_text())


def test_what_a_workflow_runs_is_there(workflow):
    for job in workflow["jobs"].values():
        for step in job["steps"]:
            for path in re.findall(r"(?<![\w/.])(?:scripts|\.ci)/\w+", step.get("run", "")):
                assert (ROOT / path).is_file(), path
            assert "run" in step or re.fullmatch(r"[\w-]+/[\w-]+@\S+", step["uses"])


def test_nothing_but_a_release_that_was_switched_on_is_published():
    publish = yaml.safe_load((ROOT / ".github" / "workflows" / "publish.yml").read_text())
    job = publish["jobs"]["publish"]
    assert job["if"] == "github.event_name == 'release' && vars.PUBLISH == 'true'"
    assert (job["permissions"], job["environment"], job["needs"]) == ({"id-token": "write"}, "pypi", "build")
    assert publish["permissions"] == {"contents": "read"}


def test_tests_run_on_every_python_that_is_named():
    project = (ROOT / "pyproject.toml").read_text()
    named = re.findall(r"Python :: (3\.\d+)", project)
    tests = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text())
    assert tests["jobs"]["tests"]["strategy"]["matrix"]["python"] == named


def test_the_version_is_the_same_everywhere():
    [version] = re.findall(r'__version__ = "(.*)"', (ROOT / "mace_outlier" / "__init__.py").read_text())
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert re.findall(r"^## ([\d.]+) ", (ROOT / "CHANGELOG.md").read_text(), flags=re.M)[0] == version
    [line] = re.findall(r"sed -n '(.*)' mace_outlier", (ROOT / ".github" / "workflows" / "publish.yml").read_text())
    read = subprocess.run(["sed", "-n", line, ROOT / "mace_outlier" / "__init__.py"], capture_output=True, text=True)
    assert read.stdout.strip() == version
