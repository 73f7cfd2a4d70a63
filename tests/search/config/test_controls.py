"""Which named weightings run as controls, what is said of the others, and names of long ago."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from concluded import RUNS, TRIALS, shown, text_of
from confirming import drive, manifest_of, steady, whole_run
from forging import forge
from twin import CONTROLS, OBJECTIVE, attempt, make_settings, plan_in

from search.api.planning import chosen_baselines
from search.config.controls import checked_controls, controls_for, default_baselines
from search.config.request import Request
from search.config.settings import fingerprint_of
from search.results.conclusion import Conclusion
from search.session.opening import check_same
from spaces import (
    BASELINES,
    CLASS_WEIGHTS,
    FORMER_NAMES,
    NAMED,
    SPACES,
    STRATEGIES,
    check_weights,
    renamed,
)
from spaces.errors import UserError
from trainer.benchmarks import BENCHMARKS
from trainer.cli import arguments, chosen_strategy

DIGITS = BENCHMARKS["resnet8-digitslt40"].counts
STEEP = (5000, 12, 3)
FORMER = ("uniform", *FORMER_NAMES)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_the_default_controls_of_every_benchmark_differ_and_can_train(name: str) -> None:
    counts = BENCHMARKS[name].counts
    found = checked_controls(make_settings(baselines=BASELINES), [counts])
    assert found.names[:3] == ("uniform", "sqrt_inverse", "inverse")
    assert {*found.names, *found.left_out} == set(BASELINES)
    for control in found.names:
        check_weights(counts, NAMED[control].weighting.weights(counts))


def test_a_replicate_runs_once_and_it_is_said() -> None:
    found = controls_for(BASELINES, [DIGITS])
    assert found.names == CONTROLS
    assert found.left_out == {
        "effective": "effective is the same weighting as inverse on these counts (total variation "
        "0.0007): trained once"
    }


def test_a_replicate_on_one_of_two_benchmarks_runs() -> None:
    cifar = BENCHMARKS["resnet32-cifar10lt"].counts
    assert controls_for(BASELINES, [DIGITS, cifar]).names == BASELINES


def test_uniform_runs_whatever_stands_before_it() -> None:
    assert controls_for(("inverse", "uniform"), [(50, 50, 50)]).names == ("uniform",)


def test_a_default_that_cannot_train_is_left_out_with_a_sentence() -> None:
    found = checked_controls(make_settings(baselines=BASELINES), [STEEP])
    assert found.refused == ("inverse", "effective")
    assert found.left_out["inverse"] == (
        "inverse is no control: it cannot train on these counts (effective-sample fraction: got "
        "0.0043; must be at least 0.10)"
    )


def test_a_control_that_was_asked_for_and_cannot_train_is_refused() -> None:
    with pytest.raises(UserError, match=r"\Abaselines: inverse is no control: .*; leave it out\."):
        checked_controls(make_settings(baselines=("uniform", "inverse")), [STEEP])


@pytest.mark.parametrize("space", SPACES)
def test_the_controls_of_a_space_are_class_weights_and_all_else_that_it_names_runs_after_them(
    space: str,
) -> None:
    baselines = default_baselines(space)
    assert baselines[:3] == ("uniform", "sqrt_inverse", "inverse")
    found = checked_controls(make_settings(space=space, baselines=baselines), [DIGITS])
    named = (*found.names, *found.named)
    assert {*named, *found.left_out} == set(SPACES[space].named)
    kinds = [STRATEGIES[name].strategy.kind == CLASS_WEIGHTS for name in named]
    assert kinds == sorted(kinds, reverse=True)
    assert bool(found.named) == (space not in ("core", "full"))


def test_a_named_strategy_may_be_a_control_and_runs_once() -> None:
    names, named = ("uniform", "drw", "ce", "ldam"), ("inverse", "drw", "vs", "ldam")
    found = controls_for(names, [DIGITS], named)
    assert found.names == ("uniform", "drw", "ldam")
    assert found.named == ("vs",)
    assert found.left_out["ce"].startswith("ce is the same weighting as uniform on these counts")


def test_a_strategy_of_the_space_that_cannot_train_is_left_out_with_a_sentence() -> None:
    found = controls_for(("uniform",), [STEEP], ("inverse", "drw"))
    assert (found.named, found.refused) == ((), ())
    assert found.left_out["drw"].startswith("drw does not run: it cannot train on these counts (")


def test_a_former_name_says_what_it_is_called_now_and_what_it_is() -> None:
    assert renamed(["uniform", "inverse_freq"]) == [
        "inverse_freq is called mlsbench_inverse_freq now: sqrt(N / (C n)), scaled to sum to C "
        "(MLS-Bench class-weighting task, baseline inverse_freq; 1 / n is called inverse)."
    ]
    options = arguments(["--benchmark", "b", "--weighting", "inverse_freq"])
    assert chosen_strategy(options).weighting == NAMED["sqrt_inverse"].weighting
    now = tuple(FORMER_NAMES.values())
    assert make_settings(baselines=tuple(FORMER_NAMES)).baselines == now


def test_a_run_with_former_names_is_shown_and_goes_on(place: Path) -> None:
    now = ("uniform", *FORMER_NAMES.values())
    folder = whole_run(place / "run", steady, TRIALS, RUNS, OBJECTIVE, baselines=now)
    content = json.loads(folder.settings.read_text()) | {"schema_version": 2}
    content["settings"]["baselines"] = FORMER
    content["settings"]["scheduler"] = content["settings"].pop("early_stopping")
    content["fingerprint"] = fingerprint_of(content["settings"])
    folder.settings.write_text(json.dumps(content))
    forge(folder.record, lambda lines: json.loads(json.dumps(lines).replace("mlsbench_", "")))
    text = " ".join(shown(folder).split())
    for name in FORMER_NAMES.values():
        assert f"{name}: {NAMED[name].definition}" in text
    assert "trained once" not in text
    assert Conclusion.of(folder).controls == now
    baselines = chosen_baselines(Request(("small",), resume=True), folder)
    assert baselines == now
    known = folder.read_manifest()
    plan = replace(plan_in(place), folder=folder, settings=known.settings)
    check_same(plan, known, manifest_of(OBJECTIVE, known.settings))
    drive(attempt(folder, known.settings, TRIALS + 3, confirm=True, runs=RUNS), steady)
    assert "Verdict after" in text_of(Conclusion.of(folder))
