"""Options of the commands other than a search, with their defaults and what help says of them."""

import argparse

from search.cli.listing import SECTIONS
from search.cli.options import add_data_root, add_holdout, add_resources, add_trainable
from search.export.formats.registry import FORMATS, SCALES, ZERO_COUNTS
from trainer.arguments import Parser, given_path


def add_run(parser: Parser) -> None:
    where = "run folder, such as runs/resnet8-digitslt"
    parser.add_argument("run", metavar="RUN", type=given_path, help=where)


def add_prepare(parser: Parser) -> None:
    parser.description = (
        "Look at a folder of images, say what is in it, and write a benchmark's file."
    )
    add = parser.add_argument
    what = "of class folders, or of train/, val/ and test/ with them"
    add("folder", metavar="DIR", type=given_path, help=what)
    file = "TOML file to write (default: NAME.toml, here)"
    add("--output", metavar="FILE", type=given_path, help=file)
    add("--overwrite", action="store_true", help="replace that file if it exists")
    add_data_root(parser)


def add_confirm(parser: Parser) -> None:
    """Add the options of ``confirm``; those that are not given are left out of the namespace."""
    parser.description = (
        "Train the best weightings of a run, and the controls, with fresh seeds. "
        "What is not given is as it was for the search."
    )
    add_run(parser)
    add = parser.add_argument
    runs = "at most (default: as the search was told, else half as many as it had trials)"
    add("--confirm-runs", metavar="N", type=int, help=runs)
    add("--hours", type=float, help="wall-clock hours (default: no limit)")
    add_trainable(parser)
    add_holdout(parser)
    add_data_root(parser)
    add_resources(parser)
    for action in parser._actions:
        action.default = argparse.SUPPRESS


def add_show(parser: Parser) -> None:
    parser.description = "Print a run's leaderboard and verdict."
    add_run(parser)


def add_export(parser: Parser) -> None:
    parser.description = (
        "Write best.json and a Python module of a run, or the found class weights alone, in the "
        "form of a tool and for other class counts."
    )
    add_run(parser)
    add = parser.add_argument
    tools = "; ".join(f"{name}: {tool.summary}" for name, tool in FORMATS.items())
    form = f"class weights alone; {tools} (default with --counts or --labels: json)"
    add("--format", choices=(*FORMATS, "json"), metavar="NAME", help=form)
    source = parser.add_mutually_exclusive_group().add_argument
    counts = "class counts: JSON, or a line 'name,count' per class"
    source("--counts", metavar="FILE", type=given_path, help=counts)
    labels = "of training images: .npy, JSON, or a line 'label' or 'image,label' for each"
    source("--labels", metavar="FILE", type=given_path, help=labels)
    scale = f"{', '.join(SCALES)} (default: what the tool's loss needs)"
    add("--normalize", choices=tuple(SCALES), metavar="SCALE", help=scale)
    rule = "a class without images: error; ignore, weight 0; smallest, as the rarest class"
    add("--zero-counts", choices=ZERO_COUNTS, metavar="RULE", help=f"{rule} (default: error)")
    where = "folder for the two files (default: the run's), or file for class weights"
    add("--output", metavar="PATH", type=given_path, help=where)


def add_study(parser: Parser) -> None:
    parser.description = (
        "Write a copy of a run's trials as a journal of Optuna, for optuna-dashboard to open."
    )
    add_run(parser)
    where = "the copy (default: RUN.study.journal, in the current folder)"
    parser.add_argument("--output", metavar="FILE", type=given_path, help=where)


def add_report(parser: Parser) -> None:
    parser.description = (
        "Write a run's report, one HTML file to look at and to pass on: the verdict and what it "
        "rests on, charts with their data, and how the run was made."
    )
    add_run(parser)
    where = "the page (default: report.html in the run's folder)"
    parser.add_argument("--output", metavar="FILE", type=given_path, help=where)


def add_watch(parser: Parser) -> None:
    parser.description = (
        "Show runs as pages in a browser that move while they are searched, also by another "
        "machine that writes to the same folder."
    )
    parser.add_argument("runs", metavar="RUN", type=given_path, help="a run, or a folder of runs")
    where = "address to serve on; another one than this machine's own lets others look"
    parser.add_argument("--host", metavar="HOST", default="127.0.0.1", help=where)
    port = "0: any that is free"
    parser.add_argument("--port", metavar="N", type=int, default=8437, help=port)


def add_list(parser: Parser) -> None:
    parser.description = "Print what can be chosen from, or the runs in a folder."
    what = f"{', '.join(SECTIONS)}, or a folder of runs (default: all but runs)"
    parser.add_argument("what", metavar="WHAT", nargs="?", help=what)


def add_compare(parser: Parser) -> None:
    parser.description = "Print the confirmed weightings of several runs on one scale."
    where = "run folders of one benchmark"
    parser.add_argument("runs", metavar="RUN", nargs="+", type=given_path, help=where)


def add_help(parser: Parser) -> None:
    parser.description = "Print the commands, or the options of one."
    parser.add_argument("name", metavar="COMMAND", nargs="?", help="(default: all)")
