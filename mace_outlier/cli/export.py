"""Write the configurations of a run as two files of extended XYZ: suspects, and trusted ones.

    mace_outlier export results/demo_run-1 --suspects s.xyz --trusted t.xyz

Each configuration keeps its info, arrays, results and fixed atoms, to the last bit, and gets what the training found,
as far as it is known: info outlier_weight, outlier_mean_weight, outlier_zscore (sigmas), outlier_loss,
outlier_energy_error_per_atom (eV/atom), outlier_force_rmse (eV/A), those of what else is trained (outlier_stress_rmse,
outlier_virials_rmse, outlier_dipole_rmse ...), outlier_split (train, valid; audit), outlier_source, outlier_frame and,
where there are several heads, outlier_head; outlier_state, where it was not judged, or something was not finite.

Suspects have a weight below --below, or a label, geometry or loss that isn't finite. All others go to the trusted, also
those that the training never came to, or could not judge because the model was not finite, and those with nothing to
judge by: weight 0 in their file, or no label. The latter have info outlier_state and no outlier_weight, and what they
have in the file: a training ignores them as before. Both files together are the training and the validation set, in the
order of their files; info outlier_split tells one from the other. Isolated atoms, of which MACE took E0s, go unchanged
to the trusted; frames that the training did not use go nowhere. A file without configurations is written all the same,
and is empty: ase.io.read refuses such a file.

--repaired FILE: suspects whose cause (info outlier_cause) is a unit, a sign, an energy per atom or the order of atoms,
with it taken back. They are marked (info outlier_repaired), keep the old label (info <key>_unrepaired), and are among
the suspects as well. Nothing is ever repaired unasked, and no training reads this file unless you say so.

Labels stay under their keys. Those of HDF5 and LMDB data get MACE's default keys (REF_energy, REF_forces ...; dipoles:
REF_dipole), and config_weight of HDF5 data already contains --config_type_weights. MACE sees no key-value pairs of ASE
databases, and neither does this command.
"""

import argparse
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

import pandas

from ..checks.inputs import heads_of, keys_of
from ..data.clean import clean
from ..data.sources import find_source
from ..files import replacing
from ..report.sample import read_sample
from ..results.files import VALID
from ..results.reading import Results, read_results
from ..run.options import number
from .exported import Export, Repairs, export_table
from .outputs import keep_inputs, refuse_folders, refuse_twins

SUFFIXES = (".xyz", ".extxyz")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("run", help="results of the training: its folder, <results_dir>/<tag>, or one of its files")
    parser.add_argument("--suspects", type=Path, required=True, metavar="S.xyz", help="file for the suspects")
    parser.add_argument("--trusted", type=Path, required=True, metavar="T.xyz", help="file for all others")
    parser.add_argument("--repaired", type=Path, metavar="R.xyz", help="file for suspects that can be repaired")
    cut = number(float, "a weight between 0 and 1", lambda below: 0 <= below <= 1)
    parser.add_argument(
        "--below", type=cut, default=0.5, metavar="W", help="suspects have a weight below this (default: %(default)s)"
    )
    parser.add_argument("--head", metavar="NAME", help="configurations of this head only")
    parser.add_argument("--force", action="store_true", help="replace files that exist")


def run(arguments: argparse.Namespace) -> None:
    """Write both files, or none; raises ValueError where the arguments or the training files don't fit."""
    outputs = {"--suspects": arguments.suspects, "--trusted": arguments.trusted}
    outputs |= {"--repaired": arguments.repaired} if arguments.repaired else {}
    check_outputs(outputs, arguments.force)
    results = read_results(arguments.run)
    table = rows_of_head(results.table, arguments.head)
    directory = results.about.get("directory")
    sources = [find_source(source, directory) for source in table["source"].unique()]
    keep_inputs(outputs, [*sources, results.sample], "of the training")
    if arguments.repaired and "cause" not in results.table:
        raise ValueError(f"--repaired: {results.prefix}_outliers.* says no causes: the training was not finished")
    with ExitStack() as stack:
        files = {flag: stack.enter_context(replacing(path)) for flag, path in outputs.items()}
        opened = {
            flag: stack.enter_context(path.open("w", encoding="utf-8", newline="\n")) for flag, path in files.items()
        }
        several = results.table["head"].nunique() > 1
        repairs = repairs_to(opened["--repaired"], results) if arguments.repaired else None
        export = Export(opened["--suspects"], opened["--trusted"], arguments.below, several, repairs)
        export_table(export, table, directory)
    print("\n".join(summary(export, arguments, table)))


