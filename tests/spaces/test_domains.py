"""Every space of the registry means valid, portable strategies, and refuses what it must."""

from __future__ import annotations

import pytest

from spaces import (
    SPACES,
    Choice,
    Float,
    Space,
    Strategy,
    Weighting,
    WeightingError,
)

BENCHMARKS = {"cifar10lt": (5000, 10, 100), "cifar100lt": (500, 100, 100), "vgg": (500, 100, 50)}
CORE = SPACES["core"]


def test_parameters_set_the_fields_they_name():
    params = {"exponent": 0.5, "bend": "split", "split_quantile": 0.4, "head_ratio": 0.1}
    point = Weighting(exponent=0.5, split_quantile=0.4, head_ratio=0.1)
    assert CORE.strategy(params) == Strategy.of(point)
    assert CORE.strategy({"exponent": 1, "bend": "none"}) == Strategy.of(Weighting(exponent=1))


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
        CORE.strategy(params)


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
        (lambda: Space("s", (), "", ("cb_samplin",)), "s: named: got .*mean .cb_sampling."),
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


def test_the_spaces_of_class_weights_are_as_they_were_recorded():
    assert SPACES["core"].fingerprint() == "e8236dbcbe39e16a"
    assert SPACES["full"].fingerprint() == "c020f7ef8359ce6b"
