r"""A training of one's own in plain PyTorch: a pretrained ResNet-18 on a folder of images.

IMAGES has train/ and test/ with a folder of images for each class, WEIGHTS is a state dict of
torchvision's resnet18. The test images of each class are reported in two halves.

    export IMAGES=data/photos WEIGHTS=resnet18.pth
    python examples/resnet18_torch.py > counts.csv
    python run_search.py --trainable examples/resnet18_torch.py:train --counts counts.csv \
        --epochs 10
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.models import resnet18
from torchvision.transforms import v2

IMAGES = Path(os.environ.get("IMAGES", "images"))
WEIGHTS = os.environ.get("WEIGHTS")
SIDE = int(os.environ.get("SIDE", "224"))
"""Of the images, pixels."""
BATCH, RATE = 64, 0.01

NORMALISED = (
    v2.ToImage(),
    v2.ToDtype(torch.float32, scale=True),
    v2.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
)
TRAIN = v2.Compose([v2.RandomResizedCrop(SIDE, (0.5, 1.0)), v2.RandomHorizontalFlip(), *NORMALISED])
TEST = v2.Compose([v2.Resize(SIDE), v2.CenterCrop(SIDE), *NORMALISED])


def train(
    weights: tuple[float, ...],
    seed: int,
    report: Callable[..., None],
    epochs: int,
    checkpoints: Path,
    device: str,
) -> None:
    """Train with class weights, and report the correct test images after every epoch."""
    torch.manual_seed(seed)
    network = pretrained(len(weights)).to(device)
    loss = nn.CrossEntropyLoss(weight=torch.tensor(weights, device=device))
    optimizer = torch.optim.SGD(network.parameters(), RATE, momentum=0.9, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    parts = {"network": network, "optimizer": optimizer, "schedule": schedule}
    images, test = ImageFolder(IMAGES / "train", TRAIN), ImageFolder(IMAGES / "test", TEST)
    for epoch in range(restored(checkpoints, parts) + 1, epochs + 1):
        # A resumed training goes on as it would have.
        torch.manual_seed((1000 * seed + epoch) % 2**63)
        network.train()
        for inputs, labels in batches(images, device, shuffle=True):
            optimizer.zero_grad()
            loss(network(inputs), labels).backward()
            optimizer.step()
        schedule.step()
        report(epoch, correct=correct_by_half(network, test, device))
        state = {name: part.state_dict() for name, part in parts.items()}
        torch.save(state | {"epoch": epoch}, checkpoints / "new.pt")
        os.replace(checkpoints / "new.pt", checkpoints / "last.pt")


def pretrained(classes: int) -> nn.Module:
    """Return ResNet-18 with the weights of the file, and a new head."""
    network = resnet18()
    if WEIGHTS:
        network.load_state_dict(torch.load(WEIGHTS, map_location="cpu", weights_only=True))
    network.fc = nn.Linear(network.fc.in_features, classes)
    return network


def restored(checkpoints: Path, parts: dict[str, nn.Module]) -> int:
    """Load the checkpoint if there is one, and return its epoch, else 0."""
    path = checkpoints / "last.pt"
    if not path.exists():
        return 0
    state = torch.load(path, map_location="cpu", weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return int(state["epoch"])


def batches(
    images: ImageFolder, device: str, shuffle: bool = False
) -> Iterator[tuple[Tensor, Tensor]]:
    for inputs, labels in DataLoader(images, BATCH, shuffle=shuffle):
        yield inputs.to(device), labels.to(device)


def correct_by_half(network: nn.Module, images: ImageFolder, device: str) -> list[list[int]]:
    """Return the correct images of each class in half A and half B, (2, C)."""
    network.eval()
    hits: list[int] = []
    with torch.no_grad():
        for inputs, labels in batches(images, device):
            hits += (network(inputs).argmax(1) == labels).tolist()
    correct = [[0] * len(images.classes) for _ in range(2)]
    for half, label, hit in zip(halves(images), images.targets, hits, strict=True):
        correct[half][label] += hit
    return correct


def halves(images: ImageFolder) -> list[int]:
    """Return the half of each image: those of a class take turns."""
    seen: Counter[int] = Counter()
    found = []
    for label in images.targets:
        found.append(seen[label] % 2)
        seen[label] += 1
    return found


def main() -> None:
    """Print the class counts."""
    images, test = ImageFolder(IMAGES / "train"), ImageFolder(IMAGES / "test")
    train_counts = Counter(images.targets)
    by_half = Counter(zip(test.targets, halves(test), strict=True))
    print("class,train,half_a,half_b")
    for label, name in enumerate(images.classes):
        print(f"{name},{train_counts[label]},{by_half[label, 0]},{by_half[label, 1]}")


if __name__ == "__main__":
    main()
