"""What weights tell their user, where no host writes results: a table of the configurations, and a text."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.labels import RESIDUALS
from ..results.in_words import in_a_line
from .by_head import Tally, judgement
from .rows import Rows

if TYPE_CHECKING:
    import pandas


def table_of(records: Rows, errors: Mapping[str, str], ids: Sequence[Any] | None = None) -> "pandas.DataFrame":
    """Return what RobustWeights.table does; `errors`: the label of each column that has errors."""
    import pandas

    columns = {name: records.column(name).cpu().numpy() for name in ("weight", "zscore", "loss")}
    columns["loss"] = np.where(np.isfinite(columns["loss"]), columns["loss"], np.nan)
    for name, label in errors.items():
        of_label = records.column(RESIDUALS[label].column).cpu().numpy()
        columns |= {} if np.isnan(of_label).all() else {name: of_label}
    columns["times_seen"] = records.times_seen.cpu().numpy()
    table = pandas.DataFrame(columns, index=None if ids is None else pandas.Index(ids, name="id"))
    return table.sort_values(["weight", "zscore"], ascending=[True, False], kind="stable")


def text_of(
    tallies: Sequence[Tally], described: Sequence[Mapping[str, Any]], table: "pandas.DataFrame", most: int
) -> str:
    """Return what is believed of each head's labels (`described`: see Safety.describe), and the worst suspects."""
    suspects = table[table.weight < 0.5]
    lines = [f"{len(suspects)} of {len(table)} configurations have a weight below 0.5."]
    for head, of_head in enumerate(described):
        line = in_a_line(of_head, judgement(tallies[head], of_head))
        lines.append((f"head {head}: " if len(described) > 1 else "") + line)
    return "\n".join(lines + ([suspects.head(most).to_string()] if len(suspects) else []))
