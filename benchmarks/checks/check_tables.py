"""The tables of README.md."""

from typing import Any

import _checks_paths  # noqa: F401 (first)
from check_sets import FAULTS, PLANTED
from check_validation import CHANGES

SIZES = [1_000, 20_000, 200_000, 2_000_000]  # frames of the made-up files


def table(results: dict[str, Any]) -> str:
    """Markdown."""
    found = results["wbe"]
    lines = [
        f"W-Be, as published: {found['named_wrong']} of the {found['wrong']} frames that are proven wrong are named, "
        f"and {found['named_right']} of the {found['right']} that count as right (recall {found['recall']:.3f}, "
        f"precision {found['precision']:.3f}); and {found['named_undecided']} of which nothing is known.",
        "",
        "| right data | frames | certain | likely | look | seconds |",
        "|---|---|---|---|---|---|",
        *(
            f"| {r['data']} | {r['frames']:,} | {r['certain']} | {r['likely']} | {r['look']} | {r['seconds']} |"
            for r in results["clean"]
        ),
        "",
        "Frames that a finding with the right name holds, of those with the fault (other frames in any finding):",
        "",
        f"| fault | {' | '.join(PLANTED)} |",
        "|---" * (1 + len(PLANTED)) + "|",
    ]
    cells = {(r["fault"], r["data"]): r for r in results["planted"]}
    for fault in FAULTS:
        own = [cells.get((fault, name)) for name in PLANTED]
        texts = [f"{r['found']} of {r['wrong']} ({r['false']})" if r else "" for r in own]
        lines.append(f"| {fault} | {' | '.join(texts)} |")
    lines += alone_table(results.get("alone", [])) + validation_table(results.get("validation", []))
    if "settings" in results:
        lines += ["", "W-Be with one number of the check `work` changed by a factor of 1.5; findings on silicon, "]
        lines[-1] += "molybdenum and acetylacetone as they are:"
        lines += [
            "",
            "| setting | wrong frames named | right frames named | findings on right data |",
            "|---|---|---|---|",
        ]
        for r in results["settings"]:
            cells = f"{r['named_wrong']} of {r['wrong']}", f"{r['named_right']}", f"{r['right_data']}"
            lines.append(f"| {r['setting']} = {r['value']:.3g} | {' | '.join(cells)} |")
    lines += ["", "| frames (HDF5, 12 atoms) | seconds | of the CPUs | MB | MB of a worker |", "|---|---|---|---|---|"]
    lines += [
        f"| {r['frames']:,} | {r['seconds']} | {r['cpu_seconds']} | {r['megabytes']} | {r['megabytes_of_a_worker']} |"
        for r in (results.get(f"costs_{size}") for size in SIZES)
        if r
    ]
    if "memory" in results:
        held, most = (results["memory"][name] for name in ("bytes_held", "bytes_at_most"))
        once = "of frames that occur once; those of the larger files above occur ten or a hundred times"
        words = f"{held} bytes after reading, {most} at most while the checks run"
        lines += ["", f"Memory for each frame: {words}, {once}."]
    return "\n".join(lines) + "\n"


def alone_table(rows: list[dict[str, Any]]) -> list[str]:
    """Single frames whose lengths are multiplied."""
    if not rows:
        return []
    lines = [
        "",
        "Single frames with all lengths multiplied that `geometry` names as alone (other frames it names):",
    ]
    lines += ["", f"| factor | {' | '.join(PLANTED)} |", "|---" * (1 + len(PLANTED)) + "|"]
    cells = {(r["factor"], r["data"]): f"{r['named']} of {r['changed']} ({r['others']})" for r in rows}
    return lines + [f"| {f} | {' | '.join(cells.get((f, name), '') for name in PLANTED)} |" for f in CHANGES]


def validation_table(rows: list[dict[str, Any]]) -> list[str]:
    """Validation frames of trajectories."""
    if not rows:
        return []
    lines = [
        "",
        "Validation frames: nearest distance to training frames over that of all, dimension, finding:",
    ]
    lines += ["", "| data | validation | ratio | dimension | one trajectory |", "|---|---|---|---|---|"]
    return lines + [
        f"| {r['data']} | {r['taken']} | {r['ratio']:.2f} | {r['dimension']:.1f} | {'yes' if r['found'] else ''} |"
        for r in rows
    ]
