"""The order in which the epochs of a trial's parts come."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from search.workers.schedule import interleave, order
from trainer.results import EpochResult

RESULT = EpochResult(1, 1.0, 1.0, 0.1, 0.5, 50.0, 50.0, ((1, 2), (3, 4)))


def test_in_every_stage_the_parts_take_turns() -> None:
    assert order([[10, 5], [40, 20]], [0, 0]) == [
        (0, 10, False),
        (1, 5, True),
        (0, 40, False),
        (1, 20, True),
    ]


def test_a_part_has_no_turn_in_a_stage_that_does_not_move_it() -> None:
    assert order([[10, 0], [20, 0], [20, 5]], [0, 0]) == [
        (0, 10, True),
        (0, 20, True),
        (1, 5, True),
    ]


def test_what_is_known_needs_no_turn() -> None:
    stages = [[10, 5], [20, 10], [40, 20]]
    assert order(stages, [20, 7]) == [(1, 10, True), (0, 40, False), (1, 20, True)]
    assert order(stages, [40, 12]) == [(1, 20, True)]
    assert order(stages, [40, 20]) == []


def test_a_part_begins_with_its_first_turn() -> None:
    begun = []

    def train_part(part: int) -> Iterator[Any]:
        begun.append(part)
        return iter([dataclasses.replace(RESULT, epoch=epoch) for epoch in range(1, 5)])

    results = interleave(order([[2, 2], [4, 3]], [0, 1]), [0, 1], train_part)
    told = [(part, result.epoch, list(begun)) for part, result in results]
    assert told == [
        (0, 1, [0]),
        (0, 2, [0]),
        (1, 2, [0, 1]),
        (0, 3, [0, 1]),
        (0, 4, [0, 1]),
        (1, 3, [0, 1]),
    ]
