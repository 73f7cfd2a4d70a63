"""Post-hoc adjustment: predictions of a trained network whose logits are corrected by class.

Logit adjustment of strength t predicts the largest z_j - t ln pi_j, where pi_j is the share of
class j in the training images (Menon et al., ICLR 2021). Normalisation by tau predicts the largest
(z_j - b_j) / |w_j|^tau, where w_j and the bias b_j are of the last layer (Kang et al., ICLR 2020).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from spaces.loss import PostHoc


def log_priors(counts: npt.ArrayLike) -> Tensor:
    """Return ln pi, float32 (C,), of numbers of training images (C,), of which 0 counts as 1."""
    numbers = np.maximum(np.asarray(counts, dtype=np.float64), 1)
    return torch.from_numpy(np.log(numbers / numbers.sum())).float()


def normalised(logits: Tensor, layer: nn.Linear, tau: float) -> Tensor:
    """Return the logits (B, C) of ``layer`` without its bias, each divided by |w|^tau."""
    norms: Tensor = torch.linalg.vector_norm(layer.weight, dim=1)
    return (logits - layer.bias) / norms**tau


def predictions(
    logits: Tensor, layer: nn.Linear | None, priors: Tensor, grid: Sequence[PostHoc]
) -> Tensor:
    """Return the predicted classes, int64 (G, B), of each entry of ``grid``.

    Args:
        logits: float32 (B, C), of the last ``layer``; None for one whose rows have the norm 1 and
            no bias, which a normalisation leaves as it is.
        priors: ``log_priors``, (C,).
        grid: G adjustments.
    """
    rows = []
    for entry in grid:
        base = normalised(logits, layer, entry.tau_norm) if entry.tau_norm and layer else logits
        strength = entry.adjustment
        rows.append((base - strength * priors if strength else base).argmax(1))
    return torch.stack(rows)


def confidences(
    logits: Tensor,
    layer: nn.Linear | None,
    priors: Tensor,
    tau: Tensor,
    strength: Tensor,
    chosen: Tensor,
) -> Tensor:
    """Return the probabilities, float32 (B,), of predicted classes after an adjustment.

    Args:
        logits, layer, priors: as for ``predictions``.
        tau, strength: of the adjustment, float32 (), not both above 0.
        chosen: the predicted classes, int64 (B,).
    """
    if layer:
        norms = torch.linalg.vector_norm(layer.weight, dim=1)
        logits = (logits - (tau > 0) * layer.bias) / norms**tau
    adjusted = logits - strength * priors
    return torch.softmax(adjusted, 1).gather(1, chosen.view(-1, 1))[:, 0]


def add_counts(counts: Tensor, predicted: Tensor, labels: Tensor, cells: Tensor) -> None:
    """Add test images to ``counts``: whole numbers, so that the sums are exact in any order.

    Args:
        counts: float64 (G, 2, 2 C), contiguous: images that are correct, and images that are
            predicted as the class, both by half and class.
        predicted: int64 (G, B), classes.
        labels: int64 (B,), true classes.
        cells: int64 (B,), half * C + true class.
    """
    rows, kinds, size = counts.shape
    flat = counts.view(-1)
    row = kinds * size * torch.arange(rows, device=counts.device).view(-1, 1)
    hits = (predicted == labels).double()
    flat.index_add_(0, (row + cells).flatten(), hits.flatten())
    named = row + size + cells - labels + predicted
    flat.index_add_(0, named.flatten(), torch.ones_like(hits).flatten())
