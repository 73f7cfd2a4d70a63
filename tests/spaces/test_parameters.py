"""Symbols have a meaning, and what is said of a strategy in words is true of its numbers."""

from dataclasses import fields

import pytest

from spaces import (
    PARAMETERS,
    SPACES,
    STRATEGIES,
    Logits,
    NamedStrategy,
    Ramp,
    Sampling,
    Schedule,
    Strategy,
    Weighting,
    in_words,
    legend,
)

COUNTS = [12, 5000, 300, 1200, 70]


def test_every_field_of_a_strategy_and_every_parameter_of_a_space_has_a_meaning() -> None:
    names = {field.name for kind in (Weighting, Logits) for field in fields(kind)}
    names |= {"focusing", "head", "adjustment", "tau_norm", "begin", "limit", "spared"}
    names |= {"mixing_off", "retrain_from", "tail_shift", "tail_flip", "tail_cutout"}
    names |= {domain.name for space in SPACES.values() for domain in space.domains}
    assert PARAMETERS.keys() == names


def test_the_legend_explains_what_is_shown_and_nothing_else() -> None:
    shown = [Weighting(exponent=0.5, nu=0.1).describe(), Weighting().describe()]
    assert [parameter.symbol for parameter in legend(shown)] == ["p", "nu"]
    assert legend(["uniform"]) == []


@pytest.mark.parametrize("named", STRATEGIES.values(), ids=STRATEGIES)
def test_every_symbol_of_a_description_is_in_the_legend(named: NamedStrategy) -> None:
    text = named.strategy.describe()
    symbols = {word.partition("=")[0] for word in text.split() if "=" in word}
    assert {parameter.symbol for parameter in legend([text])} == symbols


@pytest.mark.parametrize(
    ("weighting", "words"),
    (
        (Weighting(), "all classes weigh the same"),
        (Weighting(exponent=1.0), "the rarest class weighs 417 times the commonest"),
        (Weighting(exponent=0.5), "the rarest class weighs 20.4 times the commonest"),
        (
            Weighting(exponent=1.0, clip_high=0.5),
            "the rarest class weighs 20.4 times the commonest",
        ),
        (
            Weighting(exponent=0.1, bump=0.6, bump_center=0.7, bump_width=0.1),
            "the rarest class weighs 1.84 times the commonest, a class of 70 images 2.45 times",
        ),
        (
            Weighting(exponent=0.1, bump=-0.9, bump_center=0.5, bump_width=0.1),
            "the rarest class weighs 1.83 times the commonest, a class of 300 images 0.198 times",
        ),
    ),
)
def test_plain_words_are_true_of_the_weights(weighting: Weighting, words: str) -> None:
    strategy = Strategy.of(weighting)
    assert in_words(strategy, COUNTS) == words
    assert in_words(strategy, [7, 7]) == "all classes weigh the same"


@pytest.mark.parametrize(
    ("name", "words"),
    (
        ("drw", "the rarest class weighs 417 times the commonest, from 80 % of training on"),
        (
            "cb_sampling",
            "an epoch shows an image of the rarest class 110 times and one of the commonest 0.263 "
            "times",
        ),
        (
            "progressive_sampling",
            "an epoch shows an image of the rarest class 110 times and one of the commonest 0.263 "
            "times, rising from 0 to 100 % of training",
        ),
        ("logit_adjusted", "the loss lowers the logit of the rarest class by 6.03"),
        (
            "vs",
            "the loss lowers the logit of the rarest class by 6.03; the loss multiplies the logit "
            "of the rarest class by 0.405",
        ),
        (
            "ldam",
            "an image of the rarest class has to win by 0.5 and one of the commonest by 0.111",
        ),
        (
            "cb_focal",
            "the rarest class weighs 328 times the commonest; an image classified with a "
            "probability of 0.9 counts 0.1 times",
        ),
        (
            "label_aware",
            "10 % of a label of the rarest class and 40 % of one of the commonest go to all "
            "classes",
        ),
        ("tau_norm", "after training the rows of the classifier are divided by their norm^1"),
    ),
)
def test_plain_words_are_true_of_a_strategy(name: str, words: str) -> None:
    assert in_words(STRATEGIES[name].strategy, COUNTS) == words


@pytest.mark.parametrize(
    ("ramp", "words"),
    (
        (Ramp(stop=0.5), ", with a share of 0.5"),
        (
            Ramp(0.8, 0.8, start=0.25, stop=0.5),
            ", from 80 % of training on, with a share of 0.25 before and 0.5 after",
        ),
        (
            Ramp(0.2, 0.6, start=1.0, stop=0.0),
            ", falling from 20 to 60 % of training, with a share of 1 before and 0 after",
        ),
    ),
)
def test_what_never_acts_in_full_says_with_which_share(ramp: Ramp, words: str) -> None:
    point = Weighting(exponent=1.0)
    weights, sampling = Strategy(Schedule(point, ramp)), Strategy(sampling=Sampling(point, ramp))
    balanced = in_words(STRATEGIES["cb_sampling"].strategy, COUNTS)
    assert in_words(weights, COUNTS) == f"the rarest class weighs 417 times the commonest{words}"
    assert in_words(sampling, COUNTS) == balanced + words


def test_a_scale_and_an_adjustment_are_put_in_words() -> None:
    strategy = Strategy(logits=Logits(scale=30), adjustment=0.5)
    assert in_words(strategy, COUNTS) == (
        "the loss multiplies all logits by 30; after training the logit of the rarest class is "
        "raised by 3.02"
    )
