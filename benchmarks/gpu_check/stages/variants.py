"""Variants of the networks, for comparison alone: changes that last until the process ends."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from trainer.execution.task import Task


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
    "streamed": lambda: None,  # images come batch by batch from a file, as the stage has them
    "torch": lambda: None,  # torch's operators in place of kernels of our own, as in those below
    "fast": lambda: None,  # not reproducible: cuDNN's algorithms are timed, as configure sets it
    "native-bn": lambda: None,  # torch's own batch norm, as configure sets it
    "nchw": channels_first,
}
