"""Pages out of templates: every string is escaped; style sheet and script stand in the page, nothing else runs."""

import base64
import hashlib
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from . import text

FILTERS = ("clean", "percent", "fixed", "milli", "unbroken")


def fill(template: str, scripts: tuple[str, ...] = (), **content: Any) -> str:
    """Return the page that a template of this folder makes of its content; it runs these scripts and no others.

    Data for the scripts go through the filter `tojson`, which leaves no "<" that could end their block.
    """
    environment = Environment(
        loader=FunctionLoader(_read), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update({name: getattr(text, name) for name in FILTERS})
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    script = "\n".join(map(_read, scripts))
    trusted = {"style": _read("style.css"), "script": script, "policy": policy(script)}
    trusted = {name: Markup(value) for name, value in trusted.items()}
    return environment.get_template(template).render(**trusted, **content)


def policy(script: str) -> str:
    """Return the Content-Security-Policy of a page: nothing is loaded, and only this script runs."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    allowed = f"script-src 'sha256-{digest}'; " if script else ""
    return f"default-src 'none'; {allowed}style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
