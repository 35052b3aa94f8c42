"""Hypotheses on the energies of all suspects together."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from scipy.special import logsumexp

from .expected import Expected
from .frames import Frame
from .hypotheses import ENERGY, NEVER, RIGHT, Hypotheses, Hypothesis, Told, noises, scaled
from .likelihood import of_scattered
from .offsets import with_offsets
from .settings import Settings
from .suspected_energies import Array, Column, SuspectedEnergies

OTHER, PER_ATOM, WITHOUT_ATOMS = "another frame", "per atom", "without E0s"
POOL, MOST_POOL = 4, 400  # frames of a formula, from which one can be mistaken for another, and that are compared
DIGITS = 1e-8  # relative difference of equal energies
SINGLE = 1.2e-7  # the same in single precision, in which most trainings have them


def energy_faults(
    suspects: Sequence[Frame], trusted: Sequence[Frame], expected: Expected, settings: Settings
) -> list[Hypotheses]:
    """Return all hypotheses on the energy of each suspect that has one; `trusted`: with right labels."""
    own = SuspectedEnergies(suspects, expected, settings)
    columns = [
        Column(Hypothesis(RIGHT), own.of_right(own.error), own.error),
        *_noise(own),
        *_in_another_unit(own),
        _per_atom(own),
        _without_isolated_atoms(own),
        _of_another_frame(own, trusted),
    ]
    columns = with_offsets(own, columns, unclear={OTHER})
    return [
        {c.hypothesis: Told(float(c.log_likelihood[i]), float(c.value[i])) for c in columns}
        for i in range(len(suspects))
    ]


def _noise(own: SuspectedEnergies) -> list[Column]:
    width = np.full(len(own.error), own.width)
    return [
        Column(one, of_scattered(own.error, width, scale, own.settings), own.error)
        for one, scale in noises(own.settings).items()
    ]


def _in_another_unit(own: SuspectedEnergies) -> list[Column]:
    return [
        Column(
            one,
            own.of_right(own.error_of(own.label / one.factor)) - np.log(one.factor),
            np.full(len(own.label), one.factor),
        )
        for one in scaled(ENERGY, signs=False)
    ]


def _per_atom(own: SuspectedEnergies) -> Column:
    likely = own.of_right(own.error_of(own.label * own.atoms)) + np.log(own.atoms)
    return Column(Hypothesis(PER_ATOM), np.where(own.atoms > 1, likely, NEVER), 1 / own.atoms)


def _without_isolated_atoms(own: SuspectedEnergies) -> Column:
    likely = own.of_right(own.error_of(own.label + own.isolated))
    known = np.abs(own.isolated) > 0
    return Column(Hypothesis(WITHOUT_ATOMS), np.where(known, likely, NEVER), -own.isolated / own.atoms)


# --- energy of another frame -----------------------------------------------------------------------------------------


def _of_another_frame(own: SuspectedEnergies, trusted: Sequence[Frame]) -> Column:
    """The density of the energies that configurations of the same formula have, and that of exactly these."""
    pools: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for frame in [*trusted, *own.suspects]:
        if np.isfinite(frame.energy) and len(pools[frame.formula]) < MOST_POOL:
            pools[frame.formula].append((frame.energy, frame.predicted_energy))
    arrays = {formula: np.array(pool).reshape(-1, 2) for formula, pool in pools.items()}
    single = np.array_equal(own.label, own.label.astype(np.float32))
    digits = SINGLE if single else DIGITS
    likely = [_drawn(own, i, arrays[frame.formula], digits) for i, frame in enumerate(own.suspects)]
    return Column(Hypothesis(OTHER), np.array(likely), own.error)


def _drawn(own: SuspectedEnergies, i: int, pool: Array, digits: float) -> float:
    """The likelihood of the energy of suspect i among labels and predictions (P, 2) of the same formula."""
    if len(pool) < POOL:
        return NEVER
    label, atoms, per_atom = own.label[i], own.atoms[i], pool[:, 1] / own.atoms[i]
    width = max(1.06 * float(np.std(per_atom)) * len(pool) ** -0.2, own.width)  # Silverman's rule
    away = (label / atoms - per_atom) / width
    smooth = logsumexp(-0.5 * away**2) - np.log(len(pool) * width * np.sqrt(2 * np.pi))
    near = digits * max(abs(label), 1.0)
    other = np.abs(per_atom - own.predicted[i] / atoms) > own.settings.wrong * own.width  # geometries
    same = int(np.sum(other & (np.abs(pool[:, 0] - label) <= near)))
    exact = np.log(same / (len(pool) * 2 * near / atoms)) if same > 0 else NEVER
    return float(np.logaddexp(smooth, exact) - np.log(2))
