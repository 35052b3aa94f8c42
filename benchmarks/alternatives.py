"""What one would use instead, side by side: one table over all data sets, and who wins where.

    python benchmarks/alternatives.py                  # docs/pages/measured.md and index.md, of what is committed
    python benchmarks/alternatives.py --of_any_code    # also where some of it is by other code; the page says so

Stock MACE with its `weighted` and its `universal` loss, the scheme as published, iterative refinement (train, drop the
worst, train again), and `ema_robust`. Energy and force errors on right test labels over those of stock MACE trained on
the right labels only, means over the seeds (two are compared by those that both have); of what tells wrong labels from
right ones, how many it finds and loses.
"""

import argparse
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "real"), str(HERE.parent / "scripts")]

import numpy as np
import pandas
from finished_trainings import NAMES, REFINED
from one_code import by_other_code
from readme_tables import markdown, write_tables
from real_results import IN_FULL, WHAT_IS_WRONG

PAGES = HERE.parent / "docs" / "pages"
OURS = "ema_robust"
REFINEMENT = f"{REFINED}1"
METHODS = {  # ours first: a page shows some columns only
    OURS: NAMES["default"],
    "weighted": NAMES["weighted"],
    "universal": NAMES["universal"],
    "published": "the published scheme",
    REFINEMENT: NAMES[REFINEMENT],
}
OTHER_NAMES = {"default": OURS}  # of arms, in some benchmarks
FINDING = (OURS, "published", REFINEMENT)
READ = tuple(f"{name}/trainings.csv" for name in ("ablation", "water", "spice", "real"))  # what the table is made of
CLEAR = 1.1  # times the smallest error, from which another one is said to win: trainings differ by some 10 %


class Case(NamedTuple):
    """Some wrong labels of a data set, and the trainings on them: columns arm, energy_ratio, force_ratio and more."""

    data: str
    wrong: str
    rows: pandas.DataFrame

    def trained(self, method: str) -> pandas.DataFrame:
        """The trainings of a method whose errors can be compared with the oracle's."""
        return self.rows[(self.rows.arm.replace(OTHER_NAMES) == method) & self.rows.energy_ratio.notna()]

    def of(self, *methods: str) -> list[pandas.Series]:
        """Means of each method, over the seeds that all of these have; empty where there is none."""
        trained = [self.trained(method) for method in methods]
        common = set.intersection(*(set(own.seed) for own in trained))
        return [own[own.seed.isin(common)].mean(numeric_only=True) for own in trained] if common else []

    @property
    def title(self) -> str:
        """Name of the line."""
        return f"{self.data}: {self.wrong}"

    def seeds(self, method: str = OURS) -> int:
        """With how many seeds a method was trained."""
        return self.trained(method).seed.nunique()


KINDS = {"swapped": "swapped", "mild": "mild", "mixed": "unconverged, of all sizes"}  # others: unconverged
GENERATED = [  # folder, what, its kinds and shares
    ("ablation", "water clusters", [("unconverged", 0.15), ("unconverged", 0.43), ("swapped", 0.15), ("mild", 0.15)]),
    ("ablation", "few conformations of many molecules", [("organic", 0.29)]),
    ("water", "liquid water, GFN1-xTB", [("mixed", 0.2), ("mixed", 0.4)]),
    ("spice", "mini-SPICE", [("unconverged", 0.15), ("unconverged", 0.3), ("unconverged", 0.43)]),
]


def cases() -> Iterator[Case]:
    """All of the table."""
    for folder, what, which in GENERATED:
        rows = pandas.read_csv(HERE / folder / "trainings.csv")
        for kind, share in which:
            wrong = f"{KINDS.get(kind, 'unconverged')}, {100 * share:.0f} %"
            yield Case(what, wrong, rows[(rows.kind == kind) & (rows.share == share)])
    rows = pandas.read_csv(HERE / "real" / "trainings.csv")
    rows = rows[(rows.train == "forces") & (rows.fault != "clean")]
    for name, fault in itertools.product(IN_FULL, WHAT_IS_WRONG):
        case = Case(IN_FULL[name], WHAT_IS_WRONG[fault], rows[(rows.set == name) & (rows.fault == fault)])
        if case.of(OURS, "weighted"):  # of other faults, there is nothing to compare with
            yield case


def ratios(case: Case, method: str) -> str:
    """Errors over the oracle's; in brackets the number of seeds, where it isn't that of ours."""
    number = case.seeds(method)
    if not number:
        return "-"
    [own] = case.of(method)
    return f"{own.energy_ratio:.2f} / {own.force_ratio:.2f}" + (f" ({number})" if number != case.seeds() else "")


