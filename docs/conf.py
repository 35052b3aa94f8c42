"""The site: pages of docs/pages, and the READMEs of the repository as they stand there."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import mace_outlier  # noqa: E402

project, author, release = "mace-outlier", "The mace-outlier developers", mace_outlier.__version__
copyright = f"2026, {author}"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
root_doc = "docs/pages/index"
include_patterns = ["docs/pages/*.md", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "patches/README.md"]
include_patterns += [
    "benchmarks/README.md",
    "benchmarks/**/README.md",
    "benchmarks/real/replays.md",
    "benchmarks/versions/mace_tests.md",
    "scripts/*/README.md",
]
myst_heading_anchors = 4
suppress_warnings = ["misc.highlighting_failure"]
autodoc_member_order, autodoc_typehints = "bysource", "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}
html_theme, html_title = "furo", f"mace-outlier {release}"
html_static_path, html_css_files = ["static"], ["wide.css"]  # tables need the room
html_show_sourcelink = False
