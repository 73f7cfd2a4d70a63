"""Image data and parts of them."""

import dataclasses

import numpy as np
from training import digits_data

from trainer.diagnosis.scenarios import Scenarios


def test_a_subset_has_the_difficulty_and_the_scenarios_of_its_images() -> None:
    data = digits_data()
    tags = [
        np.arange(len(labels), dtype=np.uint8)[None] % 2
        for labels in (data.train_labels, data.test_labels)
    ]
    difficulty = np.arange(len(data.train_labels), dtype=np.float64)
    whole = dataclasses.replace(
        data, difficulty=difficulty, scenarios=Scenarios(("day", "night"), *tags)
    )
    few = whole.subset(np.array([5, 2]), slice(3))
    assert few.train_labels.tolist() == data.train_labels[[5, 2]].tolist()
    assert np.array_equal(few.test_images, data.test_images[:3])
    assert few.difficulty is not None
    assert few.difficulty.tolist() == [5, 2]
    assert few.scenarios is not None
    assert few.scenarios.train.tolist() == [[1, 0]]
    assert few.scenarios.evaluated.tolist() == [[0, 1, 0]]
