"""The plan of a run: what is searched, on which benchmarks and hardware, and for how long."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from search.config.budget import Budget
from search.config.request import in_arguments
from search.config.settings import Resources, Settings
from search.store.facts import PriorRun
from search.store.run_folder import RunFolder
from spaces import CLASS_WEIGHTS, SPACES, STRATEGIES
from spaces.errors import UserError
from trainer.benchmarks import Benchmark
from trainer.own.function import arguments_of, load_function
from trainer.own.training import OwnTraining


@dataclass(frozen=True)
class Plan:
    """A run as a user asked for it.

    Attributes:
        benchmarks: what is searched on: networks on images, or one training of the user's own.
        holdout: what the verdict's arms are tried on at the end.
        arguments: of the search command, for ``confirm``.
        loggers: names of tools that are told of the run besides.
        owns_process: whether this process may be ended with the run, which a notebook's may not.
        prior: what earlier runs tell a new one's model; a run that goes on has it on record.
    """

    benchmarks: tuple[Benchmark | OwnTraining, ...]
    holdout: Benchmark | OwnTraining | None
    data_root: Path
    folder: RunFolder
    settings: Settings
    budget: Budget
    resources: Resources
    device: str
    save_every: int
    resume: bool
    resume_command: str
    arguments: tuple[str, ...]
    loggers: tuple[str, ...] = ()
    owns_process: bool = True
    prior: tuple[PriorRun, ...] = ()

    @property
    def wording(self) -> Callable[[str], str]:
        """How the options in a sentence are called where the run was asked for."""
        return str if self.owns_process else in_arguments

    @property
    def all_benchmarks(self) -> tuple[Benchmark | OwnTraining, ...]:
        """The benchmarks of the search, then the hold-out."""
        return (*self.benchmarks, self.holdout) if self.holdout else self.benchmarks

    @property
    def networks(self) -> tuple[Benchmark, ...]:
        """Those of them that this program trains."""
        return tuple(b for b in self.all_benchmarks if isinstance(b, Benchmark))

    @property
    def own(self) -> tuple[OwnTraining, ...]:
        """Those of them that a function of the user's trains, which are all of them or none."""
        return tuple(b for b in self.all_benchmarks if isinstance(b, OwnTraining))


def check_benchmarks(plan: Plan) -> None:
    """Raise UserError unless the benchmarks can be searched together."""
    if plan.own:
        check_own(plan.own, plan.settings)
    names = [benchmark.name for benchmark in plan.networks]
    prints = [benchmark.fingerprint() for benchmark in plan.networks]
    twice = [name for name, n in Counter(names).items() if n > 1]
    same = [names[i] for i, p in enumerate(prints) if prints.count(p) > 1]
    if twice or same:
        raise UserError(
            f"--benchmark and --holdout name {(twice or same)[0]!r} more than once; "
            "name every benchmark once, and hold out one that is not searched on."
        )
    unknown = [b.name for b in plan.benchmarks if b.noise_sd is None]
    if len(plan.benchmarks) > 1 and unknown:
        raise UserError(
            f"benchmark {unknown[0]!r} states no noise_sd, by which a search over several "
            "benchmarks weighs them; add it to its TOML file (points, between runs that differ "
            "in the seed alone)."
        )


def check_own(trainings: Sequence[OwnTraining], settings: Settings) -> None:
    """Raise UserError if a function does not take what it needs for all that is asked for.

    ``trainings`` are of one function: on what is searched, then on what is held out.
    """
    trainable, datasets = trainings[0].trainable, [own.dataset for own in trainings]
    taken = arguments_of(load_function(trainable, trainings[0].place), trainable)
    if len(set(datasets)) < len(datasets):
        raise UserError(
            f"--counts and --holdout are both called {datasets[0]!r}, by which the function is "
            "told on what it trains; give files of different names."
        )
    if len(datasets) > 1 and "dataset" not in taken:
        raise UserError(
            f"{trainable} does not take 'dataset', which says whether it is to train on "
            f"{' or '.join(datasets)}; give it this parameter, or leave --holdout out."
        )
    if "recipe" in taken:
        return
    for name in (*settings.baselines, *SPACES[settings.space].named):
        if STRATEGIES[name].strategy.kind != CLASS_WEIGHTS:
            raise UserError(
                f"{trainable} takes class weights alone, and {name} is more "
                f"({STRATEGIES[name].strategy.kind}); give it a parameter 'recipe', or search "
                "--space core or full with class weights as --baselines."
            )
