"""Class weights in the forms of torch, numpy, Keras and JSON, each read as its tool reads it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from exporting import RICH

from search.export.class_counts import ClassCounts
from search.export.formats.labels import Labels
from search.export.formats.registry import FORMATS
from search.export.formats.scaled import Exported, class_weights
from search.export.formats.texts import TEXTS
from search.export.winner import ExportError
from spaces import STRATEGIES, Strategy

COUNTS = (50, 20, 5)
NAMES = ("cat", 'd"o\ng', "\u202eant\\")
RICH_HERE = Strategy.of(RICH)
LABELS = np.repeat(range(3), COUNTS)


def exported(name, strategy=RICH_HERE, names=NAMES, labels=None):
    """What is written in the format of this name, in its own scale."""
    scale = FORMATS[name].scale
    found = class_weights(strategy, ClassCounts(COUNTS, names), "error").scaled(scale)
    return Exported(strategy, found, scale, "a run\n\x1b[31m", labels)


def text_of(name, **changes):
    text = TEXTS[name](exported(name, **changes))
    assert text.endswith("\n")
    assert text.replace("\n", "").isprintable()
    return text


def executed(text):
    namespace = {}
    exec(compile(text, "weights", "exec"), namespace)
    return namespace


def test_every_format_has_a_text():
    assert TEXTS.keys() == FORMATS.keys()


@pytest.mark.parametrize("strategy", (RICH_HERE, Strategy()), ids=Strategy.describe)
def test_torch_divides_by_the_sum_of_the_weights_and_has_those_that_sum_to_the_classes(strategy):
    found = executed(text_of("torch", strategy=strategy))
    weights = found["CLASS_WEIGHTS"]
    assert (weights.dtype, weights.shape) == (torch.float32, (3,))
    np.testing.assert_allclose(weights, exported("torch", strategy).found.weights, rtol=1e-7)
    assert weights.sum().item() == pytest.approx(3)
    loss = found["loss"](torch.zeros(75, 3), torch.tensor(LABELS))
    assert loss.item() == pytest.approx(np.log(3))


def test_numpy_has_a_mean_of_1_over_the_images():
    weights = executed(text_of("numpy"))["CLASS_WEIGHTS"]
    assert (weights.dtype, weights.shape) == (np.float32, (3,))
    assert weights[LABELS].mean() == pytest.approx(1)


def test_keras_has_a_dictionary_with_a_mean_of_1_over_the_images():
    weights = executed(text_of("keras"))["CLASS_WEIGHT"]
    assert list(weights) == [0, 1, 2]
    assert np.mean([weights[label] for label in LABELS]) == pytest.approx(1)


def test_names_are_an_object_in_the_order_of_the_classes():
    weights = json.loads(text_of("names"))
    assert tuple(weights) == NAMES
    np.testing.assert_allclose([*weights.values()], exported("names").found.weights, rtol=1e-8)
    with pytest.raises(ExportError, match="--format names needs the names of the classes"):
        text_of("names", names=None)


def test_each_image_has_a_weight_beside_its_name():
    counts = ClassCounts(COUNTS, NAMES)
    lines = text_of("sample-weights", labels=Labels(LABELS, counts)).splitlines()
    assert np.mean([float(line) for line in lines]) == pytest.approx(1)
    images = ('a"b', "c,d", "e")
    labels = Labels([2, 0, 0], counts, images)
    rows = text_of("sample-weights", labels=labels).splitlines()
    weights = exported("sample-weights").found.weights
    assert rows == [f'"a""b",{weights[2]:.9g}', f'"c,d",{weights[0]:.9g}', f"e,{weights[0]:.9g}"]
    with pytest.raises(ExportError, match="needs the labels of your training images; give --lab"):
        text_of("sample-weights")


def test_python_says_what_the_weights_are_and_what_else_the_strategy_needs():
    said = " ".join(text_of("numpy").replace("# ", "").split())
    assert said.startswith("Class weights of 3 classes; their mean over the training images is 1. ")
    assert f"{RICH.describe()}, found by the run a run\ufffd\ufffd[31m." in said
    late = " ".join(text_of("keras", strategy=STRATEGIES["drw"].strategy).replace("# ", "").split())
    assert "They alone are not the strategy, which needs class weights that change" in late
    assert "alone" not in said


def test_a_scale_that_was_asked_for_is_said():
    asked = replace(exported("keras"), scale="sum-to-one")
    assert "classes; they sum to 1." in TEXTS["keras"](asked)


PROGRAM = """
import keras, numpy as np
counts = {counts}
labels = np.repeat(range(3), counts)
network = keras.Sequential([keras.layers.Dense(3, kernel_initializer="zeros")])
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
network.compile(optimizer=keras.optimizers.SGD(1.0), loss=loss)
images = np.ones((len(labels), 2), np.float32)
print(float(network.train_on_batch(images, labels, class_weight=CLASS_WEIGHT)))
print(network.layers[0].bias.numpy().tolist())
"""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("keras") is None, reason="needs Keras")
def test_keras_keeps_the_learning_rate_with_the_exported_dictionary():
    """The loss at equal logits is ln C, as with equal weights, and its step is the weighted one."""
    done = subprocess.run(
        [sys.executable, "-c", text_of("keras") + PROGRAM.format(counts=COUNTS)],
        env=os.environ | {"KERAS_BACKEND": "torch", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    loss, bias = map(json.loads, done.stdout.splitlines())
    assert loss == pytest.approx(np.log(3), rel=1e-5)
    weights = exported("keras").found.weights
    share = np.array(COUNTS) * weights / sum(COUNTS)
    np.testing.assert_allclose(bias, share - 1 / 3, atol=1e-5)
