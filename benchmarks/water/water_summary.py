"""The observables of one model from its trajectories, and how two models compare."""

import numpy as np
from water_observables import FIRST_PEAK, first_peak

SCALARS = ("temperature", "D", "D_corrected", "drift_meV_per_atom_per_ps")
PEAK_TOLERANCE = 0.02  # of position and height


def summarise(replicas: list[dict]) -> dict:
    """Mean and standard error of each observable over the trajectories that survived, and how many did.

    The standard error (that of the mean, from the scatter between trajectories) needs two of them; else it is None.
    """
    alive = [one for one in replicas if one["survived"]]
    found = {"trajectories": len(replicas), "survived": len(alive), "ps": [one["ps"] for one in replicas]}
    found["failures"] = sorted(one["failure"] for one in replicas if not one["survived"])
    if not alive:
        return found
    for name in SCALARS:
        found[name] = mean_and_error([one[name] for one in alive])
    found["rdf"] = {
        pair: {"r": curve["r"], "g": np.round(np.mean([one["rdf"][pair]["g"] for one in alive], 0), 4).tolist()}
        for pair, curve in alive[0]["rdf"].items()
    }
    density = np.mean([one["vdos"]["density"] for one in alive], 0)
    found["vdos"] = {"wavenumber": alive[0]["vdos"]["wavenumber"], "density": np.round(density, 8).tolist()}
    found["peaks"] = {}
    for pair in FIRST_PEAK:
        position, height = zip(*(first_peak(one["rdf"][pair], pair) for one in alive), strict=True)
        found["peaks"][pair] = {"position": mean_and_error(position), "height": mean_and_error(height)}
    return found


def mean_and_error(values) -> dict[str, float | None]:
    """Mean, and the standard error of the mean."""
    values = np.asarray(values, dtype=float)
    error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
    return {"mean": float(values.mean()), "error": error}


def verdict(own: dict, clean: dict) -> dict[str, bool]:
    """Whether a model survived, diffuses like the clean one (within one combined standard error), and has its peaks.

    Peaks: position and height of each pair's first one within 2 %.
    """
    if own["survived"] < own["trajectories"] or not clean.get("D"):
        return {"survived": own["survived"] == own["trajectories"]}
    combined = np.hypot(own["D"]["error"] or 0.0, clean["D"]["error"] or 0.0)
    close = [
        abs(own["peaks"][pair][which]["mean"] / clean["peaks"][pair][which]["mean"] - 1) <= PEAK_TOLERANCE
        for pair in FIRST_PEAK
        for which in ("position", "height")
    ]
    return {
        "survived": True,
        "diffusion": bool(abs(own["D"]["mean"] - clean["D"]["mean"]) <= combined),
        "structure": all(close),
    }
