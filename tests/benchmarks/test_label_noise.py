"""The label-noise benchmark changes a share of labels, and compares arms within common seeds."""

import argparse

import numpy as np
import pytest
from training import digits_data

from benchmarks.label_noise.__main__ import FIRST_SEED, comparison, main, with_wrong_labels


def test_a_share_of_the_training_labels_is_moved_to_other_classes() -> None:
    data, wrong = digits_data(), with_wrong_labels(digits_data(), 0.1)
    changed = wrong.train_labels != data.train_labels
    assert 0.05 < changed.mean() < 0.15
    assert np.array_equal(wrong.train_labels, with_wrong_labels(data, 0.1).train_labels)
    assert np.array_equal(with_wrong_labels(data, 0.0).train_labels, data.train_labels)


def test_arms_are_compared_within_the_seeds_that_all_of_them_have() -> None:
    known = {
        f"b/0.1/{arm}/{FIRST_SEED + n}": value + n
        for arm, value in (("easy", 3.0), ("hard", 1.0))
        for n in range(3)
    }
    known[f"b/0.1/easy/{FIRST_SEED + 3}"] = 99.0
    options = argparse.Namespace(benchmark="b", noise=0.1, seeds=4)
    heading, easy, hard = comparison(options, ["easy", "hard"], known)
    assert heading.startswith("3 seeds;")
    assert easy.split() == ["easy", "4.00", "+2.00", "(+2.00", "to", "+2.00)"]
    assert hard.split()[1:3] == ["2.00", "+0.00"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    (
        (["--arms", "curriculum_eas"], "--arms is 'curriculum_eas' (did you mean"),
        (["--arms", "ce", "--noise", "1"], "--noise is 1.0; it must be at least 0 and below 1"),
        (["--arms", "ce", "--seeds", "0"], "--seeds is 0; it must be at least 1"),
        (["--arms", "ce", "--benchmark", "digits"], "--benchmark is 'digits'"),
    ),
)
def test_options_that_make_no_sense_are_one_sentence(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {sentence}")
