"""The inputs of an epoch: what a recipe changes from one epoch to the next, at fixed addresses.

They are a pure function of the recipe, the seed, the epoch, and, where the recipe has feedback, of
the losses of the epochs before.
"""

from collections.abc import Collection
from dataclasses import replace
from typing import Generic, TypeVar

import torch
from torch import Tensor

from spaces.recipe import Variant
from trainer.execution.augment import (
    EpochPlan,
    MixedPlan,
    TurnedPlan,
    auxiliary_plan,
    epoch_plan,
)
from trainer.execution.task import AUXILIARY, OWN, PARTNER, Task
from trainer.strategies.curriculum import OpenImages
from trainer.strategies.feedback import LossMemory
from trainer.strategies.loss import LossTerms, packed_terms
from trainer.strategies.mixing import MixedPlans
from trainer.strategies.sampling import ImageOrders, Integers
from trainer.trial import Trial

Plan = TypeVar("Plan", bound=EpochPlan)


class StagedPlan(Generic[Plan]):
    """A plan at fixed addresses on the device, and on the host what is copied there next."""

    def __init__(self, kind: type[Plan], task: Task, pinned: bool) -> None:
        self.plan, self.staged = kind.empty(task.images).to(task.device), kind.empty(task.images)
        if pinned:
            self.staged = self.staged.pinned()

    def stage(self, plan: Plan) -> None:
        self.staged.copy_(plan)
        self.plan.copy_(self.staged)


class EpochInputs:
    """The inputs of the epoch in progress, on the device.

    Attributes:
        plan: order, crops and flips of the training images.
        mixed: the same with boxes of other images, and erased squares.
        auxiliary: the same of the images of an auxiliary task, and their quarter turns.
        terms: numbers of the loss.
        shown: the images that the epoch shows, (N,) of each stream by position, on the host.
        memory: of the losses of the trial's epochs; None for a recipe without feedback.
    """

    def __init__(self, task: Task, variants: Collection[Variant], pinned: bool) -> None:
        """Make room for what ``variants`` read.

        ``pinned`` host memory is copied from without waiting for a GPU.
        """
        self.task = task
        self.staged_plan = StagedPlan(EpochPlan, task, pinned)
        self.plan = self.staged_plan.plan
        if any(variant.auxiliary != "none" for variant in variants):
            self.staged_auxiliary = StagedPlan(TurnedPlan, task, pinned)
            self.auxiliary = self.staged_auxiliary.plan
        if any(variant.mixed for variant in variants):
            self.staged_mixed = StagedPlan(MixedPlan, task, pinned)
            self.mixed = self.staged_mixed.plan
        self.terms = LossTerms.neutral(task.num_classes, task.device)
        self.shown: dict[int, Integers] = {}
        self.memory: LossMemory | None = None
        self.staged_terms = torch.zeros_like(self.terms.numbers, device="cpu")
        if pinned:
            self.staged_terms = self.staged_terms.pin_memory()

    def enter(self, trial: Trial) -> None:
        self.trial = trial
        seed, recipe, epochs = trial.seed, trial.recipe, trial.benchmark.epochs
        classes, difficulties = self.task.classes, self.task.difficulties
        self.orders = ImageOrders(seed, recipe, epochs, classes)
        self.opened = OpenImages(seed, recipe.curriculum, epochs, classes, difficulties)
        if recipe.curriculum.difficulty == "column":
            difficulties.of("column")  # which not all images have
        follows = recipe.follows_losses
        self.memory = LossMemory(recipe.feedback, epochs, classes) if follows else None

    def stage(self, epoch: int) -> None:
        """Queue the inputs of ``epoch`` (1-based), when those before are no longer read."""
        benchmark, seed = self.trial.benchmark, self.trial.seed
        like = self.task.images, benchmark.padding, benchmark.flip
        plan = epoch_plan(seed, epoch, *like)
        weights = draws = losses = None
        if self.memory:
            factors, onto = self.memory.factors(epoch), self.memory.feedback.onto
            weights, draws = (factors if onto == word else None for word in ("weights", "sampling"))
            losses = self.memory.by_image
        drawn = self.orders.order(epoch, draws)
        order = self.opened.shown(epoch, plan.order.numpy() if drawn is None else drawn, losses)
        if self.memory:
            order = self.memory.spared(seed, epoch, order)
        plan = replace(plan, order=torch.from_numpy(order))
        recipe = self.trial.recipe
        variant, self.shown = recipe.variant_at(epoch, benchmark.epochs), {OWN: order}
        places = self.task.places(OWN, order)
        self.staged_plan.stage(replace(plan, order=places))
        if variant.mixed:
            side = self.task.augmenter.width
            plans = MixedPlans(
                *(seed, recipe, benchmark.epochs, self.task.classes, side), *like[1:]
            )
            mixed = plans.plan(epoch, plan)
            self.shown[PARTNER] = mixed.partner.numpy()
            partners = self.task.places(PARTNER, self.shown[PARTNER])
            self.staged_mixed.stage(replace(mixed, order=places, partner=partners))
        if variant.auxiliary != "none":
            other = auxiliary_plan(seed, epoch, *like)
            self.shown[AUXILIARY] = other.order.numpy()
            others = self.task.places(AUXILIARY, self.shown[AUXILIARY])
            self.staged_auxiliary.stage(replace(other, order=others))
        self.staged_terms.copy_(packed_terms(recipe, epoch, benchmark.epochs, weights))
        self.terms.numbers.copy_(self.staged_terms, non_blocking=True)

    def training_labels(self) -> Integers:
        """Return the classes, (N,), of the images that the epoch shows, by position."""
        labels: Integers = self.task.training_labels[self.shown[OWN]]
        return labels

    def observe(self, epoch: int, losses: Tensor) -> None:
        """Take the losses of a finished ``epoch``, float32 (N,) on the CPU, by position."""
        if self.memory:
            self.memory.observe(epoch, self.shown[OWN], losses.numpy())
