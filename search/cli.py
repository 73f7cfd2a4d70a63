"""The command line: search, ``confirm RUN``, ``show RUN`` and ``export RUN``."""

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from rich.console import Console

from search.address import find_address, use_token
from search.budget import FEWEST_RUNS, FEWEST_TRIALS, Budget
from search.checks import check_minimum
from search.conclusion import Conclusion
from search.counts_file import read_counts
from search.early_stopping import SCHEDULERS
from search.export import Best, applied_json, apply_to_counts, export
from search.leaderboard import show
from search.redaction import redacted
from search.runfolder import RunFolder
from search.samplers import SAMPLERS, default_sampler
from search.settings import Resources, Settings
from spaces import BASELINES, NAMED, SPACES, WeightingError, renamed
from trainer.benchmarks import BENCHMARKS, Benchmark, get_benchmark
from trainer.checkpoint import CheckpointError
from trainer.errors import UserError
from trainer.loop import SCALE_FREE_LOSS
from trainer.precision import PRECISIONS, available_cpus

if TYPE_CHECKING:
    from search.plan import Plan

DEFAULT_TRIALS = 64
DEVICES = ("auto", "cpu", "cuda")
SAVE_EVERY = {"cpu": 5, "cuda": 20}
"""Epochs between checkpoints: a minute or less of training in either case."""
FAILED, BAD_INPUT = 1, 2


def search_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="run_search.py",
        description="Search the class weighting of a long-tailed image classifier. "
        "Other commands: confirm RUN, show RUN, export RUN (see run_search.py show --help).",
        allow_abbrev=False,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--benchmark", required=True, help=f"{', '.join(BENCHMARKS)}, or a TOML file; A,B: jointly")
    add("--holdout", help="benchmark on which the verdict's weightings are tried at the end")
    add("--name", help="of the run folder (default: the benchmark's name)")
    add("--runs", type=Path, default=Path("runs"), help="folder of all runs")
    add("--data-root", type=Path, default=Path("data"), help="folder of the data sets")
    add("--resume", action="store_true", help="continue the run of this name")
    budget = parser.add_argument_group("budget").add_argument
    budget("--trials", type=int, help=f"in total, baselines included ({DEFAULT_TRIALS})")
    budget("--hours", type=float, help="wall-clock hours of this attempt (no limit)")
    budget("--gpu-hours", type=float, help="hours of training on GPUs, in total (no limit)")
    budget("--no-confirm", action="store_true", help="stop after the search")
    budget("--confirm-runs", type=int, help="at most, of the trials (a third)")
    budget("--epochs", type=int, help="shorten the protocol; results say so (the benchmark's)")
    what = parser.add_argument_group("what is searched").add_argument
    what("--space", default="core", help=", ".join(SPACES))
    controls = f"controls ({','.join(BASELINES)}), or none: {', '.join(NAMED)}"
    what("--baselines", help=controls)
    what("--sampler", default="auto", help=f"auto, {', '.join(SAMPLERS)}")
    what("--early-stopping", default="auto", help=", ".join(SCHEDULERS))
    what("--grace-epochs", type=int, help="never stop a trial before (a quarter of the epochs)")
    what("--reduction-factor", type=int, default=2, help="a rung keeps the best 1 in so many")
    what("--seed", type=int, default=42, help="of the search; trial seeds derive from it")
    what("--precision", default="tf32", help=", ".join(PRECISIONS))
    what("--compile", action="store_true", help="networks through torch.compile")
    add_where(parser)
    return parser


