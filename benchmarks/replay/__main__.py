"""Replay: ways of searching compared for one budget, on recorded trials, in seconds.

No network is trained: trials take their accuracies from a surrogate of a recorded table, whose
mean is the known truth, and their noise from the table's replicates. All arms spend the same
epochs; early stopping buys more trials. From the repository's root:

    python -m benchmarks.replay --table table/resnet8-digitslt --repetitions 100

All arms but plain Ray Tune begin with the baselines, as a search of this project does.
"""

from __future__ import annotations

import functools
import json
import multiprocessing
import shlex
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np

from benchmarks.endings import stoppable
from benchmarks.recording.table import Table
from benchmarks.replay.options import Plan, parser, plan_of
from benchmarks.replay.run import Measured, repetition, summarize
from benchmarks.replay.surrogate import Replicates, Surrogate, cross_validate
from benchmarks.replay.synthetic import BENCHMARK, design_shares, made_up
from benchmarks.replay.views import GUIDE, draw, table
from benchmarks.replay.world import World
from search.stats.priors import GUESS, GUESSED_RUNS, KNOWN_RUNS, NoisePrior
from spaces.parts.words import number_of
from trainer.benchmarks import BENCHMARKS
from trainer.entry_point import entry_point
from trainer.files import write_atomic
from trainer.provenance import provenance
from trainer.runtime import available_cpus


class Replay:
    """The worlds of a plan's repetitions: one for all of a table, one for each made-up one."""

    def __init__(self, plan: Plan) -> None:
        """Raises: UserError: the table cannot be read, or is too small."""
        self.plan = plan
        self.world: World | None = None
        if plan.table is not None:
            recorded = Table.load(plan.table)
            self.replicates = Replicates.of(recorded, plan.epochs)
            surrogate = Surrogate(self.replicates)
            noise = stated_noise(recorded, plan.epochs)
            self.world = World(surrogate, recorded.class_counts, plan.space, noise)
        else:
            self.shares = design_shares()

    def world_of(self, number: int) -> World:
        """Return the world of a repetition, from 0."""
        if self.world is not None:
            return self.world
        seed = self.plan.setting.seed + number
        truth = made_up(self.plan.synthetic or "", self.shares, seed)
        return World(truth, np.array(BENCHMARK.counts), self.plan.space)

    def repetition(self, number: int) -> dict[str, Measured]:
        return repetition(self.world_of(number), self.plan.arms, self.plan.setting, number)


def stated_noise(table: Table, epochs: int | None) -> NoisePrior:
    """Return what the benchmark of a table states of its noise; ``epochs`` may shorten it."""
    benchmark = BENCHMARKS.get(table.description.get("benchmark", ""))
    if benchmark is None or benchmark.noise_sd is None:
        return GUESS
    whole = epochs in (None, benchmark.epochs)
    return NoisePrior(benchmark.noise_sd, KNOWN_RUNS if whole else GUESSED_RUNS)


@functools.cache
def replay_of(plan: Plan) -> Replay:
    """Return the replay of a plan: in a process of its own, it is made once."""
    return Replay(plan)


def repeat(plan: Plan, number: int) -> dict[str, Measured]:
    """Return one repetition of a plan."""
    return replay_of(plan).repetition(number)


def repetitions(replay: Replay) -> Iterator[dict[str, Measured]]:
    """Yield the repetitions in their order, several computed at a time if the plan says so."""
    plan, numbers = replay.plan, range(replay.plan.repetitions)
    if plan.processes == 1:
        yield from map(replay.repetition, numbers)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(plan.processes, context) as pool:
        yield from pool.map(functools.partial(repeat, plan), numbers)


def known_truth(replay: Replay) -> dict[str, Any]:
    """Return what is true in the first world, and how well a table's surrogate predicts."""
    world = replay.world_of(0)
    found: dict[str, Any] = {
        "best": world.best,
        "spread_over_space": world.spread,
        "controls": {name: candidate.truth for name, candidate in world.controls.items()},
    }
    if replay.world is not None:
        check = cross_validate(replay.replicates, replay.plan.setting.seed)
        print(check.sentence())
        found["surrogate"] = check.to_dict()
    return found


def run(plan: Plan, command: list[str]) -> int:
    """Replay, write and show; return 0, or 130 after Ctrl-C or SIGTERM.

    Whatever ends it, the repetitions until then are written.
    """
    replay, start = Replay(plan), time.monotonic()
    content: dict[str, Any] = {
        "name": plan.name,
        "command": shlex.join(["python", "-m", "benchmarks.replay", *command]),
        "cpus": available_cpus(),
        **provenance(),
        "world": known_truth(replay),
        "budget_trials": plan.setting.budget_trials,
        "epochs_per_trial": replay.world_of(0).epochs,
        "workers": plan.setting.workers,
        "seed": plan.setting.seed,
    }
    done: list[dict[str, Measured]] = []
    with stoppable() as ending:
        for found in repetitions(replay):
            done.append(found)
            passed = time.monotonic() - start
            print(
                f"{len(done)} of {number_of(plan.repetitions, 'repetition')}, {passed:.0f} s",
                flush=True,
            )
    if len(done) > 1:  # of one there is no interval
        seconds = time.monotonic() - start
        content |= {"interrupted": ending.early, "repetitions": len(done), "seconds": seconds}
        write(plan, content, done)
    return ending.code()


def write(plan: Plan, content: dict[str, Any], done: list[dict[str, Measured]]) -> None:
    """Write OUT.json and OUT.png, and print the table."""
    summaries = summarize(done, plan.setting.seed)
    json_path, picture = (plan.out.with_name(plan.out.name + end) for end in (".json", ".png"))
    proposals = {a: sum(found[a].milliseconds for found in done) / len(done) for a in summaries}
    content |= {"milliseconds_per_proposal": proposals}
    text = json.dumps(content | {"arms": summaries}, indent=1)
    write_atomic(json_path, text.encode())
    title = f"{plan.name}, {number_of(len(done), 'repetition')}"
    draw(summaries, content["budget_trials"] * content["epochs_per_trial"], title, picture)
    print(f"\n{table(summaries)}\n{GUIDE}\nwrote {json_path} and {picture}")


@entry_point()
def main(command: list[str] | None = None) -> int:
    """Replay what the command line asks for; return the exit code, 2 for bad input."""
    arguments = sys.argv[1:] if command is None else command
    options = parser().parse_args(arguments)
    return run(plan_of(options), arguments)


if __name__ == "__main__":
    sys.exit(main())
