"""The steps of a slot on batches, a training and a test step, take no arguments.

Everything that they read or write has a fixed address, even the position in the epoch. They read
nothing on the host, so that a CUDA graph captured from one serves every trial.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from spaces.loss import POSTHOC
from spaces.recipe import Variant
from trainer.execution.epoch_inputs import EpochInputs
from trainer.execution.graphs import Step, compiled
from trainer.execution.learner import Learner
from trainer.execution.task import Task
from trainer.runtime import arithmetic
from trainer.strategies.adjustment import add_counts, confidences, log_priors, predictions
from trainer.strategies.heads import cosines, unrecorded
from trainer.strategies.loss import general_loss, image_losses, mixed_loss, plain_loss
from trainer.trial import Trial

EVALUATION_BATCH, EVALUATION_SIDE = 500, 64
"""Test images in a batch, if they have at most so many pixels a side."""


def evaluation_batch(side: int) -> int:
    """Return the test images in a batch; of large ones so many that they have as many pixels."""
    return max(1, EVALUATION_BATCH * EVALUATION_SIDE**2 // max(side, EVALUATION_SIDE) ** 2)


def batch_sizes(images: int, batch: int) -> list[int]:
    """Return the sizes of an epoch's batches; the last one may be short."""
    return [min(batch, images - start) for start in range(0, images, batch)]


