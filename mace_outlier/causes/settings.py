"""All numbers on which causes depend, each with its reason. None is fitted to a data set; see benchmarks/causes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Errors are in units of those of right labels, if nothing else is said."""

    certain: float = 0.9  # probability from which a cause is said
    trusted: int = 8  # configurations with right labels, from which their errors are known
    near: int = 25  # trusted ones with the most similar forces, by whose errors those of a configuration are expected
    spread: float = 0.5  # of the logarithm of errors, at least: a model's errors differ by half from frame to frame
    spreads: tuple[float, ...] = (0.5, 0.75, 1.0, 1.25)  # the same for energies: the one that explains right ones best
    wrong: float = 3.0  # a label is wrong from here on; right ones reach it in one of a few hundred
    left: float = 0.5  # of a label, by a sign that explains it though it isn't that far off: noise leaves more
    scales: int = 16  # of errors without a pattern, each twice the one before: up to 1e5
    factor: float = 1.3  # nearer to 1, an unknown factor is the model's: its forces are off by a fifth
    few: int = 5  # suspects that have to agree on an offset: two may always do
    gain: float = 6.0  # of the logarithm of the likelihood by an offset, beyond its parameters: strong evidence
    offsets: int = 4  # at most: two methods, both signs
    electron: float = 2.0  # eV, for one configuration: the smallest ionisation energy is 3.9
    electron_spread: float = 0.25  # of it: what differs between geometries and molecules of one data set
    above: float = 0.8  # share of energies above the right ones, from which they aren't converged, if
    scattered: float = 0.25  # share of these whose forces are scattered: another reference leaves them right
    isolated: float = 2.0  # of `isolation`: no configuration with a right label is similar
    prior_right: float = 1.0  # pseudo-counts of suspects; for each property, most labels of a suspect are right
    prior_noise: float = 1.0  # of all scales together
    prior_cause: float = 0.1  # of each other cause: a cause of one suspect needs ten times the evidence
    prior_unit: float = 0.02  # of each unit or factor, of which there are two dozen
    rare: float = 0.1  # of that, for units that hardly any code writes, and where all others would be in the unit
