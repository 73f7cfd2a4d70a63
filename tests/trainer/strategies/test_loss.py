"""The general loss, against each method's own formula written out one image at a time."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from spaces.recipe import Recipe
from spaces.schedule import Ramp
from trainer.strategies.loss import (
    LossTerms,
    general_loss,
    image_losses,
    packed_terms,
    plain_loss,
)

CLASSES, IMAGES = 6, 24
COUNTS = torch.tensor([500.0, 200.0, 90.0, 40.0, 12.0, 5.0])
PRIORS = COUNTS / COUNTS.sum()
WEIGHTS = (1 / COUNTS) / (1 / COUNTS).mean()
Reference = Callable[[Tensor, int], Tensor]
"""The loss of one image, of its logits (C,) and its label."""


def batch(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(IMAGES, CLASSES, generator=generator)
    return logits, torch.randint(0, CLASSES, (IMAGES,), generator=generator)


def terms(**fields: Tensor | float) -> LossTerms:
    made = LossTerms.neutral(CLASSES)
    for name, value in fields.items():
        getattr(made, name).copy_(torch.as_tensor(value))
    return made


def softmax_loss(z: Tensor, y: int) -> Tensor:
    return torch.log(torch.exp(z).sum()) - z[y]


def balanced_softmax(z: Tensor, y: int) -> Tensor:
    """Ren et al., equation 3: the class's own share times its exponential."""
    return -torch.log(COUNTS[y] * torch.exp(z[y]) / (COUNTS * torch.exp(z)).sum())


def vector_scaling(z: Tensor, y: int) -> Tensor:
    """Kini et al., equation 2: multiplicative .15, additive 1."""
    delta = (COUNTS / COUNTS.max()) ** 0.15
    terms = [torch.exp(delta[j] * z[j] + torch.log(PRIORS[j])) for j in range(CLASSES)]
    return -torch.log(terms[y] / torch.stack(terms).sum())


def margins(largest: float) -> Tensor:
    return largest * (COUNTS.min() / COUNTS) ** 0.25


def ldam(z: Tensor, y: int) -> Tensor:
    """Cao et al., equation 13, of logits times 4: the margin is of the label alone."""
    own = torch.exp(4 * (z[y] - margins(0.5)[y]))
    others = sum(torch.exp(4 * z[j]) for j in range(CLASSES) if j != y)
    return -torch.log(own / (own + others))


def focal(z: Tensor, y: int) -> Tensor:
    p = torch.softmax(z, 0)[y]
    return -((1 - p) ** 1.5) * torch.log(p)


def smoothed(z: Tensor, y: int) -> Tensor:
    """Zhong et al., equation 6: 1 - eps of the label, eps shared by all, eps of the label."""
    eps = SMOOTHING[y]
    targets = torch.full((CLASSES,), float(eps) / CLASSES)
    targets[y] += 1 - eps
    return -(targets * torch.log_softmax(z, 0)).sum()


SMOOTHING = torch.linspace(0.4, 0.1, CLASSES)
DELTA = (COUNTS / COUNTS.max()) ** 0.15
LOSSES: dict[str, tuple[Reference, dict[str, Tensor | float]]] = {
    "plain": (softmax_loss, {}),
    "balanced softmax": (balanced_softmax, {"additive": torch.log(PRIORS)}),
    "vs": (vector_scaling, {"additive": torch.log(PRIORS), "multiplicative": DELTA}),
    "ldam": (ldam, {"margin": margins(0.5), "scale": 4.0}),
    "focal": (focal, {"focusing": 1.5}),
    "smoothed": (smoothed, {"smoothing": SMOOTHING}),
}


def value_and_gradient(loss: Callable[[Tensor], Tensor], logits: Tensor) -> tuple[Tensor, Tensor]:
    inputs = logits.clone().requires_grad_()
    value = loss(inputs)
    value.backward()
    assert inputs.grad is not None
    return value.detach(), inputs.grad


@pytest.mark.parametrize("weighted", (False, True))
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_its_formula_in_value_and_gradient(name: str, weighted: bool) -> None:
    reference, fields = LOSSES[name]
    logits, labels = batch()
    weights = WEIGHTS if weighted else torch.ones(CLASSES)

    def by_image(z: Tensor) -> Tensor:
        losses = [weights[y] * reference(z[i], y) for i, y in enumerate(labels.tolist())]
        return torch.stack(losses).sum() / weights[labels].sum()

    mine = value_and_gradient(
        lambda z: general_loss(z, labels, terms(weights=weights, **fields)), logits
    )
    theirs = value_and_gradient(by_image, logits)
    for left, right in zip(mine, theirs, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-6, atol=1e-6)