def found(case: Case, method: str) -> str:
    """Shares of the wrong labels that lost their weight or were dropped, and of the right ones, in %."""
    shares = [found_of(row) for row in case.trained(method).to_dict("records")]
    wrong, right = 100 * np.mean(shares, axis=0) if shares else (np.nan, np.nan)
    return "-" if np.isnan(wrong) else f"{wrong:.0f} / {right:.1f}"


def found_of(row: dict[str, Any]) -> tuple[float, float]:
    """These shares of one training, from what its benchmark has counted; of public data, of all labels touched."""
    kept_bad, false, touched = (row.get(name, np.nan) for name in ("kept_bad", "false", "touched"))
    if not np.isnan(kept_bad):
        return 1 - kept_bad, 1 - row["kept_good"]
    if not np.isnan(false):
        return row["touched_found"] / touched if touched else np.nan, false
    share, recall = row["share"], row.get("recall", np.nan)
    if recall == 0:  # no suspect is wrong
        return 0.0, row.get("share_found", 0.0) / (1 - share) if row["precision"] == 0 else 0.0
    return recall, recall * share * (1 / row.get("precision", np.nan) - 1) / (1 - share)


def errors_table(of: list[Case]) -> str:
    """Markdown: errors over the oracle's, by method."""
    head = ["data: wrong labels", *METHODS.values(), "seeds"]
    lines = [[case.title, *(ratios(case, method) for method in METHODS), str(case.seeds())] for case in of]
    means, number = overall(of), len(complete(of))
    lines.append([f"**geometric mean of the {number} that all have**", *(means[one] for one in METHODS), ""])
    lines.append(["trainings needed", "1", "1", "1", "1", "2", ""])
    return markdown(head, lines)


def complete(of: list[Case]) -> list[Case]:
    """Those on which every method was trained."""
    return [case for case in of if case.of(*METHODS)]


def overall(of: list[Case]) -> dict[str, str]:
    """Geometric means of the ratios, over the cases that every method has, with the seeds that all have."""
    measured = [[own[["energy_ratio", "force_ratio"]] for own in case.of(*METHODS)] for case in complete(of)]
    if not measured:
        return dict.fromkeys(METHODS, "-")
    means = np.exp(np.log(np.array(measured, dtype=float)).mean(axis=0))
    return {method: f"{energy:.2f} / {force:.2f}" for method, (energy, force) in zip(METHODS, means, strict=True)}


def found_table(of: list[Case]) -> str:
    """Markdown: wrong labels found / right ones lost, %, by what finds any."""
    lines = [[case.title, *(found(case, method) for method in FINDING)] for case in of]
    return markdown(["data: wrong labels", *(METHODS[method] for method in FINDING)], lines)


def won_by_others(of: list[Case]) -> list[str]:
    """Where the errors of another method are clearly smaller than ours with the same seeds: a line each."""
    lines = []
    for case in of:
        pairs = {method: pair for method in METHODS if method != OURS and (pair := case.of(OURS, method))}
        for column, what in (("energy_ratio", "energy"), ("force_ratio", "force")):
            best = max(pairs, key=lambda method: pairs[method][0][column] / pairs[method][1][column], default=None)
            if best is None:
                continue
            ours, other = (own[column] for own in pairs[best])
            if ours > CLEAR * other:
                numbers = f"{other:.2f} x the oracle's instead of {ours:.2f} x"
                lines.append(
                    f"- {case.data}, {case.wrong}: {METHODS[best]} has the smaller {what} errors ({numbers}).\n"
                )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--of_any_code", action="store_true")
    options = parser.parse_args()
    other = [line for line in by_other_code() if line.startswith(READ)]
    if other and not options.of_any_code:
        raise SystemExit("Not all of this is by the code that is here (see one_code.py):\n" + "\n".join(other))
    of = list(cases())
    others = "".join(won_by_others(of)) or "- Nowhere by more than 10 %.\n"
    files = "; ".join(line.partition(", of ")[0] for line in other)
    code = f"*Not all of this is by one code yet: {files}.*\n" if other else "All of this is by one code.\n"
    tables = {"errors": errors_table(of), "found": found_table(of), "others": others, "code": code}
    write_tables(PAGES / "measured.md", "alternatives", tables)
    write_tables(PAGES / "index.md", "alternatives", {"others": others})
    print(*tables.values(), sep="\n")


if __name__ == "__main__":
    main()
