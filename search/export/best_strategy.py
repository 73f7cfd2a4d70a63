"""The exported module of a training strategy: what changes between epochs, with torch alone.

An export puts this file and `search/export/best_weighting.py` together, with a docstring of its
own and the constants of the strategy that was found (`search.export.module_template`). The
arithmetic repeats `spaces.recipe` and `trainer.strategies` in torch, because the copy must run
where the project is not installed; every export is checked against them.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils.data import RandomSampler, Sampler, WeightedRandomSampler

from search.export.best_weighting import (
    WEIGHTING,
    Weighting,
    _answer,
    _by_label,
    _check_counts,
    _family,
    _normalize,
    _of_all,
)


class Ramp(NamedTuple):
    """Strength from `start` to `stop` over the training, in which epoch 1 is at 0, the last at 1.

    It is `start` until `begin`, then start + (stop - start) t^power with t from 0 to 1, and `stop`
    from `end` on. Equal `begin` and `end` are a step.
    """

    begin: float = 0.0
    end: float = 0.0
    power: float = 1.0
    start: float = 0.0
    stop: float = 1.0


# When the class weights w act. The mix is "power", w^strength, or "mixture", of 1 and w.
WEIGHTS_RAMP: Ramp = Ramp()
WEIGHTS_MIX: str = "power"

# The weight of an image of each class in the draw of an epoch's images, and when it acts. The mix
# is "power" or "mixture", of the probabilities. The draw is "independent" or "cycled".
SAMPLING: Weighting = Weighting()
SAMPLING_RAMP: Ramp = Ramp()
SAMPLING_MIX: str = "power"
DRAW: str = "independent"

# What the loss does to the logits z of an image of class y, with the class counts n:
# SCALE (z_j (n_j / n_max)^MULTIPLICATIVE - margin) + ADDITIVE ln(n_j / sum n), where the margin
# MARGIN (n_min / n_y)^MARGIN_POWER is that of j = y alone.
ADDITIVE: float = 0.0
MULTIPLICATIVE: float = 0.0
MARGIN: float = 0.0
MARGIN_POWER: float = 0.25
SCALE: float = 1.0

# Label smoothing of the most and of the least frequent class, and a sine of the count between.
SMOOTHING_HEAD: float = 0.0
SMOOTHING_TAIL: float = 0.0

# Of a focal loss: an image counts (1 - p_y)^FOCUSING.
FOCUSING: float = 0.0

# After the training: w / |w|^TAU_NORM without a bias for each class in the last layer, and
# then logits z - ADJUSTMENT ln(n / sum n).
TAU_NORM: float = 0.0
ADJUSTMENT: float = 0.0


def compute_class_weights(
    class_counts: Any,
    num_classes: int | None = None,
    config: Any = None,
    *,
    normalization: str = "sum_to_classes",
    zero_counts: str = "error",
) -> torch.Tensor:
    """Class weights of the last epoch, as a float32 tensor (C,) in the order of the labels.

    They are a part of the strategy alone. `class_counts` are C positive integers in the order of
    the labels, or with labels (a dict, a Counter, a pandas Series), which are then the whole
    numbers 0 to C - 1 or CLASS_NAMES. `num_classes` is C, and may be left out. `config` does not
    change the weights.

    `normalization` is one of NORMALIZATIONS: "mean_sample_one" for a loss that divides by the
    number of images. A count of 0 is refused ("error"), has the weight 0, for a class that cannot
    occur ("ignore"), or has the weight of the rarest class with images ("smallest").

    The weights are on the device of a tensor of counts, and else on the CPU. Raises ValueError
    for arguments that are not valid. Warns where training with the weights would go badly.
    """
    with torch.device("cpu"):  # not every device has float64, and the default may be any
        counts = _check_counts(_by_label(class_counts, num_classes), num_classes, zero_counts)
        weights = _of_all(counts, zero_counts, lambda positive: _loss_weights(positive, 1.0))
        shown = _of_all(counts, "ignore", lambda positive: _drawn(positive, 1.0))
        return _answer(_normalize(weights, shown, normalization), shown, class_counts)


def weights_at(class_counts: Any, epoch: int, epochs: int) -> torch.Tensor:
    """Class weights in the loss of an epoch of 1 to `epochs`, as `compute_class_weights`."""
    with torch.device("cpu"):
        counts, done = _counts(class_counts), _progress(epoch, epochs)
        return _answer(_loss_weights(counts, done), _drawn(counts, done), class_counts)


def sample_weights(labels: Any, epoch: int, epochs: int) -> torch.Tensor:
    """Weight of each image in the draw of an epoch, float64 (N,) with mean 1.

    They are for `torch.utils.data.WeightedRandomSampler`. `labels` are the classes of the N
    training images, whole numbers. Where all weights are 1 because the strategy does not act yet,
    or never, it shows each image once, as `shuffle=True` does: `EpochSampler` does either.

    Raises ValueError for labels or an epoch that are not valid.
    """
    with torch.device("cpu"):
        classes, counts = _images(labels)
        return (_drawn(counts, _progress(epoch, epochs)) / counts)[classes]


def loss_at(class_counts: Any, epoch: int, epochs: int) -> nn.Module:
    """Loss of an epoch of 1 to `epochs`: logits (B, C) and labels (B,) to a mean over the images.

    Its tensors are on the device of a tensor of counts, and else on the CPU; `.to(device)` moves
    them. `class_counts` are those of the training images, as in `compute_class_weights`.

    Raises ValueError for counts or an epoch that are not valid.
    """
    with torch.device("cpu"):
        counts, done = _counts(class_counts), _progress(epoch, epochs)
        weights = _answer(_loss_weights(counts, done), _drawn(counts, done), class_counts)
        logit_terms = ADDITIVE or MULTIPLICATIVE or MARGIN or SCALE != 1
        if logit_terms or SMOOTHING_HEAD or SMOOTHING_TAIL or FOCUSING:
            return StrategyLoss(weights, counts)
        return nn.CrossEntropyLoss(weight=weights)


def adjust(logits: torch.Tensor, class_counts: Any) -> torch.Tensor:
    """Logits (..., C) of a trained network, corrected for the classes' shares in the training.

    Those of a cosine classifier are SCALE times its cosines. `class_counts` are those of the
    training images. Raises ValueError if they are not valid.
    """
    with torch.device("cpu"):
        counts = _counts(class_counts)
        prior = ADJUSTMENT * torch.log(counts / counts.sum())
    dtype = torch.promote_types(logits.dtype, torch.float32)
    return logits - prior.to(logits.device, dtype) if ADJUSTMENT else logits


def adjust_classifier(layer: nn.Linear) -> nn.Linear:
    """Copy of a trained network's last layer with normalised weights; `adjust` comes after it."""
    adjusted = copy.deepcopy(layer)
    if TAU_NORM:
        with torch.no_grad():
            adjusted.weight /= adjusted.weight.norm(dim=1, keepdim=True) ** TAU_NORM
            if adjusted.bias is not None:
                adjusted.bias.zero_()
    return adjusted


