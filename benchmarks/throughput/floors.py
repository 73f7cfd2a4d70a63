"""Floor of a trial: how fast it could be on this device at best.

The model: a trial's floating-point operations, at the rate of a large square matrix product in its
precision, or its memory traffic, at the bandwidth of a large copy, whichever takes longer.
Operations are those of convolutions and matrix products, done directly (Winograd's algorithm,
which cuDNN may choose in float32, needs fewer). Traffic is what the convolutions read and write,
forward and backward, in the precision's element size, as if everything between them (batch norm,
ReLU, shortcuts, augmentation, loss, optimizer) were fused into them and cost nothing. Both are
counted on the real network at the protocol's size: every batch of every epoch, tests included.

On a GPU no trial is faster than that. On a CPU the tensors of a batch partly stay in caches, which
are faster than the copy, so there the memory term is loose: a trial may be faster.

``python -m benchmarks.throughput.floors cuda:0`` measures the two rates and prints them as JSON.
"""

import dataclasses
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from trainer.arguments import Parser
from trainer.benchmarks import Benchmark
from trainer.entry_point import entry_point
from trainer.execution.batch_steps import batch_sizes, evaluation_batch
from trainer.models import NETWORKS
from trainer.runtime import PRECISIONS, available_cpus, configure, select_device

ELEMENT_BYTES = {"fp32": 4, "tf32": 4, "bf16": 2}
WARM_UPS, REPETITIONS = 3, 20


@dataclass(frozen=True)
class Work:
    """What must be done: floating-point operations, and elements read or written."""

    flops: int
    elements: int

    def __add__(self, other: "Work") -> "Work":
        return Work(self.flops + other.flops, self.elements + other.elements)

    def __mul__(self, times: int) -> "Work":
        return Work(self.flops * times, self.elements * times)


@dataclass(frozen=True)
class Ceilings:
    """What a device reached.

    Attributes:
        bandwidth: of a copy, bytes read and written per second.
        rates: precision -> floating-point operations per second of a matrix product.
    """

    bandwidth: float
    rates: dict[str, float]


@dataclass(frozen=True)
class Floor:
    """The least time of a trial in a precision.

    Attributes:
        arithmetic, memory: seconds that each would take alone.
    """

    arithmetic: float
    memory: float

    @property
    def seconds(self) -> float:
        return max(self.arithmetic, self.memory)

    @property
    def binds(self) -> str:
        return "arithmetic" if self.arithmetic >= self.memory else "memory"


class ConvolutionTraffic(TorchDispatchMode):
    """Counts the elements that convolutions read and write."""

    elements = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func is torch.ops.aten.convolution.default:
            self.elements += sum(map(torch.numel, (*args[:2], result)))
        elif func is torch.ops.aten.convolution_backward.default:
            self.elements += backward_elements(args, result)
        return result


def backward_elements(args: tuple[Any, ...], result: tuple[Tensor | None, ...]) -> int:
    """Return what a convolution's backward pass reads and writes.

    The input is read for the weight's gradient, the weight for the input's, if those are wanted.
    """
    gradient, inputs, weight = args[:3]
    wanted = args[-1]
    reads = [gradient] + [inputs] * wanted[1] + [weight] * wanted[0]
    writes = [x for x in result[:2] if x is not None]
    return sum(x.numel() for x in (*reads, *writes))


def work_of_batch(network: nn.Module, inputs: Tensor, training: bool) -> Work:
    """Return the work of one batch; ``network`` and ``inputs`` may be on the meta device."""
    network.train(training)
    labels = torch.zeros(len(inputs), dtype=torch.int64, device=inputs.device)
    with (
        FlopCounterMode(display=False) as counter,
        ConvolutionTraffic() as traffic,
        torch.set_grad_enabled(training),
    ):
        loss = functional.cross_entropy(network(inputs), labels)
        if training:
            loss.backward()
    return Work(counter.get_total_flops(), traffic.elements)


def work_of_trial(benchmark: Benchmark, test_images: int) -> Work:
    """Return the work of a trial of the whole protocol; nothing is computed for it."""
    side = benchmark.resolution
    with torch.device("meta"):
        network = NETWORKS[benchmark.network].make(benchmark.channels, benchmark.num_classes)
    phases = {
        True: batch_sizes(benchmark.train_images, benchmark.batch_size),
        False: batch_sizes(test_images, evaluation_batch(side)),
    }
    epoch = Work(0, 0)
    for training, sizes in phases.items():
        for size, times in Counter(sizes).items():
            inputs = torch.empty(size, benchmark.channels, side, side, device="meta")
            epoch += work_of_batch(network, inputs, training) * times
    return epoch * benchmark.epochs


def floor_of(work: Work, ceilings: Ceilings, precision: str) -> Floor:
    """Return the floor of so much work in a precision."""
    traffic = work.elements * ELEMENT_BYTES[precision]
    return Floor(work.flops / ceilings.rates[precision], traffic / ceilings.bandwidth)


def best_seconds(action: Callable[[], object], device: torch.device) -> float:
    """Return the least time that ``action`` took in some repetitions after some more."""

    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    times = []
    for _ in range(WARM_UPS + REPETITIONS):
        wait()
        start = time.perf_counter()
        action()
        wait()
        times.append(time.perf_counter() - start)
    return min(times[WARM_UPS:])


def copy_bandwidth(device: torch.device) -> float:
    """Return bytes read and written per second by a copy far larger than any cache."""
    size = 2**30 if device.type == "cuda" else 2**28
    source = torch.ones(size, dtype=torch.uint8, device=device)
    target = torch.zeros_like(source)
    return 2 * size / best_seconds(lambda: target.copy_(source), device)


def matrix_rate(device: torch.device, precision: str) -> float:
    """Return the floating-point operations per second of a product of random square matrices."""
    configure(precision, available_cpus())
    if precision == "tf32":  # configure leaves matrix products alone, as torch does
        torch.backends.cuda.matmul.fp32_precision = "tf32"
    side = 8192 if device.type == "cuda" else 2048
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    return 2 * side**3 / best_seconds(lambda: left @ right, device)


def ceilings_of(device: torch.device) -> Ceilings:
    """Return what the device reaches now; it should be idle."""
    precisions = [p for p in PRECISIONS if device.type == "cuda" or p != "tf32"]
    rates = {precision: matrix_rate(device, precision) for precision in precisions}
    return Ceilings(copy_bandwidth(device), rates)


@entry_point()
def main() -> int:
    parser = Parser(prog="python -m benchmarks.throughput.floors")
    parser.add_argument("device", help="cuda, cuda:N or cpu; it should be idle")
    device = select_device(parser.parse_args().device)
    print(json.dumps(dataclasses.asdict(ceilings_of(device))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
