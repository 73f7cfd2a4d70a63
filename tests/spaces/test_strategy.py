"""A strategy is today's class weights by default, and says of everything else what it is."""

import json
from typing import Any

import pytest

from spaces import (
    CLASS_WEIGHTS,
    NAMED,
    Augmentation,
    Auxiliary,
    Logits,
    Mixing,
    PostHoc,
    Ramp,
    Sampling,
    Schedule,
    Smoothing,
    Strategy,
    Weighting,
    WeightingError,
    canonical_weights,
    weighting_key,
)

COUNTS = [500, 40, 5, 40]
INVERSE = Weighting(exponent=1)
STEP = Ramp(0.8, 0.8)
RICH = Strategy(
    weights=Schedule(INVERSE, STEP),
    sampling=Sampling(Weighting(exponent=0.5), Ramp(0, 1), "mixture", "cycled"),
    logits=Logits(additive=1),
    smoothing=Smoothing(0.4, 0.1),
    focusing=2,
    adjustment=0.5,
)


@pytest.mark.parametrize("name", NAMED)
def test_constant_class_weights_are_what_they_were(name: str) -> None:
    weighting = NAMED[name].weighting
    strategy = Strategy.of(weighting)
    assert strategy.weighting == weighting
    assert strategy.kind == CLASS_WEIGHTS
    assert strategy.to_dict() == weighting.to_dict()
    assert Strategy.from_dict(weighting.to_dict()) == strategy
    assert strategy.describe() == weighting.describe()
    weights = weighting.weights(COUNTS)
    recipe = strategy.recipe(COUNTS)
    assert recipe.is_static
    assert recipe.weights == tuple(canonical_weights(weights).tolist())
    assert strategy.key(COUNTS) == weighting_key(weights)


def test_the_default_is_plain_cross_entropy() -> None:
    assert Strategy() == Strategy.of(Weighting())
    assert Strategy().to_dict() == {}
    assert Strategy().recipe(COUNTS).weights == (1.0,) * 4


@pytest.mark.parametrize(
    ("strategy", "kind", "words", "variant"),
    (
        (Strategy(Schedule(INVERSE, STEP)), "scheduled class weights", "p=1 from 80 %", "plain"),
        (Strategy(sampling=Sampling(INVERSE)), "sampling", "sampling p=1", "plain"),
        (
            Strategy(Schedule(INVERSE), Sampling(INVERSE, STEP)),
            "class weights + scheduled sampling",
            "p=1; sampling p=1 from 80 %",
            "plain",
        ),
        (Strategy(logits=Logits(additive=1)), "shifted logits", "additive=1", "general"),
        (Strategy(focusing=1), "focal loss", "focusing=1", "general"),
        (
            Strategy(smoothing=Smoothing(0.4)),
            "label smoothing",
            "smoothing_head=0.4 smoothing_tail=0",
            "general",
        ),
        (
            Strategy(logits=Logits(scale=30), head="cosine"),
            "shifted logits + cosine classifier",
            "scale=30; cosine classifier",
            "general+cosine",
        ),
        (
            Strategy(auxiliary=Auxiliary("rotation", 0.5, 0.2, "joint")),
            "auxiliary task",
            "auxiliary rotation auxiliary_weight=0.5 alone_until=0.2 joint",
            "plain+rotation+joint",
        ),
        (
            Strategy(mixing=Mixing(0.5, 0.1), augmentation=Augmentation(flip=0.5, cutout=0.25)),
            "mixing + augmentation by class",
            "mixing_probability=0.5 mixing_off=0.1; tail_flip=0.5 tail_cutout=0.25",
            "general+mixed",
        ),
        (
            Strategy(auxiliary=Auxiliary("regular"), retrain_from=0.8),
            "auxiliary task + classifier re-training",
            "auxiliary regular auxiliary_weight=1; retrain_from=0.8",
            "plain+frozen plain+regular",
        ),
        (Strategy(tau_norm=1), "adjusted after training", "tau_norm=1", "plain"),
        (
            RICH,
            "scheduled class weights + scheduled sampling + shifted logits + focal loss + "
            "label smoothing + adjusted after training",
            "p=1 from 80 %; sampling p=0.5 from 0 % to 100 % mixture cycled; additive=1; "
            "focusing=2; smoothing_head=0.4 smoothing_tail=0.1; adjustment=0.5",
            "general",
        ),
    ),
)
def test_everything_else_says_what_it_is(
    strategy: Strategy, kind: str, words: str, variant: str
) -> None:
    assert strategy.kind == kind
    assert strategy.describe() == words
    assert sorted(map(str, strategy.variants)) == variant.split()
    assert strategy.recipe(COUNTS).variants == strategy.variants
    assert not strategy.recipe(COUNTS).is_static
    assert Strategy.from_dict(json.loads(json.dumps(strategy.to_dict()))) == strategy


