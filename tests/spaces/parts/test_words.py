"""Words of messages: numbers with their nouns."""

import pytest

from spaces.parts.words import number_of


@pytest.mark.parametrize(
    ("number", "noun", "form", "text"),
    (
        (1, "trial", "", "1 trial"),
        (0, "GPU", "", "0 GPUs"),
        (1200, "training image", ",", "1,200 training images"),
        (1.0, "hour", "g", "1 hour"),
        (1.5, "hour", "g", "1.5 hours"),
        (2, "class", "", "2 classes"),
    ),
)
def test_a_noun_is_in_the_plural_unless_there_is_one(
    number: float, noun: str, form: str, text: str
) -> None:
    assert number_of(number, noun, form) == text
