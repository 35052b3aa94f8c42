"""What `mace_outlier check` shows and writes. Nothing out of a data file reaches the terminal unseen."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.table import Table
from rich.text import Text

from ..checks.finding import CERTAIN, LIKELY, LOOK, Finding
from ..checks.naming import by_file, frames_of
from ..checks.survey import Survey
from ..files import replacing
from ..report.text import clean, of_many
from .console import console

STYLES = {CERTAIN: "bold red", LIKELY: "bold yellow", LOOK: "dim"}
MOST = 40  # findings that are shown; the JSON file has all


def show(survey: Survey, findings: Sequence[Finding], names: Sequence[str]) -> None:
    """Print how many and what."""
    out = console()
    out.print(Text(headline(survey, findings), style="bold"))
    if findings:
        out.print(table(survey, findings))
    if len(findings) > MOST:
        out.print(Text(f"and {len(findings) - MOST} more: see --json"))
    out.print(Text(f"Checks: {', '.join(names)}.", style="dim"))


def headline(survey: Survey, findings: Sequence[Finding]) -> str:
    """Say how many frames were read, and how sure what was found is."""
    read = f"{of_many(len(survey.frames), 'frame')} in {of_many(len(survey.sources), 'file')}"
    counts = count_of(findings)
    if not findings:
        return f"{read}: nothing found."
    parts = [
        f"{counts[CERTAIN]} certainly wrong" if counts[CERTAIN] else "",
        f"{counts[LIKELY]} likely" if counts[LIKELY] else "",
        f"{counts[LOOK]} to look at" if counts[LOOK] else "",
    ]
    return f"{read}. {of_many(len(findings), 'finding')}: {', '.join(part for part in parts if part)}."


def count_of(findings: Sequence[Finding]) -> dict[str, int]:
    """Count findings by how sure they are."""
    return {name: sum(finding.certainty == name for finding in findings) for name in STYLES}


def table(survey: Survey, findings: Sequence[Finding]) -> Table:
    """A row for each finding: how sure, which check, what, which frames, what to do."""
    result = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    result.add_column("sure", no_wrap=True)
    result.add_column("check", no_wrap=True)
    result.add_column("what, and where", overflow="fold", ratio=5)
    result.add_column("what to do", overflow="fold", ratio=3)
    for finding in findings[:MOST]:
        where = frames_of(survey, finding)
        result.add_row(
            Text(finding.certainty, style=STYLES[finding.certainty]),
            Text(finding.check),
            Text(clean(finding.what, 600) + (f"\n{where}" if where else "")),
            Text(clean(finding.fix, 300)),
        )
    return result


def write_json(path: Path, survey: Survey, findings: Sequence[Finding], names: Sequence[str]) -> None:
    """Write all findings with all of their frames."""
    content = {
        "files": [
            {"path": source.path, "role": source.role, "head": source.head, "frames": own.stop - own.start}
            for number, source in enumerate(survey.sources)
            for own in [survey.of_source(number)]
        ],
        "checks": list(names),
        "findings": [
            {
                "check": finding.check,
                "certainty": finding.certainty,
                "what": finding.what,
                "fix": finding.fix,
                "where": finding.where,
                "count": len(finding.rows),
                "frames": by_file(survey, finding.rows),
                "numbers": _plain(finding.numbers),
            }
            for finding in findings
        ],
    }
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _plain(value: Any) -> Any:
    """Builtins, and null for what is not finite: JSON has no NaN."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
