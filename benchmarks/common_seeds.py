"""Strategies are trained with common seeds, so that what a seed does to all of them cancels.

A run is kept under ``prefix/arm/seed`` with its score, null where it diverged, and is not repeated.
"""

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.option_checks import check_out
from spaces import Strategy, Variant
from spaces.counts import FloatArray
from spaces.errors import UserError
from spaces.parts.words import number_of
from trainer.benchmarks import Benchmark
from trainer.execution.loop import TrainingError, train
from trainer.execution.slot import Slot
from trainer.execution.task import Task
from trainer.files import is_there, write_atomic
from trainer.prepared import ImageData
from trainer.results import EpochResult
from trainer.trial import Trial

CONFIDENCE = 0.95

Runs = dict[str, float | None]


def best_epoch(results: Sequence[EpochResult]) -> float:
    """Return the score of the best epoch, which is the score of record, percent."""
    return results[-1].best_score


def last_ten(results: Sequence[EpochResult]) -> float:
    """Return the mean score of the last ten epochs, percent."""
    return float(np.mean([result.score for result in results[-10:]]))


def read_runs(path: Path) -> Runs:
    """Return the runs of a file; none where it does not exist.

    Raises:
        UserError: it holds something else, or its folder does not exist.
    """
    check_out(path)
    try:
        known = json.loads(path.read_text()) if is_there(path) else {}
        return {name: None if score is None else float(score) for name, score in known.items()}
    except (ValueError, TypeError, AttributeError, OSError) as error:
        raise UserError(f"{path} holds no runs ({error}); give another --out.") from error


@dataclass(frozen=True)
class CommonSeeds:
    """Arms that are trained with the same seeds.

    Attributes:
        arms: by name.
        seeds: of every arm.
        prefix: of the runs' names: the benchmark, and what else was done to it.
    """

    arms: Mapping[str, Strategy]
    seeds: Sequence[int]
    prefix: str

    def train(
        self,
        benchmark: Benchmark,
        data: ImageData,
        score: Callable[[Sequence[EpochResult]], float],
        known: Runs,
        path: Path,
    ) -> Iterator[str]:
        """Train what is not ``known`` on one CPU thread; write every run and yield its line."""
        recipes = {arm: strategy.recipe(data.counts) for arm, strategy in self.arms.items()}
        like = Trial(benchmark, Strategy().recipe(data.counts), 0)
        variants = {Variant()}.union(*(recipe.variants for recipe in recipes.values()))
        task = Task(data, benchmark.padding, torch.device("cpu"))
        slot = Slot(like, task, variants=sorted(variants, key=str))
        for seed in self.seeds:
            for arm, recipe in recipes.items():
                name = self._name(arm, seed)
                if name in known:
                    continue
                trial = dataclasses.replace(like, recipe=recipe, seed=seed)
                try:
                    known[name] = reached = score(list(train(trial, task, slot=slot)))
                    line = f"{name}: {reached:.2f} %"
                except TrainingError as error:
                    known[name], line = None, f"{name}: {error}"
                known.update(read_runs(path) | known)  # another process may add runs meanwhile
                write_atomic(path, json.dumps(known, indent=1).encode())
                yield line

    def comparison(self, known: Runs, against: str) -> list[str]:
        """Return a line for each arm: its mean, and its distance to one arm within the seeds.

        Intervals are t intervals of 95 %, and not corrected for the number of arms.
        """
        columns = {
            arm: [known.get(self._name(arm, s), np.nan) for s in self.seeds] for arm in self.arms
        }
        scores = {
            arm: np.array(column, float) for arm, column in columns.items() if None not in column
        }
        common = ~np.isnan(list(scores.values())).any(axis=0) if scores else np.zeros(0, bool)
        width = 2 + max(map(len, self.arms))
        lines = [
            f"{number_of(int(common.sum()), 'common seed')}; mean, and its distance to "
            f"{against} (95 %)"
        ]
        for arm in self.arms:
            if arm not in scores:
                lines.append(f"{arm:{width}}diverged")
                continue
            text = f"{arm:{width}}{scores[arm][common].mean():6.2f}"
            if against in scores:
                text += f"  {paired_interval((scores[arm] - scores[against])[common])}"
            lines.append(text)
        return lines

    def _name(self, arm: str, seed: int) -> str:
        return f"{self.prefix}/{arm}/{seed}"


def paired_interval(gains: FloatArray) -> str:
    """Return the mean of paired differences (n,) as text, from n = 2 on with its t interval."""
    from scipy import stats

    mean = float(gains.mean())
    if len(gains) < 2:
        return f"{mean:+.2f}"
    quantile = stats.t.ppf((1 + CONFIDENCE) / 2, len(gains) - 1)
    half = float(quantile * gains.std(ddof=1) / len(gains) ** 0.5)
    return f"{mean:+.2f} ({mean - half:+.2f} to {mean + half:+.2f})"
