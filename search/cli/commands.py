"""The command line: which commands there are, and what each of them does."""

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from rich.console import Console

from search.cli.options import (
    DEFAULT_TRIALS,
    SAVE_EVERY,
    confirm_parser,
    export_parser,
    in_options,
    list_parser,
    search_parser,
    show_parser,
)
from search.cli.overview import Command, no_command, overview, version
from search.cluster.address import ensure_home, find_address, use_token
from search.cluster.session_folder import check_parent
from search.config.budget import FEWEST_RUNS, FEWEST_TRIALS, Budget
from search.config.checks import check_minimum
from search.config.program import PROGRAM
from search.config.settings import Resources, Settings
from search.samplers.registry import default_sampler
from search.store.redaction import redacted
from search.store.run_folder import RunFolder
from spaces import BASELINES, SPACES, WeightingError, renamed
from spaces.errors import FieldError, UserError
from trainer.benchmarks import Benchmark, get_benchmark
from trainer.benchmarks.registry import separate_names, whole_path
from trainer.errors import CheckpointError
from trainer.runtime import available_cpus
from trainer.trial import SCALE_FREE_LOSS

if TYPE_CHECKING:
    from search.results.conclusion import Conclusion
    from search.session.plan import Plan

FAILED, BAD_INPUT = 1, 2
# Imports inside functions are of modules that take seconds, which help and errors need not cost.


def chosen_benchmarks(options: argparse.Namespace) -> list[Benchmark]:
    """Return the benchmarks to search on, then the hold-out if there is one.

    ``--epochs`` shortens those that are longer.

    Raises:
        UserError: one is unknown, or all of them are shorter than ``--epochs``.
    """
    names = separate_names(options.benchmark) + ([options.holdout] if options.holdout else [])
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
        early_stopping=options.early_stopping,
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
    import torch

    from search.cluster.nodes import gpus_for

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
    resume = [*PROGRAM.split(), *(a for a in arguments if a != "--resume"), "--resume"]
    return run_plan(options, chosen_budget(options), arguments, resume, console)


