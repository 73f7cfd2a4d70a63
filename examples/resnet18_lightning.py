r"""A training of one's own with Lightning: a pretrained ResNet-18 on a folder of images.

The images, weights and transforms are those of resnet18_torch.py; the test images of each class
are reported in one piece. Lightning's own checkpoints are what a trial goes on from.

    export IMAGES=data/photos WEIGHTS=resnet18.pth
    python examples/resnet18_lightning.py > counts.csv
    python run_search.py --trainable examples/resnet18_lightning.py:train --counts counts.csv \
        --epochs 10
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from resnet18_torch import BATCH, IMAGES, RATE, TEST, TRAIN, pretrained
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder


class Classifier(lightning.LightningModule):
    """Trains with class weights, and counts the correct test images of each class."""

    def __init__(
        self, weights: tuple[float, ...], report: Callable[..., None], epochs: int
    ) -> None:
        super().__init__()
        self.network, self.report, self.epochs = pretrained(len(weights)), report, epochs
        self.loss = nn.CrossEntropyLoss(weight=torch.tensor(weights))
        self.correct = [0] * len(weights)

    def configure_optimizers(self) -> dict[str, object]:
        parameters = self.network.parameters()
        optimizer = torch.optim.SGD(parameters, RATE, momentum=0.9, weight_decay=1e-4)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.epochs)
        return {"optimizer": optimizer, "lr_scheduler": schedule}

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        inputs, labels = batch
        loss: Tensor = self.loss(self.network(inputs), labels)
        return loss

    def on_validation_epoch_start(self) -> None:
        self.correct = [0] * len(self.correct)

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        inputs, labels = batch
        hits = labels[self.network(inputs).argmax(1) == labels]
        for label, number in Counter(hits.tolist()).items():
            self.correct[label] += number

    def on_validation_epoch_end(self) -> None:
        """Report; Lightning saves its checkpoint after it."""
        self.report(self.current_epoch + 1, correct=self.correct)


def train(
    weights: tuple[float, ...],
    seed: int,
    report: Callable[..., None],
    epochs: int,
    checkpoints: Path,
    device: str,
) -> None:
    """Train with class weights, and report the correct test images after every epoch."""
    lightning.seed_everything(seed % 2**32, verbose=False)
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator=device,
        callbacks=[ModelCheckpoint(checkpoints, save_last=True)],
        num_sanity_val_steps=0,  # it would be an epoch of its own
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    last = checkpoints / "last.ckpt"
    trainer.fit(
        Classifier(weights, report, epochs),
        DataLoader(ImageFolder(IMAGES / "train", TRAIN), BATCH, shuffle=True),
        DataLoader(ImageFolder(IMAGES / "test", TEST), BATCH),
        ckpt_path=last if last.exists() else None,
        weights_only=False,  # a checkpoint of this trial's own
    )


def main() -> None:
    """Print the class counts."""
    images, test = ImageFolder(IMAGES / "train"), ImageFolder(IMAGES / "test")
    train_counts, test_counts = Counter(images.targets), Counter(test.targets)
    print("class,train,test")
    for label, name in enumerate(images.classes):
        print(f"{name},{train_counts[label]},{test_counts[label]}")


if __name__ == "__main__":
    main()
