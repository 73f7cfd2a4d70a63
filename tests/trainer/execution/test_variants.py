"""Training strategies in a slot: what a recipe changes, when it does, and that a kill does not."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from training import (
    all_equal,
    all_numbers,
    digits_data,
    digits_task,
    digits_trial,
    slot_with,
    train_epoch,
    without_seconds,
)

from spaces import (
    POSTHOC,
    STRATEGIES,
    Augmentation,
    Auxiliary,
    Curriculum,
    Feedback,
    Logits,
    Mixing,
    Ramp,
    Sampling,
    Schedule,
    Smoothing,
    Strategy,
)
from spaces.parts.auxiliary import AuxiliaryTask
from trainer.benchmarks.metrics import score
from trainer.errors import CheckpointError
from trainer.execution import checkpoint
from trainer.execution.augment import epoch_plan
from trainer.execution.engine import Engine
from trainer.execution.loop import save_position, train, train_by_batches
from trainer.execution.slot import Slot
from trainer.results import EpochResult, posthoc_profile
from trainer.trial import Trial

FINGERPRINT = "fe202776988c6246"
"""Of a trial of class weights, from before there were other strategies."""
INVERSE = STRATEGIES["inverse"].strategy.weighting
RISING = Ramp(0.2, 0.8, power=2.0)
CHANGING = {
    "plain": Strategy(
        weights=Schedule(INVERSE, RISING),
        sampling=Sampling(INVERSE, RISING, "mixture"),
        curriculum=Curriculum("easy", full_at=0.9),
    ),
    "general": Strategy(
        weights=Schedule(INVERSE, RISING, "mixture"),
        sampling=Sampling(INVERSE, Ramp(0.3, 0.3), draw="cycled"),
        logits=Logits(additive=1.0, multiplicative=0.1, margin=0.3),
        smoothing=Smoothing(0.2, 0.1),
        curriculum=Curriculum("random", full_at=1.0),
        focusing=0.5,
        adjustment=0.5,
    ),
    "general feedback": Strategy(
        sampling=Sampling(INVERSE, RISING),
        curriculum=Curriculum("hard", "loss", full_at=0.9),
        feedback=Feedback("sampling", 2.0, ramp=Ramp(0.0, 0.9)),
    ),
    "general+cosine": STRATEGIES["ldam_drw"].strategy,
    "plain+regular": Strategy(
        sampling=Sampling(INVERSE), auxiliary=Auxiliary("regular", weight=0.7)
    ),
    "general+mixed": Strategy(
        mixing=Mixing(0.7), augmentation=Augmentation(shift=0.2, flip=0.5, cutout=0.5)
    ),
    "plain+frozen": STRATEGIES["crt"].strategy,
    "general+mixed feedback": Strategy(mixing=Mixing(0.5), feedback=Feedback("weights")),
    "general+cosine+rotation+joint": Strategy(
        sampling=Sampling(INVERSE, Ramp(0.3, 0.3)),
        logits=Logits(margin=0.5, scale=8.0),
        head="cosine",
        auxiliary=Auxiliary("rotation", 0.5, alone_until=0.3, forwards="joint"),
    ),
}
"""For each variant strategies, most of which change from epoch to epoch."""
VARIANTS = tuple({v for s in (*CHANGING.values(), Strategy()) for v in s.variants})


def trial_of(strategy: Strategy, epochs: int = 4, seed: int = 3) -> Trial:
    like = digits_trial(epochs, seed)
    return dataclasses.replace(like, recipe=strategy.recipe(like.benchmark.counts))


def named(name: str, epochs: int = 4) -> Trial:
    return trial_of(STRATEGIES[name].strategy, epochs)


def trained(trial: Trial) -> list[EpochResult]:
    return list(train(trial, digits_task()))


@pytest.mark.parametrize("name", ("drw", "drs"))
def test_a_deferred_strategy_is_uniform_bit_for_bit_until_its_epoch(name: str) -> None:
    uniform, deferred = (without_seconds(trained(named(n, 6))) for n in ("uniform", name))
    assert deferred[:4] == uniform[:4]  # x is 0, .2, .4, .6, .8 and 1
    changed = zip(deferred[4:], uniform[4:], strict=True)
    assert all(mine["train_loss"] != other["train_loss"] for mine, other in changed)


def test_only_the_order_of_an_epoch_that_draws_differs_from_its_plan() -> None:
    trial = named("progressive_sampling")
    slot = slot_with(trial, digits_task())
    for epoch in (1, 2):
        slot.inputs.stage(epoch)
        plan = epoch_plan(3, epoch, 398, trial.benchmark.padding, trial.benchmark.flip)
        same = [
            torch.equal(x, y)
            for x, y in zip(slot.inputs.plan.tensors(), plan.tensors(), strict=True)
        ]
        assert same == [epoch == 1, True, True, True]
    labels = digits_data().train_labels[slot.inputs.plan.order.numpy()]
    assert np.bincount(labels)[0] < np.bincount(digits_data().train_labels)[0]


@pytest.mark.parametrize(  # an epoch has 13 batches to train and 2 to test
    ("name", "batches"),
    (
        *(("plain", 5), ("general", 0), ("general", 14), ("general feedback", 5)),
        *(("plain+regular", 5), ("general+cosine+rotation+joint", 14), ("general+mixed", 5)),
    ),
)
def test_a_kill_in_the_middle_of_a_ramp_goes_on_bit_for_bit(
    name: str, batches: int, tmp_path: Path
) -> None:
    trial = trial_of(CHANGING[name])
    assert str(trial.recipe.variant) == name.split()[0]
    slots = [Slot(trial, digits_task()) for _ in range(3)]
    whole = list(train(trial, digits_task(), slot=slots[0]))
    work = train_by_batches(slots[1], trial, tmp_path, save_every=9)
    assert any(item and item.epoch == 2 for item in work)
    for _ in range(batches):
        assert next(work) is None
    save_position(slots[1], tmp_path)
    resumed = list(train(trial, digits_task(), tmp_path, 9, slots[2]))
    assert without_seconds(resumed) == without_seconds(whole)
    first, last = (all_numbers(slot.network, slot.optimizer) for slot in (slots[0], slots[2]))
    assert all_equal(first, last)


def test_trials_of_all_variants_take_turns_in_a_slot_and_beside_each_other() -> None:
    trials = {
        name: trial_of(strategy, 2, seed)
        for seed, (name, strategy) in enumerate((CHANGING | {"static": Strategy()}).items())
    }
    engine = Engine(lambda: Slot(digits_trial(2), digits_task(), variants=VARIANTS), 2)
    outcomes: dict[object, list[EpochResult]] = {name: [] for name in trials}
    waiting = dict(trials)
    while waiting or engine.jobs:
        if waiting and engine.free:
            name, trial = waiting.popitem()
            engine.begin(name, trial, None, 1, 2)
        for key, outcome in engine.turn().outcomes:
            assert isinstance(outcome, EpochResult)
            outcomes[key].append(outcome)
    for name, trial in trials.items():
        assert without_seconds(outcomes[name]) == without_seconds(trained(trial))


def test_two_branches_of_weight_0_are_class_balanced_sampling_bit_for_bit() -> None:
    balanced = named("cb_sampling")
    task = STRATEGIES["two_branch"].strategy.auxiliary.task
    branches = trial_of(Strategy(sampling=Sampling(INVERSE), auxiliary=Auxiliary(task, weight=0)))
    slots = [Slot(trial, digits_task()) for trial in (balanced, branches)]
    first, second = (
        without_seconds(list(train(trial, digits_task(), slot=slot)))
        for trial, slot in zip((balanced, branches), slots, strict=True)
    )
    assert first == second
    assert slots[0].learner.momenta(slots[0].learner.heads) == [], "it has no heads"
    numbers = ([*slot.network.state_dict().values(), *slot.momenta()] for slot in slots)
    assert all_equal(*numbers)


@pytest.mark.parametrize("task", ("regular", "rotation"))
def test_while_an_auxiliary_task_is_alone_the_classifier_only_decays(task: AuxiliaryTask) -> None:
    trial = trial_of(Strategy(auxiliary=Auxiliary(task, alone_until=0.9)))
    slot = slot_with(trial, digits_task())
    rows, head = slot.learner.classifier.weight, slot.learner.heads[task].weight
    before = [x.detach().clone() for x in (rows, head, slot.network.conv.weight)]
    train_epoch(slot, 1)
    angles = torch.cosine_similarity(rows, before[0], dim=1)
    assert torch.allclose(angles, torch.ones_like(angles), atol=1e-6)
    assert rows.norm() < before[0].norm()
    assert not torch.allclose(head, before[1])
    assert not torch.allclose(slot.network.conv.weight, before[2], atol=1e-3)


@pytest.mark.parametrize("batches", (0, 5))
def test_a_kill_around_retraining_goes_on_bit_for_bit_with_features_as_they_are(
    batches: int, tmp_path: Path
) -> None:
    trial = named("crt")
    slots = [Slot(trial, digits_task()) for _ in range(3)]
    whole = list(train(trial, digits_task(), slot=slots[0]))
    work = train_by_batches(slots[1], trial, tmp_path, save_every=9)
    assert any(item and item.epoch == 3 for item in work)
    before = {name: x.clone() for name, x in slots[1].network.state_dict().items()}
    for _ in range(batches):
        assert next(work) is None
    save_position(slots[1], tmp_path)
    resumed = list(train(trial, digits_task(), tmp_path, 9, slots[2]))
    assert without_seconds(resumed) == without_seconds(whole)
    after = slots[2].network.state_dict()
    assert {name for name in after if not torch.equal(before[name], after[name])} == {
        "linear.weight",
        "linear.bias",
    }
    rates = [result.learning_rate for result in whole]
    assert rates[0] == rates[3] == 0.1, "each stage has a schedule of its own"


@pytest.mark.parametrize(
    ("name", "step", "training"),
    (
        ("ldam_drw", "train general+cosine 32", True),
        ("ldam_drw", "test cosine 500", False),
        ("crt", "train plain+frozen 32", False),
        ("crt", "train plain 32", True),
    ),
)
def test_the_extractor_trains_when_the_network_does(name: str, step: str, training: bool) -> None:
    slot = slot_with(named(name), digits_task())
    slot.steps[step]()
    assert slot.network.training is slot.learner.extractor.training is training


def test_a_slot_refuses_a_variant_that_it_was_not_made_for() -> None:
    with pytest.raises(AssertionError):
        slot_with(digits_trial(), digits_task()).enter(named("logit_adjusted"))


def test_another_recipe_has_another_fingerprint_and_refuses_its_checkpoints(tmp_path: Path) -> None:
    static = digits_trial()
    recipe = static.recipe
    others = (
        dataclasses.replace(recipe, weights_ramp=Ramp(0.8, 0.8)),
        dataclasses.replace(recipe, sampling=recipe.weights),
        dataclasses.replace(recipe, sampling=recipe.weights, draw="cycled"),
        dataclasses.replace(recipe, adjustment=0.25),
        dataclasses.replace(recipe, additive=(0.1,) * 10),
        dataclasses.replace(recipe, focusing=1.0),
        dataclasses.replace(recipe, curriculum=Curriculum("easy")),
        dataclasses.replace(recipe, curriculum=Curriculum("easy", first=0.5)),
    )
    trials = [static, *(dataclasses.replace(static, recipe=other) for other in others)]
    assert len({trial.fingerprint() for trial in trials}) == len(trials)
    list(train(trials[1], digits_task(), tmp_path, save_every=2))
    with pytest.raises(CheckpointError, match="another checkpoint folder"):
        next(train(trials[2], digits_task(), tmp_path))


def test_the_fingerprint_of_class_weights_is_what_it_always_was() -> None:
    assert digits_trial().fingerprint() == FINGERPRINT


@pytest.mark.parametrize(("metric", "held_out"), (("accuracy", False), ("macro_f1", True)))
def test_the_profile_has_every_adjustment_and_the_score_is_that_of_the_recipes(
    metric: str, held_out: bool
) -> None:
    like = digits_trial(2, metric=metric, test_held_out=held_out)
    found = {}
    for entry in (POSTHOC[0], POSTHOC[2], POSTHOC[-1]):
        recipe = dataclasses.replace(
            like.recipe, adjustment=entry.adjustment, tau_norm=entry.tau_norm
        )
        found[entry] = trained(dataclasses.replace(like, recipe=recipe))[-1]
    images = digits_data().half_counts
    for entry, result in found.items():
        assert result.profile == found[POSTHOC[0]].profile
        assert result.profile is not None
        assert result.predicted is not None
        assert len(result.profile) == len(POSTHOC)
        mine = result.profile[POSTHOC.index(entry)]
        for half in (0, 1):
            percent = score(metric, result.correct[half], result.predicted[half], images[half])
            assert mine[half] == round(float(percent), 4)
        assert mine[2] == round(result.score, 4)
    assert len({result.score for result in found.values()}) == 3


def test_a_record_without_a_profile_is_read() -> None:
    result = trained(digits_trial(1))[0]
    row = result.to_dict()
    assert row.pop("profile")
    assert EpochResult.from_dict(row) == dataclasses.replace(result, profile=None)


def test_a_half_without_images_has_no_scores() -> None:
    counts = np.zeros((2, 2, 2, 3), dtype=np.int64)
    profile = posthoc_profile(counts, [[1, 1, 1], [0, 0, 0]], "accuracy", False)
    assert profile == ((0.0, None, 0.0), (0.0, None, 0.0))


@pytest.mark.parametrize("batches", (5, 14))
def test_a_position_from_before_adjustments_were_measured_goes_on_bit_for_bit(
    batches: int, tmp_path: Path
) -> None:
    trial = digits_trial(2)
    slot = Slot(trial, digits_task())
    work = train_by_batches(slot, trial, tmp_path, save_every=9)
    for _ in range(batches):
        assert next(work) is None
    state = slot.state()
    state["within"]["totals"] = state["within"]["totals"][: 2 + 4 * 10]
    del state["within"]["said"], state["within"]["test_batch"], state["examined"]
    checkpoint.save(tmp_path, 0, state)
    resumed = list(train(trial, digits_task(), tmp_path))
    assert without_seconds(resumed) == without_seconds(trained(trial))
