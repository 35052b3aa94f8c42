"""A survey of frames that a training has loaded, within some seconds: no file is read, no two frames are compared."""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms

from .examine import Examined, examine
from .inputs import Inputs, Source
from .reading import Chunk
from .settings import Settings
from .survey import Survey, assemble

NAMES = ("labels", "net_force", "sizes", "energies", "geometry", "settings")  # that look at each frame by itself


def budget(steps: int, settings: Settings) -> float:
    """Seconds that a look may take before an epoch of so many steps."""
    epoch = settings.look_step * steps
    return min(settings.look_most, max(settings.look_least, settings.look_share * epoch))


class Loaded(NamedTuple):
    """A frame, with labels under the keys of its source."""

    source: Source
    frame: int  # number in the file
    atoms: Atoms


def survey_loaded(
    frames: Iterable[Loaded],
    E0s: Mapping[str, Any],  # noqa: N803, MACE's name
    settings: Settings,
    until: float,
    r_max: float | None = None,
    scale: Mapping[str, float] | None = None,
) -> Survey:
    """Examine frames, in any order, until the time is up.

    Args:
        frames: of any files; making them counts.
        E0s: energies of isolated atoms, eV, by head and atomic number.
        settings: of the checks.
        until: `time.perf_counter()` after which no further frame is begun.
        r_max: the model's cutoff, Angstrom.
        scale: of the model, by head, where it was given.
    """
    alone, whole = replace(settings, back=0, most_groups=settings.look_groups), True
    parts: dict[tuple[str, str], list[Examined]] = defaultdict(list)  # by file and head
    sources: dict[tuple[str, str], Source] = {}
    for item in frames:
        key = item.source.path, item.source.head
        sources[key] = item.source
        parts[key].append(_examine(item, alone))
        if time.perf_counter() > until:
            whole = False
            break
    names = sorted(sources)
    numbered = ((number, part) for number, name in enumerate(names) for part in parts[name])
    given = Inputs([sources[name] for name in names], dict(E0s), r_max=r_max, scale=dict(scale or {}))
    result = assemble(given, alone, numbered)
    for number in range(len(names)):
        own = result.of_source(number)
        result.frames["source"][own] = number
        result.frames[own] = np.sort(result.frames[own], order="frame")
    result.whole = whole
    return result


def _examine(item: Loaded, settings: Settings) -> Examined:
    return examine(Chunk(0, Path(item.source.path), item.frame, 0, atoms=[item.atoms]), item.source.keys, settings)