class EpochSampler(Sampler[int]):
    """Order of the training images, drawn anew for each epoch; `set_epoch` goes before it.

    `labels` are as in `sample_weights`, and `epochs` is the length of the training. Raises
    ValueError for labels or an epoch that are not valid.
    """

    def __init__(self, labels: Any, epochs: int, generator: torch.Generator | None = None) -> None:
        self.epochs, self.epoch, self.generator = epochs, 0, generator
        with torch.device("cpu"):
            self.classes, self.counts = _images(labels)
        self.unseen: list[list[int]] = [[] for _ in self.counts]

    def __len__(self) -> int:
        return len(self.classes)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, 1 to `epochs`, of the next order."""
        _progress(epoch, self.epochs)
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        if self.epoch == 0:
            raise ValueError("EpochSampler has no epoch yet; call set_epoch(1) before the first.")
        with torch.device("cpu"):  # torch's own draw on the default device
            return iter(list(self._order()))

    def _order(self) -> Iterator[int]:
        images = len(self.classes)  # a subclass may have another length, such as that of its share
        shares = _class_shares(self.counts, _progress(self.epoch, self.epochs))
        if shares is None:
            return iter(RandomSampler(range(images), generator=self.generator))
        if DRAW == "cycled":
            return self._cycled(shares)
        weights = (self.counts.sum() * shares / self.counts)[self.classes].tolist()
        return iter(WeightedRandomSampler(weights, images, generator=self.generator))

    def _cycled(self, shares: torch.Tensor) -> Iterator[int]:
        """Images of drawn classes, none again before all of its class were shown."""
        images = len(self.classes)
        drawn = torch.multinomial(shares, images, replacement=True, generator=self.generator)
        for index in drawn.tolist():
            if not self.unseen[index]:
                mine = (self.classes == index).nonzero()[:, 0]
                shuffled = torch.randperm(len(mine), generator=self.generator)
                self.unseen[index] = mine[shuffled].tolist()
            yield self.unseen[index].pop()


class StrategyLoss(nn.Module):
    """Mean over images of w_y (1 - p_y)^FOCUSING l / mean w_y, with the smoothed cross entropy l.

    `weights` are float32 (C,), and `counts` float64 (C,). Takes logits (B, C) and labels (B,).
    """

    weights: torch.Tensor
    factor: torch.Tensor
    shift: torch.Tensor
    margin: torch.Tensor
    smoothing: torch.Tensor

    def __init__(self, weights: torch.Tensor, counts: torch.Tensor) -> None:
        super().__init__()
        terms = {
            "weights": weights,
            "factor": SCALE * (counts / counts.max()) ** MULTIPLICATIVE,
            "shift": ADDITIVE * torch.log(counts / counts.sum()),
            "margin": SCALE * MARGIN * (counts.min() / counts) ** MARGIN_POWER,
            "smoothing": _smoothing(counts),
        }
        for name, term in terms.items():
            self.register_buffer(name, term.to(weights), persistent=False)

    def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        true = nn.functional.one_hot(labels, len(self.weights))
        shifted = self.factor * logits + self.shift - true * self.margin
        log_p = torch.log_softmax(shifted, dim=1)
        log_p_true = log_p.gather(1, labels[:, None])[:, 0]
        smoothing, weights = self.smoothing[labels], self.weights[labels]
        loss = -(1 - smoothing) * log_p_true - smoothing * log_p.mean(dim=1)
        if FOCUSING:  # by the other classes, because 1 - p_y itself is 0 for a sure prediction
            log_others = torch.logsumexp(log_p.masked_fill(true.bool(), -1e30), dim=1)
            loss = loss * torch.exp(FOCUSING * log_others)
        return (weights * loss).sum() / weights.sum()


def _loss_weights(counts: torch.Tensor, done: float) -> torch.Tensor:
    """Class weights (C,) of counts (C,) after a part of the training, 0 to 1."""
    strength, weights = _strength(WEIGHTS_RAMP, done), _family(counts, WEIGHTING)
    if WEIGHTS_MIX == "power":
        mixed = weights**strength
    else:
        mixed = 1 - strength + strength * _normalize(weights, counts, "mean_sample_one")
    return mixed / mixed.mean()


def _class_shares(counts: torch.Tensor, done: float) -> torch.Tensor | None:
    """Probability (C,) of each class in a draw; None where every image is shown once."""
    strength = _strength(SAMPLING_RAMP, done)
    if strength == 0 or not (SAMPLING.exponent or SAMPLING.bump):
        return None
    weights = _family(counts, SAMPLING)
    if SAMPLING_MIX == "power":
        shares = counts * weights**strength
        return shares / shares.sum()
    full = counts * weights
    return (1 - strength) * counts / counts.sum() + strength * full / full.sum()


def _drawn(counts: torch.Tensor, done: float) -> torch.Tensor:
    """Images (C,) of each class that an epoch is expected to show."""
    shares = _class_shares(counts, done)
    return counts if shares is None else counts.sum() * shares


def _smoothing(counts: torch.Tensor) -> torch.Tensor:
    """Label smoothing (C,) of each class; that of the head where all are alike."""
    spread = counts.max() - counts.min()
    place = (counts - counts.min()) / spread if spread else torch.ones_like(counts)
    risen = torch.sin(math.pi / 2 * place)
    return SMOOTHING_HEAD * risen + SMOOTHING_TAIL * (1 - risen)


def _strength(ramp: Ramp, done: float) -> float:
    if ramp.begin == ramp.end:
        risen = float(done >= ramp.begin)
    else:
        risen = min(max((done - ramp.begin) / (ramp.end - ramp.begin), 0.0), 1.0) ** ramp.power
    return ramp.start * (1 - risen) + ramp.stop * risen


def _progress(epoch: int, epochs: int) -> float:
    """Part of the training before an epoch, 0 for the first and 1 for the last."""
    if not 1 <= epoch <= epochs:
        raise ValueError(f"epoch is {epoch}; it must be 1 to {epochs}, the number of epochs.")
    return (epoch - 1) / (epochs - 1) if epochs > 1 else 0.0


def _counts(class_counts: Any) -> torch.Tensor:
    counts = _check_counts(_by_label(class_counts, None), zero_counts="ignore")
    for index, count in enumerate(counts.tolist()):
        if count == 0:
            raise ValueError(
                f"class_counts[{index}] is 0; leave a class that cannot occur out of labels and "
                "counts, and give one that may occur the count of the rarest class with images."
            )
    return counts


def _images(labels: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """The class of each image (N,), numbered without gaps, and the counts (C,) of the classes."""
    try:
        as_they_are = torch.is_tensor(labels) or not hasattr(labels, "tolist")
        given = torch.as_tensor(labels if as_they_are else labels.tolist()).detach().cpu()
    except (TypeError, ValueError, OverflowError, RuntimeError):
        given = torch.empty(())
    if given.dim() != 1 or given.numel() == 0 or given.is_floating_point():
        raise ValueError(
            "labels must be a list, array or tensor of the class of each image, 0 to C - 1."
        )
    _, classes, counts = torch.unique(given, return_inverse=True, return_counts=True)
    return classes, counts.to(torch.float64)
