"""The exported cosine classifier is the trainer's, in every precision."""

from __future__ import annotations

import pytest
import torch
from exporting import load
from torch import nn

from spaces import STRATEGIES
from trainer.strategies.heads import cosines
from trainer.strategies.loss import LossTerms, general_loss, packed_terms

COUNTS = [50, 20, 20, 5]
COSINE = STRATEGIES["ldam_drw"].strategy


def test_a_cosine_classifier_trains_with_the_loss_as_in_the_trainer():
    module, recipe = load(COSINE), COSINE.recipe(COUNTS)
    classifier, labels = module["CosineClassifier"](3, 4), torch.tensor([0, 1, 2, 3, 0])
    features = torch.rand(5, 3, generator=torch.Generator().manual_seed(0)).bfloat16()
    terms = LossTerms.of(packed_terms(recipe, 9, 10))
    expected = general_loss(cosines(features, classifier), labels, terms)
    loss = module["loss_at"](COUNTS, 9, 10)(classifier(features), labels)
    assert torch.allclose(loss, expected, rtol=1e-6)
    assert [name for name, _ in classifier.named_parameters()] == ["weight"]


@pytest.mark.parametrize("kind", (torch.float32, torch.bfloat16, torch.float64), ids=str)
def test_cosines_are_those_of_float32_under_autocast_and_in_any_precision(kind):
    classifier = load(COSINE)["CosineClassifier"](3, 4).to(kind)
    features = torch.rand(5, 3, generator=torch.Generator().manual_seed(0)).to(kind)
    single = nn.Linear(3, 4, bias=False)
    single.load_state_dict({"weight": classifier.weight.float()})
    expected = cosines(features, single)
    with torch.autocast("cpu", torch.bfloat16):
        found = classifier(features)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)
    assert torch.equal(classifier(features), expected)
    assert classifier.to("meta")(features.to("meta")).is_meta  # which has no autocast
