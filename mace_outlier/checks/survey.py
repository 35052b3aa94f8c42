"""What is known after one pass over all files: a record of each frame, links between neighbours, a sample of frames."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from ase.data import atomic_numbers, chemical_symbols
from ase.formula import Formula

from .examine import FRAME, LINK, Examined, Sampled
from .inputs import Inputs, Source
from .probes import Nearness, Probe, probes_for
from .sample import Reservoir
from .settings import Settings


@dataclass
class Survey:
    """All that is known; a row is a frame, and rows of a file lie together in its order."""

    inputs: Inputs
    settings: Settings
    frames: np.ndarray  # (N,) of FRAME
    links: np.ndarray  # (L,) of LINK, rows
    formulas: list[str]
    groups: list[str]
    elsewhere: list[Counter[tuple[str, str]]]  # of each source: labels under other names
    elements: list[Counter[int]]  # of each source: frames with each element
    sample: list[Sampled] = field(default_factory=list)
    first_row: list[int] = field(default_factory=list)  # of each source
    whole: bool = True  # whether all frames were read
    unread: dict[int, int] = field(default_factory=dict)  # source -> blank line after which its file goes on
    probes: list[Probe] = field(default_factory=list)
    nearness: Nearness = field(default_factory=lambda: Nearness.nothing(0, Settings()))  # of the probes

    @property
    def sources(self) -> list[Source]:
        """The files."""
        return self.inputs.sources

    def has(self, flag: int) -> np.ndarray:
        """Tell which frames have one of these flags, (N,) boolean."""
        return (self.frames["flags"] & int(flag)) != 0

    def of_source(self, source: int) -> slice:
        """Rows of a file."""
        ends = [*self.first_row[1:], len(self.frames)]
        return slice(self.first_row[source], ends[source])

    def by_source(self, chosen: np.ndarray) -> Iterator[tuple[np.ndarray, str]]:
        """Yield the rows of each file that are chosen, (N,) boolean, and its path."""
        sources = self.frames["source"]
        for source in np.unique(sources[chosen]):
            yield np.flatnonzero(chosen & (sources == source)), self.sources[source].path

    @cached_property
    def composition(self) -> tuple[list[int], np.ndarray]:
        """Atomic numbers (Z,) of the elements that occur, in order, and atoms of each in each formula, (F, Z)."""
        parsed = [Formula(text).count() for text in self.formulas]
        numbers = sorted({atomic_numbers[symbol] for counts in parsed for symbol in counts})
        table = [[counts.get(chemical_symbols[number], 0) for number in numbers] for counts in parsed]
        return numbers, np.array(table, dtype=float).reshape(len(parsed), len(numbers))

    def kinds(self) -> tuple[np.ndarray, list[str]]:
        """Code of file and config_type of each row (N,), and their names; where these are many, of files or heads."""
        most = self.settings.most_groups
        if len(self.sources) > most:
            heads = list(dict.fromkeys(source.head for source in self.sources))
            of_source = np.array([heads.index(source.head) for source in self.sources], dtype=np.int32)
            return of_source[self.frames["source"]], [f"head {head}" for head in heads]
        if len(self.sources) * len(self.groups) > most:
            return self.frames["source"], [source.path for source in self.sources]
        codes = self.frames["source"] * len(self.groups) + self.frames["group"]
        used = np.flatnonzero(np.bincount(codes))
        names = []
        for code in used.tolist():
            source, group = divmod(code, len(self.groups))
            text = self.groups[group]
            names.append(self.sources[source].path + (f", config_type {text}" if text != "Default" else ""))
        numbers = np.zeros(len(self.sources) * len(self.groups), dtype=np.int32)
        numbers[used] = np.arange(len(used))
        return numbers[codes], names


def assemble(
    inputs: Inputs, settings: Settings, parts: Iterable[tuple[int, Examined]], probes: Sequence[Probe] = ()
) -> Survey:
    """Put together what was examined, each part with the number of its file, in the order of the files."""
    formulas: dict[str, int] = {}
    groups: dict[str, int] = {}
    count = len(inputs.sources)
    result = Survey(inputs, settings, np.zeros(0, FRAME), np.zeros(0, LINK), [], [], [], [])
    result.elsewhere, result.elements = [Counter() for _ in range(count)], [Counter() for _ in range(count)]
    result.probes, result.nearness = list(probes), Nearness.nothing(len(probes), settings)
    frames, links, rows, reservoir = [], [], np.zeros(count, dtype=np.int64), Reservoir(settings)
    for number, part in parts:
        _merge(part, formulas, groups)
        for end in ("one", "two"):
            part.links[end] += rows[:number].sum()
        frames.append(part.frames)
        links.append(part.links)
        rows[number] += len(part.frames)
        result.elsewhere[number].update(part.elsewhere)
        result.elements[number].update(part.elements)
        if part.nearness is not None:
            result.nearness.merge(part.nearness, probes_for(inputs.sources[number], probes))
        for item in part.sample:
            reservoir.offer(item)
    result.frames = np.concatenate([np.zeros(0, FRAME), *frames])
    result.links = np.concatenate([np.zeros(0, LINK), *links])
    result.first_row = [0, *np.cumsum(rows)[:-1].tolist()] if count else []
    result.formulas, result.groups = list(formulas), list(groups)
    result.sample = [item for items in reservoir.kept.values() for item in items]
    return result


def _merge(part: Examined, formulas: dict[str, int], groups: dict[str, int]) -> None:
    """Replace the numbers of formulas and groups by those that hold for all chunks."""
    for column, texts, known in (("formula", part.formulas, formulas), ("group", part.groups, groups)):
        codes = np.array([known.setdefault(text, len(known)) for text in texts], dtype=np.int32)
        if len(codes):
            part.frames[column] = codes[part.frames[column]]
