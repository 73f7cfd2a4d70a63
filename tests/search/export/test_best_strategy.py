"""The exported module of a strategy: class weights, draws and losses that change between epochs."""

from __future__ import annotations

import ast
import itertools
import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from exporting import EVERYTHING, RICH, load
from repository import REPOSITORY
from torch import nn

from search.export.module_template import render_module
from spaces import (
    STRATEGIES,
    Curriculum,
    Feedback,
    Logits,
    Ramp,
    Sampling,
    Schedule,
    Smoothing,
    Strategy,
    Weighting,
)
from trainer.strategies.loss import LossTerms, general_loss, packed_terms

COUNTS = [50, 20, 20, 5]
LABELS = [label for label, count in enumerate(COUNTS) for _ in range(count)]
INVERSE = Weighting(exponent=1.0)
LATE = Ramp(begin=0.75, end=0.75)
LINEAR = Ramp(end=1.0)
COSINE = STRATEGIES["ldam_drw"].strategy
BALANCED = Strategy(sampling=Sampling(INVERSE))


@pytest.mark.parametrize(
    "strategy",
    (EVERYTHING, COSINE, replace(COSINE, curriculum=EVERYTHING.curriculum), Strategy.of(RICH)),
    ids=("strategy", "cosine", "both parts", "weights"),
)
def test_the_module_is_sorted_and_formatted_as_this_project_is(strategy):
    text = render_module(strategy, None, {}, {}, "key")
    for command in (("check",), ("format", "--check")):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--stdin-filename", "best_strategy.py", "-"],
            input=text,
            capture_output=True,
            text=True,
            cwd=REPOSITORY,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_module_imports_torch_and_the_standard_library_alone():
    tree = ast.parse(render_module(EVERYTHING, None, {}, {}, "key"))
    imported = [n for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom)]
    names = {getattr(n, "module", None) or n.names[0].name for n in imported}
    assert {name.split(".")[0] for name in names} <= {"torch", *sys.stdlib_module_names}


def test_the_module_says_its_kind_and_what_it_needs():
    module = render_module(EVERYTHING, None, {}, {"protocol": "the fixed one"}, "key")
    told = ast.get_docstring(ast.parse(module))
    words = " ".join(told.split())
    assert f"{EVERYTHING.describe()} (kind: {EVERYTHING.kind}) Class weights alone do not" in words
    needed = ("weights_at", "EpochSampler", "CurriculumSampler", "loss_at", "adjust_classifier")
    assert words.count(" - ") == len(needed)
    assert all(f": {name}" in words for name in needed)
    assert 'protocol: "the fixed one"' in told
    assert "cosines of features and rows: CosineClassifier" in render_module(
        COSINE, None, {}, {}, "key"
    )


def test_the_module_says_by_which_running_loss_images_are_opened():
    by_loss = Strategy(curriculum=Curriculum("easy", "loss"), feedback=Feedback(memory=0.6))
    told = ast.get_docstring(ast.parse(render_module(by_loss, None, {}, {}, "key")))
    average = "from epoch 2 on, the moving average 0.6 a + 0.4 l of each image's cross entropy l"
    assert average in " ".join(told.split())


def test_deferred_weights_are_equal_and_then_those_of_the_weighting():
    module = load(Strategy(weights=Schedule(INVERSE, LATE)))
    full = module["compute_class_weights"](COUNTS, 4, {})
    np.testing.assert_allclose(full, INVERSE.weights(COUNTS), rtol=1e-6)
    for epoch in range(1, 9):
        weights = module["weights_at"](COUNTS, epoch, 8)
        assert torch.equal(weights, torch.ones(4) if epoch < 7 else full)


@pytest.mark.parametrize(
    ("mix", "halfway"),
    (("power", np.array(COUNTS) ** -0.5), ("mixture", 0.5 + 0.5 * 95 / 4 / np.array(COUNTS))),
)
def test_weights_halfway_up_a_ramp_are_a_power_or_a_mixture(mix, halfway):
    module = load(Strategy(weights=Schedule(INVERSE, LINEAR, mix)))
    weights = module["weights_at"](COUNTS, 3, 5)
    np.testing.assert_allclose(weights, halfway / halfway.mean(), rtol=1e-6)


