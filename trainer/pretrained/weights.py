"""Pretrained weights are read from a state dict, and every name, shape and number is checked."""

import functools
import hashlib
import io
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from spaces.errors import UserError
from trainer.benchmarks.pretrained import Pretrained
from trainer.errors import BenchmarkError

ADVICE = "write one with torch.save(network.state_dict(), FILE)"
UNREAD = "num_batches_tracked"
"""Of batch norms, which training here does not read; older files have none."""


@dataclass(frozen=True, eq=False)
class StateDict:
    """The content of a file: tensors by name, and 16 hexadecimal digits over all of its bytes."""

    tensors: Mapping[str, Tensor]
    digest: str


def read_weights(path: Path) -> StateDict:
    """Return the state dict in a file, without running code from it.

    Raises:
        BenchmarkError: it cannot be read, or is no state dict.
    """
    try:
        content = path.read_bytes()
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except OSError as error:
        raise BenchmarkError(
            f"pretrained is {str(path)!r}, which cannot be read ({error.strerror}); correct it"
        ) from error
    # torch meets broken files with whatever it stumbles over; its message is not told, because it
    # advises to load without weights_only, which runs the file's code.
    except Exception as error:
        raise BenchmarkError(
            f"pretrained is {str(path)!r}, which is no file that torch reads as data; {ADVICE}"
        ) from error
    named = isinstance(state, Mapping) and all(
        isinstance(name, str) and isinstance(x, Tensor) for name, x in state.items()
    )
    if not named or not state:
        found = ", ".join(map(str, list(state)[:3])) if isinstance(state, Mapping) else "no names"
        raise BenchmarkError(
            f"pretrained is {str(path)!r}, which holds other things than tensors by name ({found});"
            f" {ADVICE}"
        )
    return StateDict(state, hashlib.sha256(content).hexdigest()[:16])


def check_weights(path: Path, state: StateDict, network: nn.Module, head: str, name: str) -> None:
    """Check that a state dict has every tensor of a network but those of its head.

    Args:
        network: it may be on the meta device.
        head: name of the classifier, whose tensors are not read.
        name: of the network, for the sentence.

    Raises:
        BenchmarkError: a tensor is missing, one too many, of another shape, or not finite.
    """
    wanted = read_of(network.state_dict(), head)
    there = read_of(state.tensors, head)
    fault = None
    if missing := wanted.keys() - there.keys():
        fault = f"lacks {listed(missing)}, which {name} has"
    elif more := there.keys() - wanted.keys():
        fault = f"has {listed(more)}, which {name} has not"
    for key, tensor in {} if fault else wanted.items():
        if there[key].shape != tensor.shape:
            fault = f"has {key} of shape {tuple(there[key].shape)}, and not {tuple(tensor.shape)}"
            break
        if not torch.isfinite(there[key]).all():
            fault = f"has numbers in {key} that are not finite"
            break
    if fault:
        raise BenchmarkError(
            f"pretrained is {str(path)!r}, which {fault}; give weights of this network"
        )


def read_of(tensors: Mapping[str, Tensor], head: str) -> dict[str, Tensor]:
    """Return the tensors that are taken from a file."""
    return {
        name: tensor
        for name, tensor in tensors.items()
        if not name.startswith(f"{head}.") and not name.endswith(UNREAD)
    }


def listed(names: set[str]) -> str:
    first, *more = sorted(names)
    return f"{first} and {len(more)} more" if more else first


def load_pretrained(network: nn.Module, pretrained: Pretrained, head: str) -> None:
    """Give a network on the CPU the weights of the file; its head stays as it is.

    Raises:
        UserError: the file is not here, or not the one that the benchmark was read with.
    """
    tensors = read_of(_checked(pretrained), head)
    own = network.state_dict()
    for name, tensor in tensors.items():
        own[name].copy_(tensor)


@functools.lru_cache(maxsize=1)
def _checked(pretrained: Pretrained) -> Mapping[str, Tensor]:
    """The tensors of the file, read once in a process."""
    where = f"{platform.node()}: "
    try:
        state = read_weights(pretrained.path)
    except BenchmarkError as error:
        raise UserError(
            f"{where}{error}; on a cluster it must be at the same path on all machines"
        ) from error
    if state.digest != pretrained.digest:
        raise UserError(
            f"{where}{pretrained.path} is not the file with which the search began; restore it"
        )
    return state.tensors
