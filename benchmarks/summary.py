"""Write the tables of the READMEs from the committed results of the benchmarks.

python benchmarks/summary.py        # rewrites the marked parts; a test checks that they are current
"""

import json
import re
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
README, BENCHMARKS, ABLATION = HERE.parent / "README.md", HERE / "README.md", HERE / "ablation" / "README.md"
PAGES = HERE.parent / "docs" / "pages"
MEASURED, CLUSTER = PAGES / "measured.md", PAGES / "cluster.md"
DOCUMENTS = (README, BENCHMARKS, ABLATION, MEASURED, CLUSTER)


def load(path: str) -> dict[str, Any]:
    """Read a result file of a benchmark."""
    return json.loads((HERE / path).read_text())


def cost() -> str:
    """Time of a training step, and of a Python start."""
    overhead, startup = load("overhead/results.json"), load("overhead/startup.json")
    lines = ["| cost | |", "|---|---|"]
    for name, numbers in overhead["results"].items():
        ratio, stock = numbers["median_of_ratios"], numbers["median_stock_ms"]
        lines.append(f"| training step, base loss {name} | {ratio:.3f} x stock ({stock:.0f} ms) |")
    for judged in load("overhead/end_of_epoch.json")["results"]:
        number, seconds = judged["configurations"], judged["seconds"]
        lines.append(f"| judgement at the end of an epoch of {number:,} configurations | {seconds:.2f} s |")
    lines.append(f"| start of any Python program | {startup['import_us'] / 1e3:.2f} ms |")
    most = load("records/results.json")["results"][-1]
    lines += [
        f"| records of {most['configurations'] / 1e6:g} M configurations | {most['records_megabytes']:.0f} MB |",
        f"| fit at the end of their epoch, of 20,000 molecules | {most['seconds_to_fit']:.1f} s |",
        f"| saving their table | {most['seconds_to_save']:.1f} s |",
        f"| `mace_outlier report` on it | {most['seconds_to_report']:.1f} s, {most['page_megabytes']:.1f} MB page |",
    ]
    return "\n".join(lines)


def cost_in_short() -> str:
    """One sentence on the cost, of the same measurements."""
    ratios = [numbers["median_of_ratios"] for numbers in load("overhead/results.json")["results"].values()]
    of_size = {one["configurations"]: one["seconds"] for one in load("overhead/end_of_epoch.json")["results"]}
    small, large = (f"{of_size[number]:.1g} s for {number:,}" for number in (1000, 100_000))
    return (
        f"On a CPU, a step takes up to {max(ratios):.2f} x as long as in stock MACE, "
        f"the judgement at the end of an epoch {small}\n"
        f"configurations and {large} ([costs](docs/pages/measured.md#what-it-costs))."
    )


def launches() -> str:
    """What a step of the default launches beside that of stock MACE."""
    rows, said = load("overhead/launches.json")["rows"], []
    for phase, when in (("settled", "once the weights are those of a fit"), ("first epoch", "in the first epoch")):
        alone, together = ([row for row in rows if (row["phase"], row["distributed"]) == (phase, x)] for x in (0, 1))
        number, shared = (" to ".join(str(row["kernels_added"]) for row in own) for own in (alone, together))
        said.append(f"{number} kernels more than in stock MACE {when} ({shared} in a distributed run)")
    return f"A step launches {', and '.join(said)}. None of them waits for the device."


def stored(path: str) -> str:
    """A table that a benchmark wrote."""
    return (HERE / path).read_text().strip()


def tables(document: Path) -> dict[str, str]:
    """The generated parts of a document, by the name in their marker."""
    if document == ABLATION:
        names = ("noise", "detection", "breakdown", "rare", "hard", "refinement", "selection", "settings")
        return {f"ablation {name}": stored(f"ablation/{name}.md") for name in names}
    if document == BENCHMARKS:
        return {"demo": stored("demo/table.md"), "launches": launches()}
    if document == CLUSTER:
        return {"version_matrix": stored("versions/matrix.md")}
    if document == MEASURED:
        return {"ablation shares": stored("ablation/shares.md"), "cost": cost()}
    return {"demo_energy_weight_10": stored("demo_energy_weight_10/table.md"), "cost in short": cost_in_short()}


def filled(document: Path) -> str:
    """The text of a document with its generated parts renewed."""
    text = document.read_text()
    for name, table in tables(document).items():
        part = re.compile(rf"(<!-- {name}: .*? -->\n).*?(<!-- end -->)", flags=re.S)
        if not part.search(text):
            raise SystemExit(f"{document} has no part '<!-- {name}: ... -->' to '<!-- end -->'")
        text = part.sub(lambda match, table=table: f"{match[1]}{table}\n{match[2]}", text)
    return text


if __name__ == "__main__":
    for document in DOCUMENTS:
        document.write_text(filled(document))
