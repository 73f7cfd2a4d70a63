"""Heads: every network is split into extractor and classifier, and cosines are those of vectors."""

from collections import OrderedDict

import pytest
import torch
from torch import nn
from training import threads

from spaces.errors import UserError
from trainer.models import NETWORKS, BatchNorm2d, build
from trainer.strategies.heads import (
    auxiliary_head,
    classifier_name,
    classifier_of,
    cosines,
    extractor_of,
    unrecorded,
)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_its_classifier_on_its_features_bit_for_bit(name: str) -> None:
    network = build(name, 3, 7, seed=1).eval()
    side = NETWORKS[name].min_resolution
    images = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    with threads(1), torch.no_grad():
        features = extractor_of(network)(images)
        assert features.shape == (2, classifier_of(network).in_features)
        assert torch.equal(classifier_of(network)(features), network(images))


def test_the_last_linear_layer_is_the_classifier_however_deep_it_is() -> None:
    inner = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    network = nn.Sequential(OrderedDict(flat=nn.Flatten(), tail=inner, name=nn.Identity()))
    assert classifier_name(network) == "tail.2"
    features = extractor_of(network)(torch.ones(2, 6))
    assert torch.equal(inner[2](features), network(torch.ones(2, 6)))
    assert isinstance(inner[2], nn.Linear), "the network stays as it is"
    with pytest.raises(UserError, match="the network Flatten has no linear layer"):
        classifier_name(nn.Flatten())


def test_cosines_are_those_of_features_and_rows() -> None:
    layer = nn.Linear(4, 3)
    features = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    expected = torch.cosine_similarity(features[:, None], layer.weight[None], dim=2)
    torch.testing.assert_close(cosines(features, layer), expected)


def test_an_auxiliary_head_is_a_function_of_seed_and_task() -> None:
    classifier = nn.Linear(6, 3)
    heads = [
        auxiliary_head(task, classifier, seed).weight
        for task, seed in (("regular", 1), ("regular", 1), ("regular", 2), ("rotation", 1))
    ]
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])
    assert [tuple(head.shape) for head in heads[2:]] == [(3, 6), (4, 6)]
    assert not torch.equal(heads[0], heads[3][:3])


@pytest.mark.parametrize("native", (False, True))
def test_an_unrecorded_batch_is_normalised_by_itself_and_leaves_no_trace(
    native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BatchNorm2d, "native", native)
    norm, other = BatchNorm2d(2), BatchNorm2d(2)
    images = torch.randn(4, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    with unrecorded(norm):
        assert torch.equal(norm(images), other(images))
    assert torch.equal(norm.running_mean, torch.zeros(2))
    assert not torch.equal(other.running_mean, torch.zeros(2))
    with pytest.raises(MemoryError), unrecorded(norm):
        raise MemoryError
    norm(images)
    assert torch.equal(norm.running_mean, other.running_mean)
