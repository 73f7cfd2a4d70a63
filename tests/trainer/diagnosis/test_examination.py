"""Examination: reliability and calibration error as a plain reference has them, and confusion."""

import json
from dataclasses import asdict
from itertools import pairwise

import numpy as np
import pytest

from trainer.diagnosis.examination import (
    calibration_error,
    class_losses,
    confusion,
    examined,
    reliability,
    together,
)
from trainer.diagnosis.records import BINS, Diagnosis, diagnosis_of


def reference_error(confidences: np.ndarray, correct: np.ndarray) -> float:
    """Return the error of Guo et al. (2017), bin by bin, in plain numpy."""
    edges, error = np.linspace(0, 1, BINS + 1), 0.0
    for low, high in pairwise(edges):
        inside = (confidences >= low) & ((confidences < high) | (high == 1))
        if inside.any():
            gap = abs(correct[inside].mean() - confidences[inside].mean())
            error += inside.mean() * gap
    return error


@pytest.mark.parametrize("seed", range(5))
def test_bins_and_calibration_error_are_those_of_a_plain_reference(seed: int) -> None:
    random = np.random.default_rng(seed)
    confidences = np.append(random.random(3000) ** 0.5, [0.0, 1.0, 1.0]).astype(np.float32)
    correct = random.random(len(confidences)) < confidences**2
    bins = reliability(confidences, correct)
    expected, _ = np.histogram(confidences, bins=np.linspace(0, 1, BINS + 1))
    hits, _ = np.histogram(confidences[correct], bins=np.linspace(0, 1, BINS + 1))
    assert [images for images, _, _ in bins] == expected.tolist()
    assert [right for _, right, _ in bins] == hits.tolist()
    assert calibration_error(bins) == pytest.approx(
        reference_error(confidences.astype(np.float64), correct), abs=1e-6
    )


def test_sums_are_exact_in_any_order_and_over_groups() -> None:
    random = np.random.default_rng(0)
    confidences, correct = random.random(999).astype(np.float32), random.random(999) < 0.5
    order = random.permutation(999)
    bins = reliability(confidences, correct)
    assert reliability(confidences[order], correct[order]) == bins
    parts = [reliability(confidences[i::3], correct[i::3]) for i in range(3)]
    assert together(parts) == bins
    assert calibration_error(reliability(confidences[:0], correct[:0])) is None


def test_the_confusion_has_every_image_and_its_trace_is_the_number_of_correct_ones() -> None:
    random = np.random.default_rng(1)
    labels, predicted = random.integers(0, 7, (2, 500))
    cells = confusion(labels, predicted, 7)
    matrix = np.zeros((7, 7), dtype=int)
    np.add.at(matrix, (labels, predicted), 1)
    assert cells == tuple((i, j, matrix[i, j]) for i, j in np.argwhere(matrix))
    assert sum(n for true, named, n in cells if true == named) == (labels == predicted).sum()


def test_losses_are_means_by_class_and_none_without_images() -> None:
    losses = np.array([1.0, 2.0, 0.123456], dtype=np.float32)
    assert class_losses(losses, np.array([0, 0, 2]), 4) == (1.5, None, 0.123, None)


def test_what_was_examined_survives_a_round_trip_through_json() -> None:
    said = np.array([[0, 1, 1], [0.9, 0.5, 0.2], [0.1, 0.7, 2.0]], dtype=np.float32)
    groups = [np.array([True, False, False]), np.array([False, True, True])]
    found = examined(3, said, np.array([0, 1, 2]), groups, with_confusion=True)
    assert found.confusion == ((0, 0, 1), (1, 1, 1), (2, 1, 1))
    assert [sum(images for images, _, _ in bins) for bins in found.reliability] == [1, 2]
    for best in (found, None):
        diagnosis = Diagnosis(best, found)
        assert diagnosis_of(json.loads(json.dumps(asdict(diagnosis)))) == diagnosis
