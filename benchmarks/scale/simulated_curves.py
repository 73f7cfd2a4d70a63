"""What accuracies do the trials on a simulated cluster come to: made-up ones, or a recording's?"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.overhead.costless import BENCHMARK, facts_of, final_accuracy
from benchmarks.recording.table import Table
from benchmarks.replay.surrogate import Replicates, Surrogate
from benchmarks.scale.simulated_trainable import Curve
from search.config.objective import BenchmarkObjective, Objective
from spaces import gradient_shares
from spaces.counts import FloatArray
from spaces.errors import UserError
from trainer.benchmarks import BENCHMARKS, Benchmark


@dataclass(frozen=True)
class World:
    """A benchmark, and what trials on it come to."""

    benchmark: Benchmark
    objective: Objective
    curve: Curve


def made_up() -> World:
    """Return a world in which some ratio of weights is best, and all curves have one shape."""
    shape = 1 - np.exp(-5 * np.arange(1, BENCHMARK.epochs + 1) / BENCHMARK.epochs)

    def curve(weights: Sequence[float], seed: int) -> FloatArray:
        return np.asarray(final_accuracy(weights, np.random.default_rng(seed)) * shape)

    return World(BENCHMARK, facts_of(BENCHMARK), curve)


def recorded(path: Path) -> World:
    """Return the world of a recorded table: its curves, between them, and its noise.

    Raises:
        UserError: the table cannot be read, is too small, or of another benchmark.
    """
    table = Table.load(path)
    name = table.description["benchmark"]
    benchmark = BENCHMARKS.get(name)
    if benchmark is None or benchmark.fingerprint() != table.description["fingerprint"]:
        raise UserError(f"--table is {path}, of another benchmark {name!r} than there is here.")
    surrogate, counts = Surrogate(Replicates.of(table)), table.class_counts

    def curve(weights: Sequence[float], seed: int) -> FloatArray:
        shares = gradient_shares(counts, np.asarray(weights))
        residual = surrogate.residual(np.random.default_rng(seed))
        return np.asarray(surrogate.curves(shares[None])[0] + residual)

    half_a, half_b = table.test_counts.tolist()
    objective = BenchmarkObjective(
        name, benchmark.epochs, tuple(counts.tolist()), (tuple(half_a), tuple(half_b))
    )
    return World(benchmark, Objective((objective,)), curve)
