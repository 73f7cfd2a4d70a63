"""The label-noise benchmark trains strategies with common seeds, a share of the labels wrong.

From the repository's root:

    python -m benchmarks.label_noise --arms curriculum_easy,curriculum_hard,curriculum_random

The labels are wrong in the training images alone, in every seed the same, each moved to another
class evenly; class weights follow the wrong counts, as they would with a user's images. Trains on
one CPU thread. Runs that OUT has already are not repeated.
"""

import argparse
import dataclasses
import sys
from pathlib import Path

import numpy as np

from benchmarks.common_seeds import CommonSeeds, last_ten, read_runs
from benchmarks.option_checks import check_choice, check_minimum
from spaces import STRATEGIES, Curriculum, Strategy
from spaces.errors import UserError
from trainer import runtime
from trainer.arguments import Parser, given_path
from trainer.benchmarks import BENCHMARKS
from trainer.entry_point import entry_point
from trainer.prepared import ImageData, load, prepare

ARMS = {name: named.strategy for name, named in STRATEGIES.items()} | {
    f"{order}_by_loss": Strategy(curriculum=Curriculum(order, "loss")) for order in ("easy", "hard")
}
"""Named strategies, and curricula by the running loss of each image."""
FIRST_SEED = 5000


def parser() -> argparse.ArgumentParser:
    made = Parser(
        prog="python -m benchmarks.label_noise",
        description="Compare strategies, a share of labels wrong.",
    )
    add = made.add_argument
    add("--benchmark", default="resnet8-digitslt40", help=", ".join(BENCHMARKS))
    add("--arms", required=True, help=f"names, the reference last: {', '.join(ARMS)}")
    add("--noise", type=float, default=0.0, help="share of training labels that are wrong")
    add("--seeds", type=int, default=20, help="runs of each arm, with common seeds")
    add("--data-root", type=given_path, default=Path("data"), help="folder of the data sets")
    add("--out", type=Path, default=Path("label-noise.json"), help="file of the runs")
    return made


def with_wrong_labels(data: ImageData, noise: float) -> ImageData:
    """Return the images with a share of the training labels moved to another class."""
    random, labels = np.random.default_rng(0), data.train_labels.copy()
    wrong = random.random(len(labels)) < noise
    steps = random.integers(1, len(data.class_names), int(wrong.sum()))
    labels[wrong] = (labels[wrong] + steps) % len(data.class_names)
    return dataclasses.replace(data, train_labels=labels)


@entry_point()
def main(arguments: list[str] | None = None) -> int:
    """Return the exit code, 2 for bad input."""
    options = parser().parse_args(arguments)
    names = options.arms.split(",")
    for name in names:
        check_choice("--arms", name, ARMS)
    check_choice("--benchmark", options.benchmark, BENCHMARKS)
    check_minimum("--seeds", options.seeds, 1)
    if not 0 <= options.noise < 1:
        raise UserError(f"--noise is {options.noise}; it must be at least 0 and below 1.")
    known = read_runs(options.out)
    runtime.configure("tf32", 1)
    benchmark = BENCHMARKS[options.benchmark]
    data = with_wrong_labels(load(prepare(benchmark, options.data_root), benchmark), options.noise)
    runs = CommonSeeds(
        {name: ARMS[name] for name in names},
        range(FIRST_SEED, FIRST_SEED + options.seeds),
        f"{options.benchmark}/{options.noise:g}",
    )
    for line in runs.train(benchmark, data, last_ten, known, options.out):
        print(line, flush=True)
    print("\n".join(runs.comparison(known, against=names[-1])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
