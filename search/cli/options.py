"""Options of each command, with their defaults and what help says of them.

The ``dest`` of an option of a search is the field of `Request` that it sets, which has its default.
"""

import argparse
from pathlib import Path
from typing import get_args

from search.cli.listing import SECTIONS
from search.config.program import PROGRAM
from search.config.request import DEFAULT_TRIALS, SAVE_EVERY, Device, Request
from search.export.formats.registry import FORMATS, SCALES, ZERO_COUNTS
from search.loggers.registry import LOGGERS
from search.samplers.registry import SAMPLERS
from search.stopping.rules import STOPPING_RULES
from spaces import BASELINES, SPACES
from trainer.arguments import Parser
from trainer.benchmarks import BENCHMARKS
from trainer.runtime import PRECISIONS
from trainer.user_files import expanded


def search_parser() -> Parser:
    """Return the parser of a search alone, which reads the recorded command of a run."""
    parser = Parser()
    add_search(parser)
    return parser


def add_search(parser: Parser) -> None:
    parser.prog = PROGRAM  # the word may be left out
    parser.usage = (
        f"{PROGRAM} [search] --benchmark NAME [options]\n"
        f"       {PROGRAM} [search] --trainable MODULE:FUNCTION --counts FILE --epochs N [options]"
    )
    parser.description = (
        "Search the class weighting, or more of the training strategy, of a long-tailed image "
        "classifier. "
        f"'{PROGRAM} help' shows the other commands."
    )
    add = parser.add_argument
    names = f"{', '.join(BENCHMARKS)}, a TOML file or a folder of images; A,B: jointly"
    add("--benchmark", metavar="NAME", help=names)
    add_holdout(parser)
    add_own(parser)
    add("--name", help="of the run folder (default: the benchmark's name)")
    add(
        "--runs",
        metavar="DIR",
        type=expanded,
        default=Path(Request.runs),
        help="folder of all runs",
    )
    add_data_root(parser)
    add("--resume", action="store_true", help="continue the run of this name")
    dry = "measure a few steps, say what would be done and what it costs, and begin nothing"
    add("--dry-run", action="store_true", help=dry)
    add_budget(parser)
    add_settings(parser)
    add_resources(parser)


def add_own(parser: Parser) -> None:
    """Add the options of a training of the user's own, which take the place of --benchmark."""
    add = parser.add_argument_group("a training of your own").add_argument
    what = "function that trains a network: MODULE:FUNCTION or FILE.py:FUNCTION"
    add("--trainable", metavar="FUNCTION", help=what)
    counts = "training images of each class, and test images if the function reports them by class"
    add("--counts", dest="class_counts", metavar="FILE", help=counts)


def add_budget(parser: Parser) -> None:
    add = parser.add_argument_group("budget").add_argument
    add(
        "--trials",
        metavar="N",
        type=int,
        help=f"in total, controls and confirmation included (default: {DEFAULT_TRIALS}, unless "
        "--hours or --gpu-hours is given)",
    )
    add("--hours", type=float, help="wall-clock hours of this attempt (default: no limit)")
    add("--gpu-hours", metavar="HOURS", type=float, help="in total (default: no limit)")
    add("--no-confirm", dest="confirm", action="store_false", help="stop after the search")
    add(
        "--confirm-runs",
        metavar="N",
        type=int,
        help="at most (default: a third of the trials)",
    )
    add(
        "--interval",
        metavar="POINTS",
        type=float,
        help="with knowledge-gradient: confirm until the lead over uniform is known to so much "
        "either way (default: nine runs)",
    )
    add(
        "--epochs",
        metavar="N",
        type=int,
        help="shorten the protocol; results say so (default: the benchmark's); of a training of "
        "your own, its length",
    )


def add_settings(parser: Parser) -> None:
    add = parser.add_argument_group("what is searched").add_argument
    add("--space", default=Request.space, help=", ".join(SPACES))
    add(
        "--baselines",
        metavar="NAMES",
        help="controls, or none (default: the class weights that the space names, such as "
        f"{', '.join(BASELINES)}); '{PROGRAM} list strategies' shows all",
    )
    add("--sampler", default=Request.sampler, help=f"auto, {', '.join(SAMPLERS)}")
    rules = ", ".join(STOPPING_RULES)
    add("--early-stopping", metavar="RULE", default=Request.early_stopping, help=rules)
    add(
        "--grace-epochs",
        metavar="N",
        type=int,
        help="never stop a trial before (default: a quarter of the epochs)",
    )
    add(
        "--reduction-factor",
        metavar="N",
        type=int,
        default=Request.reduction_factor,
        help="a rung keeps the best 1 in so many",
    )
    add(
        "--seed",
        metavar="N",
        type=int,
        default=Request.seed,
        help="all seeds of trials derive from it",
    )
    add("--precision", default=Request.precision, help=", ".join(PRECISIONS))
    through = "training and test through torch.compile"
    add("--compile", action="store_true", help=through)


