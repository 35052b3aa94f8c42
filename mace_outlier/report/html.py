"""Pages out of templates: every string is escaped, and the style sheet stands in the page."""

from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from . import text

FILTERS = ("clean", "percent", "fixed", "milli", "unbroken")


def fill(template: str, **content: Any) -> str:
    """Return the page that a template of this folder makes of its content."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update({name: getattr(text, name) for name in FILTERS})
    return environment.from_string(_read(template)).render(style=Markup(_read("style.css")), **content)


def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