class BatchSteps:
    """The steps on the next batch of an epoch, or of the test set.

    Attributes:
        position: number of images behind in the epoch or the test set, int64 ().
        totals: float64 (2 + 4 * C * G,): sums over images of the training and the test loss, then
            for each of G post-hoc adjustments test images by half and class: correct, and
            predicted as the class.
        image_losses: cross entropies by position in the epoch, float32 (N,).
        posthoc: which of ``POSTHOC`` the trial is scored by, int64 (1,).
        said: of each test image the predicted class, its probability and the image's loss, float32
            (3, T).
        train_sizes, test_sizes: images in each batch of an epoch and of the test set.
        compiled: variants whose training steps are.
    """

    def __init__(
        self,
        like: Trial,
        task: Task,
        learner: Learner,
        inputs: EpochInputs,
        variants: Sequence[Variant],
    ) -> None:
        self.like, self.task, self.learner, self.inputs = like, task, learner, inputs
        self.variants, device = variants, task.device
        self.losses: dict[str, Callable[[int], tuple[Tensor, Tensor]]]
        self.losses = {"plain": self.plain_loss, "general": self.general_loss}
        self.answers = self.batch_answers
        self.compiled = {*self.losses} if like.compiled else set()
        if like.compiled:
            self.losses = {name: compiled(loss) for name, loss in self.losses.items()}
            self.answers = compiled(self.answers)
        for variant in variants:  # the others are not compiled
            self.losses.setdefault(str(variant), partial(self.variant_loss, variant))
        self.frozen = {str(variant) for variant in variants if variant.frozen}
        self.priors = log_priors(task.classes.counts).to(device)
        self.position = torch.zeros((), dtype=torch.int64, device=device)
        tested = evaluation_batch(like.benchmark.resolution)
        numbers = 2 + len(POSTHOC) * 4 * task.num_classes
        self.totals = torch.zeros(numbers, dtype=torch.float64, device=device)
        self.train_loss, self.test_loss = self.totals[:2]
        self.counts = self.totals[2:].view(len(POSTHOC), 2, -1)
        self.image_losses = torch.zeros(task.images, device=device)
        self.posthoc = torch.zeros(1, dtype=torch.int64, device=device)
        entries = [[entry.tau_norm, entry.adjustment] for entry in POSTHOC]
        self.entries = torch.tensor(entries, device=device)
        self.said = torch.zeros(3, task.test_images, device=device)
        self.train_sizes = batch_sizes(task.images, like.benchmark.batch_size)
        self.test_sizes = batch_sizes(task.test_images, tested)
        self.offsets = torch.arange(max(self.train_sizes + self.test_sizes), device=device)

    def steps(self) -> dict[str, Step]:
        """Return a step for each size of a batch, and each variant.

        They are named ``train plain 128``, ``test linear 500`` and so on.
        """
        steps: dict[str, Step] = {}
        for variant in map(str, self.variants):
            for size in sorted(set(self.train_sizes), reverse=True):
                steps[f"train {variant} {size}"] = partial(self.train_batch, variant, size)
        for head in sorted({variant.head for variant in self.variants}, reverse=True):
            for size in sorted(set(self.test_sizes), reverse=True):
                steps[f"test {head} {size}"] = partial(self.test_batch, head, size)
        return steps

    def rewind(self) -> None:
        self.position.zero_()

    def train_batch(self, variant: str, size: int) -> None:
        """Take one optimizer step, by a loss of ``losses``, on the next images of the plan."""
        self.learner.set_training(variant not in self.frozen)
        loss, losses = self.losses[variant](size)
        self.image_losses.index_copy_(0, self.next_positions(size), losses)
        self.learner.take(loss)
        self.train_loss += loss.detach() * size
        self.position += size

    def plain_loss(self, size: int) -> tuple[Tensor, Tensor]:
        """Return the weighted cross entropy, float32 (), of the plan's next ``size`` images.

        Then the cross entropy of each, float32 (size,).
        """
        return plain_loss(*self.training_logits(size), self.inputs.terms)

    def general_loss(self, size: int) -> tuple[Tensor, Tensor]:
        """Return the general loss, float32 (), of the next images, then each one's as above."""
        logits, labels = self.training_logits(size)
        return general_loss(logits, labels, self.inputs.terms), image_losses(logits, labels)

    def variant_loss(self, variant: Variant, size: int) -> tuple[Tensor, Tensor]:
        """Return the loss of the next images, and of those of an auxiliary task, and each one's."""
        positions, terms = self.next_positions(size), self.inputs.terms
        if variant.mixed:
            images, *labels = self.task.mixed_batch(self.inputs.mixed, positions)
        else:
            images, *labels = self.task.training_batch(self.inputs.plan, positions)
        if variant.auxiliary == "none":
            with torch.set_grad_enabled(not variant.frozen):
                features = self.features(images)
            return self.classification_loss(variant, features, labels)
        others, answers = self.task.auxiliary_batch(
            variant.auxiliary, self.inputs.auxiliary, positions
        )
        if variant.forwards == "joint":
            features, other_features = self.features(torch.cat([images, others])).split(size)
        else:
            features = self.features(images)
            with unrecorded(self.learner.extractor):
                other_features = self.features(others)
        loss, losses = self.classification_loss(variant, features, labels)
        with arithmetic(self.like.precision, self.task.device):
            guesses = self.learner.heads[variant.auxiliary](other_features)
        other_loss = functional.cross_entropy(guesses.float(), answers)
        return terms.main * loss + terms.auxiliary * other_loss, losses

    def classification_loss(
        self, variant: Variant, features: Tensor, labels: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Return the loss of features (B, F), and each image's by its own label, float32 (B,).

        The labels are (B,), or own ones, partners' and their shares.
        """
        terms, logits = self.inputs.terms, self.logits(features, variant.head)
        if variant.loss == "plain":
            return plain_loss(logits, labels[0], terms)
        scaled = terms.scale * logits if variant.head == "cosine" else logits
        losses = image_losses(scaled, labels[0])
        if variant.mixed:
            own, partners, shares = labels
            return mixed_loss(logits, own, partners, shares, terms), losses
        return general_loss(logits, labels[0], terms), losses

    def features(self, images: Tensor) -> Tensor:
        """Return the features (B, F) of images."""
        with arithmetic(self.like.precision, self.task.device):
            features: Tensor = self.learner.extractor(images)
        return features

    def logits(self, features: Tensor, head: str) -> Tensor:
        """Return the logits, float32 (B, C), that a head makes of features (B, F)."""
        if head == "cosine":
            return cosines(features, self.learner.classifier)
        with arithmetic(self.like.precision, self.task.device):
            logits: Tensor = self.learner.classifier(features)
        return logits.float()

    def next_positions(self, size: int) -> Tensor:
        return self.position + self.offsets[:size]

    def training_logits(self, size: int) -> tuple[Tensor, Tensor]:
        """Return logits, float32 (size, C), and labels (size,) of the plan's next images."""
        inputs, labels = self.task.training_batch(self.inputs.plan, self.next_positions(size))
        with arithmetic(self.like.precision, self.task.device):
            logits = self.learner.network(inputs)
        return logits.float(), labels

    @torch.no_grad()
    def test_batch(self, head: str, size: int) -> None:
        """Evaluate the next ``size`` test images."""
        self.learner.set_training(False)
        answers = self.answers if head == "linear" else self.cosine_answers
        loss, logits, labels, cells = answers(size)
        self.test_loss += loss
        layer = self.learner.classifier if head == "linear" else None
        predicted = predictions(logits, layer, self.priors, POSTHOC)
        add_counts(self.counts, predicted, labels, cells)
        chosen = predicted.index_select(0, self.posthoc)[0]
        tau, strength = self.entries.index_select(0, self.posthoc)[0]
        sure = confidences(logits, layer, self.priors, tau, strength, chosen)
        losses = functional.cross_entropy(logits, labels, reduction="none")
        said = torch.stack([chosen.float(), sure, losses])
        self.said.index_copy_(1, self.next_positions(size), said)
        self.position += size

    def batch_answers(self, size: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return what the network says of the next ``size`` test images.

        That is the sum of their losses, float32 (), and the logits, float32 (size, C); then their
        labels and their cells, the half * C + class, int64 (size,).
        """
        inputs, labels, cells = self.task.test_batch(self.next_positions(size))
        with arithmetic(self.like.precision, self.task.device):
            logits = self.learner.network(inputs).float()
        loss = functional.cross_entropy(logits, labels, reduction="sum")
        return loss, logits, labels, cells

    def cosine_answers(self, size: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the same of a cosine classifier, whose logits are scaled as in training."""
        inputs, labels, cells = self.task.test_batch(self.next_positions(size))
        logits = self.inputs.terms.scale * self.logits(self.features(inputs), "cosine")
        loss = functional.cross_entropy(logits, labels, reduction="sum")
        return loss, logits, labels, cells
