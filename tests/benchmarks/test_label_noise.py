"""The label-noise benchmark changes a share of labels, and refuses what makes no sense."""

import numpy as np
import pytest
from training import digits_data

from benchmarks.label_noise.__main__ import main, with_wrong_labels


def test_a_share_of_the_training_labels_is_moved_to_other_classes() -> None:
    data, wrong = digits_data(), with_wrong_labels(digits_data(), 0.1)
    changed = wrong.train_labels != data.train_labels
    assert 0.05 < changed.mean() < 0.15
    assert np.array_equal(wrong.train_labels, with_wrong_labels(data, 0.1).train_labels)
    assert np.array_equal(with_wrong_labels(data, 0.0).train_labels, data.train_labels)


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
