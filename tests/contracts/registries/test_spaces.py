"""Every named weighting, strategy and space keeps its contract; a new row is tested at once."""

import json

import numpy as np
import numpy.typing as npt
import pytest
from registered import MANY, check_contract, check_strategy, every_count

from spaces import (
    BASELINES,
    NAMED,
    NORMALIZATIONS,
    SPACES,
    STRATEGIES,
    Choice,
    ParameterValue,
    Space,
    Strategy,
    WeightingError,
    check_recipe,
)
from trainer.benchmarks import BENCHMARKS


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
    variants = space.variants  # of thousands of recipes, every time it is asked for
    for _ in range(draws):
        params = json.loads(json.dumps(random_point(space, random)))
        strategy = space.strategy(params)
        recipe = check_strategy(strategy, counts)
        assert recipe.variants <= variants
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


def test_fingerprints_tell_the_rows_apart() -> None:
    for rows in (SPACES.values(), BENCHMARKS.values()):
        assert len({row.fingerprint() for row in rows}) == len(rows)