def repairs_to(file: TextIO, results: Results) -> Repairs:
    """Return where repaired suspects go, and what is known of their labels."""
    arguments = results.about.get("arguments", {})
    of_heads = heads_of(arguments)  # MACE takes a text, in YAML files as well
    places = results.table[["head", "source"]].drop_duplicates().itertuples(index=False, name=None)
    keys = {(head, source): keys_of(arguments | dict(of_heads.get(head, {})), source) for head, source in places}
    frames = read_sample(results).frames
    predicted = {row: f.arrays["predicted_forces"] for row, f in frames.items() if f.has("predicted_forces")}
    return Repairs(file, keys, predicted)


# --- checks before anything is read ----------------------------------------------------------------------------------


def check_outputs(outputs: dict[str, Path], force: bool) -> None:
    """Raise ValueError unless these are two files of extended XYZ that may be written."""
    refuse_folders(outputs)
    for flag, path in outputs.items():
        if path.suffix not in SUFFIXES:
            raise ValueError(f"{flag} {path}: only extended XYZ is written; name it {path.with_suffix('.xyz')}")
        if path.exists() and not force:
            raise ValueError(f"{flag} {path} exists: name another file, or give --force to replace it")
    refuse_twins(outputs)


def rows_of_head(table: pandas.DataFrame, head: str | None) -> pandas.DataFrame:
    """Return the rows of a head, or all; raises ValueError for a head that the training did not have."""
    if head is None:
        return table
    heads = list(table["head"].unique())
    if head not in heads:
        raise ValueError(f"--head {head}: the training had {', '.join(heads)}")
    return table[table["head"] == head]


# --- what is said at the end -----------------------------------------------------------------------------------------


def summary(export: Export, arguments: argparse.Namespace, table: pandas.DataFrame) -> list[str]:
    """Say what went where."""
    counts, empty = export.counts, ": the file is empty"
    lines = [
        f"{arguments.suspects}: {counts['suspects']} of {len(table)} configurations have a weight below "
        f"{arguments.below:g} or are not finite{'' if counts['suspects'] else empty}",
        f"{arguments.trusted}: {counts['trusted']} configurations"
        + (f", and {counts['isolated']} isolated atoms as they were" if counts["isolated"] else "")
        + ("" if counts["trusted"] or counts["isolated"] else empty),
    ]
    if arguments.repaired:
        lines.append(f"{arguments.repaired}: {counts['repaired']} of the suspects, repaired (info outlier_repaired)")
    if counts["never seen"]:
        lines.append(f"{counts['never seen']} of them were never seen in the training: nothing is known of these")
    if counts["not judged"]:
        lines.append(
            f"{counts['not judged']} of them were not judged at their last visit (info outlier_state): weight 0 in the "
            "file, no label, or a model that was not finite"
        )
    if counts["validation"]:
        lines.append(
            f"{counts['validation']} of them are validation configurations (info outlier_split={VALID}), "
            f"{counts['validation suspects']} of these suspects: keep them out of the training set"
        )
    if counts["without a row"]:
        not_used = "used" if counts["validation"] else "trained on (validation split)"
        lines.append(f"{counts['without a row']} frames were not {not_used} and are in neither file")
    shared = int(table.drop_duplicates(["head", "source", "frame"]).duplicated(["source", "frame"]).sum())
    if export.name_heads and arguments.head is None:
        lines.append(
            "Several heads (info outlier_head): --head NAME exports one of them"
            + (f"; {shared} configurations belong to more than one and are written for each" if shared else "")
        )
    return lines + [f"note: {clean(note)} ({count} configurations)" for note, count in export.notes.most_common()]