def test_the_key_tells_strategies_apart_and_ignores_the_last_digits() -> None:
    keys = {
        Strategy(logits=Logits(additive=additive)).key(COUNTS)
        for additive in (0.7, 0.7 + 1e-12, 0.7001)
    }
    assert len(keys) == 2
    assert all(len(key) == 16 and int(key, 16) >= 0 for key in keys)
    assert len({Strategy(sampling=Sampling(INVERSE)).key(COUNTS), RICH.key(COUNTS)}) == 2
    assert RICH.posthoc == PostHoc(adjustment=0.5)


@pytest.mark.parametrize(
    ("values", "sentence"),
    (
        ([1], r"strategy: got \[1\]; must be a mapping"),
        ({"samplin": {}}, "samplin: got {}; is not a field of a strategy .*'sampling'"),
        ({"exponnent": 1}, "exponnent: got 1; .*did you mean 'exponent'"),
        ({"exponent": 1, "focusing": 1}, 'exponent: got 1; it is a field .* put it into "weights"'),
        ({"exponent": -1}, "exponent: got -1"),
        ({"weights": {"exponent": -1}}, "weights.exponent: got -1"),
        ({"weights": 3}, "weights: got 3; must be a mapping of field to value"),
        (
            {"sampling": {"exponent": 1, "ramp": {"end": 2}}},
            r"sampling.ramp.end: got 2; must be a number in \[0, 1\]",
        ),
        ({"logits": {"additve": 1}}, "logits.additve: got 1; .*did you mean 'additive'"),
        ({"smoothing": {"head": 1}}, "smoothing.head: got 1"),
        ({"focusing": -1}, r"focusing: got -1; must be a number in \[0, 10\]"),
        ({"adjustment": 0.3}, "adjustment: got 0.3; must be one of 0, 0.25, .*, 2, which every"),
        ({"tau_norm": 1, "head": "cosine"}, "tau_norm: got 1.0; must be 0 for a cosine classifier"),
        ({"head": "cosin"}, "head: got 'cosin'; .*did you mean 'cosine'"),
        ({"auxiliary": {"weight": 2}}, "auxiliary.task: got 'none' beside weight; must be reg"),
        ({"auxiliary": {"task": "rotate"}}, "auxiliary.task: got 'rotate'; .*none, regular, rot"),
        ({"auxiliary": {"task": "regular", "weight": -1}}, "auxiliary.weight: got -1"),
        ({"auxiliary": {"task": "regular", "alone_until": 1}}, "auxiliary.alone_until: got 1"),
        ({"retrain_from": 1}, "retrain_from: got 1; must be a number in .0, 1."),
        ({"mixing": {"off": 0.1}}, "mixing.off: got 0.1; needs a probability above 0"),
        ({"mixing": {"probability": 2}}, "mixing.probability: got 2; must be a number in .0, 1."),
        ({"augmentation": {"cutuot": 0.5}}, "augmentation.cutuot: got 0.5; .*mean 'cutout'"),
        ({"augmentation": {"shift": 0.6}}, "augmentation.shift: got 0.6"),
        ({"tau_norm": "1"}, "tau_norm: got '1'"),
        ({"adjustment": 1, "tau_norm": 1}, "adjustment, tau_norm: got 1.0 and 1.0; give at most"),
    ),
)
def test_what_is_no_strategy_is_refused(values: Any, sentence: str) -> None:
    with pytest.raises(WeightingError, match=sentence):
        Strategy.from_dict(values)