def add_resources(parser: Parser) -> None:
    """Add the options that say where trials run."""
    add = parser.add_argument_group("where it runs").add_argument
    devices = get_args(Device)
    add("--device", default=Request.device, choices=devices, help="auto: GPUs if there are any")
    add("--slots", metavar="N", type=int, help="trials that share a GPU (default: tried out)")
    add(
        "--cpus-per-trial",
        metavar="N",
        type=int,
        default=Request.cpus_per_trial,
        help="or per GPU; and CPU threads",
    )
    add("--concurrent", metavar="N", type=int, help="trials at a time (default: as many as fit)")
    add(
        "--address",
        help="of a Ray cluster, or local "
        "(default: the cluster that you made this machine a part of, if any)",
    )
    add(
        "--save-every",
        metavar="N",
        type=int,
        help=f"epochs between checkpoints (default: {SAVE_EVERY['cpu']}; on GPUs "
        f"{SAVE_EVERY['cuda']})",
    )

    add(
        "--log",
        metavar="NAMES",
        help="tools that are told of every epoch, too: "
        + "; ".join(f"{name}, into {logger.summary}" for name, logger in LOGGERS.items()),
    )


def add_holdout(parser: Parser) -> None:
    parser.add_argument(
        "--holdout",
        metavar="NAME",
        help="benchmark on which the verdict's weightings are tried at the end",
    )


def add_data_root(parser: Parser) -> None:
    parser.add_argument(
        "--data-root",
        metavar="DIR",
        type=expanded,
        default=Path(Request.data_root),
        help="folder of the data sets",
    )


def add_run(parser: Parser) -> None:
    where = "run folder, such as runs/resnet8-digitslt"
    parser.add_argument("run", metavar="RUN", type=expanded, help=where)


def add_prepare(parser: Parser) -> None:
    parser.description = (
        "Look at a folder of images, say what is in it, and write a benchmark's file."
    )
    add = parser.add_argument
    what = "of class folders, or of train/, val/ and test/ with them"
    add("folder", metavar="DIR", type=expanded, help=what)
    file = "TOML file to write (default: NAME.toml, here)"
    add("--output", metavar="FILE", type=expanded, help=file)
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
    runs = "at most (default: half as many as the search had trials)"
    add("--confirm-runs", metavar="N", type=int, help=runs)
    add("--hours", type=float, help="wall-clock hours (default: no limit)")
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
    source("--counts", metavar="FILE", type=expanded, help=counts)
    labels = "of training images: .npy, JSON, or a line 'label' or 'image,label' for each"
    source("--labels", metavar="FILE", type=expanded, help=labels)
    scale = f"{', '.join(SCALES)} (default: what the tool's loss needs)"
    add("--normalize", choices=tuple(SCALES), metavar="SCALE", help=scale)
    rule = "a class without images: error; ignore, weight 0; smallest, as the rarest class"
    add("--zero-counts", choices=ZERO_COUNTS, metavar="RULE", help=f"{rule} (default: error)")
    where = "folder for the two files (default: the run's), or file for class weights"
    add("--output", metavar="PATH", type=expanded, help=where)


def add_study(parser: Parser) -> None:
    parser.description = (
        "Write a copy of a run's trials as a journal of Optuna, for optuna-dashboard to open."
    )
    add_run(parser)
    where = "the copy (default: RUN.study.journal, in the current folder)"
    parser.add_argument("--output", metavar="FILE", type=expanded, help=where)


def add_report(parser: Parser) -> None:
    parser.description = (
        "Write a run's report, one HTML file to look at and to pass on: the verdict and what it "
        "rests on, charts with their data, and how the run was made."
    )
    add_run(parser)
    where = "the page (default: report.html in the run's folder)"
    parser.add_argument("--output", metavar="FILE", type=expanded, help=where)


def add_watch(parser: Parser) -> None:
    parser.description = (
        "Show runs as pages in a browser that move while they are searched, also by another "
        "machine that writes to the same folder."
    )
    parser.add_argument("runs", metavar="RUN", type=expanded, help="a run, or a folder of runs")
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
    parser.add_argument("runs", metavar="RUN", nargs="+", type=expanded, help=where)


def add_help(parser: Parser) -> None:
    parser.description = "Print the commands, or the options of one."
    parser.add_argument("name", metavar="COMMAND", nargs="?", help="(default: all)")
