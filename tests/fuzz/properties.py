"""What has to hold whatever a training was of; each returns what doesn't, in words."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import ase.io
import numpy as np
import pandas
from commands import command, is_one_line
from conftest import within
from frames import assert_same_frame
from page_reader import Reader

from mace_outlier.cli.exported import KEYS
from mace_outlier.data.sources import read_frames
from mace_outlier.results.reading import read_results
from mace_outlier.states import SET_ASIDE

PREFIX = "results/fuzz_run-{seed}"
OUR_FAULTS = re.compile(r"could not be (?:written|examined|found|judged)|failed \(")
COUNTED = re.compile(r"([\d,]+) of ([\d,]+) (?:training |validation )?configurations? \([^)]*\)")
NOT_FINITE = re.compile(
    r"([\d,]+) (?:(?:is|are) certainly wrong|configurations? (?:has|have) (?:a label that is|atoms on|a loss that is))"
)
WHERE = ["head", "split", "source", "frame"]


# --- the table --------------------------------------------------------------------------------------------------------


def set_aside(table: pandas.DataFrame) -> np.ndarray:
    """Mask (N,) of those that have no loss to be judged by, because something is not finite."""
    return ((table.times_seen > 0) & table.state.isin(SET_ASIDE)).to_numpy()


def suspects_of(table: pandas.DataFrame) -> np.ndarray:
    """Mask (N,) as `export` has it."""
    return (table.weight < 0.5).to_numpy() | set_aside(table)


def of_table(table: pandas.DataFrame) -> Iterator[str]:
    """Weights are numbers in [0, 1], and every configuration has one row."""
    for name in ("weight", "mean_weight"):
        if not table[name].between(0, 1).all():
            yield f"{name} outside [0, 1]: {table[name][~table[name].between(0, 1)].tolist()[:5]}"
    if table.duplicated(WHERE).any():
        yield "a configuration has several rows"
    if (table.zscore.isna() & ~set_aside(table) & (table.weight < 1)).any():
        yield "a finite loss lost weight without a z-score"


def of_log(log: str, table: pandas.DataFrame) -> Iterator[str]:
    """No fault of ours, and the summary counts as the table does."""
    for line in log.splitlines():
        if OUR_FAULTS.search(line):
            yield f"log: {line}"
    summary = [line for line in log.splitlines() if "have a weight below 0.5" in line]
    counts = [int(number) for number, _ in COUNTED.findall(summary[-1])] if summary else []
    wanted = [
        int((table.weight[table.split == split] < 0.5).sum())
        for split in ("train", "valid")
        if (table.split == split).any()
    ]
    if counts != wanted:
        yield f"the log counts {counts}, the table {wanted}"


# --- report -----------------------------------------------------------------------------------------------------------


def of_report(folder: Path, prefix: Path, table: pandas.DataFrame, page: bool) -> Iterator[str]:
    """The report counts as the table does, on the page as in the terminal, and its words agree with the weights."""
    said = command(folder, "report", prefix, *([] if page else ["--no-page"]))
    if said.code:
        yield f"report ended with {said.code}: {said.error}"
        return
    texts = {"terminal": said.out}
    if page:
        html = (folder / f"{prefix}_outliers.html").read_text(encoding="utf-8")
        texts["page"] = Reader(html).text
        if {"iframe", "object", "embed", "form", "base"} & set(Reader(html).tags):
            yield "the page has a tag out of the data"
    for where, text in texts.items():
        words = " ".join(text.split())
        yield from (f"{where}: {fault}" for fault in of_words(words, table))
    if set(said.out) & set(map(chr, (*range(9), *range(11, 32), 0x7F, 0x2028, 0x202E))):
        yield "control characters reach the terminal"


def of_words(words: str, table: pandas.DataFrame) -> Iterator[str]:
    """Counts, and what is said of them."""
    suspects = suspects_of(table)
    none = "None of" in words or "Undecided: some of" in words
    headline = words.split("weight below 0.5.")[0]
    counted = sum(int(number.replace(",", "")) for number, _ in COUNTED.findall(headline)) if not none else 0
    if counted != suspects.sum():
        yield f"{counted} suspects, the table has {suspects.sum()}"
    not_finite, said = set_aside(table).sum(), [int(number.replace(",", "")) for number in NOT_FINITE.findall(words)]
    if not_finite != sum(said):
        yield f"{said} are said to be not finite, the table has {not_finite}"
    if table["head"].nunique() == 1:
        believed = "wrong ones stand out" in words
        explained = believed or "gross" in words or "threshold" in words or "how the labels were judged" in words
        training = suspects & (table.split == "train").to_numpy() & ~set_aside(table)
        if training.any() and not explained:
            yield f"{training.sum()} finite training suspects, and no word of why"
        if believed and not training.any():
            yield "wrong labels stand out, but no weight is low"


# --- export -----------------------------------------------------------------------------------------------------------


def of_export(folder: Path, prefix: Path, table: pandas.DataFrame) -> Iterator[str]:
    """Both files together are all that was read, frame by frame, and suspects are those of the table."""
    said = command(folder, "export", prefix, "--suspects=s.xyz", "--trusted=t.xyz", "--force")
    if said.code:
        yield f"export ended with {said.code}: {said.error}"
        return
    inputs = {source: list(read_frames(str(folder / source))) for source in table.source.unique()}
    rows = table.assign(suspect=suspects_of(table)).set_index(WHERE)
    left = Counter((source, frame) for source, frames in inputs.items() for frame in range(len(frames)))
    isolated = 0
    for name, suspect in (("s.xyz", True), ("t.xyz", False)):
        empty = (folder / name).stat().st_size == 0
        for atoms in [] if empty else ase.io.read(folder / name, ":", format="extxyz"):
            info = atoms.info
            if "outlier_split" not in info:
                isolated += 1
                continue
            place = (info.get("outlier_head", table["head"].iloc[0]), *(info[f"outlier_{n}"] for n in WHERE[1:]))
            if place not in rows.index or rows.loc[place, "suspect"] != suspect:
                yield f"{place} is in {name}, the table says otherwise"
            left[place[2:]] = 0
            try:
                assert_same_frame(atoms, inputs[place[2]][place[3]], without=KEYS)
            except AssertionError as error:
                yield f"{place} in {name} is not as it was: {' '.join(str(error).split())[:200]}"
    lost = [place for place, count in left.items() if count]
    if len(lost) != isolated:
        yield f"{len(lost)} frames are in neither file, {isolated} isolated atoms are: {lost[:3]}"


# --- check and audit --------------------------------------------------------------------------------------------------


def of_check(folder: Path, files: list[str], page: bool) -> Iterator[str]:
    """Its exit code is that of its findings, and the frames that it names are there."""
    flags = ["--workers=1", "--json=c.json", *(["--html=c.html"] if page else [])]
    said = command(folder, "check", *files, *flags)
    if said.code == 2:
        if not is_one_line(said, "check"):
            yield f"check's error: {said.error}"
        return
    found = json.loads((folder / "c.json").read_text(encoding="utf-8"))
    certain = any(finding["certainty"] == "certain" for finding in found["findings"])
    if said.code != int(certain):
        yield f"check ended with {said.code}, certain findings: {certain}"
    sizes = {file["path"]: file["frames"] for file in found["files"]}
    for finding in found["findings"]:
        for path, frames in finding["frames"].items():
            if not all(0 <= frame < sizes[path] for frame in frames):
                yield f"check names frames that are not there: {path} {frames}"
    shown = re.search(r"(\d+) findings?:", said.out)
    if len(found["findings"]) != int(shown[1] if shown else 0):
        yield "check shows another number of findings than it writes"


def of_audit(folder: Path, file: str, head: str) -> Iterator[str]:
    """Ends well, or with a line; its weights are weights."""
    said = command(folder, "audit", "--model=fuzz.model", f"--data={file}", "--out=a", f"--head={head}")
    if said.code:
        if not is_one_line(said, "audit"):
            yield f"audit ended with {said.code}: {said.error}"
        return
    with within(folder):
        table = read_results("a").table
    yield from (f"audit: {fault}" for fault in of_table(table))
    yield from (f"audit: {fault}" for fault in of_words(" ".join(said.out.split()), table))
