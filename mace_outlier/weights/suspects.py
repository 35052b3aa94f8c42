"""A table of configurations, the worst first, and what is believed of them in words: for other training loops."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..results.in_words import populations

if TYPE_CHECKING:
    import pandas


def sorted_table(columns: Mapping[str, Tensor], ids: Sequence[Any] | None) -> "pandas.DataFrame":
    """Columns (N,) by name as a table, by rising weight and falling z-score; `ids` (N,): the index."""
    import pandas

    index = None if ids is None else pandas.Index(ids, name="id")
    table = pandas.DataFrame({name: own.cpu().numpy() for name, own in columns.items()}, index=index)
    return table.sort_values(["weight", "zscore"], ascending=[True, False], kind="stable")


def in_words(table: "pandas.DataFrame", described: Sequence[Mapping[str, Any]], most: int) -> str:
    """How many suspects, what is believed of each head (see LossDistribution.describe), and the worst of them."""
    suspects = table[table.weight < 0.5]
    lines = [f"{len(suspects)} of {len(table)} configurations have a weight below 0.5."]
    for head, own in enumerate(described):
        lines.append((f"head {head}: " if len(described) > 1 else "") + populations(dict(own)))
    return "\n".join(lines + ([suspects.head(most).to_string()] if len(suspects) else []))
