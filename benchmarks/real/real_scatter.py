"""How much the errors of two trainings differ that learned from nearly the same."""

import pandas
from real_measure import ENERGY, FORCES


def scatter(rows: pandas.DataFrame) -> str:
    """A sentence: the relative standard deviation of errors among the oracles of a data set and seed.

    These train with the same settings and initial weights on right frames; which few of them are left out differs with
    the fault. The deviations of the seeds are averaged as variances.
    """
    oracles = rows[(rows.arm == "oracle") & (rows.train == "forces")]
    oracles = oracles.drop_duplicates(["set", "seed", ENERGY, FORCES])  # several faults touch the same frames
    of_seeds = oracles.groupby(["set", "seed"], sort=False)[[ENERGY, FORCES]]
    relative = (of_seeds.std() / of_seeds.mean()).dropna()
    deviations = 100 * (relative**2).groupby("set", sort=False).mean() ** 0.5
    by_set = [f"{name} {one[ENERGY]:.0f} and {one[FORCES]:.0f} %" for name, one in deviations.iterrows()]
    return (
        "Trainings of one seed, on right frames that differ in a few, scatter by a relative standard deviation of\n"
        f"(energies and forces) {', '.join(by_set)}.\n"
    )


def with_scatter(ratios: pandas.Series) -> str:
    """The mean, and the standard deviation where it shows in so many digits."""
    deviation = number(ratios.std())
    return number(ratios.mean()) + ("" if deviation in ("-", "0.00") else f"\N{PLUS-MINUS SIGN}{deviation}")


def number(value: float | None, digits: int = 2) -> str:
    """So many digits behind the point; "-" where there is no number."""
    return "-" if value is None or pandas.isna(value) else f"{value:.{digits}f}"
