"""On-the-fly outlier weighting for stock MACE (Lam, O'Neill, Schran and Schaaf, arXiv:2602.08849).

This file is imported at every Python start (see `_boot`), so it imports nothing: public names are loaded on first use.
"""

__version__ = "0.2.0"
MARK = "__mace_outlier__"  # attribute of whatever we put in place of a host's function: doing so twice is harmless

_PUBLIC = {
    "GaussianDistribution": "weights.running",
    "LossDistribution": "weights.distribution",
    "soft_weight": "weights.running",
    "Records": "weights.records",
    "RobustLoss": "losses.robust",
    "RobustWeights": "weights.robust_weights",
    "Options": "run.options",
}
__all__ = list(_PUBLIC)


def __getattr__(name: str) -> object:
    """Load a public name from its module on first use (PEP 562)."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_PUBLIC[name]}"), name)
