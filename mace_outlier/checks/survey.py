"""One pass over all files: a record of each frame, links between neighbours, and a sample of whole frames."""

import itertools
import os
import sys
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import cached_property
from multiprocessing import get_context

import numpy as np
from ase.data import atomic_numbers, chemical_symbols
from ase.formula import Formula
from tqdm import tqdm

from .examine import FRAME, LINK, Examined, Sampled, examine
from .inputs import Inputs, Source
from .reading import Chunk, chunks
from .sample import Reservoir
from .settings import Settings

ALONE = 6  # chunks that are examined here, before workers are started, which takes a second or two


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

    @cached_property
    def composition(self) -> tuple[list[int], np.ndarray]:
        """Atomic numbers (Z,) of the elements that occur, in order, and atoms of each in each formula, (F, Z)."""
        parsed = [Formula(text).count() for text in self.formulas]
        numbers = sorted({atomic_numbers[symbol] for counts in parsed for symbol in counts})
        table = [[counts.get(chemical_symbols[number], 0) for number in numbers] for counts in parsed]
        return numbers, np.array(table, dtype=float).reshape(-1, len(numbers))

    def kinds(self) -> tuple[np.ndarray, list[str]]:
        """Code of file and config_type of each row (N,), and their names; where these are many, of files or heads."""
        most = self.settings.most_groups
        if len(self.sources) > most:
            heads = list(dict.fromkeys(source.head for source in self.sources))
            code = np.array([heads.index(source.head) for source in self.sources], dtype=np.int64)
            return code[self.frames["source"]], [f"head {head}" for head in heads]
        if len(self.sources) * len(self.groups) > most:
            return self.frames["source"].astype(np.int64), [source.path for source in self.sources]
        codes = self.frames["source"].astype(np.int64) * len(self.groups) + self.frames["group"]
        unique, inverse = np.unique(codes, return_inverse=True)
        names = []
        for code in unique.tolist():
            source, group = divmod(code, len(self.groups))
            text = self.groups[group]
            names.append(self.sources[source].path + (f", config_type {text}" if text != "Default" else ""))
        return inverse, names


def survey(inputs: Inputs, settings: Settings, workers: int | None = None) -> Survey:
    """Read all files once; raises ValueError for what can't be read."""
    with tqdm(unit=" frames", disable=not sys.stderr.isatty(), leave=False) as bar:

        def parts() -> Iterator[tuple[int, Examined]]:
            for number in range(len(inputs.sources)):
                for part in _examined(inputs, number, settings, workers):
                    bar.update(len(part.frames))
                    yield number, part

        return assemble(inputs, settings, parts())


def assemble(inputs: Inputs, settings: Settings, parts: Iterable[tuple[int, Examined]]) -> Survey:
    """Put together what was examined, each part with the number of its file, in the order of the files."""
    formulas: dict[str, int] = {}
    groups: dict[str, int] = {}
    count = len(inputs.sources)
    result = Survey(inputs, settings, np.zeros(0, FRAME), np.zeros(0, LINK), [], [], [], [])
    result.elsewhere, result.elements = [Counter() for _ in range(count)], [Counter() for _ in range(count)]
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


def _examined(inputs: Inputs, number: int, settings: Settings, workers: int | None) -> Iterator[Examined]:
    """Examine the chunks of a file in order; large files by several processes, of which few chunks wait at a time."""
    source = inputs.sources[number]
    keys = dict(source.keys)
    tasks = chunks(number, source.path, settings.chunk, settings.back)
    for task in itertools.islice(tasks, ALONE):
        yield examine(task, keys, settings)
    workers = workers if workers is not None else min(os.cpu_count() or 1, 8)
    if workers < 2:
        yield from (examine(task, keys, settings) for task in tasks)
        return
    following = next(tasks, None)
    if following is None:
        return
    try:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            yield from _in_order(pool, itertools.chain([following], tasks), keys, settings, 2 * workers)
    except BrokenProcessPool as error:
        raise ValueError(f"{source.path}: a worker ended without a word (no memory?): try --workers 1") from error


def _in_order(
    pool: ProcessPoolExecutor, tasks: Iterator[Chunk], keys: dict[str, str], settings: Settings, most: int
) -> Iterator[Examined]:
    waiting: deque[Future[Examined]] = deque()
    for task in tasks:
        waiting.append(pool.submit(examine, task, keys, settings))
        if len(waiting) >= most:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
