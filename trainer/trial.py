"""A trial names everything its numbers depend on, except the data and the device."""

import hashlib
import json
import math
from dataclasses import dataclass
from typing import Any

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
        weights: class weights (C,), finite, non-negative and not all zero; used in float32 as
            they are.
        seed: non-negative; gives the initialisation and every epoch's plan.
        precision: a key of ``PRECISIONS``.
        compiled: a batch's images, network and loss, and gradients, are computed through
            ``torch.compile``, whose kernels round differently.
    """

    benchmark: Benchmark
    weights: tuple[float, ...]
    seed: int
    precision: str = "tf32"
    compiled: bool = False

    def __post_init__(self) -> None:
        if len(self.weights) != self.benchmark.num_classes:
            raise ValueError(
                f"weights has {len(self.weights)} entries; {self.benchmark.name} has "
                f"{self.benchmark.num_classes} classes."
            )
        if not all(math.isfinite(w) and w >= 0 for w in self.weights):
            raise ValueError(f"weights must be finite and non-negative, got {self.weights}.")
        if not any(self.weights):
            raise ValueError("weights are all zero; at least one must be positive.")
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision is {self.precision!r}, must be one of {list(PRECISIONS)}.")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed is {self.seed}, must be in 0..2**63-1.")

    def fingerprint(self) -> str:
        """Return the hash that a checkpoint must carry to continue this trial."""
        weights = [float(w).hex() for w in self.weights]
        facts: list[Any] = [self.benchmark.fingerprint(), weights, self.seed, self.precision]
        if self.compiled:
            facts.append("compiled batches")  # not the network alone, as it was once
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
