"""The trainer is, bit for bit, the plain loop that anyone would write with torchvision."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from torchvision.transforms import functional
from training import CPU, all_equal, all_numbers, colour_images, colour_task

from spaces import STRATEGIES, Recipe
from trainer.benchmarks import BENCHMARKS, Benchmark
from trainer.execution.augment import (
    Augmenter,
    EpochPlan,
    TurnedPlan,
    auxiliary_plan,
    epoch_plan,
    normalise,
)
from trainer.execution.loop import train
from trainer.execution.slot import Slot
from trainer.execution.task import Task
from trainer.models import build
from trainer.prepared import ImageData, load, prepare
from trainer.strategies.sampling import ClassImages, sampled_order
from trainer.trial import Trial

MEAN, STD = (0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)


def picture(pixels: np.ndarray) -> Image.Image:
    """Return an image of uint8 pixels (C, H, W)."""
    return Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))


def crop_and_flip(image: Image.Image, padding: int, dy: int, dx: int, flip: bool) -> Image.Image:
    """Return what RandomCrop(padding) and RandomHorizontalFlip give when they draw these."""
    padded = functional.pad(image, [padding] * 4, fill=0, padding_mode="constant")
    cropped = functional.crop(padded, dy, dx, image.height, image.width)
    flipped: Image.Image = functional.hflip(cropped) if flip else cropped
    return flipped


class PlainImages(Dataset[tuple[Tensor, int]]):
    """Images as a torchvision data set holds them; with a plan they are augmented and in order."""

    def __init__(
        self, images: np.ndarray, labels: np.ndarray, data: ImageData, padding: int
    ) -> None:
        self.images = [picture(pixels) for pixels in images]
        self.labels = labels.tolist()
        self.padding = padding
        self.plan: list[tuple[int, int, int, bool]] = []
        self.transform = transforms.Compose(
            [transforms.ToTensor(), transforms.Normalize(data.mean, data.std)]
        )

    def follow(self, plan: EpochPlan, order: list[int]) -> None:
        """Show the images in ``order``, augmented as ``plan`` says."""
        cells = (plan.dy.tolist(), plan.dx.tolist(), plan.flip.tolist())
        self.plan = list(zip(order, *cells, strict=True))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        if not self.plan:
            return self.transform(self.images[index]), self.labels[index]
        number, *cell = self.plan[index]
        image = crop_and_flip(self.images[number], self.padding, *cell)
        return self.transform(image), self.labels[number]


class PlainTraining:
    """Network, optimizer, scheduler and loss of the plain loop."""

    def __init__(self, trial: Trial, data: ImageData) -> None:
        b = self.benchmark = trial.benchmark
        self.seed, self.recipe = trial.seed, trial.recipe
        self.train_set = PlainImages(data.train_images, data.train_labels, data, b.padding)
        self.test_set = PlainImages(data.test_images, data.test_labels, data, b.padding)
        network = build(b.network, b.channels, b.num_classes, trial.seed)
        self.network = network.to(memory_format=torch.channels_last)
        self.shift = torch.tensor(trial.recipe.additive)
        self.optimizer = torch.optim.SGD(
            self.network.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4
        )
        self.scheduler = CosineAnnealingLR(self.optimizer, T_max=b.epochs)

    def train_epoch(self, epoch: int) -> None:
        b = self.benchmark
        plan = epoch_plan(self.seed, epoch, len(self.train_set), b.padding, b.flip)
        self.train_set.follow(plan, self.order(epoch, plan))
        weights = self.recipe.loss_weights(epoch, b.epochs)
        criterion = nn.CrossEntropyLoss(weight=torch.from_numpy(weights).float())
        self.network.train()
        for inputs, labels in DataLoader(self.train_set, b.batch_size):
            loss = criterion(self.network(inputs) + self.shift, labels)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        self.scheduler.step()

    def order(self, epoch: int, plan: EpochPlan) -> list[int]:
        probabilities = self.recipe.class_probabilities(epoch, self.benchmark.epochs)
        if probabilities is None:
            return plan.order.tolist()
        classes = ClassImages.of(self.train_set.labels, len(probabilities))
        return sampled_order(self.seed, epoch, probabilities, classes).tolist()

    @torch.no_grad()
    def accuracy(self) -> float:
        self.network.eval()
        correct = 0
        for inputs, labels in DataLoader(self.test_set, batch_size=500):
            correct += int((self.network(inputs).argmax(1) == labels).sum())
        return 100.0 * correct / len(self.test_set)


def uneven(benchmark: Benchmark) -> Recipe:
    weights = np.linspace(0.3, 1.9, benchmark.num_classes, dtype=np.float32)
    return Recipe(tuple(benchmark.counts.tolist()), tuple(weights.tolist()))


def assert_equal_to_plain(benchmark: Benchmark, data: ImageData, recipe: Recipe) -> None:
    """Train both ways and compare every number after every epoch.

    They are equal in every bit where the loss is torch's own, and nearly where logits are shifted.
    """
    assert len(data.train_labels) % benchmark.batch_size > 0, "the last batch must be short"
    trial = Trial(benchmark, recipe, 5, "fp32")
    plain = PlainTraining(trial, data)
    task = Task(data, benchmark.padding, CPU)
    slot = Slot(trial, task)
    for result in train(trial, task, slot=slot):
        plain.train_epoch(result.epoch)
        numbers = [all_numbers(x.network, x.optimizer) for x in (slot, plain)]
        if recipe.variant.loss == "plain":
            assert result.score == plain.accuracy()
            assert all_equal(*numbers)
        else:
            for mine, theirs in zip(*numbers, strict=True):
                torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-4)


def test_training_equals_the_plain_loop_bit_for_bit() -> None:
    benchmark, data = colour_task(train=110, test=60)
    assert_equal_to_plain(benchmark, data, uneven(benchmark))


@pytest.mark.parametrize("name", ("drw", "cb_sampling", "logit_adjusted"))
def test_a_strategy_equals_the_plain_loop_with_its_weights_order_and_shift(name: str) -> None:
    benchmark, data = colour_task(train=110, test=60)
    assert_equal_to_plain(benchmark, data, STRATEGIES[name].strategy.recipe(benchmark.counts))


@pytest.mark.slow
def test_resnet32_on_real_images_equals_the_plain_loop_bit_for_bit(shared_data: Path) -> None:
    full = BENCHMARKS["resnet32-cifar100lt"]
    data = load(prepare(full, shared_data), full)
    few = data.subset(slice(None, None, 60), slice(None, None, 50))
    benchmark = dataclasses.replace(full, epochs=3)
    assert_equal_to_plain(benchmark, few, uneven(benchmark))


def every_cell(padding: int) -> EpochPlan:
    """Return a plan that shows image 0 in every crop, unflipped and flipped."""
    side = 2 * padding + 1
    dy, dx, flip = (grid.flatten() for grid in np.meshgrid(range(side), range(side), (False, True)))
    order = torch.zeros(len(dy), dtype=torch.int64)
    return EpochPlan(order, torch.tensor(dy), torch.tensor(dx), torch.tensor(flip))


def as_column(values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values).view(-1, 1, 1)


def test_every_crop_and_flip_equals_torchvision_bit_for_bit() -> None:
    pixels = colour_images(np.random.default_rng(1), 1).transpose(0, 3, 1, 2)
    plan = every_cell(padding=4)
    assert len(plan.order) == 162
    augmenter = Augmenter(torch.from_numpy(np.ascontiguousarray(pixels)), padding=4)
    ours = normalise(augmenter.batch(plan, torch.arange(162)), as_column(MEAN), as_column(STD))
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(MEAN, STD)])
    for i in range(162):
        cell = (int(plan.dy[i]), int(plan.dx[i]), bool(plan.flip[i]))
        theirs = transform(crop_and_flip(picture(pixels[0]), 4, *cell))
        assert torch.equal(ours[i], theirs), cell


def test_padded_pixel_is_a_normalised_zero() -> None:
    augmenter = Augmenter(torch.full((1, 3, 32, 32), 255, dtype=torch.uint8), padding=4)
    corner = augmenter.batch(every_cell(padding=4), torch.zeros(1, dtype=torch.int64))
    padded = normalise(corner, as_column(MEAN), as_column(STD))[0, :, 0, 0]
    assert torch.equal(padded, (0 - torch.tensor(MEAN)) / torch.tensor(STD))


def test_every_pixel_value_is_normalised_as_torchvision_does() -> None:
    values = torch.arange(256, dtype=torch.uint8).repeat(3, 1).view(1, 3, 16, 16)
    ours = normalise(values, as_column(MEAN), as_column(STD))[0]
    image = picture(values[0].numpy())
    theirs = transforms.functional.normalize(transforms.functional.to_tensor(image), MEAN, STD)
    assert torch.equal(ours, theirs)


def test_a_quarter_turn_is_that_of_numpy_after_crop_and_flip() -> None:
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, 3, 6, 6), np.uint8))
    augmenter, plan = Augmenter(pixels, padding=1), every_cell(padding=1)
    positions = torch.arange(len(plan.order))
    upright = augmenter.batch(plan, positions).numpy()
    for turns in range(4):
        turned = TurnedPlan(*plan.tensors(), torch.full_like(plan.order, turns))
        expected = np.rot90(upright, turns, axes=(2, 3))
        assert np.array_equal(augmenter.batch(turned, positions).numpy(), expected)


def test_the_auxiliary_images_of_an_epoch_are_each_shown_once_and_turned_evenly() -> None:
    plan, main = auxiliary_plan(5, 2, 4000, 4, True), epoch_plan(5, 2, 4000, 4, True)
    assert torch.equal(plan.order.sort().values, torch.arange(4000))
    assert not torch.equal(plan.order, main.order)
    assert torch.bincount(plan.turns).tolist() == pytest.approx([1000] * 4, abs=120)
    assert plan.turns[:8].tolist() == auxiliary_plan(5, 2, 4000, 4, True).turns[:8].tolist()
    assert plan.turns[:8].tolist() != auxiliary_plan(5, 3, 4000, 4, True).turns[:8].tolist()
