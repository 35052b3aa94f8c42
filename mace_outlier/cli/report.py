"""Which configurations of a training look wrong: how many, which, how sure, and whether one group stands out.

Prints the worst suspects, and writes a page with figures, structures and numbers beside the table of the run.
"""

import argparse
from pathlib import Path

from ..data.clean import clean
from ..run.options import number
from .output import may_be_unread
from .outputs import refuse_folders

PAGE = "_outliers.html"  # after the prefix of the run's files


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mace_outlier report`."""
    parser.add_argument("run", help="folder of the training, <results_dir>/<tag>, or the table that was written there")
    at_least_one = number(int, "at least 1", lambda top: top >= 1)
    parser.add_argument(
        "--top", type=at_least_one, default=20, help="suspects that are printed, and drawn (default: %(default)s)"
    )
    cut = number(float, "a weight above 0 and at most 1", lambda below: 0 < below <= 1)
    parser.add_argument(
        "--below", type=cut, default=0.5, metavar="W", help="a suspect has a weight below this (default: %(default)s)"
    )
    parser.add_argument(
        "--truth", metavar="KEY", help="info entry of the frames that says which labels are wrong: AUROC"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE.html", help=f"the page (default: <tag>{PAGE}, beside the table)"
    )
    parser.add_argument("--figures", type=Path, metavar="FOLDER", help="write the figures as PNG and SVG there")
    parser.add_argument("--no-page", action="store_true", help="only print")


def run(arguments: argparse.Namespace) -> None:
    """Print the report of a run and write its page; raises ValueError for what the user can mend."""
    if arguments.out and arguments.no_page:
        raise ValueError("--out and --no-page contradict each other: leave one of them out")
    if arguments.out and arguments.out.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"--out {arguments.out}: the name of the page has to end in .html")
    refuse_folders({"--out": arguments.out} if arguments.out else {})
    if arguments.figures and arguments.figures.exists() and not arguments.figures.is_dir():
        raise ValueError(f"--figures {arguments.figures} is a file: name a folder")
    from ..report.causes import find_causes
    from ..report.groups import find_groups
    from ..report.summary import MOST_LISTED, summarise, with_categories, worst
    from ..report.terminal import show
    from ..report.truth import find_truth
    from ..results.reading import read_results
    from .console import console

    results = read_results(arguments.run)
    if not len(results.table):
        raise ValueError(f"{results.prefix}_outliers.* holds no configuration: did the training start?")
    results = results._replace(table=with_categories(results.table))
    summary = summarise(results, arguments.below)
    groups, causes = find_groups(results.table, summary), find_causes(results.table, summary)
    listed = worst(results.table, summary, max(arguments.top, MOST_LISTED))
    suspects = listed[: arguments.top]
    truth = find_truth(results, summary, arguments.truth) if arguments.truth else None
    with may_be_unread():  # the page is written all the same
        show(console(), str(results.about.get("name") or results.prefix.name), summary, groups, causes, suspects, truth)
    if arguments.no_page and not arguments.figures:
        return
    from ..report.figures import save
    from ..report.page import Report, draw_figures, write_page
    from ..report.sample import read_sample

    sample = read_sample(results)
    figures = draw_figures(results, summary, groups, sample, truth)
    if arguments.figures:
        save(figures, arguments.figures)
        print(f"figures: {arguments.figures}")
    if not arguments.no_page:
        page = arguments.out or results.prefix.with_name(results.prefix.name + PAGE)
        write_page(Report(results, summary, groups, causes, suspects, listed, truth, sample, figures), page)
        print(f"page: {clean(page, 400)}")  # its folder may be one that others made
