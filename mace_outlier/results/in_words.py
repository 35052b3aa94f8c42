"""What is believed of the labels of a head, in one line. No torch."""

from typing import Any

from .wrong_labels import in_percent, read_wrong_labels


def populations(distribution: dict[str, Any]) -> str:
    """What is believed of a head's labels in one line; where its fit was refused, what stays, and why."""
    if "not_finite_since" in distribution:
        before = {name: value for name, value in distribution.items() if name != "not_finite_since"}
        since = f"the model is not finite since epoch {distribution['not_finite_since']}"
        return f"{since}: labels are not judged, the weights are those of before: {populations(before)}"
    if "refused" in distribution:
        before = {name: value for name, value in distribution.items() if name != "refused"}
        return f"fit refused ({distribution['refused']}), that of before stays: {populations(before)}"
    wrong = read_wrong_labels(distribution)
    if wrong is None:
        return f"mu={distribution['location']:.4e}, sigma={distribution['scale']:.4e}"
    if wrong.believed:
        each = (f"{labels.labels} of {in_percent(labels.share)} {labels.off}" for labels in wrong.believed)
        return f"{in_percent(wrong.share)} wrong: {'; '.join(each)}"
    gross = f", but {in_percent(wrong.share)} gross errors" if wrong.share else ""
    if not wrong.undecided:
        return f"no wrong labels found ({wrong.evidence}){gross}"
    why = "more than half: which are the wrong ones?" if wrong.too_many else "which the next epoch has to confirm"
    return f"undecided: {in_percent(wrong.undecided)} look wrong, {why}{gross}"
