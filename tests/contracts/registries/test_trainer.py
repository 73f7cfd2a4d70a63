"""Every metric, benchmark and network keeps its contract."""

import json

import numpy as np
import numpy.typing as npt
import pytest
import torch
from registered import MANY, every_count
from torch import nn

from search.stats.priors import IMAGES, NOISE_SD, guessed_noise
from spaces import (
    STRATEGIES,
    check_recipe,
)
from spaces.validation import checked
from trainer.benchmarks import BENCHMARKS, Benchmark
from trainer.benchmarks.metrics import METRICS, score, scores
from trainer.benchmarks.registry import check_weights_act
from trainer.models import NETWORKS, build

every_network = pytest.mark.parametrize("name", NETWORKS)


@every_count
@pytest.mark.parametrize("name", METRICS)
def test_a_metric_is_0_to_100_on_any_counts(name: str, counts: npt.NDArray[np.int64]) -> None:
    random = np.random.default_rng(0)
    correct = random.integers(0, counts + 1, (4, len(counts)))
    predicted = correct + random.integers(0, 3, correct.shape)
    together = score(name, correct, predicted, counts)
    assert together is not None
    assert ((together >= 0) & (together <= 100)).all()
    epochs = [score(name, c, p, counts) for c, p in zip(correct, predicted, strict=True)]
    assert together == pytest.approx(np.array(epochs, dtype=np.float64), rel=1e-12)
    assert score(name, counts, counts, counts) == pytest.approx(100.0)
    assert score(name, 0 * counts, counts, counts) == 0.0


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_says_what_it_counts_and_has_a_guess_of_its_noise(name: str) -> None:
    metric = METRICS[name]
    assert metric.words
    assert metric.meaning[-1].isalpha(), "it stands within a sentence"
    assert ("p_c" in metric.formula) == metric.uses_predicted
    assert name in IMAGES
    assert guessed_noise(name, [20, 20]) >= NOISE_SD
    assert guessed_noise(name, [60, 4]) == guessed_noise(name, [60, 0, 4])


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_leaves_out_a_class_without_images_and_needs_what_is_in_its_formula(
    name: str,
) -> None:
    without = score(name, [3, 1], [4, 2], [4, 2])
    assert score(name, [3, 0, 1], [4, 5, 2], [4, 0, 2]) == without
    value = score(name, [3, 1], None, [4, 2])
    assert (value is None) == METRICS[name].uses_predicted
    assert scores([3, 1], None, [4, 2])[name] == value


@pytest.mark.parametrize("benchmark", BENCHMARKS.values(), ids=list(BENCHMARKS))
def test_a_benchmark_is_consistent(benchmark: Benchmark) -> None:
    assert BENCHMARKS[benchmark.name] is benchmark
    assert benchmark.counts.sum() == benchmark.train_images
    assert benchmark.counts[0] == benchmark.max_count
    assert len(benchmark.counts) == benchmark.num_classes
    assert benchmark.resolution >= NETWORKS[benchmark.network].min_resolution
    assert checked(Benchmark, vars(benchmark)) == benchmark, "each field keeps its range"
    assert json.loads(json.dumps(benchmark.to_dict())) == benchmark.to_dict()
    check_weights_act(benchmark)
    for name in STRATEGIES:
        check_recipe(STRATEGIES[name].strategy.recipe(benchmark.counts))


def same(left: nn.Module, right: nn.Module) -> bool:
    pairs = zip(left.state_dict().values(), right.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@every_network
@pytest.mark.parametrize(("channels", "num_classes"), ((3, MANY), (1, 2)))
def test_images_become_one_logit_per_class(name: str, channels: int, num_classes: int) -> None:
    network = build(name, channels, num_classes, seed=0).eval()
    side = NETWORKS[name].min_resolution
    for resolution in (side, side + 3):
        logits = network(torch.zeros(4, channels, resolution, resolution))
        assert logits.shape == (4, num_classes)
        assert logits.dtype == torch.float32


@every_network
def test_a_network_starts_as_a_function_of_the_seed_alone(name: str) -> None:
    torch.manual_seed(1)
    first = build(name, 3, 10, seed=5)
    torch.manual_seed(2)
    assert same(first, build(name, 3, 10, seed=5))
    assert not same(first, build(name, 3, 10, seed=6))
