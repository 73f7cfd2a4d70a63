"""A program runs an exported module in a fresh interpreter, and prints its answers as JSON.

It imports torch and the standard library alone, as the module does. Arguments: the module. Input:
a JSON object of `counts`, vectors of class counts, and `epochs`, pairs of an epoch and the number
of epochs, of which there are none for a module of class weights.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the module that is run imports torch
    from torch import Tensor, nn

IMAGES = 8
FEATURES = 3


def batch(classes: int) -> tuple[Tensor, Tensor]:
    """Logits, float64 (8, C), and labels (8,) on which a loss is checked."""
    import torch

    labels = torch.arange(IMAGES) * (classes - 1) // (IMAGES - 1)
    return 3 * _numbers(IMAGES, classes), labels


def last_layer(classes: int) -> tuple[Tensor, nn.Linear]:
    """Features, float64 (8, 3), and a layer for C classes, on which adjustments are checked."""
    import torch

    layer = torch.nn.Linear(FEATURES, classes, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(2 + _numbers(classes, FEATURES))
        layer.bias.copy_(_numbers(1, classes)[0])
    return _numbers(IMAGES, FEATURES), layer.requires_grad_(False)


def pixels() -> Tensor:
    """Images, uint8 (8, 3, 4, 5), on which difficulties are checked."""
    return ((_numbers(IMAGES, 60) + 1) * 127).byte().view(IMAGES, 3, 4, 5)


def hardness(images: int) -> Tensor:
    """Difficulties, int64 (N,), some of them alike, by which images are opened."""
    import torch

    return torch.arange(images) * 7919 % 1000


def uniform(classes: int) -> Tensor:
    """Numbers of the classes, float64 (C,) in [0, 1), that choose among open images."""
    return _numbers(1, classes)[0].abs()


def part_of(order: Any) -> Any:
    """Some hundreds of the images of an order."""
    return order[:: len(order) // 300 + 1]


def _numbers(rows: int, columns: int) -> Tensor:
    import torch

    return torch.sin(torch.arange(rows * columns, dtype=torch.float64)).view(rows, columns)


def answers_of_strategy(
    module: Any, counts: list[int], epochs: list[tuple[int, int]]
) -> dict[str, Any]:
    """What the module of a strategy answers in each epoch, and after the training."""
    import torch

    torch.set_num_threads(1)  # which is faster, because all of it is small
    numbers = torch.tensor(counts)
    labels = torch.arange(len(counts)).repeat_interleave(numbers)
    first = numbers.cumsum(0) - numbers
    weights, draws, losses = [], [], []
    for when in epochs:
        weights.append(module.weights_at(counts, *when).tolist())
        draws.append(module.sample_weights(labels, *when)[first].tolist())
        loss = module.loss_at(counts, *when).double()
        losses.append(loss(*batch(len(counts))).item())
    features, layer = last_layer(len(counts))
    logits = module.adjust(module.adjust_classifier(layer)(features), counts)
    answers = {
        "weights by epoch": weights,
        "draws by epoch": draws,
        "losses by epoch": losses,
        "adjusted logits": logits.tolist(),
    }
    if hasattr(module, "CosineClassifier"):
        classifier = module.CosineClassifier(FEATURES, len(counts))
        classifier.load_state_dict({"weight": layer.weight})
        answers["cosines"] = classifier(features).tolist()
    if hasattr(module, "open_images"):
        given = torch.arange(len(labels)), labels, hardness(len(labels))
        opened = [module.open_images(*given, *when, uniform(len(counts))) for when in epochs]
        answers["open images by epoch"] = [part_of(order).tolist() for order in opened]
        if module.DIFFICULTY in ("texture", "contrast"):
            answers["difficulties"] = module.image_difficulty(pixels()).tolist()
    return answers


def main() -> None:
    spec = importlib.util.spec_from_file_location("best", sys.argv[1])
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    request, answers = json.load(sys.stdin), []
    for counts in request["counts"]:
        weights = module.compute_class_weights(counts, len(counts), {})
        answer = {"dtype": str(weights.dtype), "weights": weights.tolist()}
        if request["epochs"]:
            answer |= answers_of_strategy(module, counts, request["epochs"])
        answers.append(answer)
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
