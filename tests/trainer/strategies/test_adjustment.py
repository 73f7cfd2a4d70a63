"""Post-hoc adjustment, against the formulas written out one image at a time."""

import numpy as np
import torch
from torch import nn

from spaces.loss import POSTHOC, PostHoc
from trainer.strategies.adjustment import add_counts, log_priors, predictions

COUNTS = (70, 30, 20, 8, 2)
GRID = (*POSTHOC, PostHoc(1.0, 0.5))


def layer() -> nn.Linear:
    torch.manual_seed(1)
    made = nn.Linear(7, 5)
    with torch.no_grad():
        made.weight *= torch.tensor([3.0, 2.0, 1.0, 0.5, 0.2]).view(-1, 1)
    return made


def expected(features: torch.Tensor, last: nn.Linear, strength: float, tau: float) -> list[int]:
    chosen = []
    for feature in features.double():
        values = []
        for j, count in enumerate(COUNTS):
            row, bias = last.weight[j].double(), float(last.bias[j])
            z = float(row @ feature)
            z = z / float(row.norm()) ** tau if tau else z + bias
            values.append(z - strength * np.log(count / sum(COUNTS)))
        chosen.append(int(np.argmax(values)))
    return chosen


@torch.no_grad()
def test_each_entry_of_the_grid_predicts_by_its_formula() -> None:
    last, features = layer(), 3 * torch.randn(300, 7)
    logits, priors = last(features), log_priors(COUNTS)
    predicted = predictions(logits, last, priors, GRID)
    assert torch.equal(predicted[0], logits.argmax(1))
    assert len({tuple(row.tolist()) for row in predicted}) == len(GRID)
    for entry, row in zip(GRID, predicted, strict=True):
        assert row.tolist() == expected(features, last, entry.adjustment, entry.tau_norm)


def test_counts_are_exact_by_half_and_class() -> None:
    labels, half = torch.randint(0, 5, (2, 300)), torch.randint(0, 2, (2, 300))
    predicted = torch.randint(0, 5, (2, 3, 300))
    counts = torch.zeros(3, 2, 2 * 5, dtype=torch.float64)
    expected = np.zeros((3, 2, 2, 5))
    for batch in (0, 1):
        add_counts(counts, predicted[batch], labels[batch], half[batch] * 5 + labels[batch])
        for row in range(3):
            for image in range(300):
                named = int(predicted[batch, row, image])
                expected[row, 0, half[batch, image], labels[batch, image]] += (
                    named == labels[batch, image]
                )
                expected[row, 1, half[batch, image], named] += 1
    assert np.array_equal(counts.numpy().reshape(expected.shape), expected)
