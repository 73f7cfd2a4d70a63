"""Options of each command of the command line, with their defaults and what help says of them."""

import argparse
import re
from collections.abc import Iterable
from pathlib import Path

from search.config.program import PROGRAM
from search.samplers.registry import SAMPLERS
from search.stopping.rules import SCHEDULERS
from spaces import BASELINES, SPACES
from trainer.arguments import Parser
from trainer.benchmarks import BENCHMARKS
from trainer.runtime import PRECISIONS
from trainer.user_files import expanded

DEFAULT_TRIALS = 64
DEVICES = ("auto", "cpu", "cuda")
SAVE_EVERY = {"cpu": 5, "cuda": 20}
"""Epochs between checkpoints: a minute or less of training in either case."""
OPTIONS = {
    "cpus": "--cpus-per-trial",
    "runs": "--confirm-runs",
    "compiled": "--compile",
}
"""Field of what is asked for -> its option, where that has another name."""
RUN = "run folder, such as runs/resnet8-digitslt"


def in_options(sentence: str) -> str:
    """Return the sentence of a FieldError with the option in place of the field's name."""

    def option(field: re.Match[str]) -> str:
        return OPTIONS.get(field[1], f"--{field[1].replace('_', '-')}")

    return re.sub(r"\A(\w+)(\[\d+\])?", option, sentence)


def search_parser() -> Parser:
    parser = Parser(
        prog=PROGRAM,
        usage=f"{PROGRAM} [search] --benchmark NAME [options]",
        description="Search the class weighting of a long-tailed image classifier. "
        f"'{PROGRAM} help' shows the other commands.",
    )
    add = parser.add_argument
    names = f"{', '.join(BENCHMARKS)}, a TOML file or a folder of images; A,B: jointly"
    add("--benchmark", required=True, metavar="NAME", help=names)
    add_holdout(parser)
    add("--name", help="of the run folder (default: the benchmark's name)")
    add("--runs", metavar="DIR", type=expanded, default=Path("runs"), help="folder of all runs")
    add_data_root(parser)
    add("--resume", action="store_true", help="continue the run of this name")
    budget = parser.add_argument_group("budget").add_argument
    budget(
        "--trials",
        metavar="N",
        type=int,
        help=f"in total, controls and confirmation included (default: {DEFAULT_TRIALS}, unless "
        "--hours or --gpu-hours is given)",
    )
    budget("--hours", type=float, help="wall-clock hours of this attempt (default: no limit)")
    budget("--gpu-hours", metavar="HOURS", type=float, help="in total (default: no limit)")
    budget("--no-confirm", action="store_true", help="stop after the search")
    budget("--confirm-runs", metavar="N", type=int, help="at most (default: a third of the trials)")
    budget(
        "--epochs",
        metavar="N",
        type=int,
        help="shorten the protocol; results say so (default: the benchmark's)",
    )
    what = parser.add_argument_group("what is searched").add_argument
    what("--space", default="core", help=", ".join(SPACES))
    what(
        "--baselines",
        metavar="NAMES",
        help=f"controls, or none (default: {', '.join(BASELINES)}); '{PROGRAM} list weightings' "
        "shows all",
    )
    what("--sampler", default="auto", help=f"auto, {', '.join(SAMPLERS)}")
    what("--early-stopping", metavar="RULE", default="auto", help=", ".join(SCHEDULERS))
    what(
        "--grace-epochs",
        metavar="N",
        type=int,
        help="never stop a trial before (default: a quarter of the epochs)",
    )
    what(
        "--reduction-factor",
        metavar="N",
        type=int,
        default=2,
        help="a rung keeps the best 1 in so many",
    )
    what("--seed", metavar="N", type=int, default=42, help="all seeds of trials derive from it")
    what("--precision", default="tf32", help=", ".join(PRECISIONS))
    what("--compile", action="store_true", help="training and test through torch.compile")
    add_where(parser)
    return parser


def add_holdout(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--holdout",
        metavar="NAME",
        help="benchmark on which the verdict's weightings are tried at the end",
    )


def add_data_root(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data-root",
        metavar="DIR",
        type=expanded,
        default=Path("data"),
        help="folder of the data sets",
    )


def add_where(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where trials run."""
    where = parser.add_argument_group("where it runs").add_argument
    where("--device", default="auto", choices=DEVICES, help="auto: GPUs if there are any")
    where("--slots", metavar="N", type=int, help="trials that share a GPU (default: tried out)")
    where("--cpus-per-trial", metavar="N", type=int, default=1, help="or per GPU; and CPU threads")
    where("--concurrent", metavar="N", type=int, help="trials at a time (default: as many as fit)")
    where(
        "--address",
        help="of a Ray cluster, or local (default: the cluster this machine is part of, if any)",
    )
    where(
        "--save-every",
        metavar="N",
        type=int,
        help=f"epochs between checkpoints (default: {SAVE_EVERY['cpu']}; on GPUs "
        f"{SAVE_EVERY['cuda']})",
    )


def confirm_parser() -> Parser:
    parser = Parser(
        prog=f"{PROGRAM} confirm",
        usage=f"{PROGRAM} confirm RUN [options]",
        description="Train the best weightings of a run, and the controls, with fresh seeds. "
        "What is not given is as it was for the search.",
    )
    add_run(parser)
    add = parser.add_argument
    add(
        "--confirm-runs",
        metavar="N",
        type=int,
        help="at most (default: half as many as the search had trials)",
    )
    add("--hours", type=float, help="wall-clock hours (default: no limit)")
    add_holdout(parser)
    add_data_root(parser)
    add_where(parser)
    for action in parser._actions:
        action.default = argparse.SUPPRESS
    return parser


def show_parser() -> Parser:
    parser = Parser(prog=f"{PROGRAM} show", description="Print a run's leaderboard and verdict.")
    add_run(parser)
    return parser


def export_parser() -> Parser:
    parser = Parser(
        prog=f"{PROGRAM} export",
        description="Write best.json and best_weighting.py of a run, "
        "or print the found weights for other class counts.",
    )
    add_run(parser)
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--counts",
        metavar="FILE",
        type=expanded,
        help="class counts: JSON, or a line 'name,count' per class",
    )
    what.add_argument(
        "--output", metavar="DIR", type=expanded, help="for the two files (default: the run folder)"
    )
    return parser


def list_parser(sections: Iterable[str]) -> Parser:
    parser = Parser(prog=f"{PROGRAM} list", description="Print what can be chosen from.")
    parser.add_argument(
        "what",
        metavar="WHAT",
        nargs="?",
        choices=tuple(sections),
        help=f"{', '.join(sections)} (default: all)",
    )
    return parser


def add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", type=expanded, help=RUN)
