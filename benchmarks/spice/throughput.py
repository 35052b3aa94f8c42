"""How fast prepare_spice.py is, and how much memory it takes, on the file of mini-SPICE and on a large made-up one.

    python benchmarks/spice/throughput.py       # half an hour on two cores; writes throughput.json and a table

The made-up file has molecules of 2 to 60 atoms at the density of organic matter, 18 conformations each (SPICE 2.0.1 has
2,008,628 conformations of 113,999 molecules). Memory is the sum of what all processes have to themselves, and their
share of what they have in common (proportional set size), looked at every half second.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import _spice_paths  # noqa: F401 (first)
import h5py
import numpy as np
from readme_tables import write_tables
from source_commit import PREPARING, commit_of

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SOURCE = ROOT.parent / "shared" / "data" / "spice_des_monomers_gfn2.hdf5"
SPICE = 2_008_628
MADE_UP, CONFORMATIONS, ATOMS = 300_000, 18, (2, 60)
SPACING = 2.1  # bohr


def make_up(path: Path, conformations: int) -> None:
    """Write a file of SPICE's schema; atoms on a jittered grid, elements and labels at random."""
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for number in range(conformations // CONFORMATIONS):
            atoms = int(rng.integers(ATOMS[0], ATOMS[1] + 1))
            side = int(np.ceil(atoms ** (1 / 3)))
            grid = SPACING * np.argwhere(np.ones((side,) * 3))[:atoms]
            group = file.create_group(f"molecule {number}")
            group.create_dataset("smiles", data=[chain(number)], dtype=h5py.string_dtype())
            group.create_dataset("subset", data=["made up"], dtype=h5py.string_dtype())
            group["atomic_numbers"] = rng.choice([1, 6, 7, 8], atoms, p=[0.5, 0.3, 0.1, 0.1]).astype(np.int16)
            shape = (CONFORMATIONS, atoms, 3)
            for name, values, unit in (
                ("conformations", grid + rng.normal(0, 0.1, shape), "bohr"),
                ("dft_total_gradient", rng.normal(0, 0.02, shape), "hartree/bohr"),
                ("dft_total_energy", rng.normal(-20 * atoms, 0.01, CONFORMATIONS), "hartree"),
            ):
                group[name] = values
                group[name].attrs["units"] = unit


def chain(number: int) -> str:
    """A SMILES that no other number has."""
    return "C" + "".join("CNOS"[number >> shift & 3] for shift in range(0, 20, 2))


def prepare(source: Path, workers: int) -> dict[str, Any]:
    """Run prepare_spice.py; seconds, memory and sizes."""
    with tempfile.TemporaryDirectory(dir=source.parent if source != SOURCE else None) as folder:
        out = Path(folder) / "out"
        command = [sys.executable, ROOT / "scripts" / "prepare_spice.py", source, "--out", out]
        started, peak = time.time(), 0.0
        process = subprocess.Popen([*map(str, command), "--workers", str(workers)], stdout=subprocess.DEVNULL)
        while process.poll() is None:
            peak = max(peak, memory(process.pid))
            time.sleep(0.5)
        seconds = time.time() - started
        if process.returncode:
            raise SystemExit(f"prepare_spice.py failed on {source}")
        written = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    with h5py.File(source) as file:
        shapes = [group["conformations"].shape for group in file.values()]
    count = sum(shape[0] for shape in shapes)
    return {
        "workers": workers, "conformations": count, "mean_atoms": sum(s[0] * s[1] for s in shapes) / count,
        "seconds": round(seconds, 1), "per_second": count / seconds, "megabytes": peak,
        "source_gigabytes": source.stat().st_size / 1e9, "written_gigabytes": written / 1e9,
    }  # fmt: skip


def memory(pid: int) -> float:
    """Megabytes of a process and its descendants."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        own = sum(float(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) / 1e3
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return own + sum(memory(int(child)) for child in children)
    except (OSError, IndexError):  # it has just ended
        return 0.0


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown."""
    lines = [
        "| file | atoms each | workers | configurations/s | memory | written | SPICE 2.0.1 would take |",
        "|---" * 7 + "|",
    ]
    for row in rows:
        hours = SPICE / row["per_second"] / 3600
        size = SPICE / row["conformations"] * row["written_gigabytes"]
        lines.append(
            f"| {row['file']}, {row['conformations']:,} | {row['mean_atoms']:.0f} | {row['workers']} | "
            f"{row['per_second']:.0f} | {row['megabytes']:.0f} MB | {row['written_gigabytes']:.2f} GB | "
            f"{hours:.1f} h, {size:.0f} GB |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conformations", type=int, default=MADE_UP)
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args()
    rows = [{"file": "mini-SPICE"} | prepare(SOURCE, workers) for workers in (1, 2)]
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:
        path = Path(folder) / "made_up.hdf5"
        make_up(path, options.conformations)
        rows.append({"file": "made up"} | prepare(path, 2))
    packages = {name: version(name) for name in ("mace-torch", "mace-outlier", "h5py", "numpy")}
    about = {
        "command": "python benchmarks/spice/throughput.py",
        "commit": commit_of(*PREPARING),
        "versions": packages | {"python": platform.python_version()},
    }
    (options.out / "throughput.json").write_text(json.dumps(about | {"rows": rows}, indent=1) + "\n")
    print(table(rows))
    if options.out == HERE:
        write_tables(HERE / "README.md", "spice", {"throughput": table(rows)})


if __name__ == "__main__":
    main()
