"""Every row of every registry keeps its contract; a new row is tested as soon as it is there."""

import itertools
import json
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import optuna
import pytest
import torch
from torch import nn
from training import threads

from search.samplers import candidates
from search.samplers.candidates import cover
from search.samplers.registry import (
    OPTUNA_SAMPLERS,
    SAMPLERS,
    STARTUP_TRIALS,
    draw,
    make_sampler,
)
from search.samplers.sequential_design import Asked, SequentialDesign, start_points
from search.samplers.shares_model import ModelPrior, SharesModel
from search.stats.priors import IMAGES, NOISE_SD, guessed_noise
from search.stopping.rules import STOPPING_RULES
from spaces import (
    BASELINES,
    NAMED,
    NORMALIZATIONS,
    SPACES,
    STRATEGIES,
    Choice,
    ParameterValue,
    Recipe,
    Space,
    Strategy,
    Weighting,
    WeightingError,
    check_recipe,
    in_words,
    schedule_shares,
)
from spaces.validation import checked
from trainer.benchmarks import BENCHMARKS, Benchmark
from trainer.benchmarks.metrics import METRICS, score, scores
from trainer.benchmarks.registry import check_weights_act
from trainer.models import NETWORKS, build
from trainer.trial import SCALE_FREE_LOSS

MANY = 8142
"""Classes of iNaturalist 2018, of 2 to 1,000 training images."""


def long_tail(largest: int, classes: int, ratio: float) -> npt.NDArray[np.int64]:
    return (largest * ratio ** (-np.arange(classes) / (classes - 1))).astype(np.int64)


COUNTS = {
    "cifar10lt": long_tail(5000, 10, 100),
    "cifar100lt": long_tail(500, 100, 100),
    "vgg": long_tail(500, 100, 50),
    "ties": np.array([500, 3, 40, 500, 40, 3, 40]),
    "equal": np.full(5, 20),
    "two-classes": np.array([500, 3]),
    "one-class": np.array([7]),
    "many-classes": long_tail(1000, MANY, 500),
}
every_count = pytest.mark.parametrize("counts", COUNTS.values(), ids=list(COUNTS))
every_network = pytest.mark.parametrize("name", NETWORKS)


