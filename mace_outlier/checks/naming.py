"""Frames of a finding as a reader knows them: by file and number."""

import numpy as np

from ..data.clean import clean
from .finding import Finding, ranges
from .survey import Survey


def frames_of(survey: Survey, finding: Finding) -> str:
    """Name file and frames: "train.xyz: frames 3, 7-9 ... (123)"."""
    parts = [
        f"{clean(path, 60)}: {numbered(survey, path, frames)}" for path, frames in by_file(survey, finding.rows).items()
    ]
    group = finding.where.partition(", config_type ")[2]
    if group:
        parts.insert(0, f"config_type {clean(group, 40)}")
    return "; ".join(parts) if parts else clean(finding.where, 80)


def numbered(survey: Survey, path: str, frames: list[int], most: int = 6) -> str:
    """Name frames of a file, in order: "frames 3, 7-9 ... (123)", so many pieces at most."""
    word = "frame" if len(frames) == 1 else "frames"
    everything = "all frames" if survey.whole else "all frames that were read"
    whole = len(frames) == _size(survey, path) and len(frames) > 1
    return f"{everything if whole else f'{word} {ranges(np.array(frames), most)}'} ({len(frames):,})"


def by_file(survey: Survey, rows: np.ndarray) -> dict[str, list[int]]:
    """Frames by their files, in order."""
    found: dict[str, list[int]] = {}
    sources, frames = survey.frames["source"][rows], survey.frames["frame"][rows]
    for number in np.unique(sources):
        found.setdefault(survey.sources[number].path, []).extend(frames[sources == number].tolist())
    return found


def _size(survey: Survey, path: str) -> int:
    slices = [survey.of_source(n) for n, source in enumerate(survey.sources) if source.path == path]
    return sum(own.stop - own.start for own in slices)
