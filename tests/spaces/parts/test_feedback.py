"""Feedback says what it does, needs the step that observes losses, and refuses what is inert."""

import json
from typing import Any

import pytest

from spaces import Curriculum, Feedback, Ramp, Strategy, WeightingError, in_words, strategy_distance

COUNTS = [500, 40, 5]
BOTH = Strategy(feedback=Feedback("sampling", 0.5, 0.9, 3.0, 0.1, Ramp(0.2, 0.6)))


@pytest.mark.parametrize(
    ("strategy", "kind", "words", "said"),
    (
        (
            BOTH,
            "feedback",
            "feedback sampling strength=0.5 limit=3 spared=0.1 memory=0.9 from 20 % to 60 %",
            "a class is drawn (its training loss over the mean of all)^0.5 times as much, 3 times "
            "at most, rising from 20 to 60 % of training; the 10 % of each class's images",
        ),
        (
            Strategy(feedback=Feedback(spared=0.1)),
            "feedback",
            "feedback spared=0.1 memory=0.8",
            "highest losses are not shown",
        ),
        (
            Strategy(curriculum=Curriculum("easy", "loss"), feedback=Feedback(memory=0.5)),
            "curriculum",
            "curriculum easy loss first=0.4 full_at=0.5; memory=0.5",
            "those easiest by loss first",
        ),
    ),
)
def test_a_strategy_with_feedback_says_so(
    strategy: Strategy, kind: str, words: str, said: str
) -> None:
    recipe = strategy.recipe(COUNTS)
    assert (strategy.describe(), strategy.kind) == (words, kind)
    assert said in in_words(strategy, COUNTS)
    assert recipe.follows_losses
    assert recipe.variant.loss == "general"
    assert Strategy.from_dict(json.loads(json.dumps(strategy.to_dict()))) == strategy


def test_feedback_is_apart_unless_its_numbers_are_alike() -> None:
    other = Strategy(feedback=Feedback("sampling", 0.5, 0.9, 3.0, 0.1, Ramp(0.3, 0.6)))
    alike = Strategy(feedback=Feedback("sampling", 0.505, 0.9, 3.0, 0.1, Ramp(0.2, 0.6)))
    recipes = [strategy.recipe(COUNTS) for strategy in (BOTH, other, alike, Strategy())]
    assert [strategy_distance(recipes[0], recipe) for recipe in recipes] == [0.0, 1.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("values", "sentence"),
    (
        ({"feedback": {"onto": "loss"}}, "feedback.onto: got 'loss'; must be one of none, weights"),
        ({"feedback": {"limit": 9}}, r"feedback.limit: got 9; must be a number in \(1, 6\]"),
        ({"feedback": {"strength": 2}}, "onto: got 'none' beside strength; must be weights or"),
        ({"feedback": {"ramp": {"begin": 0.5, "end": 0.5}}}, "ramp: got .* needs onto weights or"),
        ({"feedback": {"memory": 0.5}}, "memory: got 0.5; needs feedback that acts"),
        (
            {"feedback": {"spared": 0.1}, "curriculum": {"order": "easy"}},
            "spared: got 0.1 beside a curriculum",
        ),
        (
            {"feedback": {"onto": "sampling"}, "sampling": {"exponent": 1, "draw": "cycled"}},
            "draw: got 'cycled' beside feedback onto sampling",
        ),
    ),
)
def test_what_is_no_feedback_is_refused(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(WeightingError, match=sentence):
        Strategy.from_dict(values)
