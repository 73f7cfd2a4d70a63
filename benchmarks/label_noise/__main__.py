"""The label-noise benchmark trains strategies with common seeds, a share of the labels wrong.

From the repository's root:

    python -m benchmarks.label_noise --arms curriculum_easy,curriculum_hard,curriculum_random

The labels are wrong in the training images alone, in every seed the same, each moved to another
class evenly; class weights follow the wrong counts, as they would with a user's images. Trains on
one CPU thread. Runs that OUT has already are not repeated.
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from benchmarks.option_checks import check_choice, check_minimum, refusing
from spaces import STRATEGIES, Curriculum, Strategy, Variant
from spaces.errors import UserError
from trainer import runtime
from trainer.arguments import Parser
from trainer.benchmarks import BENCHMARKS
from trainer.execution.loop import train
from trainer.execution.slot import Slot
from trainer.execution.task import Task
from trainer.files import write_atomic
from trainer.prepared import ImageData, load, prepare
from trainer.trial import Trial
from trainer.user_files import expanded

ARMS = {name: named.strategy for name, named in STRATEGIES.items()} | {
    f"{order}_by_loss": Strategy(curriculum=Curriculum(order, "loss")) for order in ("easy", "hard")
}
"""Named strategies, and curricula by the running loss of each image."""
CONFIDENCE = 0.95
FIRST_SEED = 5000


def parser() -> argparse.ArgumentParser:
    made = Parser(
        prog="python -m benchmarks.label_noise",
        description="Compare strategies, a share of labels wrong.",
    )
    add = made.add_argument
    add("--benchmark", default="resnet8-digitslt40", help=", ".join(BENCHMARKS))
    add("--arms", required=True, help=f"with commas between: {', '.join(ARMS)}")
    add("--noise", type=float, default=0.0, help="share of training labels that are wrong")
    add("--seeds", type=int, default=20, help="runs of each arm, with common seeds")
    add("--data-root", type=expanded, default=Path("data"), help="folder of the data sets")
    add("--out", type=Path, default=Path("label-noise.json"), help="file of the runs")
    return made


def with_wrong_labels(data: ImageData, noise: float) -> ImageData:
    """Return the images with a share of the training labels moved to another class."""
    random, labels = np.random.default_rng(0), data.train_labels.copy()
    wrong = random.random(len(labels)) < noise
    steps = random.integers(1, len(data.class_names), int(wrong.sum()))
    labels[wrong] = (labels[wrong] + steps) % len(data.class_names)
    return dataclasses.replace(data, train_labels=labels)


def runs(options: argparse.Namespace, arms: list[str], known: dict[str, float]) -> Iterator[str]:
    """Train each arm with each seed, adding the mean of its last ten scores to what is known."""
    runtime.configure("tf32", 1)
    benchmark = BENCHMARKS[options.benchmark]
    data = load(prepare(benchmark, options.data_root), benchmark)
    data = with_wrong_labels(data, options.noise)
    recipes = {arm: ARMS[arm].recipe(data.counts) for arm in arms}
    variants = sorted({recipe.variant for recipe in recipes.values()} | {Variant()}, key=str)
    like = Trial(benchmark, Strategy().recipe(data.counts), 0)
    slot = Slot(like, Task(data, benchmark.padding, torch.device("cpu")), variants=variants)
    for seed in range(FIRST_SEED, FIRST_SEED + options.seeds):
        for arm in arms:
            name = f"{options.benchmark}/{options.noise:g}/{arm}/{seed}"
            if name not in known:
                trial = dataclasses.replace(like, recipe=recipes[arm], seed=seed)
                scores = [result.score for result in train(trial, slot.task, slot=slot)]
                known[name] = float(np.mean(scores[-10:]))
                yield f"{name}: {known[name]:.2f} %"


def comparison(options: argparse.Namespace, arms: list[str], known: dict[str, float]) -> list[str]:
    """Return a line for each arm: its mean, and its distance to the last arm within the seeds."""
    from scipy import stats

    prefix, seeds = f"{options.benchmark}/{options.noise:g}", range(FIRST_SEED, FIRST_SEED + 10**6)
    common = [s for s in seeds[: options.seeds] if all(f"{prefix}/{a}/{s}" in known for a in arms)]
    scores = {arm: np.array([known[f"{prefix}/{arm}/{s}"] for s in common]) for arm in arms}
    lines = [f"{len(common)} seeds; mean accuracy of the last ten epochs, less that of {arms[-1]}"]
    for arm in arms:
        gains = scores[arm] - scores[arms[-1]]
        half = 0.0
        if len(common) > 1:
            quantile = stats.t.ppf((1 + CONFIDENCE) / 2, len(common) - 1)
            half = float(quantile * gains.std(ddof=1) / len(common) ** 0.5)
        mean = float(gains.mean())
        interval = f"{mean - half:+.2f} to {mean + half:+.2f}"
        lines.append(f"{arm:24}{scores[arm].mean():7.2f}  {mean:+.2f} ({interval})")
    return lines


@refusing
def main(arguments: list[str] | None = None) -> int:
    """Return the exit code, 2 for bad input."""
    options = parser().parse_args(arguments)
    arms = options.arms.split(",")
    for arm in arms:
        check_choice("--arms", arm, ARMS)
    check_choice("--benchmark", options.benchmark, BENCHMARKS)
    check_minimum("--seeds", options.seeds, 1)
    if not 0 <= options.noise < 1:
        raise UserError(f"--noise is {options.noise}; it must be at least 0 and below 1.")
    known = json.loads(options.out.read_text()) if options.out.exists() else {}
    for line in runs(options, arms, known):
        print(line, flush=True)
        write_atomic(options.out, json.dumps(known, indent=1).encode())
    print("\n".join(comparison(options, arms, known)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
