"""Files in chunks of frames that workers can read for themselves; order and frame numbers are those of MACE."""

import bz2
import gzip
import io
import itertools
import lzma
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any, TextIO

import ase.io
from ase import Atoms

from ..data.sources import HDF5, find_source, hdf5_size, read_frames, read_hdf5

XYZ = (".xyz", ".extxyz")
COMPRESSED: dict[str, Callable[..., IO[Any]]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}  # as ASE reads


@dataclass
class Chunk:
    """Frames `start` and on of a file, after `before` frames of the chunk before, to compare with.

    The frames themselves (`atoms`), their text, or only which of them to read.
    """

    source: int
    path: Path
    start: int
    before: int
    stop: int = 0
    text: str = ""
    atoms: list[Atoms] = field(default_factory=list)
    sampled: bool = False  # whether frames are sent back

    def frames(self) -> Iterator[Atoms]:
        """Yield the frames, those of the chunk before first; raises ValueError for what can't be read."""
        first = self.start - self.before
        frames = self._frames(first)
        for number in itertools.count(first):
            try:
                atoms = next(frames)
            except StopIteration:
                return
            except Exception as error:  # readers raise anything
                raise ValueError(
                    f"{self.path}: frame {number} can't be read ({type(error).__name__}: {error})"
                ) from error
            yield atoms

    def _frames(self, first: int) -> Iterator[Atoms]:
        if self.atoms:
            return iter(self.atoms)
        if self.text:
            return ase.io.iread(io.StringIO(self.text), index=":", format="extxyz")
        return read_hdf5(self.path, first, self.stop)


def chunks(source: int, name: str, size: int, back: int, unread: dict[int, int] | None = None) -> Iterator[Chunk]:
    """Cut a file into chunks of `size` frames, each with the `back` frames before it.

    The first sixteen are sampled, and those whose number is a power of two: enough of any file, little of a large one.
    Where a file goes on after a blank line, which ends it for ASE, `unread` gets the number of that line.
    """
    path = find_source(name)
    suffix = path.suffix.lower()
    unread = unread if unread is not None else {}
    cut = partial(_of_text, unread=unread) if _is_xyz(path) else _of_hdf5 if suffix in HDF5 else _of_frames
    for number, chunk in enumerate(cut(source, path, size, back)):
        chunk.sampled = number < 16 or number & (number - 1) == 0
        yield chunk


def pick(name: str, numbers: Sequence[int]) -> dict[int, Atoms]:
    """Read some frames of a file again, by their numbers; raises ValueError for what can't be read."""
    path, found = find_source(name), dict[int, Atoms]()
    if path.suffix.lower() in HDF5:
        return {number: next(read_hdf5(path, number, number + 1)) for number in numbers}
    if _is_xyz(path):
        with _opened(path) as file:
            texts = itertools.islice(_frames_of_text(file, path), max(numbers, default=-1) + 1)
            wanted = {number: text for number, text in enumerate(texts) if number in numbers}
        return {number: next(iter(ase.io.iread(io.StringIO(text), format="extxyz"))) for number, text in wanted.items()}
    for number, atoms in enumerate(itertools.islice(read_frames(name), max(numbers, default=-1) + 1)):
        if number in numbers:
            found[number] = atoms
    return found


def _is_xyz(path: Path) -> bool:
    """Whether a file is extended XYZ, compressed or not."""
    plain = path.with_suffix("") if path.suffix in COMPRESSED else path
    return plain.suffix.lower() in XYZ


def _of_hdf5(source: int, path: Path, size: int, back: int) -> Iterator[Chunk]:
    try:
        count = hdf5_size(path)
    except (OSError, KeyError) as error:
        raise ValueError(f"{path}: can't be read ({error})") from error
    for start in range(0, count, size):
        yield Chunk(source, path, start, min(start, back), stop=min(start + size, count))


def _of_frames(source: int, path: Path, size: int, back: int) -> Iterator[Chunk]:
    frames, start = read_frames(str(path)), 0
    kept: list[Atoms] = []
    while own := list(itertools.islice(frames, size)):
        yield Chunk(source, path, start, len(kept), atoms=kept + own)
        start += len(own)
        kept = (kept + own)[-back:]


def _of_text(source: int, path: Path, size: int, back: int, unread: dict[int, int]) -> Iterator[Chunk]:
    """Workers parse: that is what takes the time."""
    with _opened(path) as file:
        texts, start, lines = _frames_of_text(file, path), 0, 0
        kept: list[str] = []
        while own := list(itertools.islice(texts, size)):
            yield Chunk(source, path, start, len(kept), text="".join(kept + own))
            start += len(own)
            lines += sum(text.count("\n") for text in own)
            kept = (kept + own)[-back:]
        if any(line.strip() for line in file):
            unread[source] = lines + 1


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    """Open a file of text; reading it raises ValueError where it is none."""
    try:
        with COMPRESSED.get(path.suffix, open)(path, "rt", encoding="utf-8") as file:
            yield file
    except UnicodeDecodeError as error:
        line = _first_that_is_no_text(path)
        raise ValueError(f"{path}: line {line} is no UTF-8: save it as that (iconv -f latin1 -t utf-8)") from error


def _first_that_is_no_text(path: Path) -> int:
    """Number of the first such line; where reading fails, it is one of a block of many lines."""
    number = 0
    with COMPRESSED.get(path.suffix, open)(path, "rb") as file, suppress(UnicodeDecodeError):
        for number, line in enumerate(file, 1):  # noqa: B007, of the last one
            line.decode()
    return number


def _frames_of_text(file: TextIO, path: Path) -> Iterator[str]:
    for number in itertools.count():
        line = file.readline()
        if not line.strip():  # the end, for ASE as well
            return
        try:
            lines = [line, *itertools.islice(file, int(line) + 1)]
        except UnicodeDecodeError:
            raise
        except ValueError:
            raise ValueError(
                f"{path}: frame {number} begins with {line.strip()[:40]!r}, not with a number of atoms"
            ) from None
        if not lines[-1].endswith("\n"):
            lines[-1] += "\n"
        yield "".join(lines)
