"""The observables of a model from its trajectories, of an arm from its models, and how two arms compare."""

from collections import defaultdict
from functools import reduce
from itertools import product
from operator import getitem

import numpy as np
from water_observables import FIRST_PEAK, first_peak

SCALARS = ("temperature", "D", "D_corrected", "drift_meV_per_atom_per_ps")
PEAK = ("position", "height")
PEAKS = tuple(product(FIRST_PEAK, PEAK))
PEAK_TOLERANCE = 0.02  # of position and height


def summarise(replicas: list[dict]) -> dict:
    """Mean and standard error of each observable over the trajectories that survived, and how many did.

    The standard error (that of the mean, from the scatter between trajectories) needs two of them; else it is None.
    """
    alive = [{"number": i, **one} for i, one in enumerate(replicas) if one["survived"]]
    found = {"trajectories": len(replicas), "survived": len(alive), "ps": [one["ps"] for one in replicas]}
    found["failures"] = sorted(one["failure"] for one in replicas if not one["survived"])
    if not alive:
        return found
    alive = [one | {"peaks": first_peaks(one["rdf"])} for one in alive]
    found["each"] = [{name: one[name] for name in ("number", "D", "peaks")} for one in alive]
    return found | averages(alive)


def first_peaks(rdf: dict[str, dict]) -> dict[str, dict[str, float]]:
    """Position and height of each pair's first peak."""
    return {pair: dict(zip(PEAK, first_peak(rdf[pair], pair), strict=True)) for pair in FIRST_PEAK}


def averages(parts: list[dict]) -> dict:
    """Mean and standard error of scalars and peaks, and mean curves, over trajectories or models."""
    found = {name: mean_and_error([one[name] for one in parts]) for name in SCALARS}
    found["rdf"] = {pair: mean_curve([one["rdf"][pair] for one in parts], "r", "g", 4) for pair in parts[0]["rdf"]}
    found["vdos"] = mean_curve([one["vdos"] for one in parts], "wavenumber", "density", 8)
    found["peaks"] = {
        pair: {which: mean_and_error([one["peaks"][pair][which] for one in parts]) for which in PEAK}
        for pair in FIRST_PEAK
    }
    return found


def without_errors(own: dict) -> dict:
    """A summary with means in place of means and errors, as a trajectory has them."""
    peaks = {pair: {which: peak[which]["mean"] for which in PEAK} for pair, peak in own["peaks"].items()}
    return own | {name: own[name]["mean"] for name in SCALARS} | {"peaks": peaks}


def over_seeds(models: list[dict]) -> list[dict]:
    """One summary for each kind, share and arm, over the models that were trained with several seeds."""
    of = defaultdict(list)
    for model in models:
        of[model["kind"], model["share"], model["arm"]].append(model)
    names = ("kind", "share", "arm")
    return [dict(zip(names, which, strict=True)) | over_models(own) for which, own in of.items()]


def of_cell(liquids: list[dict], kind: str, share: float, arm: str) -> dict | None:
    """The summary of a kind, share and arm, if there is one."""
    return next((one for one in liquids if (one["kind"], one["share"], one["arm"]) == (kind, share, arm)), None)


def over_models(models: list[dict]) -> dict:
    """Mean over models of each observable's mean, and its standard error from the scatter between models.

    That scatter has that of trajectories in it. Of a single model, what `summarise` says: its error knows nothing of
    how another seed's training would differ.
    """
    alive = [own for own in models if own["survived"]]
    found: dict = {which: sum(own[which] for own in models) for which in ("trajectories", "survived")}
    found["models"] = len(models)
    found["failures"] = sorted(failure for own in models for failure in own["failures"])
    found["each"] = [one for own in alive for one in own["each"]]
    if len(alive) < 2:
        return {**(alive[0] if alive else {}), **found}
    return found | averages(list(map(without_errors, alive)))


def mean_curve(curves: list[dict], x: str, y: str, digits: int) -> dict[str, list[float]]:
    """Mean of curves over the same x."""
    return {x: curves[0][x], y: np.round(np.mean([one[y] for one in curves], 0), digits).tolist()}


def mean_and_error(values) -> dict[str, float | None]:
    """Mean, and the standard error of the mean."""
    values = np.asarray(values, dtype=float)
    error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
    return {"mean": float(values.mean()), "error": error}


def verdict(own: dict, clean: dict) -> dict[str, bool]:
    """Whether a model survived, diffuses like the clean one (within one combined standard error), and has its peaks.

    Peaks: position and height of each pair's first one within 2 %, by `difference`.
    """
    if own["survived"] < own["trajectories"] or not clean.get("D"):
        return {"survived": own["survived"] == own["trajectories"]}
    return {
        "survived": True,
        "diffusion": abs(errors_off(own["D"], clean["D"])) <= 1,
        "structure": not peaks_off(own, clean),
    }


def errors_off(own: dict, clean: dict) -> float:
    """By how many combined standard errors an observable, mean and error, is off the clean model's."""
    combined = combined_error(own, clean)
    apart = own["mean"] - clean["mean"]
    if not combined:
        return float(np.copysign(np.inf, apart)) if apart else 0.0
    return apart / combined


def combined_error(one: dict, other: dict) -> float:
    """Standard error of the difference of two means; 0 where none is known."""
    return float(np.hypot(one["error"] or 0.0, other["error"] or 0.0))


def peaks_off(own: dict, clean: dict) -> dict[tuple[str, str], dict[str, float | None]]:
    """First peaks beyond the tolerance: by what relative difference, with its standard error."""
    off = {name: difference(own, clean, "peaks", *name) for name in PEAKS}
    return {name: by for name, by in off.items() if abs(by["mean"]) > PEAK_TOLERANCE}


def difference(own: dict, clean: dict, *name: str) -> dict[str, float | None]:
    """Relative difference of an observable, with its standard error, over the trajectories that both have.

    Trajectories of one number have the same start and random numbers. What that makes of them, the temperature of
    the start and a network that a liquid of 10 ps remembers, is not in their differences. Where they share none: that
    of the means, with the combined standard error.
    """
    ours, theirs = ({one["number"]: reduce(getitem, name, one) for one in of["each"]} for of in (own, clean))
    common = sorted(ours.keys() & theirs.keys())
    if common:
        apart = np.array([ours[number] - theirs[number] for number in common])
        return mean_and_error(apart / np.mean([theirs[number] for number in common]))
    one, other = (reduce(getitem, name, of) for of in (own, clean))
    return {"mean": one["mean"] / other["mean"] - 1, "error": combined_error(one, other) / other["mean"] or None}
