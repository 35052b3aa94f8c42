"""The liquid of a model of your own: molecular dynamics, radial distribution functions, diffusion, vibrations, drift.

    python benchmarks/water/observe.py --model water.model --starts frames.xyz --out build/my_water
    python benchmarks/water/observe.py ... --device cuda --production_ps 100 --replicas 5      # on a GPU

`--starts` holds one or more frames of liquid water in a cubic box (O, H, H, O, H, H ...), whose density is kept.
Finished trajectories are reused. Models to be compared get the same starts and the same --replicas.
"""

import argparse
import json
from dataclasses import fields
from pathlib import Path

import _water_paths  # noqa: F401 (first)
from ase.io import read
from side_by_side import side_by_side
from tqdm import tqdm
from training_files import write_json_atomically
from water_md import Protocol, Replica, is_finished, simulate
from water_observables import observables
from water_summary import SCALARS, summarise
from water_tables import number

TIMES = ("temperature", "timestep", "equilibration_ps", "production_ps", "nve_ps")


def check_starts(path: Path) -> None:
    """Raise SystemExit where the frames are not what the dynamics and the observables expect."""
    for place, atoms in enumerate(read(path, ":")):
        lengths, angles = atoms.cell.lengths(), atoms.cell.angles()
        if not atoms.pbc.all() or (abs(lengths - lengths[0]) > 1e-3).any() or (abs(angles - 90) > 1e-3).any():
            raise SystemExit(f"--starts {path} frame {place}: no periodic cubic box")
        if atoms.get_chemical_symbols() != ["O", "H", "H"] * (len(atoms) // 3):
            raise SystemExit(f"--starts {path} frame {place}: atoms are not in the order O, H, H, O, H, H ...")


def parse_arguments() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="as MACE's training saved it")
    parser.add_argument("--starts", type=Path, required=True, help="frames to start from")
    parser.add_argument("--out", type=Path, required=True, help="folder of trajectories and of liquid.json")
    parser.add_argument("--replicas", type=int, default=3)
    parser.add_argument("--device", default="cpu", help="cpu, cuda ...")
    parser.add_argument("--processes", type=int, default=1, help="trajectories at a time")
    for field in (field for field in fields(Protocol) if field.name in TIMES):
        parser.add_argument(f"--{field.name}", type=float, default=field.default, help=f"default {field.default}")
    return parser.parse_args()


def main() -> None:
    options = parse_arguments()
    check_starts(options.starts)
    protocol = Protocol(density=None, **{name: getattr(options, name) for name in TIMES})
    first = Replica(options.model, options.starts, 0, options.out, protocol, options.device)
    replicas = [first._replace(number=i) for i in range(options.replicas)]
    missing = [one for one in replicas if not is_finished(one)]
    done = side_by_side(simulate, missing, options.processes)
    list(tqdm(done, total=len(missing), desc="dynamics", unit="trajectory"))
    found = summarise([observables(one) for one in replicas])
    write_json_atomically(options.out / "liquid.json", found)
    print(f"{found['survived']} of {found['trajectories']} trajectories survived")
    for name in (name for name in SCALARS if name in found):
        print(f"{name}: {number(found[name], 3)}")
    for pair, peak in found.get("peaks", {}).items():
        print(f"first peak {pair}: {number(peak['position'], 3)} A, height {number(peak['height'], 2)}")
    print(f"curves: {json.dumps(str(options.out / 'liquid.json'))}")


if __name__ == "__main__":
    main()
