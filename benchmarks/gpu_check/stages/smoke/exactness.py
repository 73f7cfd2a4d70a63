"""Check of the kernels of our own: their gradients are as exact as those of torch's operators."""

import statistics
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.gpu_check.made_up import made_up
from trainer.benchmarks import Benchmark
from trainer.execution.task import Task
from trainer.models import build
from trainer.runtime import arithmetic, configure

SEED = 0
ALLOWED = 1.25
"""Times the error of torch's operators."""


def as_exact(benchmark: Benchmark, precision: str, device: torch.device) -> tuple[bool, Any]:
    """Compare both with float32, by the median over the parameters of the relative error."""
    exact = gradients(benchmark, "fp32", device, fused=False)
    theirs, ours = (gradients(benchmark, precision, device, fused) for fused in (False, True))
    configure(precision, 1)
    errors = [statistics.median(map(relative_error, found, exact)) for found in (theirs, ours)]
    return errors[1] <= ALLOWED * errors[0], errors


def gradients(
    benchmark: Benchmark, precision: str, device: torch.device, fused: bool
) -> list[Tensor]:
    """Return the gradients of a new network's loss on one batch of made-up images."""
    configure(precision, 1, fused=fused)
    _, data = made_up(benchmark, benchmark.batch_size, benchmark.batch_size)
    task = Task(data, benchmark.padding, device)
    images, labels, _ = task.test_batch(torch.arange(benchmark.batch_size, device=device))
    network = build(benchmark.network, benchmark.channels, benchmark.num_classes, SEED).to(device)
    network = network.to(memory_format=torch.channels_last)
    with arithmetic(precision, device):
        logits = network(images)
    functional.cross_entropy(logits.float(), labels).backward()
    return [parameter.grad for parameter in network.parameters() if parameter.grad is not None]


def relative_error(found: Tensor, exact: Tensor) -> float:
    return float((found - exact).norm() / exact.norm())