def check_contract(point: Weighting, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Check what holds of every weighting on counts (C,); return its weights (C,)."""
    weights = point.weights(counts)
    assert weights.shape == counts.shape
    assert weights.dtype == np.float64
    assert np.isfinite(weights).all()
    assert (weights > 0).all()
    assert np.array_equal(point.weights(counts), weights)
    _, first, which = np.unique(counts, return_index=True, return_inverse=True)
    assert np.array_equal(weights[first][which], weights)  # classes of one size have one weight
    assert Weighting.from_dict(json.loads(json.dumps(point.to_dict()))) == point
    return weights


@every_count
@pytest.mark.parametrize("name", NAMED)
def test_a_named_weighting_weighs_every_class_on_any_counts(
    name: str, counts: npt.NDArray[np.int64]
) -> None:
    weights = check_contract(NAMED[name].weighting, counts)
    assert weights.mean() == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("name", NAMED)
def test_a_named_weighting_has_its_formula_and_source(name: str) -> None:
    assert NAMED[name].name == name
    assert NAMED[name].formula
    assert NAMED[name].source


def check_strategy(strategy: Strategy, counts: npt.NDArray[np.int64]) -> Recipe:
    """Check what holds of every strategy on counts (C,); return its recipe."""
    check_contract(strategy.weighting, counts)
    recipe = strategy.recipe(counts)  # refuses what is not finite
    assert Strategy.from_dict(json.loads(json.dumps(strategy.to_dict()))) == strategy
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    shares = schedule_shares(recipe)
    assert shares.min() > 0
    assert shares.sum(axis=-1) == pytest.approx(1.0, rel=1e-9)
    epochs = recipe.first_constant_epoch(5), 5
    assert recipe.loss_weights(*epochs).mean() == pytest.approx(1.0, rel=1e-9)
    probabilities = recipe.class_probabilities(*epochs)
    assert probabilities is None or probabilities.sum() == pytest.approx(1.0, rel=1e-9)
    assert in_words(strategy, counts)
    return recipe


@every_count
@pytest.mark.parametrize("name", [name for name in STRATEGIES if name not in NAMED])
def test_a_named_strategy_has_a_recipe_on_any_counts(
    name: str, counts: npt.NDArray[np.int64]
) -> None:
    check_strategy(STRATEGIES[name].strategy, counts)


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_named_strategy_has_its_formula_and_source_and_known_benchmarks(name: str) -> None:
    named = STRATEGIES[name]
    assert named.name == name
    assert named.formula
    assert named.source
    for published in named.published:
        assert published.accuracies.keys() <= BENCHMARKS.keys()
        assert all(0 < value < 100 for value in published.accuracies.values())
        assert published.source


def test_every_named_weighting_is_a_named_strategy_of_its_class_weights() -> None:
    found = {name: STRATEGIES[name].strategy for name in NAMED}
    assert found == {name: Strategy.of(named.weighting) for name, named in NAMED.items()}


def test_the_baselines_are_named_and_uniform_is_the_first() -> None:
    assert BASELINES[0] == "uniform"
    assert set(BASELINES) <= NAMED.keys()


def random_point(
    space: Space, random: np.random.Generator, static: bool = False
) -> dict[str, ParameterValue]:
    """One random assignment; ``static`` also draws the parameters that the switches leave out."""
    params: dict[str, ParameterValue] = {}
    for domain in space.searched(scale_free=True):
        if not static and not space.active(domain, params):
            continue
        if isinstance(domain, Choice):
            params[domain.name] = str(random.choice(domain.choices))
        elif domain.log:
            log_value = random.uniform(np.log(domain.low), np.log(domain.high))
            params[domain.name] = float(np.clip(np.exp(log_value), domain.low, domain.high))
        else:
            params[domain.name] = float(random.uniform(domain.low, domain.high))
    return params


@every_count
@pytest.mark.parametrize("name", SPACES)
def test_a_point_of_a_space_weighs_every_class_on_any_counts(
    name: str, counts: npt.NDArray[np.int64]
) -> None:
    random, space, refused = np.random.default_rng(0), SPACES[name], 0
    draws = 2 if len(counts) == MANY else 12
    for _ in range(draws):
        params = json.loads(json.dumps(random_point(space, random)))
        strategy = space.strategy(params)
        recipe = check_strategy(strategy, counts)
        assert recipe.variants <= space.variants
        normalization = str(random.choice(NORMALIZATIONS))
        other = space.strategy(params | {"normalization": normalization})
        assert other.key(counts) == strategy.key(counts)
        try:
            check_recipe(recipe)
        except WeightingError:
            refused += 1
    assert refused <= draws * 0.7


@pytest.mark.parametrize("name", SPACES)
def test_a_static_draw_means_the_same_as_its_active_part(name: str) -> None:
    random, space = np.random.default_rng(1), SPACES[name]
    for _ in range(50):
        params = random_point(space, random, static=True)
        active = {d.name: params[d.name] for d in space.searched(True) if space.active(d, params)}
        assert space.strategy(params) == space.strategy(active)


@pytest.mark.parametrize("name", SPACES)
def test_a_space_has_its_name_and_a_description_and_searches_scale_only_where_it_acts(
    name: str,
) -> None:
    space = SPACES[name]
    assert space.name == name
    assert space.description
    assert space.named[0] == "uniform"
    assert set(space.named) <= STRATEGIES.keys()
    assert space.collapsed(scale_free=True) == ("normalization",)
    assert space.collapsed(scale_free=False) == ()
    assert space.searched(scale_free=False) == space.domains
    assert [d.name for d in space.searched(scale_free=True)] == [
        d.name for d in space.domains if d.name != "normalization"
    ]


def proposed(
    sampler: str, space: Space, attempt: int, trials: int = STARTUP_TRIALS + 7
) -> list[dict[str, ParameterValue]]:
    """Return what a sampler proposes where a third of the trials are stopped early."""
    study = optuna.create_study(direction="maximize", sampler=make_sampler(sampler, 7, attempt))
    found = []
    for number in range(trials):
        trial = study.ask()
        domains = space.searched(SCALE_FREE_LOSS)
        found.append(draw(trial, space, domains, OPTUNA_SAMPLERS[sampler].conditional))
        value = float(np.random.default_rng(number).uniform(20, 80))
        trial.report(value, 5)
        if number % 3 == 1:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            study.tell(trial, value)
    return found


@pytest.mark.parametrize("name", OPTUNA_SAMPLERS)
def test_proposals_lie_in_the_space_and_follow_from_seed_and_attempt(name: str) -> None:
    space = SPACES["core"]
    found = proposed(name, space, attempt=3)
    assert proposed(name, space, attempt=3) == found
    other = proposed(name, space, attempt=4, trials=3)
    assert (other != found[:3]) == OPTUNA_SAMPLERS[name].fresh_seed
    for params in found:
        check_strategy(space.strategy(params), COUNTS["ties"])  # refuses what no domain holds
    assert len({json.dumps(params) for params in found}) == len(found)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sampler_says_how_it_proposes_and_is_made_without_a_warning(name: str) -> None:
    assert SAMPLERS[name].summary
    if name in OPTUNA_SAMPLERS:
        assert isinstance(make_sampler(name, 7, 1), optuna.samplers.BaseSampler)


@pytest.mark.parametrize("space", [s.name for s in SPACES.values() if s.class_weights_alone])
@pytest.mark.parametrize("counts", ("ties", "two-classes", "one-class"))
def test_a_design_asks_for_points_of_the_space_and_repeats_none_with_its_seed(
    monkeypatch: pytest.MonkeyPatch, space: str, counts: str
) -> None:
    monkeypatch.setattr(candidates, "POINTS", 256)
    named = [NAMED["uniform"].weighting]
    found = cover(SPACES[space], [COUNTS[counts]], named, most=30)
    design = SequentialDesign(SharesModel(found, ModelPrior()), start_points(found, powers=False))
    trials: list[Asked] = []
    for number in range(24):
        (asked,) = design.ask(trials, 1)
        trials.append(Asked(asked.candidate, asked.seed, float(50 + number % 5)))
    assert len({(trial.candidate, trial.seed) for trial in trials}) == 24
    for trial in trials:
        params = found.params[trial.candidate]
        strategy = Strategy.of(found.weightings[trial.candidate])
        assert params is None or SPACES[space].strategy(params) == strategy
        check_strategy(strategy, COUNTS[counts])


Event = tuple[str, int, float]


def observations(seed: int) -> list[Event]:
    """Return what 30 trials reach at 16 epochs, in any order, with ties."""
    random = np.random.default_rng(seed)
    pairs = random.permutation(list(itertools.product(range(30), range(1, 17))))
    return [(f"trial-{n}", int(epoch), float(random.integers(30))) for n, epoch in pairs]


@pytest.mark.parametrize("name", STOPPING_RULES)
def test_the_first_trial_and_epochs_off_the_rungs_never_stop(name: str) -> None:
    rule = STOPPING_RULES[name](2, 2, 20)
    assert not any(rule.observe("first", epoch, 0.0) for epoch in range(1, 21))
    for number in range(20):
        rule.observe(f"trial-{number}", 2, 50.0)
    off = [epoch for epoch in range(1, 21) if epoch not in rule.rungs]
    assert not any(rule.observe("last", epoch, 0.0) for epoch in off)
    assert list(rule.rungs) == sorted({rung for rung in rule.rungs if 2 <= rung < 20})


@pytest.mark.parametrize("name", STOPPING_RULES)
def test_a_repeated_observation_changes_nothing(name: str) -> None:
    once, twice = STOPPING_RULES[name](1, 2, 16), STOPPING_RULES[name](1, 2, 16)
    for key, epoch, value in observations(0):
        assert once.observe(key, epoch, value) == twice.observe(key, epoch, value)
        assert not twice.observe(key, epoch, value)
        assert not twice.observe(key, epoch, value - 50.0)


@pytest.mark.parametrize("name", STOPPING_RULES)
def test_rungs_rebuilt_in_any_order_decide_alike(name: str) -> None:
    events = observations(1)
    lived, rebuilt = STOPPING_RULES[name](1, 2, 16), STOPPING_RULES[name](1, 2, 16)
    for event in events[:200]:
        lived.observe(*event)
    for event in sorted(events[:200]):
        rebuilt.observe(*event)
    for event in events[200:]:
        assert rebuilt.observe(*event) == lived.observe(*event)


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


def test_fingerprints_tell_the_rows_apart() -> None:
    for rows in (SPACES.values(), BENCHMARKS.values()):
        assert len({row.fingerprint() for row in rows}) == len(rows)


@pytest.fixture
def one_thread() -> Iterator[None]:
    with threads(1):
        yield


def same(left: nn.Module, right: nn.Module) -> bool:
    pairs = zip(left.state_dict().values(), right.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@every_network
@pytest.mark.parametrize(("channels", "num_classes"), ((3, MANY), (1, 2)))
@pytest.mark.usefixtures("one_thread")
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
