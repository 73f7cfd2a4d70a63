"""Objective of a search: what is known of its benchmarks, and what scores on them are worth."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import MaxLen

from search.config.fields import ClassCounts, Epochs, ImagesOfClasses
from search.stats.estimate import Unit
from search.stats.priors import GUESS, GUESSED_RUNS, KNOWN_RUNS, NoisePrior, guessed_noise
from search.stats.scoring import Scoring
from spaces.validation import OneOf
from trainer.benchmarks.benchmark import ChosenOn, NoiseSd, SafeName
from trainer.benchmarks.metrics import METRICS
from trainer.diagnosis.scenarios import MOST_SCENARIOS, Scenario
from trainer.results import selection

Stages = tuple[tuple[int, ...], ...]
"""Epochs that the parts of a trial reach, stage by stage: (S, parts)."""


@dataclass(frozen=True)
class BenchmarkObjective:
    """What a search must know of one benchmark.

    Attributes:
        epochs: of a full-length training.
        counts: training images per class, (C,).
        half_counts: test images per class in halves A and B of the test set, (2, C); all of them
            in half A where a training of the user's own does not tell them apart, None where it
            reports scores alone.
        noise_sd: of the best score between seeds, points; None where it is not known.
        metric: a key of ``trainer.benchmarks.metrics.METRICS``.
        test_held_out: half A is a validation split, which chooses, and half B the test set.
        chosen_on: "validation" or "test", as the images that choose are called, or "evaluated"
            where it is not known which they are.
        scenarios: of its images, (S,); empty where they have none.
        shortened: the training is shorter than that of which ``noise_sd`` is known.
    """

    name: SafeName
    epochs: Epochs
    counts: ClassCounts
    half_counts: tuple[ImagesOfClasses, ImagesOfClasses] | None
    noise_sd: NoiseSd | None = None
    metric: Annotated[str, OneOf(METRICS)] = "accuracy"
    test_held_out: bool = False
    chosen_on: ChosenOn = "test"
    scenarios: Annotated[tuple[Scenario, ...], MaxLen(MOST_SCENARIOS)] = ()
    shortened: bool = False

    @property
    def noise_prior(self) -> NoisePrior:
        """What is known beforehand of the noise of its scores."""
        if self.half_counts is None:
            return GUESS
        if self.noise_sd is None:
            return NoisePrior(guessed_noise(self.metric, self.selection_counts))
        return NoisePrior(self.noise_sd, GUESSED_RUNS if self.shortened else KNOWN_RUNS)

    @property
    def selection_counts(self) -> tuple[int, ...]:
        """Images per class by which epochs and weightings are chosen, (C,); () if not known."""
        if self.half_counts is None:
            return ()
        return tuple(selection(self.half_counts, self.test_held_out).tolist())

    @property
    def scoring(self) -> Scoring:
        return Scoring(self.metric, self.half_counts, self.test_held_out)

    @property
    def score_words(self) -> str:
        """What a score is, such as "validation balanced accuracy"."""
        return f"{self.chosen_on} {METRICS[self.metric].words}"

    @property
    def judged_on(self) -> str:
        """What the images are called on which a verdict is given: the test set if held out."""
        return "test" if self.test_held_out else self.chosen_on

    @property
    def judged_words(self) -> str:
        """What a score on those images is."""
        return f"{self.judged_on} {METRICS[self.metric].words}"

    def to_dict(self) -> dict[str, Any]:
        known = {name: value for name, value in vars(self).items() if name != "shortened"}
        scenarios = [vars(scenario) for scenario in known.pop("scenarios")]
        return known | ({"scenarios": scenarios} if scenarios else {})


@dataclass(frozen=True)
class Objective:
    """The benchmarks of a search, and the one on which its verdict is tried at the end, if any.

    A trial is scored by its best percent of the benchmark's metric. A trial of a joint search, over
    B benchmarks, is scored by the mean over the benchmarks of that / noise SD, so that a point
    counts the more, the less luck there is in it. Less the score of uniform weights, that is the
    mean gain over uniform in units of each benchmark's noise.
    """

    benchmarks: tuple[BenchmarkObjective, ...]
    holdout: BenchmarkObjective | None = None

    @property
    def all_benchmarks(self) -> tuple[BenchmarkObjective, ...]:
        """The benchmarks of the search, then the hold-out."""
        return (*self.benchmarks, self.holdout) if self.holdout else self.benchmarks

    @property
    def joint(self) -> bool:
        return len(self.benchmarks) > 1

    @property
    def epochs(self) -> int:
        """Epochs of a full-length training on the first benchmark, in which rungs are counted."""
        return self.benchmarks[0].epochs

    @property
    def epochs_of_all(self) -> int:
        """Epochs of a full-length trial on all benchmarks together."""
        return sum(benchmark.epochs for benchmark in self.benchmarks)

    @property
    def unit(self) -> Unit:
        """The unit of scores."""
        return Unit.NOISE_SDS if self.joint else Unit.PERCENT

    @property
    def noise_prior(self) -> NoisePrior:
        """What is known beforehand of the noise of scores."""
        priors = [benchmark.noise_prior for benchmark in self.benchmarks]
        if self.joint:
            return NoisePrior(1 / math.sqrt(len(priors)), min(prior.runs for prior in priors))
        return priors[0]

    def score(self, scores: Sequence[float]) -> float:
        """Return what scores in percent, one per benchmark, are worth together."""
        if not self.joint:
            return scores[0]
        pairs = zip(scores, self.benchmarks, strict=True)
        return sum(a / b.noise_prior.sd for a, b in pairs) / len(self.benchmarks)

    def stages(self, rungs: Sequence[int]) -> Stages:
        """Return what every benchmark reaches at each rung, and at the end of the trial.

        A rung lies at the same part of the training on all benchmarks, rounded up to an epoch.
        """
        lengths = [benchmark.epochs for benchmark in self.benchmarks]
        shares = [(rung, self.epochs) for rung in rungs]
        reached = [tuple(-(-n * rung // whole) for n in lengths) for rung, whole in shares]
        return (*reached, tuple(lengths))
