"""The schedule of a trial: its parts, one for each benchmark, and the order of their epochs."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from search.workers.setup import WorkerSetup
from spaces import Recipe
from trainer.results import EpochResult
from trainer.trial import Trial


class Batches(NamedTuple):
    """How many batches of an epoch, those of its test included, are done."""

    done: int
    of: int


PartResult = tuple[int, EpochResult | Batches]
"""An epoch, or how far the next one is, and the part that it is of."""


class Leg(NamedTuple):
    """A leg trains a part up to an epoch; behind the last leg of a stage the driver decides."""

    part: int
    until: int
    ends_stage: bool


@dataclass(frozen=True)
class Part:
    """A part of a trial trains on one benchmark.

    Attributes:
        benchmark: index in ``WorkerSetup.benchmarks``; no two parts of a trial have the same.
        folder: of its checkpoints.
        known: epochs that the driver has on record.
    """

    trial: Trial
    benchmark: int
    folder: Path
    known: int


def parts_of(config: dict[str, Any], setup: WorkerSetup) -> list[Part]:
    """Return the parts of the trial that a config (``TrialTrainable``) describes."""
    parts = []
    for described in config["parts"]:
        index, recipe = described["benchmark"], Recipe.from_dict(described["recipe"])
        benchmark = setup.benchmarks[index]
        trial = Trial(
            benchmark,
            recipe,
            config["seed"],
            setup.precision,
            setup.compiled,
            diagnosed=config.get("diagnosed", False),
        )
        folder = Path(described["checkpoints"])
        parts.append(Part(trial, index, folder, described["known_epochs"]))
    assert len({part.benchmark for part in parts}) == len(parts)
    return parts


def legs_of(config: dict[str, Any]) -> list[Leg]:
    """Return the legs that a config leaves to be taken."""
    return order(config["stages"], [part["known_epochs"] for part in config["parts"]])


def order(stages: Sequence[Sequence[int]], known: Sequence[int]) -> list[Leg]:
    """Return a trial's legs: in every stage, each part in turn goes on to the stage's epoch.

    A part has no leg where all of its epochs are ``known`` to the driver. What of them is behind
    its newest checkpoint is trained again in the part's next leg, if one ever comes.
    """
    legs = []
    reached = list(known)
    for stage in stages:
        moving = [part for part, until in enumerate(stage) if until > reached[part]]
        for part in moving:
            reached[part] = stage[part]
            legs.append(Leg(part, stage[part], ends_stage=part == moving[-1]))
    return legs


def interleave(
    legs: Sequence[Leg],
    known: Sequence[int],
    train: Callable[[int], Iterator[EpochResult | Batches]],
) -> Iterator[PartResult]:
    """Yield the epochs that are not ``known``, and all batches, in the order of the legs.

    ``train`` returns all epochs of a part; it is called when the part's first leg comes.
    """
    begun: dict[int, Iterator[EpochResult | Batches]] = {}
    for part, until, _ in legs:
        if part not in begun:
            begun[part] = train(part)
        for item in begun[part]:
            if isinstance(item, Batches) or item.epoch > known[part]:
                yield part, item
            if isinstance(item, EpochResult) and item.epoch == until:
                break
