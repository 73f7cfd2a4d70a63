"""The ablation benchmark traces what a strategy gains to its parts, with common seeds.

From the repository's root:

    python -m benchmarks.ablation --strategy runs/NAME/best.json --benchmark resnet8-digitslt40

Trains the strategy, the strategy without each of its parts, and controls, on one CPU thread. Scores
are those of record, the best epoch's. Runs that OUT has already are not repeated.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy.typing as npt

from benchmarks.common_seeds import CommonSeeds, best_epoch, read_runs
from benchmarks.option_checks import check_choice, check_minimum
from spaces import STRATEGIES, Curriculum, Feedback, Strategy, WeightingError
from spaces.schedule import Ramp, Schedule
from trainer import runtime
from trainer.arguments import Parser, given_path
from trainer.benchmarks import BENCHMARKS, Benchmark, get_benchmark
from trainer.cli import read_strategy
from trainer.entry_point import entry_point
from trainer.prepared import load, prepare

FIRST_SEED = 9000
WHOLE = "whole"
"""The arm of the strategy itself."""


def parser() -> argparse.ArgumentParser:
    made = Parser(
        prog="python -m benchmarks.ablation", description="Trace a strategy's gain to its parts."
    )
    add = made.add_argument
    add("--strategy", required=True, help="a name, or a JSON file (best.json, or a strategy)")
    add("--benchmark", default="resnet8-digitslt40", help=f"{', '.join(BENCHMARKS)}, file, folder")
    add("--controls", default="uniform", help="named strategies, with commas between")
    add("--seeds", type=int, default=10, help="runs of each arm, with common seeds")
    add("--data-root", type=given_path, default=Path("data"), help="folder of the data sets")
    add("--out", type=Path, default=Path("ablation.json"), help="file of the runs")
    return made


def changes(strategy: Strategy) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and the changed fields of the strategy without each of its parts.

    A ramp is a part too: without it weights or sampling act in full from the start. And so is the
    order of a curriculum: its control is a random one at the same pace.
    """
    for name in (field.name for field in fields(Strategy)):
        part, plain = getattr(strategy, name), getattr(Strategy(), name)
        if part == plain:
            continue
        yield f"without {name.replace('_', ' ')}", {name: plain}
        if isinstance(part, Schedule) and not part.is_constant:
            yield f"{name} from the start", {name: replace(part, ramp=Ramp(), mix="power")}
        if isinstance(part, Curriculum) and part.order != "random":
            control = replace(part, order="random", difficulty=Curriculum().difficulty)
            inert = {} if strategy.feedback.acts else {"feedback": Feedback()}  # no order needs it
            yield "curriculum in a random order", {name: control} | inert


def arms_of(strategy: Strategy, counts: npt.ArrayLike) -> tuple[dict[str, Strategy], list[str]]:
    """Return the strategy and those without a part, and a sentence on each that cannot train."""
    arms, refused = {WHOLE: strategy}, []
    for name, changed in changes(strategy):
        try:
            left = replace(strategy, **changed)
            left.recipe(counts)
            arms[name] = left
        except WeightingError as error:
            refused.append(f"{name}: left out, because it cannot train ({error})")
    return arms, refused


def prefix_of(benchmark: Benchmark, strategy: str) -> str:
    """Return the prefix of the runs of a strategy by its key; a file of one's own may change."""
    own = BENCHMARKS.get(benchmark.name) != benchmark
    name = f"{benchmark.name}-{benchmark.fingerprint()}" if own else benchmark.name
    return f"{name}/{strategy}"


@entry_point()
def main(arguments: list[str] | None = None) -> int:
    """Return the exit code, 2 for bad input."""
    options = parser().parse_args(arguments)
    controls = options.controls.split(",")
    for name in controls:
        check_choice("--controls", name, STRATEGIES)
    check_minimum("--seeds", options.seeds, 1)
    strategy = read_strategy("strategy", options.strategy, STRATEGIES)
    known = read_runs(options.out)
    runtime.configure("tf32", 1)
    benchmark = get_benchmark(options.benchmark, options.data_root)
    data = load(prepare(benchmark, options.data_root), benchmark)
    arms, refused = arms_of(strategy, data.counts)
    runs = CommonSeeds(
        arms | {name: STRATEGIES[name].strategy for name in controls},
        range(FIRST_SEED, FIRST_SEED + options.seeds),
        prefix_of(benchmark, strategy.key(data.counts)),
    )
    for line in runs.train(benchmark, data, best_epoch, known, options.out):
        print(line, flush=True)
    print("\n".join([*runs.comparison(known, against=WHOLE), *refused]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