@pytest.mark.parametrize(
    ("mix", "shares"),
    (
        ("power", np.sqrt(COUNTS) / np.sqrt(COUNTS).sum()),
        ("mixture", (np.array(COUNTS) / 95 + 1 / 4) / 2),
    ),
)
def test_images_are_drawn_with_a_power_or_a_mixture(mix, shares):
    module = load(Strategy(sampling=Sampling(INVERSE, LINEAR, mix)))
    weights = module["sample_weights"](torch.tensor(LABELS)[torch.randperm(95)], 3, 5)
    assert weights.mean().item() == pytest.approx(1)
    by_class = module["sample_weights"](LABELS, 3, 5).numpy()
    drawn = np.bincount(LABELS, weights=by_class) / 95
    np.testing.assert_allclose(drawn, shares, rtol=1e-12)


@pytest.mark.parametrize("kind", ("reversed", "other bytes", "series"))
def test_labels_of_any_array_are_taken_in_their_order(kind):
    pandas = pytest.importorskip("pandas")
    form = {
        "reversed": np.array(LABELS[::-1])[::-1],
        "other bytes": np.array(LABELS).astype(">i8"),
        "series": pandas.Series(LABELS, index=range(100, 195)),
    }[kind]
    sample_weights = load(BALANCED)["sample_weights"]
    assert torch.equal(sample_weights(form, 1, 1), sample_weights(LABELS, 1, 1))


@pytest.mark.parametrize("draw", ("independent", "cycled", None))
def test_the_samplers_do_not_depend_on_the_default_device(draw):
    sampling = Sampling(INVERSE, draw=draw) if draw else Sampling()
    module = load(Strategy(sampling=sampling, curriculum=Curriculum("easy", first=0.4)))
    torch.set_default_device("meta")
    try:
        sampler = module["CurriculumSampler"](module["EpochSampler"](LABELS, 4), LABELS)
        sampler.set_epoch(2)
        order = list(sampler)
    finally:
        torch.set_default_device(None)
    assert len(order) == 95


def test_classes_without_images_have_no_part_in_the_draw():
    module = load(BALANCED)
    labels = [0, 0, 0, 7]
    assert module["sample_weights"](labels, 1, 1).tolist() == pytest.approx([2 / 3] * 3 + [2])


def test_the_sampler_shows_each_image_once_until_the_strategy_acts():
    module = load(Strategy(sampling=Sampling(INVERSE, LATE)))
    sampler = module["EpochSampler"](LABELS, 4, torch.Generator().manual_seed(1))
    sampler.set_epoch(3)
    first, second = list(sampler), list(sampler)
    assert sorted(first) == sorted(second) == list(range(95))
    assert first != second
    assert set(module["sample_weights"](LABELS, 3, 4).tolist()) == {1.0}
    sampler.set_epoch(4)
    shown = [label for _ in range(50) for label in np.take(LABELS, list(sampler))]
    assert np.bincount(shown) / len(shown) == pytest.approx([0.25] * 4, abs=0.02)


@pytest.mark.parametrize("draw", ("independent", "cycled"))
def test_a_subclass_that_is_a_share_of_the_order_is_a_share_of_all_images(draw):
    module = load(Strategy(sampling=Sampling(INVERSE, LATE, draw=draw)))

    class Third(module["EpochSampler"]):
        def __len__(self):
            return 31

        def __iter__(self):
            return itertools.islice(super().__iter__(), 0, 93, 3)

    for epoch in (1, 4):
        shown = set()
        for seed in range(40):
            sampler = Third(LABELS, 4, torch.Generator().manual_seed(seed))
            sampler.set_epoch(epoch)
            order = list(sampler)
            assert len(order) == len(sampler)
            shown |= set(order)
        assert shown == set(range(95))


def test_cycled_draws_repeat_no_image_before_all_of_its_class_were_shown():
    module = load(Strategy(sampling=Sampling(INVERSE, draw="cycled")))
    sampler = module["EpochSampler"](LABELS, 3, torch.Generator().manual_seed(1))
    shown = []
    for epoch in (1, 2, 3):
        sampler.set_epoch(epoch)
        order = list(sampler)
        assert len(order) == len(sampler) == 95
        shown += order
        times = np.bincount(shown, minlength=95)
        for label in range(4):
            of_class = times[np.array(LABELS) == label]
            assert of_class.max() - of_class.min() <= 1
    assert times[:50].max() < times[90:].min()


