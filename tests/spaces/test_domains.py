"""Does every space of the registry mean valid, portable weightings, and refuse what it must?"""

from __future__ import annotations

import json

import numpy as np
import pytest

from spaces import (
    NORMALIZATIONS,
    SPACES,
    Choice,
    Float,
    Space,
    Weighting,
    WeightingError,
    check_weights,
    weighting_key,
)

BENCHMARKS = {"cifar10lt": (5000, 10, 100), "cifar100lt": (500, 100, 100), "vgg": (500, 100, 50)}
CORE = SPACES["core"]


def benchmark_counts(name):
    n_max, classes, ratio = BENCHMARKS[name]
    return np.array([int(n_max * (1 / ratio) ** (i / (classes - 1))) for i in range(classes)])


def draw(space, rng, *, static=False):
    """One random assignment; `static` also draws the parameters that the switches leave out."""
    params = {}
    for domain in space.searched(scale_free=True):
        if not static and not space.active(domain, params):
            continue
        if isinstance(domain, Choice):
            params[domain.name] = str(rng.choice(domain.choices))
        elif domain.log:
            log_value = rng.uniform(np.log(domain.low), np.log(domain.high))
            params[domain.name] = float(np.clip(np.exp(log_value), domain.low, domain.high))
        else:
            params[domain.name] = float(rng.uniform(domain.low, domain.high))
    return params


@pytest.mark.parametrize("benchmark", BENCHMARKS)
@pytest.mark.parametrize("name", SPACES)
def test_random_draws_give_weights_that_are_valid_portable_and_scale_free(name, benchmark):
    rng, counts, space = np.random.default_rng(0), benchmark_counts(benchmark), SPACES[name]
    refused = 0
    for _ in range(200):
        params = draw(space, rng)
        point = space.weighting(json.loads(json.dumps(params)))
        weights = point.weights(counts)
        assert np.isfinite(weights).all()
        assert (weights > 0).all()
        assert Weighting.from_dict(point.to_dict()) == point
        keys = {
            weighting_key(space.weighting(params | {"normalization": n}).weights(counts))
            for n in NORMALIZATIONS
        }
        assert keys == {weighting_key(weights)}
        try:
            check_weights(counts, weights)
        except WeightingError:
            refused += 1
    assert refused < 50


@pytest.mark.parametrize("name", SPACES)
def test_a_static_draw_means_the_same_as_its_active_part(name):
    rng, space = np.random.default_rng(1), SPACES[name]
    for _ in range(50):
        params = draw(space, rng, static=True)
        active = {d.name: params[d.name] for d in space.searched(True) if space.active(d, params)}
        assert space.weighting(params) == space.weighting(active)


@pytest.mark.parametrize("name", SPACES)
def test_the_registry_knows_each_space_by_its_own_name(name):
    assert SPACES[name].name == name
    assert SPACES[name].description


@pytest.mark.parametrize("name", SPACES)
def test_normalization_is_searched_only_where_scale_acts(name):
    space = SPACES[name]
    assert space.collapsed(scale_free=True) == ("normalization",)
    assert space.collapsed(scale_free=False) == ()
    assert space.searched(scale_free=False) == space.domains
    assert [d.name for d in space.searched(scale_free=True)] == [
        d.name for d in space.domains if d.name != "normalization"
    ]


def test_parameters_set_the_fields_they_name():
    params = {"exponent": 0.5, "bend": "split", "split_quantile": 0.4, "head_ratio": 0.1}
    point = Weighting(exponent=0.5, split_quantile=0.4, head_ratio=0.1)
    assert CORE.weighting(params) == point
    assert CORE.weighting({"exponent": 1, "bend": "none"}) == Weighting(exponent=1)


def test_an_absent_switch_value_leaves_its_parameters_inactive():
    nu = next(domain for domain in CORE.domains if domain.name == "nu")
    assert CORE.active(nu, {"bend": "effective"})
    assert not CORE.active(nu, {"bend": "none"})
    assert not CORE.active(nu, {})


@pytest.mark.parametrize(
    ("params", "sentence"),
    (
        ({"bend": "none"}, "exponent: is missing; space 'core' needs it"),
        ({"exponent": 1}, "bend: is missing"),
        ({"exponent": 1, "bend": "effective"}, "nu: is missing; .*where bend=effective"),
        ({"exponent": 2, "bend": "none"}, r"exponent: got 2; must be a number in \[0.05, 1.25\]"),
        ({"exponent": "1", "bend": "none"}, "exponent: got '1'"),
        ({"exponent": True, "bend": "none"}, "exponent: got True"),
        ({"exponent": float("nan"), "bend": "none"}, "exponent: got nan"),
        ({"exponent": 1, "bend": "spilt"}, "bend: got 'spilt'; .*did you mean 'split'"),
        ({"exponent": 1, "bend": "none", "exponnt": 1}, "exponnt: got 1; .*'exponent'"),
        ({"exponent": 1, "bend": "none", "link": 0.5}, "link: .*not a parameter of space 'core'"),
    ),
)
def test_parameters_outside_the_space_are_refused(params, sentence):
    with pytest.raises(WeightingError, match=sentence):
        CORE.weighting(params)


@pytest.mark.parametrize(
    ("declare", "sentence"),
    (
        (lambda: Float("exponent", 1, 1), r"exponent: got \[1, 1\]; must be finite with low"),
        (lambda: Float("exponent", 0, float("inf")), "must be finite"),
        (lambda: Float("nu", 0, 1, log=True), "nu: got low=0 with log=True"),
        (lambda: Choice("bend", ("none",)), "two or more different words"),
        (lambda: Choice("bend", ("none", "none")), "two or more different words"),
        (lambda: Space("s", (Float("link", 0, 1),) * 2, ""), "'link' is declared twice"),
        (lambda: Space("s", (Float("gamma", 0, 1),), ""), "'gamma' neither sets a field"),
        (lambda: Space("s", (Float("link", 0, 1, when=("a", "b")),), ""), "link: got when="),
        (
            lambda: Space("s", (Choice("a", ("x", "y")), Float("link", 0, 1, when=("a", "z"))), ""),
            "link: got when=",
        ),
    ),
)
def test_a_declaration_that_makes_no_sense_is_refused(declare, sentence):
    with pytest.raises(WeightingError, match=sentence):
        declare()


def test_a_fingerprint_tells_declarations_apart_and_ignores_the_description():
    one = Space("s", (Float("link", 0, 1),), "one")
    assert one.fingerprint() == Space("s", (Float("link", 0, 1),), "two").fingerprint()
    assert one.fingerprint() != Space("s", (Float("link", 0, 0.9),), "one").fingerprint()
    assert len({space.fingerprint() for space in SPACES.values()}) == len(SPACES)
