"""Stage that measures the accuracy of named strategies at the full protocol, on real images."""

import dataclasses
import statistics
import time
from collections.abc import Hashable

import numpy as np

from benchmarks.gpu_check.context import TINY, Context
from benchmarks.throughput.worker import NAP_SECONDS
from spaces import STRATEGIES
from trainer.benchmarks import BENCHMARKS, Benchmark
from trainer.execution.engine import Engine
from trainer.execution.loop import TrainingError
from trainer.execution.slot import Slot
from trainer.execution.task import Task
from trainer.prepared import ImageData, load, prepare
from trainer.results import EpochResult
from trainer.trial import Trial

FIRST_EPOCHS, EVERY = 2, 20
"""A row is put for the first epochs, and then for one in so many."""
LAST_EPOCHS = 10


def run(context: Context) -> None:
    """Train all strategies with all seeds side by side, each to its end."""
    benchmark, data = real_images(context)
    trials = trials_of(context, benchmark, data)
    task = Task(data, benchmark.padding, context.device)
    like, *_ = trials.values()
    variants = sorted({v for trial in trials.values() for v in trial.recipe.variants}, key=str)
    engine = Engine(lambda: Slot(like, task, variants=variants), len(trials))
    start = time.perf_counter()
    for key, trial in trials.items():
        engine.begin(key, trial, None, benchmark.epochs, benchmark.epochs)
    history: dict[Hashable, list[EpochResult]] = {key: [] for key in trials}
    while engine.jobs:
        turn = engine.turn()
        for key, outcome in turn.outcomes:
            elapsed = time.perf_counter() - start
            hear(context, benchmark, key, history[key], outcome, elapsed)
        if turn.idle:
            time.sleep(NAP_SECONDS)
    seconds = (time.perf_counter() - start) / len(trials)
    context.results.put(trained=len(trials), seconds_each=seconds, epochs=benchmark.epochs)


def real_images(context: Context) -> tuple[Benchmark, ImageData]:
    """Return the benchmark and its images, few of every class in a rehearsal."""
    assert context.data_root is not None
    benchmark = BENCHMARKS[context.stage.benchmark]
    data = load(prepare(benchmark, context.data_root), benchmark)
    if not context.tiny:
        return benchmark, data
    number, test_images = TINY
    _, kept = np.unique(data.train_labels, return_index=True)
    kept = np.union1d(kept, np.arange(number - len(kept)))
    few = data.subset(kept, slice(test_images))
    shortened = dataclasses.replace(benchmark.with_epochs(1), train_images=len(kept))
    return dataclasses.replace(shortened, network=context.benchmark.network), few


def trials_of(context: Context, benchmark: Benchmark, data: ImageData) -> dict[Hashable, Trial]:
    """Return a trial for each strategy and seed, by both."""
    trials: dict[Hashable, Trial] = {}
    for name in context.stage.strategies:
        recipe = STRATEGIES[name].strategy.recipe(data.counts)
        for seed in context.stage.seeds:
            trial = context.trial(benchmark, seed)
            trials[name, seed] = dataclasses.replace(trial, recipe=recipe)
    return trials


def hear(
    context: Context,
    benchmark: Benchmark,
    key: tuple[str, int],
    history: list[EpochResult],
    outcome: EpochResult | Exception,
    elapsed: float,
) -> None:
    """Put what is worth knowing of an epoch; any error but a divergence ends the stage."""
    named = {"strategy": key[0], "seed": key[1], "elapsed": elapsed}
    if isinstance(outcome, TrainingError):
        context.results.put(**named, diverged=str(outcome))
        return
    if isinstance(outcome, Exception):
        raise outcome
    history.append(outcome)
    epoch = outcome.epoch
    if epoch <= FIRST_EPOCHS or epoch % EVERY == 0:
        context.results.put(**named, epoch=epoch, train_loss=outcome.train_loss, now=outcome.score)
    if epoch == benchmark.epochs:
        last = [result.score for result in history[-LAST_EPOCHS:]]
        context.results.put(
            **named,
            benchmark=benchmark.name,
            precision=context.stage.precision,
            epochs=epoch,
            best=outcome.best_score,
            last=outcome.score,
            last_mean=statistics.mean(last),
        )