def add_where(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where trials run."""
    where = parser.add_argument_group("where it runs").add_argument
    where("--device", default="auto", choices=DEVICES, help="auto: GPUs if there are any")
    where("--slots", type=int, help="trials that share a GPU (found by a short trial run)")
    where("--cpus-per-trial", type=int, default=1, help="or per GPU; and CPU threads")
    where("--concurrent", type=int, help="trials at a time (as many as fit)")
    where("--address", help="of a Ray cluster, or local (the one this machine is part of, if any)")
    where("--save-every", type=int, help="epochs between checkpoints (5; on GPUs 20)")


def confirm_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="run_search.py confirm",
        description="Train the best weightings of a run, and the controls, with fresh seeds. "
        "What is not given is as it was for the search.",
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    add = parser.add_argument
    add("run", type=Path, help="run folder, such as runs/resnet8-digitslt")
    add("--confirm-runs", type=int, help="at most (half as many as the search had trials)")
    add("--hours", type=float, help="wall-clock hours (no limit)")
    add("--holdout", help="benchmark on which the verdict's weightings are tried at the end")
    add("--data-root", type=Path, help="folder of the data sets")
    add_where(parser)
    for action in parser._actions:
        action.default = argparse.SUPPRESS
    return parser


def show_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="run_search.py show", description="Print a run's leaderboard.", allow_abbrev=False
    )
    parser.add_argument("run", type=Path, help="run folder, such as runs/resnet8-digitslt")
    return parser


def export_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="run_search.py export",
        description="Write best.json and best_weighting.py of a run, "
        "or print the found weights for other class counts.",
        allow_abbrev=False,
    )
    parser.add_argument("run", type=Path, help="run folder, such as runs/resnet8-digitslt")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--counts", type=Path, help="file of class counts: JSON, or a line 'name,count' per class"
    )
    what.add_argument("--output", type=Path, help="folder of the two files (the run folder)")
    return parser


def chosen_benchmarks(options: argparse.Namespace) -> list[Benchmark]:
    """Return the benchmarks to search on, then the hold-out if there is one.

    ``--epochs`` shortens those that are longer.

    Raises:
        UserError: one is unknown, or all of them are shorter than ``--epochs``.
    """
    names = options.benchmark.split(",") + ([options.holdout] if options.holdout else [])
    benchmarks = [get_benchmark(name, options.data_root) for name in names]
    if options.epochs is None:
        return benchmarks
    longest = max(benchmarks, key=lambda benchmark: benchmark.epochs)
    longest.with_epochs(options.epochs)  # refuses what is too long for all
    return [b.with_epochs(min(options.epochs, b.epochs)) for b in benchmarks]


def chosen_baselines(options: argparse.Namespace, folder: RunFolder) -> tuple[str, ...]:
    """Return the controls by name; where none are given, a run that goes on keeps its own."""
    if options.baselines is not None:
        return () if options.baselines == "none" else tuple(options.baselines.split(","))
    if options.resume and folder.exists():
        return tuple(folder.read_settings()["settings"]["baselines"])
    return BASELINES


def chosen_settings(
    options: argparse.Namespace, benchmarks: tuple[Benchmark, ...], baselines: tuple[str, ...]
) -> Settings:
    sampler = options.sampler
    if sampler == "auto" and options.space in SPACES:
        domains = SPACES[options.space].searched(SCALE_FREE_LOSS)
        sampler = default_sampler(options.early_stopping, domains)
    grace = options.grace_epochs
    return Settings(
        benchmarks=tuple(benchmark.fingerprint() for benchmark in benchmarks),
        space=options.space,
        sampler=sampler,
        scheduler=options.early_stopping,
        grace_epochs=max(1, benchmarks[0].epochs // 4) if grace is None else grace,
        reduction_factor=options.reduction_factor,
        seed=options.seed,
        precision=options.precision,
        baselines=baselines,
        compiled=options.compile,
    )


def chosen_resources(options: argparse.Namespace) -> Resources:
    """Return the resources of a trial: a share of a GPU where there are any, else CPUs.

    Raises:
        UserError: a trial asks for more than there is on this machine, if it is to run here, or
            the cluster cannot be reached.
    """
    from search.cluster import gpus_for

    present = torch.cuda.device_count()
    gpu = gpus_for(options.device, options.address, present)
    if gpu and not options.address and not present:
        raise UserError("--device is cuda, but torch sees no GPU here; leave it out.")
    resources = Resources(
        options.cpus_per_trial, gpu, options.slots, options.concurrent, options.address
    )
    if resources.address is None and resources.cpus > available_cpus():
        raise UserError(
            f"--cpus-per-trial is {resources.cpus}, but there are {available_cpus()} CPUs here; "
            "give at most as many."
        )
    return resources


def search_command(arguments: list[str], console: Console) -> int:
    options = search_parser().parse_args(arguments)
    resume = ["python", "run_search.py", *(a for a in arguments if a != "--resume"), "--resume"]
    return run_plan(options, chosen_budget(options), arguments, resume, console)


def confirm_command(arguments: list[str], console: Console) -> int:
    given = vars(confirm_parser().parse_args(arguments))
    folder = RunFolder(given.pop("run"))
    searched = recorded_arguments(folder)
    options = search_parser().parse_args(searched)
    options.hours = options.address = None  # the address leads to where code is run
    vars(options).update(given, runs=folder.path.parent, name=folder.path.name, resume=True)
    begun = sum(row.in_search for row in Conclusion.of(folder).rows)
    runs = options.confirm_runs or max(FEWEST_RUNS, begun // 2)
    budget = Budget(begun + runs, options.hours, runs=runs)
    again = ["python", "run_search.py", "confirm", *arguments]
    return run_plan(options, budget, searched, again, console)


def recorded_arguments(folder: RunFolder) -> list[str]:
    """Return the arguments of the command that began a run.

    Raises:
        UserError: it is no run, or its first attempt is not on record.
    """
    folder.read_settings()
    return [str(argument) for argument in folder.read_attempts()[0].get("arguments", [])]


def wherever(arguments: list[str], options: argparse.Namespace) -> tuple[str, ...]:
    """Return a search's arguments with whole paths, as ``confirm`` may run in another folder."""
    names = [
        str(Path(name).absolute()) if name.endswith(".toml") else name
        for name in options.benchmark.split(",")
    ]
    places = ["--benchmark", ",".join(names), "--data-root", str(options.data_root.absolute())]
    if options.holdout and options.holdout.endswith(".toml"):
        places += ["--holdout", str(Path(options.holdout).absolute())]
    return (*arguments, *places)


def chosen_budget(options: argparse.Namespace) -> Budget:
    limits = (options.trials, options.hours, options.gpu_hours)
    trials = DEFAULT_TRIALS if limits == (None,) * len(limits) else options.trials
    confirm, runs = not options.no_confirm, options.confirm_runs
    if runs is not None and not confirm:
        raise UserError("--confirm-runs is given with --no-confirm; leave one of them out.")
    return Budget(trials, options.hours, options.gpu_hours, confirm, runs)


def run_plan(
    options: argparse.Namespace,
    budget: Budget,
    arguments: list[str],
    again: list[str],
    console: Console,
) -> int:
    """Search and confirm as the options say; ``again`` is the command that continues."""
    options.address = find_address(options.address)
    use_token(options.address)
    from search.cluster import connected  # Ray takes seconds to import
    from search.driver import run

    for sentence in renamed((options.baselines or "").split(",")):
        console.print(sentence)
    if options.address:
        console.print(f"Connecting to the Ray cluster at {redacted(options.address)} ...")
    with connected(options.address):
        return run(chosen_plan(options, budget, arguments, again), console)


def chosen_plan(
    options: argparse.Namespace, budget: Budget, arguments: list[str], again: list[str]
) -> "Plan":
    """Return the plan that the options describe; the cluster, if there is one, is connected."""
    from search.plan import Plan

    everything = chosen_benchmarks(options)
    searched = len(options.benchmark.split(","))
    benchmarks = tuple(everything[:searched])
    resources = chosen_resources(options)
    if budget.gpu_hours and not resources.gpu:
        raise UserError(
            f"--gpu-hours is {budget.gpu_hours:g}, but trials train on the CPU; give --hours."
        )
    if options.holdout and not budget.confirm_runs:
        raise UserError(
            f"--holdout is {options.holdout!r}, but nothing is confirmed that could be tried "
            f"there; leave --no-confirm out and give at least {FEWEST_TRIALS} --trials."
        )
    device = "cuda" if resources.gpu else "cpu"
    save_every = SAVE_EVERY[device] if options.save_every is None else options.save_every
    check_minimum("--save-every", save_every, 1)
    name = options.name or "_".join(benchmark.name for benchmark in benchmarks)
    folder = RunFolder.named(options.runs, name)
    return Plan(
        benchmarks=benchmarks,
        holdout=everything[searched] if options.holdout else None,
        data_root=options.data_root,
        folder=folder,
        settings=chosen_settings(options, benchmarks, chosen_baselines(options, folder)),
        budget=budget,
        resources=resources,
        device=device,
        save_every=save_every,
        resume=options.resume,
        resume_command=shlex.join(map(redacted, again)),
        arguments=wherever(arguments, options),
    )


def show_command(arguments: list[str], console: Console) -> int:
    show(Conclusion.of(RunFolder(show_parser().parse_args(arguments).run)), console)
    return 0


def export_command(arguments: list[str], console: Console) -> int:
    options = export_parser().parse_args(arguments)
    conclusion = Conclusion.of(RunFolder(options.run))
    best = conclusion.best()
    if best is None:
        raise UserError(
            f"run {conclusion.folder.path.name!r} has no full-length trial to export yet."
        )
    if options.counts is None:
        exported = export(options.output or conclusion.folder.path, best)
        console.print(f"{exported.record}\n{exported.module}")
        return 0
    print_weights(best, options.counts)
    return 0


def print_weights(best: Best, path: Path) -> None:
    """Print the best weighting on the class counts of a file, as JSON, and what is to be said."""
    given = read_counts(path)
    applied = apply_to_counts(best, given)
    print(f"{path}: {given.describe()}", file=sys.stderr)
    if applied["warning"]:
        print(f"warning: {applied['warning']}", file=sys.stderr)
    print(applied_json(applied))


COMMANDS = {"confirm": confirm_command, "show": show_command, "export": export_command}


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return its exit code: 2 for bad input, told in one sentence."""
    arguments = sys.argv[1:] if argv is None else argv
    console = Console(file=sys.stdout, highlight=False, markup=False, soft_wrap=True)
    try:
        if arguments and arguments[0] in COMMANDS:
            return COMMANDS[arguments[0]](arguments[1:], console)
        return search_command(arguments, console)
    except (UserError, WeightingError, CheckpointError) as error:
        print(f"error: {redacted(str(error))}", file=sys.stderr)
        return BAD_INPUT
    except OSError as error:  # a full disk or a lost file system, before or after the search
        print(f"error: {redacted(f'{type(error).__name__}: {error}')}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("interrupted at once; --resume continues from the last checkpoints", file=sys.stderr)
        return 130
