"""The cosine classifier in the exported module of a training strategy, with torch alone.

An export of a strategy with one has this file behind those of `search/export`
(`search.export.module_template`). The arithmetic repeats `trainer.strategies.heads.cosines`,
against which every export is checked.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

# Whether a kind of device has an autocast; before torch 2.4 these two have, or are not asked for.
HAS_AUTOCAST: Any = getattr(torch.amp, "is_autocast_available", ("cpu", "cuda").__contains__)


class CosineClassifier(nn.Linear):
    """Last layer whose logits are the cosines of features (B, F) with the row of each class.

    They are float32 (B, C), in -1..1, also under autocast and with weights of 16 bits; `loss_at`
    scales them. It has no bias.
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        kind = features.device.type
        with torch.autocast(kind if HAS_AUTOCAST(kind) else "cpu", enabled=False):
            rows = functional.normalize(self.weight.float())
            return functional.linear(functional.normalize(features.float()), rows)
