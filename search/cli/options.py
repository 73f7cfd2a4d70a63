"""Options of a search, with their defaults and what help says of them.

The ``dest`` of an option is the field of `Request` that it sets, which has its default.
"""

from argparse import _ActionsContainer
from pathlib import Path
from typing import get_args

from search.config.program import PROGRAM
from search.config.request import DEFAULT_TRIALS, SAVE_EVERY, Device, Request
from search.loggers.registry import LOGGERS
from search.samplers.registry import SAMPLERS
from search.stopping.rules import STOPPING_RULES
from spaces import BASELINES, SPACES
from trainer.arguments import Parser, given_path
from trainer.benchmarks import BENCHMARKS
from trainer.runtime import PRECISIONS


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
        type=given_path,
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
    group = parser.add_argument_group("a training of your own")
    add_trainable(group)
    counts = "training images of each class, and test images if the function reports them by class"
    group.add_argument("--counts", dest="class_counts", metavar="FILE", help=counts)


def add_trainable(group: _ActionsContainer) -> None:
    what = "function that trains a network: MODULE:FUNCTION or FILE.py:FUNCTION"
    group.add_argument("--trainable", metavar="FUNCTION", help=what)


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
    what = "with knowledge-gradient: folders of earlier runs that say what to expect, say "
    what += "of another data set"
    add("--prior", metavar="RUN,...", default=Request.prior, help=what)
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
        help="CPUs of a trial, or of all trials that share a GPU, and as many threads",
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
        help="benchmark on which the verdict's weightings are tried at the end; with --trainable a "
        "file of class counts",
    )


def add_data_root(parser: Parser) -> None:
    parser.add_argument(
        "--data-root",
        metavar="DIR",
        type=given_path,
        default=Path(Request.data_root),
        help="folder of the data sets",
    )
