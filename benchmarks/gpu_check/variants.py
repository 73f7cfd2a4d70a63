"""How else could the networks run? Changes for comparison alone, until the process ends."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from trainer.task import Task


def native_batch_norm() -> None:
    """Run batch norm without cuDNN, whose kernels wait for all of their blocks to be resident."""

    def forward(self: Any, x: Tensor) -> Tensor:
        normalised: Tensor = torch.native_batch_norm(
            x,
            self.weight,
            self.bias,
            self.running_mean,
            self.running_var,
            self.training,
            self.momentum,
            self.eps,
        )[0]
        return normalised

    nn.BatchNorm2d.forward = forward  # type: ignore[method-assign, assignment]


def channels_first() -> None:
    """Keep images and activations channel by channel (NCHW)."""
    to = nn.Module.to

    def contiguous(self: Any, *args: Any, **options: Any) -> Any:
        options.pop("memory_format", None)
        return to(self, *args, **options)

    def batches(method: Callable[..., tuple[Tensor, ...]]) -> Callable[..., tuple[Tensor, ...]]:
        def made(self: Task, *args: object) -> tuple[Tensor, ...]:
            inputs, *rest = method(self, *args)
            return (inputs.contiguous(), *rest)

        return made

    nn.Module.to = contiguous  # type: ignore[method-assign]
    Task.training_batch = batches(Task.training_batch)  # type: ignore[method-assign, assignment]
    Task.test_batch = batches(Task.test_batch)  # type: ignore[method-assign, assignment]


VARIANTS: dict[str, Callable[[], None]] = {
    "none": lambda: None,
    "fast": lambda: None,  # not reproducible: cuDNN's algorithms are timed, as configure sets it
    "native-bn": native_batch_norm,
    "nchw": channels_first,
}
