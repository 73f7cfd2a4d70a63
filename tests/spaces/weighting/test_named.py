"""Each named weighting is the formula it names, on the counts of each benchmark."""

from __future__ import annotations

import numpy as np
import pytest

from spaces import NAMED

BENCHMARKS = {"cifar10lt": (5000, 10, 100), "cifar100lt": (500, 100, 100), "vgg": (500, 100, 50)}
IMAGES = {"cifar10lt": 12_406, "cifar100lt": 10_847, "vgg": 12_608}
BETA = 0.9999


def benchmark_counts(n_max, classes, ratio):
    return np.array([int(n_max * (1 / ratio) ** (i / (classes - 1))) for i in range(classes)])


def log_gap(n):
    return np.log(n.max() / n) / np.log(n.max() / n.min())


def effective(n):
    return (1 - BETA**n) / (1 - BETA)


def to_classes(w):
    return w * len(w) / w.sum()


FORMULAS = {
    "uniform": lambda n: np.ones(len(n)),
    "inverse": lambda n: 1 / n,
    "sqrt_inverse": lambda n: n**-0.5,
    "effective": lambda n: (1 - BETA) / (1 - BETA**n),
    "mlsbench_inverse_freq": lambda n: to_classes(np.sqrt(n.sum() / (len(n) * n))),
    "mlsbench_effective_number": lambda n: to_classes(np.sqrt((1 - BETA) / (1 - BETA**n))),
    "mlsbench_balanced_softmax": lambda n: to_classes(1 + 4 * log_gap(n)),
    "median_split_effective": lambda n: np.maximum(1, effective(np.median(n)) / effective(n)),
    "linear_log_gap": lambda n: 1 + (np.sqrt(n.max() / n.min()) - 1) * log_gap(n),
    "cosine_log_gap": lambda n: (
        1 + (np.sqrt(n.max() / n.min()) - 1) * (1 - np.cos(np.pi * log_gap(n))) / 2
    ),
    "ldam_quarter": lambda n: n**-0.25,
    "power_mid_bump": lambda n: (
        n**-0.5 * (1 + 0.3 * np.exp(-((log_gap(n) - 0.55) ** 2) / (2 * 0.15**2)))
    ),
}
NORMALIZED = ("mlsbench_inverse_freq", "mlsbench_effective_number", "mlsbench_balanced_softmax")


def test_every_named_weighting_has_a_formula_here():
    assert set(FORMULAS) == set(NAMED)


@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_the_counts_have_the_images_of_the_benchmark(benchmark):
    assert benchmark_counts(*BENCHMARKS[benchmark]).sum() == IMAGES[benchmark]


@pytest.mark.parametrize("benchmark", BENCHMARKS)
@pytest.mark.parametrize("name", FORMULAS)
def test_a_named_point_equals_its_formula(name, benchmark):
    counts = benchmark_counts(*BENCHMARKS[benchmark])
    # Halves of a count occur at the median, and integers have no negative powers.
    expected = FORMULAS[name](counts.astype(float))
    if name not in NORMALIZED:
        expected = to_classes(expected)
    np.testing.assert_allclose(NAMED[name].weighting.weights(counts), expected, rtol=1e-12)
