"""The folder of a prepared data set, which grows shard by shard and survives a kill at any moment.

train/ valid/ test/   shards, in their place only when they are whole and verified
parts/                for each shard, its rows of the index; written last, so that a shard with a part is finished
unfinished/           what is being written
manifest.json         settings, versions, and in the end the summary: a folder that has one is finished
index.parquet         a row for each configuration: where it is here, and where it was in SPICE
statistics.json       for mace_run_train --statistics_file
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow
from pyarrow import parquet
from spice_plan import SPLITS, Shard

from mace_outlier.files import replacing

SUFFIXES = {"hdf5": ".h5", "lmdb": ".aselmdb", "xyz": ".xyz"}
METADATA = b"shard"  # of a part: count, bytes, left_out, as JSON
INDEX_COLUMNS = ("split", "shard", "position", "group", "smiles", "subset", "conformation", "energy", "largest_force")


class Folder:
    """Paths of a data set, and what is finished in it."""

    def __init__(self, root: Path, kind: str) -> None:
        self.root, self.suffix = root, SUFFIXES[kind]
        self.manifest, self.index = root / "manifest.json", root / "index.parquet"
        self.statistics = root / "statistics.json"

    def file(self, shard: Shard) -> Path:
        """Where a shard belongs."""
        return self.root / shard.split / f"{shard.name}{self.suffix}"

    def unfinished(self, shard: Shard) -> Path:
        """Where a shard is written."""
        return self.root / "unfinished" / f"{shard.name}{self.suffix}"

    def part(self, shard: Shard) -> Path:
        """Rows of the index for a shard."""
        return self.root / "parts" / f"{shard.name}.parquet"

    def commit(self, shard: Shard, rows: pyarrow.Table) -> None:
        """Put a shard (if it has configurations), then its rows, into their places."""
        with self.unfinished(shard).open("rb+") as file:
            os.fsync(file.fileno())  # the name must not reach the disk before the content
        if rows.num_rows:
            os.replace(self.unfinished(shard), self.file(shard))
        with replacing(self.part(shard)) as temporary:
            parquet.write_table(rows, temporary)

    def note(self, shard: Shard) -> dict[str, Any]:
        """Count, size in bytes, and what was left out of a shard."""
        return json.loads(parquet.read_schema(self.part(shard)).metadata[METADATA])

    def has(self, shard: Shard) -> bool:
        """Whether a shard is finished: it has its part, and the size that this says."""
        try:
            note = self.note(shard)
            return not note["count"] or self.file(shard).stat().st_size == note["bytes"]
        except (OSError, pyarrow.ArrowInvalid, KeyError, TypeError):
            return False

    def check(self) -> None:
        """Refuse a folder that nothing may be written to.

        Raises:
            ValueError: it holds a finished data set, or something else.
        """
        if self.manifest.exists():
            if "summary" in json.loads(self.manifest.read_text(encoding="utf-8")):
                raise ValueError(f"--out {self.root}: it holds a finished data set; delete it, or name another folder")
        elif self.root.exists() and not (self.root.is_dir() and all(p.name[0] == "." for p in self.root.iterdir())):
            raise ValueError(f"--out {self.root}: it holds something else; name a new folder")

    @contextmanager
    def opened(self, manifest: dict[str, Any]) -> Iterator[None]:
        """Begin a data set, or go on with one that was begun with the same settings and source.

        Raises:
            ValueError: what is there has others, or another run is writing to it; see `check`.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / ".lock").open("a", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ValueError(f"--out {self.root}: another run is writing to it: wait for it, or end it") from None
            except OSError as error:  # Lustre without -o flock, NFS without lockd
                logging.warning(f"--out {self.root}: its file system has no locks ({error}): see that no other run")
                logging.warning("writes to it at the same time")
            self.check()
            if self.manifest.exists():
                _compare(json.loads(self.manifest.read_text(encoding="utf-8")), manifest, self.root)
            write_json(self.manifest, manifest)
            shutil.rmtree(self.root / "unfinished", ignore_errors=True)
            for name in (*SPLITS, "parts", "unfinished"):
                (self.root / name).mkdir(exist_ok=True)
            yield

    def write_index(self, shards: Sequence[Shard]) -> None:
        """Join the parts to one table, one of them in memory at a time."""
        with replacing(self.index) as temporary:
            writer = None
            for shard in shards:
                table = parquet.read_table(self.part(shard), columns=list(INDEX_COLUMNS)).replace_schema_metadata()
                writer = writer or parquet.ParquetWriter(temporary, table.schema)
                writer.write_table(table)
            if writer:
                writer.close()

    def finish(self, manifest: dict[str, Any]) -> None:
        """Mark the data set as finished, and remove what it no longer needs."""
        write_json(self.manifest, manifest)
        for name in ("unfinished", "parts"):
            shutil.rmtree(self.root / name)
        for split in SPLITS:
            if not any((self.root / split).iterdir()):
                (self.root / split).rmdir()


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file that is whole or absent."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _compare(old: dict[str, Any], new: dict[str, Any], root: Path) -> None:
    """Refuse to go on with other settings, or from another source; that may have moved."""
    new = json.loads(json.dumps(new))
    before, now = old["settings"], new["settings"]
    different = [
        f"--{key} was {before.get(key)} and is {now.get(key)}"
        for key in {**before, **now}
        if before.get(key) != now.get(key)
    ]
    if different:
        raise ValueError(
            f"--out {root}: it was begun with other settings: {'; '.join(different)}; take the same ones to go on with "
            "it, or name another folder"
        )
    if {**old["source"], "path": ""} != {**new["source"], "path": ""}:
        raise ValueError(
            f"--out {root}: it was begun from {old['source']['path']}, which had {old['source']['bytes']} bytes, and "
            f"{new['source']['path']} is not the same ({new['source']['bytes']} bytes): name another folder"
        )


class Origin(NamedTuple):
    """A conformation in SPICE's file."""

    group: str
    smiles: str
    subset: str
    conformation: int  # its row in the datasets of the group


def origin(index: Path, shard: str | Path, position: int) -> Origin:
    """Where configuration `position` of a shard (the columns `source` and `frame` of a report) was in SPICE.

    Args:
        index: the index.parquet of the data set.
        shard: its path, relative to any folder, or only its name.
        position: its number in the shard, from 0.

    Raises:
        ValueError: there is no such configuration.
    """
    name = Path(shard).name
    filters = [("shard", "in", [f"{split}/{name}" for split in SPLITS]), ("position", "==", position)]
    rows = parquet.read_table(index, columns=list(Origin._fields), filters=filters).to_pylist()
    if not rows:
        raise ValueError(f"{index}: it knows no configuration {position} of {name}: is it the index of this data set?")
    return Origin(**rows[0])
