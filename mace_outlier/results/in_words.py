"""What is believed of the labels of a head, in one line. No torch."""

from typing import Any

from .wrong_labels import WrongLabels, in_percent, read_wrong_labels


def populations(distribution: dict[str, Any]) -> str:
    """What is believed of a head's labels in one line; where its fit was refused, what stays, and why."""
    if "refused" in distribution:
        before = {name: value for name, value in distribution.items() if name != "refused"}
        return f"fit refused ({distribution['refused']}), that of before stays: {populations(before)}"
    wrong = read_wrong_labels(distribution)
    if wrong is None:
        return f"mu={distribution['location']:.4e}, sigma={distribution['scale']:.4e}"
    if wrong.believed:
        each = (f"{own.labels} of {in_percent(own.share)} {own.off}" for own in wrong.believed)
        return f"{in_percent(wrong.share)} wrong: {'; '.join(each)}"
    said = _undecided(wrong) if wrong.undecided else f"no wrong labels found ({wrong.evidence})"
    return said + (f", but {in_percent(wrong.share)} gross errors" if wrong.share else "")


def _undecided(wrong: WrongLabels) -> str:
    """What looks wrong and is not acted on."""
    if wrong.too_many:
        return f"undecided: {in_percent(wrong.undecided)} look wrong, more than half: which are the wrong ones?"
    return f"undecided: {in_percent(wrong.undecided)} look wrong, which the next epoch has to confirm"
