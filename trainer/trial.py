"""A trial names everything its numbers depend on, except the data and the device."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from spaces.loss import POSTHOC, PostHoc
from spaces.recipe import Recipe
from trainer.benchmarks.benchmark import Benchmark
from trainer.runtime import PRECISIONS

SCALE_FREE_LOSS = True
"""Multiplying all class weights by a constant changes nothing: ``nn.CrossEntropyLoss(weight=w)``
divides a batch's loss by the batch's sum of weights."""


@dataclass(frozen=True)
class Trial:
    """One network to train.

    Attributes:
        benchmark: the protocol, data set and network.
        recipe: the numbers of the training strategy; used in float32 as they are.
        seed: non-negative; gives the initialisation and every epoch's plan.
        precision: a key of ``PRECISIONS``.
        compiled: a batch's images, network and loss, and gradients, are computed through
            ``torch.compile``, whose kernels round differently; but not with a cosine classifier,
            an auxiliary task, mixed images or frozen features.
        diagnosed: the confusion of classes is kept, too; no number of the training depends on it.
    """

    benchmark: Benchmark
    recipe: Recipe
    seed: int
    precision: str = "tf32"
    compiled: bool = False
    diagnosed: bool = False

    def __post_init__(self) -> None:
        if len(self.recipe.counts) != self.benchmark.num_classes:
            raise ValueError(
                f"the recipe is for {len(self.recipe.counts)} classes; {self.benchmark.name} has "
                f"{self.benchmark.num_classes}."
            )
        if self.posthoc not in POSTHOC:
            raise ValueError(f"{self.posthoc} is none of the adjustments that a test measures.")
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision is {self.precision!r}, must be one of {list(PRECISIONS)}.")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed is {self.seed}, must be in 0..2**63-1.")

    @classmethod
    def weighted(
        cls,
        benchmark: Benchmark,
        weights: Sequence[float],
        seed: int,
        precision: str = "tf32",
        compiled: bool = False,
    ) -> "Trial":
        """Return the trial of constant class weights (C,)."""
        recipe = Recipe(tuple(benchmark.counts.tolist()), tuple(weights))
        return cls(benchmark, recipe, seed, precision, compiled)

    @property
    def posthoc(self) -> PostHoc:
        """The adjustment of the trained network's logits by which the trial is scored."""
        return PostHoc(self.recipe.adjustment, self.recipe.tau_norm)

    def fingerprint(self) -> str:
        """Return the hash that a checkpoint must carry to continue this trial."""
        weights = [float(w).hex() for w in self.recipe.weights]
        facts: list[Any] = [self.benchmark.fingerprint(), weights, self.seed, self.precision]
        if not self.recipe.is_static:
            facts.append(self.recipe.to_dict())
        if self.compiled:
            facts.append("compiled batches")  # not the network alone, as it was once
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
