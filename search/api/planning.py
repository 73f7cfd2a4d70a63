"""Plan of what a user asks for: the benchmarks, settings, budget and resources of a run."""

import math
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import TypeVar

from search.api.prior import with_prior
from search.config.budget import Budget
from search.config.controls import default_baselines
from search.config.request import ARGUMENTS, AUTO, DEFAULT_TRIALS, SAVE_EVERY, Request
from search.config.settings import Resources, Settings
from search.loggers.registry import chosen_loggers
from search.samplers.registry import KNOWLEDGE_GRADIENT, default_sampler
from search.session.plan import Plan
from search.stats.best_arm import SEEDS_EACH, seeds_for
from search.stats.priors import guessed_noise
from search.store.manifest import RecordedBenchmark
from search.store.run_folder import RunFolder
from spaces import SPACES
from spaces.errors import FieldError, UserError
from spaces.parts.words import number_of
from spaces.validation import checked
from trainer.benchmarks import BENCHMARKS, Benchmark, get_benchmark
from trainer.own.declaration import own_training
from trainer.own.training import OwnTraining
from trainer.runtime import available_cpus
from trainer.trial import SCALE_FREE_LOSS
from trainer.user_files import expanded

T = TypeVar("T", Settings, Budget, Resources)


def chosen_plan(
    request: Request, budget: Budget, *, arguments: tuple[str, ...], again: str, owns_process: bool
) -> Plan:
    """Return the plan of what is asked for; the cluster, if there is one, is connected.

    Args:
        request: of the user; its address is that of the cluster that was found.
        budget: of the run.
        arguments: of the search command, for ``confirm``.
        again: continues the run, in words that can be copied.
        owns_process: whether this process may be ended with the run.

    Raises:
        UserError: nothing can be searched so.
    """
    everything = chosen_benchmarks(request)
    held_out = request.holdout is not None
    benchmarks = tuple(everything[:-1] if held_out else everything)
    holdout = everything[-1] if held_out else None
    budget = long_enough(budget, benchmarks)
    resources = chosen_resources(request)
    if budget.gpu_hours and not resources.gpu:
        raise UserError(
            f"--gpu-hours is {budget.gpu_hours:g}, but trials train on the CPU; give --hours."
        )
    if held_out and not budget.confirm_runs:
        raise UserError(
            f"--holdout is {request.holdout!r}, but nothing is confirmed that could be tried "
            f"there; leave --no-confirm out and give at least {budget.fewest_trials} --trials."
        )
    device = "cuda" if resources.gpu else "cpu"
    joined = "_".join(benchmark.name for benchmark in benchmarks)
    name = joined if request.name is None else request.name
    folder = RunFolder.named(expanded(request.runs), name)
    settings = chosen_settings(request, benchmarks, chosen_baselines(request, folder))
    settings, prior = with_prior(settings, request, folder)
    return Plan(
        benchmarks=benchmarks,
        holdout=holdout,
        data_root=expanded(request.data_root),
        folder=folder,
        settings=settings,
        budget=budget,
        resources=resources,
        device=device,
        save_every=request.save_every or SAVE_EVERY[device],
        resume=request.resume,
        resume_command=again,
        arguments=arguments,
        loggers=chosen_loggers(request.log),
        owns_process=owns_process,
        prior=prior,
    )


def chosen_benchmarks(request: Request) -> Sequence[Benchmark | OwnTraining]:
    """Return the benchmarks to search on, then the hold-out if there is one.

    ``epochs`` shortens those that are longer; trainings of the user's own have this length.

    Raises:
        UserError: one is unknown, or all of them are shorter than ``epochs``.
    """
    if request.trainable is not None:
        return chosen_own(request)
    check_benchmark_given(request)
    names = [*request.benchmark, *([] if request.holdout is None else [request.holdout])]
    benchmarks = [get_benchmark(name, expanded(request.data_root)) for name in names]
    if request.epochs is None:
        return benchmarks
    longest = max(benchmarks, key=lambda benchmark: benchmark.epochs)
    longest.with_epochs(request.epochs)  # refuses what is too long for all
    return [b.with_epochs(min(request.epochs, b.epochs)) for b in benchmarks]


def chosen_own(request: Request) -> list[OwnTraining]:
    """Return the training of the user's own, then that on the data that are held out, if any.

    Raises:
        UserError: it cannot be used, or something is asked for that is none of its.
    """
    if request.benchmark:
        raise UserError("--benchmark is given with --trainable; leave one of them out.")
    if request.compile or request.precision != Request.precision or request.save_every:
        raise UserError(
            "--precision, --compile and --save-every are for this program's own networks, and "
            "--trainable is given; leave them out, and choose in the function."
        )
    assert request.trainable is not None
    searched = own_training(request.trainable, request.class_counts, request.epochs)
    if request.holdout is None:
        return [searched]
    return [searched, own_training(request.trainable, request.holdout, request.epochs, True)]


def check_benchmark_given(request: Request) -> None:
    """Raise UserError if it is not said what is trained."""
    if not request.benchmark:
        names = f"{', '.join(BENCHMARKS)}, a TOML file or a folder of images"
        raise UserError(
            f"--benchmark is missing ({names}); give it, or --trainable MODULE:FUNCTION with "
            "--counts and --epochs."
        )
    if request.class_counts is not None:
        raise UserError("--counts is given without --trainable; add it, or leave --counts out.")


