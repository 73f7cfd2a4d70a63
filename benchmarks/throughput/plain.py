"""Plain script: a trial as anyone would write it with torchvision.

It is the reference of ``benchmarks.throughput``: images as PIL, transforms one by one, DataLoader,
everything else as torch has it by default, and a test after each epoch. The transforms do what
torchvision's do, number for number, so that machines without it can run them.
"""

from collections.abc import Callable

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.utils.data import DataLoader, Dataset

from trainer.benchmarks import Benchmark
from trainer.execution.batch_steps import evaluation_batch
from trainer.models import build
from trainer.prepared import ImageData
from trainer.prepared.stored_images import Images


def picture(pixels: np.ndarray) -> Image.Image:
    """Return an image of uint8 pixels (channels, H, W) with one or three channels."""
    return Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0).squeeze()))


Transform = Callable[[Image.Image], Tensor]


class PlainImages(Dataset[tuple[Tensor, int]]):
    """Images as a torchvision data set holds them."""

    def __init__(self, images: Images, labels: np.ndarray, transform: Transform) -> None:
        self.images = [picture(images[i]) for i in range(len(images))]
        self.labels = labels.tolist()
        self.transform = transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(self.images[index]), self.labels[index]


def train_transform(benchmark: Benchmark, data: ImageData) -> Transform:
    """Return RandomCrop with padding, RandomHorizontalFlip, ToTensor and Normalize in a row."""
    side, padding, normalised = benchmark.resolution, benchmark.padding, test_transform(data)

    def transform(image: Image.Image) -> Tensor:
        padded = ImageOps.expand(image, padding, fill=0) if padding else image
        top, left = (int(torch.randint(0, 2 * padding + 1, (1,))) for _ in range(2))
        cropped = padded.crop((left, top, left + side, top + side))
        if benchmark.flip and torch.rand(1) < 0.5:
            cropped = cropped.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return normalised(cropped)

    return transform


def test_transform(data: ImageData) -> Transform:
    """Return ToTensor and Normalize in a row."""
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (data.mean, data.std))

    def transform(image: Image.Image) -> Tensor:
        pixels = torch.from_numpy(np.array(image)).view(image.height, image.width, -1)
        scaled = pixels.permute(2, 0, 1).contiguous().float().div(255)
        return scaled.sub_(mean).div_(std)

    return transform


class PlainTraining:
    """One trial, an epoch at a time.

    Attributes:
        accuracy: on the test images, percent, after the last epoch.
    """

    def __init__(
        self, benchmark: Benchmark, data: ImageData, device: torch.device, workers: int, seed: int
    ) -> None:
        self.device, self.accuracy = device, 0.0
        train_set = PlainImages(
            data.train_images, data.train_labels, train_transform(benchmark, data)
        )
        test_set = PlainImages(data.test_images, data.test_labels, test_transform(data))
        self.train_loader = self.loader(train_set, benchmark.batch_size, workers, shuffle=True)
        tested = evaluation_batch(benchmark.resolution)
        self.test_loader = self.loader(test_set, tested, workers, shuffle=False)
        torch.manual_seed(seed)
        network = build(benchmark.network, benchmark.channels, benchmark.num_classes, seed)
        self.network = network.to(device)
        weights = torch.ones(benchmark.num_classes, device=device)
        self.criterion = nn.CrossEntropyLoss(weight=weights)
        self.optimizer = torch.optim.SGD(
            self.network.parameters(),
            lr=benchmark.learning_rate,
            momentum=benchmark.momentum,
            weight_decay=benchmark.weight_decay,
        )
        self.scheduler = CosineAnnealingLR(self.optimizer, T_max=benchmark.epochs)

    def loader(
        self, images: PlainImages, batch: int, workers: int, shuffle: bool
    ) -> DataLoader[tuple[Tensor, int]]:
        return DataLoader(
            images,
            batch,
            shuffle=shuffle,
            num_workers=workers,
            pin_memory=self.device.type == "cuda",
            persistent_workers=workers > 0,
        )

    def epochs(self, number: int) -> tuple[int, int]:
        """Train and test so many epochs; return the images trained on and tested."""
        trained = tested = 0
        for _ in range(number):
            trained += self.train_epoch()
            tested += self.test()
        return trained, tested

    def train_epoch(self) -> int:
        images, total = 0, 0.0
        self.network.train()
        for inputs, labels in self.train_loader:
            inputs = inputs.to(self.device, non_blocking=True)
            labels = labels.to(self.device, non_blocking=True)
            loss = self.criterion(self.network(inputs), labels)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            total += loss.item() * len(labels)
            images += len(labels)
        self.scheduler.step()
        return images

    @torch.no_grad()
    def test(self) -> int:
        images = correct = 0
        self.network.eval()
        for inputs, labels in self.test_loader:
            inputs = inputs.to(self.device, non_blocking=True)
            labels = labels.to(self.device, non_blocking=True)
            correct += (self.network(inputs).argmax(1) == labels).sum().item()
            images += len(labels)
        self.accuracy = 100.0 * correct / images
        return images
