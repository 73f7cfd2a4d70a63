"""The cosine classifier in the exported module of a training strategy, with torch alone.

An export of a strategy with one has this file behind those of `search/export`
(`search.export.module_template`). The arithmetic repeats `trainer.strategies.heads.cosines`,
against which every export is checked.
"""

from torch import Tensor, nn
from torch.nn import functional


class CosineClassifier(nn.Linear):
    """Last layer whose logits are the cosines of features (B, F) with the row of each class.

    They are float32 (B, C), in -1..1; `loss_at` scales them. It has no bias.
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        rows = functional.normalize(self.weight)
        return functional.linear(functional.normalize(features.float()), rows)