def asked(kind: type[T], request: Request, **found: object) -> T:
    """Return what the request says of a kind; ``found`` are fields that it does not say by itself.

    Raises:
        FieldError: a field breaks its rule; the sentence begins with the request's field.
    """
    names = {field.name: ARGUMENTS.get(field.name, field.name) for field in fields(kind)}
    given = {field: getattr(request, name) for field, name in names.items() if field not in found}
    try:
        return checked(kind, given | found, error=FieldError)
    except FieldError as error:
        field, *rest = str(error).split(" ", 1)
        raise FieldError(" ".join([names.get(field, field), *rest])) from error


def chosen_settings(
    request: Request,
    benchmarks: tuple[Benchmark | OwnTraining, ...],
    baselines: tuple[str, ...],
) -> Settings:
    sampler = request.sampler
    if sampler == AUTO and request.space in SPACES:
        domains = SPACES[request.space].searched(SCALE_FREE_LOSS)
        sampler = default_sampler(request.early_stopping, domains)
    stopping, grace = request.early_stopping, request.grace_epochs
    if sampler == KNOWLEDGE_GRADIENT and stopping == "auto":
        stopping = "none"  # its model learns from full-length trials
    rungs = grace is not None or request.reduction_factor != Request.reduction_factor
    if stopping == "none" and rungs and not request.resume:  # earlier versions began such runs
        raise UserError(
            "--grace-epochs and --reduction-factor are of early stopping, and no trial is stopped "
            f"early with --early-stopping {request.early_stopping}"
            f"{f' and --sampler {sampler}' if request.early_stopping != stopping else ''}; leave "
            "them out."
        )
    return asked(
        Settings,
        request,
        benchmarks=tuple(benchmark.fingerprint() for benchmark in benchmarks),
        sampler=sampler,
        early_stopping=stopping,
        prior=(),  # ``with_prior``
        grace_epochs=max(1, benchmarks[0].epochs // 4) if grace is None else grace,
        baselines=baselines,
    )


def chosen_baselines(request: Request, folder: RunFolder) -> tuple[str, ...]:
    """Return the controls by name; where none are given, a run that goes on keeps its own."""
    if request.baselines is not None:
        return request.baselines
    if request.resume and folder.exists():
        return folder.read_manifest().settings.baselines
    return default_baselines(request.space)


def chosen_budget(request: Request) -> Budget:
    limits = (request.trials, request.hours, request.gpu_hours)
    trials = DEFAULT_TRIALS if limits == (None,) * len(limits) else request.trials
    if request.confirm_runs is not None and not request.confirm:
        raise UserError("--confirm-runs is given with --no-confirm; leave one of them out.")
    paired = request.sampler == KNOWLEDGE_GRADIENT and request.confirm_runs is None
    block = SEEDS_EACH if paired and trials is not None else None
    if request.interval is not None and not (block and request.confirm):
        raise UserError(
            f"--interval is {request.interval:g}, which is for --sampler {KNOWLEDGE_GRADIENT} with "
            "a limit in --trials, and without --confirm-runs and --no-confirm; leave it out."
        )
    return asked(Budget, request, trials=trials, block=block)


def long_enough(budget: Budget, benchmarks: tuple[Benchmark | OwnTraining, ...]) -> Budget:
    """Return a budget whose confirmation has the runs that its interval takes, if it has one.

    Raises:
        UserError: it has too few trials for them.
    """
    if budget.interval is None:
        return budget
    noise = noise_of(*benchmarks) if len(benchmarks) == 1 else 1 / math.sqrt(len(benchmarks))
    long = replace(budget, block=seeds_for(budget.interval, noise))
    if not long.confirm_runs:
        raise UserError(
            f"--interval is {budget.interval:g}, for which {long.fewest_trials // 2} runs may be "
            f"needed where two runs of one weighting differ by {noise:.2g} (SD); give a wider one, "
            f"or at least {long.fewest_trials} --trials."
        )
    return long


def noise_of(benchmark: Benchmark | OwnTraining) -> float:
    """Return the standard deviation of a score between seeds, points: as it is stated, or a guess.

    Images of a benchmark that are not looked at yet count as of equal numbers in each class.
    """
    if isinstance(benchmark, OwnTraining):
        return RecordedBenchmark.of_own(benchmark).objective.noise_prior.sd
    folder = benchmark.folder
    images = folder.evaluated_counts if folder else (1,) * benchmark.num_classes
    return benchmark.noise_sd or guessed_noise(benchmark.metric, images)


def chosen_resources(request: Request) -> Resources:
    """Return the resources of a trial: a share of a GPU where there are any, else CPUs.

    Raises:
        UserError: a trial asks for more than there is on this machine, if it is to run here, or
            the cluster cannot be reached.
    """
    import torch

    from search.cluster.nodes import gpus_for

    present = torch.cuda.device_count()
    gpu = gpus_for(request.device, request.address, present)
    if gpu and not request.address and not present:
        raise UserError("--device is cuda, but torch sees no GPU here; leave it out.")
    resources = asked(Resources, request, gpu=gpu)
    if resources.address is None and resources.cpus > available_cpus():
        raise UserError(
            f"--cpus-per-trial is {resources.cpus}, but this machine has "
            f"{number_of(available_cpus(), 'CPU')}; give at most as many."
        )
    return resources