def test_a_sampler_without_an_epoch_is_refused():
    sampler = load(BALANCED)["EpochSampler"](LABELS, 4)
    with pytest.raises(ValueError, match="call set_epoch"):
        iter(sampler)


def image_loss(logits, label, strategy):
    """The loss of one image, in plain Python."""
    terms, smoothing = strategy.logits, strategy.smoothing
    z = []
    for j, (count, logit) in enumerate(zip(COUNTS, logits, strict=True)):
        logit *= (count / 50) ** terms.multiplicative
        if j == label:
            logit -= terms.margin * (5 / count) ** terms.margin_power
        z.append(terms.scale * logit + terms.additive * math.log(count / 95))
    log_p = [value - math.log(sum(math.exp(other) for other in z)) for value in z]
    risen = math.sin(math.pi / 2 * (COUNTS[label] - 5) / 45)
    eps = smoothing.tail + (smoothing.head - smoothing.tail) * risen
    loss = -(1 - eps) * log_p[label] - eps * sum(log_p) / 4
    return (1 - math.exp(log_p[label])) ** strategy.focusing * loss


@pytest.mark.parametrize(
    "strategy",
    (
        EVERYTHING,
        Strategy(logits=Logits(additive=0.8)),
        Strategy(logits=Logits(multiplicative=0.2)),
        Strategy(logits=Logits(margin=0.4)),
        Strategy(logits=Logits(scale=3.0)),
        Strategy(smoothing=Smoothing(head=0.3)),
        Strategy(smoothing=Smoothing(tail=0.05)),
        Strategy(focusing=1.5),
    ),
    ids=Strategy.describe,
)
def test_the_loss_is_the_formula_in_plain_python(strategy):
    logits = torch.randn(9, 4, generator=torch.Generator().manual_seed(5))
    labels = torch.tensor([0, 1, 2, 3, 0, 1, 2, 3, 3])
    pairs = zip(logits.tolist(), labels.tolist(), strict=True)
    losses = [image_loss(z, y, strategy) for z, y in pairs]
    power = 0.5 if strategy == EVERYTHING else 0  # halfway up its ramp
    weights = [COUNTS[y] ** -power for y in labels.tolist()]
    loss = load(strategy)["loss_at"](COUNTS, 3, 5)(logits, labels)
    assert loss.item() == pytest.approx(np.average(losses, weights=weights), rel=2e-6)


def test_where_logits_are_not_changed_the_loss_is_that_of_torch():
    loss = load(Strategy(weights=Schedule(INVERSE, LATE)))["loss_at"](COUNTS, 5, 5)
    assert isinstance(loss, nn.CrossEntropyLoss)


@pytest.mark.parametrize("smoothing", (Smoothing(), Smoothing(0.3, 0.1)), ids=("", "smoothed"))
@pytest.mark.parametrize("margin", (3.0, 20.0, 200.0))
def test_a_focal_loss_is_the_trainers_to_float32_also_for_sure_predictions(smoothing, margin):
    strategy, labels = Strategy(focusing=0.5, smoothing=smoothing), torch.arange(4)
    terms = LossTerms.of(packed_terms(strategy.recipe(COUNTS), 1, 1))
    found = []
    for loss in (load(strategy)["loss_at"](COUNTS, 1, 1), lambda z, y: general_loss(z, y, terms)):
        logits = (margin * torch.eye(4)).requires_grad_()
        loss(logits, labels).backward()
        found.append(logits.grad)
    torch.testing.assert_close(*found, rtol=1e-5, atol=0)


def test_logits_are_adjusted_for_the_shares_of_the_classes():
    logits = torch.zeros(2, 4)
    adjusted = load(Strategy(adjustment=0.5))["adjust"](logits, COUNTS)
    expected = -0.5 * np.log(np.array(COUNTS) / 95)
    np.testing.assert_allclose(adjusted, [expected, expected], rtol=1e-6)
    assert load(BALANCED)["adjust"](logits, COUNTS) is logits