def test_neutral_terms_are_torchs_weighted_cross_entropy() -> None:
    for seed in range(50):
        logits, labels = batch(seed)
        mine = value_and_gradient(
            lambda z, y=labels: general_loss(z, y, terms(weights=WEIGHTS)), logits
        )
        theirs = value_and_gradient(
            lambda z, y=labels: functional.cross_entropy(z, y, weight=WEIGHTS), logits
        )
        for left, right in zip(mine, theirs, strict=True):
            torch.testing.assert_close(left, right, rtol=1e-6, atol=1e-6)


def test_the_plain_loss_and_those_of_images_are_torchs_bit_for_bit() -> None:
    logits, labels = batch()
    values = terms(weights=WEIGHTS)
    mine = value_and_gradient(lambda z: plain_loss(z, labels, values)[0], logits)
    theirs = value_and_gradient(lambda z: functional.cross_entropy(z, labels, WEIGHTS), logits)
    assert all(map(torch.equal, mine, theirs))
    own = functional.cross_entropy(logits, labels, reduction="none")
    for losses in (plain_loss(logits, labels, values)[1], image_losses(logits, labels)):
        assert torch.equal(losses, own)
        assert not losses.requires_grad


def test_all_terms_together_are_the_written_formula() -> None:
    """In float64 and by loops, with the focal power of p' itself."""
    logits, labels = batch(3)
    fields = {name: 0.5 + 0.1 * torch.arange(CLASSES) for name in ("additive", "margin")}
    values = terms(
        **fields,
        weights=WEIGHTS,
        multiplicative=DELTA,
        smoothing=SMOOTHING,
        scale=2.0,
        focusing=0.7,
    )
    top = bottom = 0.0
    for z, y in zip(logits.tolist(), labels.tolist(), strict=True):
        shifted = [
            2 * (float(DELTA[j]) * z[j] - (0.5 + 0.1 * j) * (j == y)) + 0.5 + 0.1 * j
            for j in range(CLASSES)
        ]
        total = sum(math.exp(x) for x in shifted)
        log_p = [x - math.log(total) for x in shifted]
        eps = float(SMOOTHING[y])
        loss = (1 - eps) * -log_p[y] - eps * sum(log_p) / CLASSES
        top += float(WEIGHTS[y]) * (1 - math.exp(log_p[y])) ** 0.7 * loss
        bottom += float(WEIGHTS[y])
    assert float(general_loss(logits, labels, values)) == pytest.approx(top / bottom, rel=1e-6)


@pytest.mark.parametrize("focusing", (0.0, 0.5, 2.0))
@pytest.mark.parametrize("classes", (1, 2, 8142))
def test_sure_predictions_have_finite_losses_and_gradients(classes: int, focusing: float) -> None:
    values = LossTerms.neutral(classes)
    values.focusing.fill_(focusing)
    values.smoothing.fill_(0.1)
    logits = torch.zeros(3, classes)
    logits[:, 0] = torch.tensor([0.0, 30.0, 200.0])
    value, gradient = value_and_gradient(
        lambda z: general_loss(z, torch.zeros(3, dtype=torch.int64), values), logits
    )
    assert math.isfinite(value)
    assert gradient.isfinite().all()


def test_a_factor_of_all_weights_changes_nothing() -> None:
    logits, labels = batch()
    values = [float(general_loss(logits, labels, terms(weights=k * WEIGHTS))) for k in (1, 1000)]
    assert values[0] == pytest.approx(values[1], rel=1e-6)


def test_packed_numbers_are_those_of_the_recipe_in_the_epoch() -> None:
    vectors = {
        name: tuple(float(number + i) for number in range(CLASSES))
        for i, name in enumerate(("weights", "additive", "multiplicative", "margin", "smoothing"))
    }
    counts = tuple(map(int, COUNTS.tolist()))
    recipe = Recipe(counts, **vectors, weights_ramp=Ramp(0.5, 0.5), scale=7.0, focusing=8.0)
    for epoch in (1, 5):
        made = LossTerms.of(packed_terms(recipe, epoch, 5))
        for name, values in vectors.items():
            expected = (1.0,) * CLASSES if (name, epoch) == ("weights", 1) else values
            assert tuple(getattr(made, name).tolist()) == expected
        assert (float(made.scale), float(made.focusing)) == (7.0, 8.0)
