"""Request of a user: the benchmarks, settings, budget and resources that the options ask for."""

import argparse
import shlex
from dataclasses import fields
from typing import TypeVar

from search.cli.options import DEFAULT_TRIALS, SAVE_EVERY, search_parser
from search.config.budget import FEWEST_RUNS, FEWEST_TRIALS, Budget
from search.config.controls import default_baselines
from search.config.redaction import redacted
from search.config.settings import Resources, Settings
from search.loggers.registry import chosen_loggers
from search.results.conclusion import Conclusion
from search.samplers.registry import default_sampler
from search.session.phases import nothing_to_confirm
from search.session.plan import Plan
from search.store.run_folder import RunFolder
from spaces import SPACES
from spaces.errors import FieldError, UserError
from spaces.validation import checked
from trainer.benchmarks import Benchmark, get_benchmark
from trainer.benchmarks.registry import separate_names, whole_path
from trainer.runtime import available_cpus
from trainer.trial import SCALE_FREE_LOSS

T = TypeVar("T", Settings, Budget, Resources)


def chosen_plan(
    options: argparse.Namespace, budget: Budget, arguments: list[str], again: list[str]
) -> Plan:
    """Return the plan that the options describe; the cluster, if there is one, is connected."""
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
    if save_every < 1:
        raise FieldError(f"save_every is {save_every}; it must be at least 1.")
    joined = "_".join(benchmark.name for benchmark in benchmarks)
    name = joined if options.name is None else options.name
    folder = RunFolder.named(options.runs_folder, name)
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
        loggers=chosen_loggers(options.log),
    )


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


def asked(kind: type[T], options: argparse.Namespace, **found: object) -> T:
    """Return what the options ask for; ``found`` are fields that no option says by itself.

    Raises:
        FieldError: a field breaks its rule.
    """
    names = {field.name for field in fields(kind)}
    given = {name: value for name, value in vars(options).items() if name in names}
    return checked(kind, given | found, error=FieldError)


def chosen_settings(
    options: argparse.Namespace, benchmarks: tuple[Benchmark, ...], baselines: tuple[str, ...]
) -> Settings:
    sampler = options.sampler
    if sampler == "auto" and options.space in SPACES:
        domains = SPACES[options.space].searched(SCALE_FREE_LOSS)
        sampler = default_sampler(options.early_stopping, domains)
    grace = options.grace_epochs
    return asked(
        Settings,
        options,
        benchmarks=tuple(benchmark.fingerprint() for benchmark in benchmarks),
        sampler=sampler,
        grace_epochs=max(1, benchmarks[0].epochs // 4) if grace is None else grace,
        baselines=baselines,
    )


def chosen_baselines(options: argparse.Namespace, folder: RunFolder) -> tuple[str, ...]:
    """Return the controls by name; where none are given, a run that goes on keeps its own."""
    if options.baselines is not None:
        return () if options.baselines == "none" else tuple(options.baselines.split(","))
    if options.resume and folder.exists():
        return folder.read_manifest().settings.baselines
    return default_baselines(options.space)


def chosen_budget(options: argparse.Namespace) -> Budget:
    limits = (options.trials, options.hours, options.gpu_hours)
    trials = DEFAULT_TRIALS if limits == (None,) * len(limits) else options.trials
    if options.runs is not None and not options.confirm:
        raise UserError("--confirm-runs is given with --no-confirm; leave one of them out.")
    return asked(Budget, options, trials=trials)


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
    resources = asked(Resources, options, gpu=gpu)
    if resources.address is None and resources.cpus > available_cpus():
        raise UserError(
            f"--cpus-per-trial is {resources.cpus}, but there are {available_cpus()} CPUs here; "
            "give at most as many."
        )
    return resources


def chosen_confirmation(
    given: argparse.Namespace, searched: list[str]
) -> tuple[argparse.Namespace, Budget]:
    """Return the options of a confirmation, and its budget.

    Options that are not given are those of the command that began the run; ``searched`` are its
    words.

    Raises:
        UserError: the run has nothing to confirm.
    """
    folder = RunFolder(given.run)
    options = search_parser().parse_args(searched)
    options.hours = options.address = None  # the address leads to where code is run
    vars(options).update(vars(given))
    vars(options).update(runs_folder=folder.path.parent, name=folder.path.name, resume=True)
    conclusion = Conclusion.of(folder)
    if nothing := nothing_to_confirm(conclusion.standings, conclusion.rows):
        raise UserError(f"run {folder.path.name!r} has nothing to confirm: {nothing}.")
    begun = sum(row.in_search for row in conclusion.rows)
    runs = options.runs or max(FEWEST_RUNS, begun // 2)
    budget = asked(Budget, options, trials=begun + runs, gpu_hours=None, confirm=True, runs=runs)
    return options, budget


def wherever(arguments: list[str], options: argparse.Namespace) -> tuple[str, ...]:
    """Return a search's arguments with whole paths, as ``confirm`` may run in another folder."""
    names = map(whole_path, separate_names(options.benchmark))
    places = ["--benchmark", ",".join(names), "--data-root", str(options.data_root.absolute())]
    if options.holdout:
        places += ["--holdout", whole_path(options.holdout)]
    return (*arguments, *places)


def recorded_arguments(folder: RunFolder) -> list[str]:
    """Return the arguments of the command that began a run.

    Raises:
        UserError: it is no run, or its first attempt is not on record.
    """
    folder.read_manifest()
    arguments = folder.read_attempts()[0].arguments
    if not arguments:
        raise UserError(
            f"{folder.attempts} does not say with which command run {folder.path.name!r} was "
            "begun, so it cannot be confirmed; search again under another --name."
        )
    return list(arguments)
