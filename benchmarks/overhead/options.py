"""Options of ``benchmarks.overhead``: the searches that it measures."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from benchmarks.option_checks import check_choice, check_minimum, check_out, numbers
from search.samplers.registry import OPTUNA_SAMPLERS
from spaces.errors import UserError
from trainer.arguments import Parser
from trainer.runtime import available_cpus

MODES = {"both": (False, True), "ray": (True,), "none": (False,)}
"""Value of --ray -> whether Ray Tune runs the trials, in each case to be measured."""


@dataclass(frozen=True)
class Case:
    """A search to be measured.

    Attributes:
        slots: trials at a time.
        place: folder for the run folder, which is removed at the end.
    """

    with_ray: bool
    trials: int
    sampler: str
    slots: int
    seed: int
    place: Path | None


def parser() -> argparse.ArgumentParser:
    made = Parser(
        prog="python -m benchmarks.overhead",
        description="Measure what Ray and Optuna cost per trial of a trainer that costs nothing.",
    )
    add = made.add_argument
    add("--trials", default="100,1000", help="lengths of the searches, with commas between")
    add("--ray", default="both", help=f"{', '.join(MODES)}: let Ray Tune run the trials, or not")
    add("--slots", type=int, default=available_cpus(), help="trials at a time")
    add("--repeats", type=int, default=1, help="searches per length; medians are shown")
    add_common(made)
    add("--out", type=Path, default=Path("overhead"), help="name of the .json and .png to write")
    return made


def add_common(made: argparse.ArgumentParser) -> None:
    add = made.add_argument
    add("--sampler", default="tpe", help=", ".join(OPTUNA_SAMPLERS))
    add("--seed", type=int, default=42, help="of the first search; repeats count on from it")
    add("--place", type=Path, help="folder for the run folders (the system's temporary one)")


def cases(options: argparse.Namespace) -> list[list[Case]]:
    """Return the repeats of every case, the short searches first.

    Raises:
        UserError: an option is out of its range.
    """
    check_choice("--ray", options.ray, MODES)
    check_common(options)
    check_minimum("--slots", options.slots, 1)
    check_minimum("--repeats", options.repeats, 1)
    seeds = range(options.seed, options.seed + options.repeats)
    return [
        [Case(ray, n, options.sampler, options.slots, seed, options.place) for seed in seeds]
        for n in numbers("--trials", options.trials)
        for ray in MODES[options.ray]
    ]


def check_common(options: argparse.Namespace) -> None:
    check_choice("--sampler", options.sampler, OPTUNA_SAMPLERS)
    check_minimum("--seed", options.seed, 0)
    if options.place is not None and not options.place.is_dir():
        raise UserError(f"--place is {options.place}, which is no folder; make it.")
    check_out(options.out, drawn=True)