def test_logits_of_a_few_bits_are_adjusted_in_float32():
    adjust, logits = load(Strategy(adjustment=1))["adjust"], torch.tensor([8.0, 8.9, 9, 9.9])
    halves = logits.bfloat16()
    assert torch.equal(adjust(halves, COUNTS), adjust(halves.float(), COUNTS))
    assert adjust(logits.double(), COUNTS).dtype == torch.float64


def test_a_classifier_is_normalised_by_class_and_the_given_one_is_left_alone():
    layer = nn.Linear(3, 4)
    before = layer.weight.clone()
    adjusted = load(Strategy(tau_norm=0.5))["adjust_classifier"](layer)
    expected = before / before.norm(dim=1, keepdim=True).sqrt()
    assert torch.allclose(adjusted.weight, expected, rtol=1e-6)
    assert not adjusted.bias.any()
    assert torch.equal(layer.weight, before)
    assert torch.equal(load(BALANCED)["adjust_classifier"](layer).bias, layer.bias)


@pytest.mark.parametrize(
    ("call", "sentence"),
    (
        (lambda m: m["weights_at"](COUNTS, 0, 5), "epoch is 0; it must be 1 to 5"),
        (lambda m: m["loss_at"](COUNTS, 6, 5), "epoch is 6; it must be 1 to 5"),
        (lambda m: m["EpochSampler"](LABELS, 5).set_epoch(6), "epoch is 6"),
        (lambda m: m["loss_at"]([3, 0], 1, 5), r"class_counts\[1\] is 0; .* one that may occur"),
        (lambda m: m["adjust"](torch.zeros(2, 2), [0, 0]), "class_counts are all 0"),
        (lambda m: m["adjust"](torch.zeros(2, 2), 5), "one-dimensional"),
        (lambda m: m["loss_at"]({"cat": 3, "dog": 2}, 1, 5), "labels 'cat', 'dog'"),
        (lambda m: m["sample_weights"]([], 1, 5), "labels must be a list, array or tensor"),
        (lambda m: m["sample_weights"]([0.5, 1], 1, 5), "labels must be a list, array or tensor"),
        (lambda m: m["sample_weights"](["cat"], 1, 5), "labels must be a list, array or tensor"),
    ),
)
def test_bad_arguments_are_refused_in_one_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call(load(Strategy(Schedule(INVERSE), Sampling(INVERSE), adjustment=1)))


def test_weights_are_judged_on_the_images_that_are_drawn():
    counts = [10_000, 1]
    with pytest.warns(UserWarning, match="would go badly"):
        load(Strategy(weights=Schedule(INVERSE), focusing=1))["loss_at"](counts, 1, 1)
    drawn = load(Strategy(Schedule(INVERSE), Sampling(INVERSE)))
    drawn["loss_at"](counts, 1, 1)
    drawn["compute_class_weights"](counts)


def test_all_of_the_loss_is_moved_to_another_device():
    loss = load(EVERYTHING)["loss_at"](COUNTS, 3, 5).to("meta")
    assert loss(torch.zeros(2, 4, device="meta"), torch.zeros(2, device="meta").long()).is_meta
    assert load(Strategy(adjustment=1))["adjust"](torch.zeros(2, 4, device="meta"), COUNTS).is_meta


@pytest.mark.parametrize("device", ("meta", "cpu"))
def test_the_module_does_not_depend_on_the_defaults_of_torch(device):
    module = load(EVERYTHING)
    logits, labels = torch.arange(8.0).view(2, 4), torch.tensor([0, 3])
    expected = module["loss_at"](COUNTS, 3, 5)(logits, labels)
    torch.set_default_device(device)
    torch.set_default_dtype(torch.float64)
    try:
        assert (
            module["loss_at"](torch.tensor(COUNTS, device="cpu"), 3, 5)(logits, labels) == expected
        )
        assert module["sample_weights"](LABELS, 3, 5).dtype == torch.float64
        assert module["compute_class_weights"](COUNTS, 4).dtype == torch.float32
    finally:
        torch.set_default_device(None)
        torch.set_default_dtype(torch.float32)
