"""A curriculum has an order, a pace that never jumps, and words for what it does."""

import json
from typing import Any

import pytest

from spaces import Curriculum, Strategy, WeightingError, in_words, strategy_distance

COUNTS = [500, 40, 5]


def test_the_open_share_grows_from_the_first_to_all_and_stays() -> None:
    pacing = Curriculum("easy", first=0.4, begin=0.2, full_at=0.6, power=2).pacing
    shares = [pacing.tau(x) for x in (0.0, 0.2, 0.4, 0.6, 1.0)]
    assert shares == pytest.approx([0.4, 0.4, 0.4 + 0.6 * 0.25, 1.0, 1.0])
    assert Curriculum().pacing.at(1, 200) == 1.0


@pytest.mark.parametrize(
    ("curriculum", "words"),
    (
        (Curriculum("easy"), "curriculum easy texture first=0.4 full_at=0.5"),
        (
            Curriculum("random", first=0.3, begin=0.1, full_at=0.9, power=2),
            "curriculum random first=0.3 begin=0.1 full_at=0.9 pace_power=2",
        ),
        (Curriculum("hard", "contrast"), "curriculum hard contrast first=0.4 full_at=0.5"),
    ),
)
def test_a_strategy_with_a_curriculum_says_so(curriculum: Curriculum, words: str) -> None:
    strategy = Strategy(curriculum=curriculum)
    recipe = strategy.recipe(COUNTS)
    assert (strategy.describe(), strategy.kind) == (words, "curriculum")
    assert recipe.variant.loss == "plain"
    assert not recipe.is_static
    assert Strategy.from_dict(json.loads(json.dumps(strategy.to_dict()))) == strategy
    assert f"each class begins with {100 * curriculum.first:.3g} % of its images" in in_words(
        strategy, COUNTS
    )


def test_training_is_constant_when_all_images_are_open() -> None:
    strategy = Strategy(curriculum=Curriculum("easy", full_at=0.5))
    assert [ramp.first_constant_epoch(101) for ramp in strategy.ramps] == [1, 1, 51, 1, 1, 1]


def test_curricula_are_apart_unless_their_numbers_are_alike() -> None:
    easy = Curriculum("easy", first=0.5)
    others = (Curriculum("hard", first=0.5), Curriculum(), Curriculum("easy", first=0.6))
    a, *rest, alike = (
        Strategy(curriculum=c).recipe(COUNTS)
        for c in (easy, *others, Curriculum("easy", first=0.505))
    )
    assert [strategy_distance(a, b) for b in rest] == [1.0, 1.0, 1.0]
    assert strategy_distance(a, alike) == 0.0


@pytest.mark.parametrize(
    ("values", "sentence"),
    (
        ({"order": "esay"}, "curriculum.order: got 'esay'; must be one of .*did you mean 'easy'"),
        ({"order": "easy", "dificulty": "x"}, "dificulty: got 'x'; .*mean 'difficulty'"),
        ({"order": "easy", "difficulty": "pose"}, "difficulty: got 'pose'; must be one of texture"),
        ({"order": "easy", "first": 1}, r"first: got 1; must be a number in \(0, 1\)"),
        ({"order": "easy", "begin": 0.5}, "full_at: got 0.5; must be above begin 0.5"),
        ({"first": 0.3, "power": 2}, "order: got 'none' beside first, power; must be easy, hard"),
        ({"order": "random", "difficulty": "contrast"}, "must be left out for a random order"),
    ),
)
def test_what_is_no_curriculum_is_refused(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(WeightingError, match=sentence):
        Strategy.from_dict({"curriculum": values})
