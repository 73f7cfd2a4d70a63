"""The general loss: weighted cross entropy with logit terms, smoothing and focusing.

With label y of an image, and z of its logits:

- z'_j = s (delta_j z_j - [j = y] m_y) + iota_j, and p' its softmax,
- l = (1 - eps_y) (-log p'_y) - eps_y mean_j log p'_j,
- the loss of a batch is the sum of w_y (1 - p'_y)^gamma l divided by the sum of w_y.

So a factor of all class weights w changes nothing, as in torch's weighted cross entropy. Terms:
additive iota of logit adjustment (Menon et al., ICLR 2021) and balanced softmax (Ren et al.,
NeurIPS 2020), multiplicative delta of CDT (Ye et al., 2020), both of VS (Kini et al., NeurIPS
2021), margin m and scale s of LDAM (Cao et al., NeurIPS 2019), gamma of the focal loss (Lin et al.,
ICCV 2017), smoothing eps by class of MiSLAS (Zhong et al., CVPR 2021).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from spaces.recipe import Recipe

VECTORS = ("weights", "additive", "multiplicative", "margin", "smoothing")
SCALARS = ("scale", "focusing")
SHARES = ("main", "auxiliary")
NO_CLASS = -1e30
"""A logit that leaves a class out of a sum of exponentials, and is finite, as 0 times it is 0."""


@dataclass(frozen=True)
class LossTerms:
    """The numbers of the loss, views of one tensor, so that one copy changes all of them.

    Attributes:
        numbers: float32 (5 C + 4,).
        weights, additive, multiplicative, margin, smoothing: (C,), w, iota, delta, m, eps.
        scale, focusing: (), s and gamma.
        main, auxiliary: (), factors of this loss and of that of an auxiliary task.
    """

    numbers: Tensor
    weights: Tensor
    additive: Tensor
    multiplicative: Tensor
    margin: Tensor
    smoothing: Tensor
    scale: Tensor
    focusing: Tensor
    main: Tensor
    auxiliary: Tensor

    @classmethod
    def of(cls, numbers: Tensor) -> "LossTerms":
        """Return the terms in ``numbers``, float32 (5 C + 4,)."""
        scalars = len(SCALARS) + len(SHARES)
        vectors = numbers[:-scalars].view(len(VECTORS), -1)
        return cls(numbers, *vectors, *numbers[-scalars:])

    @classmethod
    def neutral(cls, classes: int, device: torch.device | None = None) -> "LossTerms":
        """Return the terms with which the loss is plain cross entropy."""
        terms = cls.of(
            torch.zeros(len(VECTORS) * classes + len(SCALARS) + len(SHARES), device=device)
        )
        for one in (terms.weights, terms.multiplicative, terms.scale, terms.main):
            one.fill_(1)
        return terms


def packed_terms(
    recipe: Recipe, epoch: int, epochs: int, factors: npt.NDArray[np.float64] | None = None
) -> Tensor:
    """Return the numbers of ``LossTerms`` in an epoch (1-based), float32 (5 C + 4,).

    ``factors`` (C,) of the class weights may follow from the epochs before.
    """
    weights = recipe.loss_weights(epoch, epochs)
    vectors = [weights if factors is None else weights * factors / (weights * factors).mean()]
    vectors += [np.asarray(getattr(recipe, name)) for name in VECTORS[1:]]
    scalars = [getattr(recipe, name) for name in SCALARS]
    shares = recipe.auxiliary.shares(epoch, epochs)
    return torch.from_numpy(np.concatenate([*vectors, scalars, shares])).float()


def image_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross entropies, float32 (B,), of logits float32 (B, C) and labels (B,)."""
    return functional.cross_entropy(logits.detach(), labels, reduction="none")


def plain_loss(logits: Tensor, labels: Tensor, terms: LossTerms) -> tuple[Tensor, Tensor]:
    """Return weighted cross entropy, float32 (), and ``image_losses``, which cost little here."""
    log_p = functional.log_softmax(logits, 1)
    losses = functional.nll_loss(log_p.detach(), labels, reduction="none")
    return functional.nll_loss(log_p, labels, weight=terms.weights), losses


def mixed_loss(
    logits: Tensor, labels: Tensor, partners: Tensor, shares: Tensor, terms: LossTerms
) -> Tensor:
    """Return the general loss, float32 (), of images that have two labels each, (B,).

    ``shares`` float32 (B,) are the parts of the images that the labels ``partners`` (B,) count for.
    """
    both, parts = torch.cat([labels, partners]), torch.cat([1 - shares, shares])
    return general_loss(torch.cat([logits, logits]), both, terms, parts)


def general_loss(
    logits: Tensor, labels: Tensor, terms: LossTerms, parts: Tensor | None = None
) -> Tensor:
    """Return the loss, float32 (), of logits float32 (B, C) and labels (B,) in 0..C-1.

    ``parts`` float32 (B,) say for how much of an image each counts, 1 without them.
    """
    classes = torch.arange(logits.shape[1], device=logits.device)
    own = labels.view(-1, 1) == classes
    shifted = terms.scale * (terms.multiplicative * logits - own * terms.margin) + terms.additive
    log_p = torch.log_softmax(shifted, 1)
    log_own = log_p.masked_fill(~own, 0).sum(1)
    smoothing = terms.smoothing[labels]
    losses = -(1 - smoothing) * log_own - smoothing * log_p.mean(1)
    # log(1 - p'_y) from the other classes: 1 - p'_y itself would be 0 for a sure prediction, where
    # a power of it has no gradient.
    log_others = torch.logsumexp(log_p.masked_fill(own, NO_CLASS), 1)
    weights = terms.weights[labels]
    if parts is not None:
        weights = weights * parts
    return (weights * torch.exp(terms.focusing * log_others) * losses).sum() / weights.sum()
