"""Symbols have a meaning, and what is said of a weighting in words is true of its weights."""

from dataclasses import fields

import pytest

from spaces import (
    NAMED,
    PARAMETERS,
    SPACES,
    NamedWeighting,
    Weighting,
    in_words,
    legend,
)

COUNTS = [12, 5000, 300, 1200, 70]


def test_every_field_of_a_weighting_and_every_parameter_of_a_space_has_a_meaning() -> None:
    names = {field.name for field in fields(Weighting)}
    names |= {domain.name for space in SPACES.values() for domain in space.domains}
    assert PARAMETERS.keys() == names


def test_the_legend_explains_what_is_shown_and_nothing_else() -> None:
    shown = [Weighting(exponent=0.5, nu=0.1).describe(), Weighting().describe()]
    assert [parameter.symbol for parameter in legend(shown)] == ["p", "nu"]
    assert legend(["uniform"]) == []


@pytest.mark.parametrize("named", NAMED.values(), ids=NAMED)
def test_every_symbol_of_a_description_is_in_the_legend(named: NamedWeighting) -> None:
    text = named.weighting.describe()
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
    assert in_words(weighting, COUNTS) == words
    assert in_words(weighting, [7, 7]) == "all classes weigh the same"