def confirm_command(arguments: list[str], console: Console) -> int:
    from search.results.conclusion import Conclusion
    from search.session.phases import nothing_to_confirm

    given = vars(confirm_parser().parse_args(arguments))
    folder = RunFolder(given.pop("run"))
    searched = recorded_arguments(folder)
    options = search_parser().parse_args(searched)
    options.hours = options.address = None  # the address leads to where code is run
    vars(options).update(given, runs=folder.path.parent, name=folder.path.name, resume=True)
    conclusion = Conclusion.of(folder)
    if nothing := nothing_to_confirm(conclusion.standings, conclusion.rows):
        raise UserError(f"run {folder.path.name!r} has nothing to confirm: {nothing}.")
    begun = sum(row.in_search for row in conclusion.rows)
    runs = options.confirm_runs or max(FEWEST_RUNS, begun // 2)
    budget = Budget(begun + runs, options.hours, runs=runs)
    again = [*PROGRAM.split(), "confirm", *arguments]
    return run_plan(options, budget, searched, again, console)


def recorded_arguments(folder: RunFolder) -> list[str]:
    """Return the arguments of the command that began a run.

    Raises:
        UserError: it is no run, or its first attempt is not on record.
    """
    folder.read_settings()
    arguments = folder.read_attempts()[0].get("arguments")
    if not arguments:
        raise UserError(
            f"{folder.attempts} does not say with which command run {folder.path.name!r} was "
            "begun, so it cannot be confirmed; search again under another --name."
        )
    return [str(argument) for argument in arguments]


def wherever(arguments: list[str], options: argparse.Namespace) -> tuple[str, ...]:
    """Return a search's arguments with whole paths, as ``confirm`` may run in another folder."""
    names = map(whole_path, separate_names(options.benchmark))
    places = ["--benchmark", ",".join(names), "--data-root", str(options.data_root.absolute())]
    if options.holdout:
        places += ["--holdout", whole_path(options.holdout)]
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
    ensure_home()
    if options.address is None:
        check_parent()
    use_token(options.address)
    from search.cluster.connection import connected
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
    from search.session.plan import Plan

    everything = chosen_benchmarks(options)
    searched = len(separate_names(options.benchmark))
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
    check_minimum("save_every", save_every, 1)
    joined = "_".join(benchmark.name for benchmark in benchmarks)
    name = joined if options.name is None else options.name
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
    folder = RunFolder(show_parser().parse_args(arguments).run)
    from search.report.leaderboard import show
    from search.results.conclusion import Conclusion

    show(Conclusion.of(folder), console)
    return 0


def export_command(arguments: list[str], console: Console) -> int:
    options = export_parser().parse_args(arguments)
    from search.export.export import export
    from search.export.winner import winner_of
    from search.report.verdict_view import export_note
    from search.results.conclusion import Conclusion

    conclusion = Conclusion.of(RunFolder(options.run))
    if conclusion.winner is None:
        raise UserError(
            f"run {conclusion.folder.path.name!r} has no full-length trial to export yet."
        )
    if note := export_note(conclusion):
        print(f"note: {note}", file=sys.stderr)
    if options.counts:
        print_weights(conclusion, options.counts)
    elif winner := winner_of(conclusion):
        exported = export(options.output or conclusion.folder.path, winner)
        console.print(f"{exported.record}\n{exported.module}")
    return 0


def print_weights(conclusion: "Conclusion", path: Path) -> None:
    """Print the winner on the class counts of a file, as JSON, and what is to be said."""
    from search.export.class_counts import read_counts
    from search.export.export import applied_json, apply_to_counts

    assert conclusion.winner is not None
    given, class_names = read_counts(path), conclusion.content["benchmarks"][0]["class_names"]
    applied = apply_to_counts(conclusion.winner[1], class_names, given)
    print(f"{path}: {given.describe()}", file=sys.stderr)
    if applied["warning"]:
        print(f"warning: {applied['warning']}", file=sys.stderr)
    print(applied_json(applied))


def prepare_command(arguments: list[str], console: Console) -> int:
    from search.cli import prepare

    return prepare.prepare_command(arguments, console)


def list_command(arguments: list[str], console: Console) -> int:
    from search.cli.listing import SECTIONS

    chosen = list_parser(SECTIONS).parse_args(arguments).what
    for name in [chosen] if chosen else SECTIONS:
        console.print(SECTIONS[name](), soft_wrap=False)
    return 0


def help_command(arguments: list[str], console: Console) -> int:
    if not arguments or arguments[0] in ("help", "--help", "-h"):
        console.print(overview(COMMANDS))
    elif arguments[0] in COMMANDS:
        return COMMANDS[arguments[0]].run(["--help"], console)
    else:
        raise UserError(no_command(arguments[0], COMMANDS))
    return 0


COMMANDS = {
    "search": Command(
        search_command, "--benchmark NAME", "search, confirm and export; the word may be left out"
    ),
    "prepare": Command(prepare_command, "DIR", "what is in a folder of images, and a file for it"),
    "confirm": Command(confirm_command, "RUN", "train a run's best weightings with fresh seeds"),
    "show": Command(show_command, "RUN", "a run's leaderboard and verdict"),
    "export": Command(export_command, "RUN", "the found weighting as files, or for other counts"),
    "list": Command(list_command, "", "benchmarks, weightings, spaces, samplers"),
    "help": Command(help_command, "[COMMAND]", "this text, or the options of a command"),
}


def run_command(arguments: list[str], console: Console) -> int:
    """Run the command that the first word names; an option begins a search."""
    if not arguments:
        console.print(overview(COMMANDS))
        return BAD_INPUT
    first, *rest = arguments
    if first == "--version":
        console.print(version())
        return 0
    if first.startswith("-"):
        return search_command(arguments, console)
    if first in COMMANDS:
        return COMMANDS[first].run(rest, console)
    print(f"error: {no_command(first, COMMANDS)}\n\n{overview(COMMANDS)}", file=sys.stderr)
    return BAD_INPUT


def console_on(stream: TextIO) -> Console:
    """Return a console that breaks lines between words on a terminal, and nowhere else."""
    return Console(file=stream, highlight=False, markup=False, soft_wrap=not stream.isatty())


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return its exit code: 2 for bad input, told in one sentence."""
    arguments = sys.argv[1:] if argv is None else argv
    console, errors = console_on(sys.stdout), console_on(sys.stderr)
    try:
        return run_command(arguments, console)
    except FieldError as error:
        errors.print(f"error: {redacted(in_options(str(error)))}")
        return BAD_INPUT
    except (UserError, WeightingError, CheckpointError) as error:
        errors.print(f"error: {redacted(str(error))}")
        return BAD_INPUT
    except OSError as error:  # a full disk or a lost file system, before or after the search
        errors.print(f"error: {redacted(f'{type(error).__name__}: {error}')}")
        return FAILED
    except KeyboardInterrupt:
        errors.print("interrupted at once; --resume continues from the last checkpoints")
        return 130
