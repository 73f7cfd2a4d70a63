"""Heads: the classifier of any network, the feature extractor before it, and heads beside it."""

import contextlib
import copy
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from spaces.errors import UserError
from trainer.models import INIT_STREAM, initialise

HEAD_STREAMS = {"regular": INIT_STREAM + 1, "rotation": INIT_STREAM + 2}
"""Auxiliary task -> second key word of the stream that initialises its head."""
RENEWED_STREAM = INIT_STREAM + 3
"""Second key word of the stream that initialises a classifier anew."""
QUARTER_TURNS = 4


def classifier_name(network: nn.Module) -> str:
    """Return the name of a network's classifier: ``linear``, or else the last linear layer.

    Raises:
        UserError: there is no linear layer.
    """
    names = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    if not names:
        raise UserError(
            f"the network {type(network).__name__} has no linear layer, and so no classifier; end "
            "it with torch.nn.Linear."
        )
    return "linear" if "linear" in names else names[-1]


def classifier_of(network: nn.Module) -> nn.Linear:
    """Return a network's classifier, as ``classifier_name`` finds it."""
    classifier = network.get_submodule(classifier_name(network))
    assert isinstance(classifier, nn.Linear)
    return classifier


def extractor_of(network: nn.Module) -> nn.Module:
    """Return a network without its classifier, from images to features (B, F).

    All of its modules are those of ``network``, which stays as it is.
    """
    return _without(network, *classifier_name(network).split("."))


def _without(module: nn.Module, name: str, *names: str) -> nn.Module:
    changed = copy.copy(module)
    inner = _without(module.get_submodule(name), *names) if names else nn.Identity()
    changed._modules = module._modules | {name: inner}
    return changed


def cosines(features: Tensor, classifier: nn.Linear) -> Tensor:
    """Return the cosine of features (B, F) with each row of a classifier, float32 (B, C)."""
    rows = functional.normalize(classifier.weight)
    return functional.linear(functional.normalize(features.float()), rows)


def auxiliary_head(task: str, classifier: nn.Linear, seed: int) -> nn.Linear:
    """Return the head of an auxiliary task beside ``classifier``, on the CPU: F features to logits.

    Of classes for "regular", of quarter turns for "rotation".
    """
    outputs = QUARTER_TURNS if task == "rotation" else classifier.out_features
    return initialised_layer(classifier.in_features, outputs, seed, HEAD_STREAMS[task])


def initialised_layer(inputs: int, outputs: int, seed: int, stream: int) -> nn.Linear:
    """Return a linear layer on the CPU, initialised from one of the streams of ``seed``."""
    with torch.device("meta"):
        layer = nn.Linear(inputs, outputs)
    layer.to_empty(device="cpu")
    initialise(layer, np.random.Philox(key=[seed, stream]).random_raw() >> 1)
    return layer


@contextlib.contextmanager
def unrecorded(network: nn.Module) -> Iterator[None]:
    """Keep batches that pass meanwhile out of the running statistics of batch norms."""
    norms = [m for m in network.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
