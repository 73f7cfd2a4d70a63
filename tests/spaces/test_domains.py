"""Every space of the registry means valid, portable strategies, and refuses what it must."""

from __future__ import annotations

from dataclasses import replace

import pytest

from spaces import (
    SPACES,
    Auxiliary,
    Choice,
    Curriculum,
    Feedback,
    Float,
    Logits,
    Mixing,
    Ramp,
    Sampling,
    Schedule,
    Smoothing,
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


WIDE = {"exponent": 0.5, "bend": "none", "deferral": "on", "weight_begin": 0.5, "weight_span": 0.5}
WIDE |= {"ramp_power": 2.0, "sampler": "on", "sampling_exponent": 1.0, "draw": "cycled"}
WIDE |= {"sampling_deferral": "on", "sampling_begin": 0.0, "sampling_span": 1.0, "mix": "mixture"}
WIDE |= {"loss": "ldam", "margin": 0.5, "margin_power": 0.5, "smoothing": "on"}
WIDE |= {"smoothing_head": 0.4, "smoothing_tail": 0.1}
WIDE |= {"curriculum": "on", "order": "hard", "difficulty": "contrast", "first": 0.5}
WIDE |= {"full_at": 0.6, "pace_power": 2.0, "feedback": "on", "onto": "weights"}
WIDE |= {"strength": 0.5, "memory": 0.9, "feedback_begin": 0.2}
WIDE |= {"branch": "on", "auxiliary": "rotation", "auxiliary_weight": 0.5, "alone_until": 0.2}
WIDEST = SPACES["strategies"]


def test_parameters_compose_a_strategy():
    assert WIDEST.strategy(WIDE) == Strategy(
        weights=Schedule(Weighting(exponent=0.5), Ramp(0.5, 0.75, 2.0)),
        sampling=Sampling(Weighting(exponent=1), Ramp(0, 1), "mixture", "cycled"),
        logits=Logits(margin=0.5, margin_power=0.5),
        smoothing=Smoothing(0.4, 0.1),
        curriculum=Curriculum("hard", "contrast", first=0.5, full_at=0.6, power=2.0),
        feedback=Feedback("weights", 0.5, 0.9, ramp=Ramp(0.2, 0.2)),
        auxiliary=Auxiliary("rotation", 0.5, 0.2),
    )


@pytest.mark.parametrize(
    ("params", "strategy"),
    (
        ({"weight_span": 0}, {"weights": Schedule(Weighting(exponent=0.5), Ramp(0.5, 0.5))}),
        (
            {"weight_begin": 0.9, "weight_span": 1.0, "ramp_power": 1.0},
            {"weights": Schedule(Weighting(exponent=0.5), Ramp(0.9, 1.0))},
        ),
        ({"deferral": "off"}, {"weights": Schedule(Weighting(exponent=0.5))}),
        ({"sampler": "off"}, {"sampling": Sampling()}),
        (
            {"sampling_span": 0.0},
            {"sampling": Sampling(Weighting(exponent=1), draw="cycled")},
        ),
        (
            {"sampling_deferral": "off"},
            {"sampling": Sampling(Weighting(exponent=1), draw="cycled")},
        ),
        ({"loss": "ce"}, {"logits": Logits()}),
        ({"loss": "focal", "focusing": 2.0}, {"logits": Logits(), "focusing": 2.0}),
        (
            {"loss": "shifted", "additive": 1.0, "multiplicative": 0.0},
            {"logits": Logits(additive=1)},
        ),
        ({"smoothing": "off"}, {"smoothing": Smoothing()}),
        ({"curriculum": "off"}, {"curriculum": Curriculum()}),
        ({"feedback": "off"}, {"feedback": Feedback()}),
        (
            {"onto": "sampling"},
            {
                "sampling": Sampling(Weighting(exponent=1), Ramp(0, 1), "mixture"),
                "feedback": Feedback("sampling", 0.5, 0.9, ramp=Ramp(0.2, 0.2)),
            },
        ),
        (
            {"order": "random", "pace_power": 1.0},
            {"curriculum": Curriculum("random", first=0.5, full_at=0.6)},
        ),
        ({"branch": "off", "mixing": "off"}, {"auxiliary": Auxiliary()}),
        (
            {"branch": "off", "mixing": "on", "mixing_probability": 0.3},
            {"auxiliary": Auxiliary(), "mixing": Mixing(0.3)},
        ),
        ({"auxiliary": "regular"}, {"auxiliary": Auxiliary("regular", 0.5)}),
    ),
)
def test_a_switch_and_a_bound_of_a_range_change_their_part_alone(params, strategy):
    assert WIDEST.strategy(WIDE | params) == replace(WIDEST.strategy(WIDE), **strategy)


def test_a_space_knows_the_steps_that_it_may_need():
    tasks = ("regular", "rotation")
    branches = {"plain", *(f"plain+{task}" for task in tasks)}
    losses = {"plain", "general", "general+cosine"}
    both = {f"general+{task}" for task in tasks}
    assert {name: set(map(str, space.variants)) for name, space in SPACES.items()} == {
        **{name: {"plain"} for name in ("core", "full", "schedule", "sampling")},
        "losses": losses,
        "curriculum": {"plain", "general"},
        "branches": branches,
        "strategies": losses | branches | both | {"general+mixed", "plain+frozen"},
    }


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
