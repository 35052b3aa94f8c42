"""The pass over all files, with all cores: each is read once, a chunk of frames at a time."""

import itertools
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context

from tqdm import tqdm

from .examine import Examined, examine
from .inputs import Inputs
from .probes import probes_for, probes_of
from .reading import Chunk, chunks
from .settings import Settings
from .survey import Survey, assemble

ALONE = 6  # chunks that are examined here, before workers are started, which takes a second or two


def survey(inputs: Inputs, settings: Settings, workers: int | None = None) -> Survey:
    """Read all files once, after a few validation frames; raises ValueError for what can't be read."""
    probes, unread = probes_of(inputs, settings), dict[int, int]()
    with tqdm(unit=" frames", disable=not sys.stderr.isatty(), leave=False) as bar:

        def parts() -> Iterator[tuple[int, Examined]]:
            for number, source in enumerate(inputs.sources):
                own = [probes[i] for i in probes_for(source, probes)]
                work = partial(examine, keys=dict(source.keys), settings=settings, probes=own)
                tasks = chunks(number, source.path, settings.chunk, settings.back, unread)
                for part in _examined(tasks, work, source.path, workers):
                    bar.update(len(part.frames))
                    yield number, part

        result = assemble(inputs, settings, parts(), probes)
    result.unread = unread
    return result


def _examined(
    tasks: Iterator[Chunk], work: Callable[[Chunk], Examined], path: str, workers: int | None
) -> Iterator[Examined]:
    """Examine the chunks of a file in order; large files by several processes, of which few chunks wait at a time."""
    yield from map(work, itertools.islice(tasks, ALONE))
    workers = workers if workers is not None else min(os.cpu_count() or 1, 8)
    if workers < 2:
        yield from map(work, tasks)
        return
    following = next(tasks, None)
    if following is None:
        return
    try:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            yield from _in_order(pool, work, itertools.chain([following], tasks), 2 * workers)
    except BrokenProcessPool as error:
        raise ValueError(f"{path}: a worker ended without a word (no memory?): try --workers 1") from error


def _in_order(
    pool: ProcessPoolExecutor, work: Callable[[Chunk], Examined], tasks: Iterator[Chunk], most: int
) -> Iterator[Examined]:
    waiting: deque[Future[Examined]] = deque()
    for task in tasks:
        waiting.append(pool.submit(work, task))
        if len(waiting) >= most:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
