"""A learner is a network and its optimizer at fixed addresses, with their state."""

from typing import Any

import torch
from torch import Tensor, nn

from trainer.benchmarks.benchmark import Benchmark
from trainer.models import build


def host_copy(tensor: Tensor) -> Tensor:
    """Return a copy on the CPU; from a GPU it is queued, and its memory is pinned."""
    return tensor.to("cpu", non_blocking=True, copy=True)


class Learner:
    """A network and its optimizer, at fixed addresses.

    Attributes:
        network: channels_last, without the batch norms' step counters, which nothing reads.
        rate: learning rate, float32 ().
        optimizer: SGD, whose every parameter has a momentum from the beginning.
    """

    def __init__(self, benchmark: Benchmark, seed: int, device: torch.device) -> None:
        """Make the network of a benchmark, initialised from ``seed``, on a device."""
        self.benchmark = benchmark
        self.network = self.initialised(seed).to(device)
        self.rate = torch.zeros((), device=device)
        self.optimizer = torch.optim.SGD(
            self.network.parameters(),
            lr=benchmark.learning_rate,
            momentum=benchmark.momentum,
            weight_decay=benchmark.weight_decay,
            fused=device.type == "cuda",  # on the CPU its last bit differs
        )
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate  # as a tensor, it can change between replays of a graph
        for parameter in self.network.parameters():  # equal to none, but with an address
            self.optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)

    def initialised(self, seed: int) -> nn.Module:
        """Return another network of the benchmark, on the CPU."""
        benchmark = self.benchmark
        network = build(benchmark.network, benchmark.channels, benchmark.num_classes, seed)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.num_batches_tracked = None
        return network.to(memory_format=torch.channels_last)

    def momenta(self) -> list[Tensor]:
        return [self.optimizer.state[p]["momentum_buffer"] for p in self.network.parameters()]

    def take(self, loss: Tensor) -> None:
        """Take a step against the gradient of a loss, float32 ()."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()

    def begin(self, seed: int) -> None:
        """Become what a learner of this ``seed`` is at first."""
        self._copy_network(self.initialised(seed).state_dict())
        for buffer in self.momenta():
            buffer.zero_()

    def restore(self, state: dict[str, Any]) -> None:
        """Become what ``state`` was made of."""
        self._copy_network(state["network"])
        saved = state["optimizer"]["state"]
        for index, buffer in enumerate(self.momenta()):
            buffer.copy_(saved[index]["momentum_buffer"])

    def _copy_network(self, state: dict[str, Tensor]) -> None:
        for name, tensor in self.network.state_dict().items():
            tensor.copy_(state[name])

    def state(self, steps: int) -> dict[str, Any]:
        """Return network and optimizer after so many steps, as copies on the CPU.

        ``network`` is a complete state dict, batch-norm counters included.
        """
        network = {name: host_copy(x) for name, x in self.network.state_dict().items()}
        for name, module in self.network.named_modules():
            if isinstance(module, nn.BatchNorm2d):
                network[f"{name}.num_batches_tracked"] = torch.tensor(steps)
        momenta = {i: {"momentum_buffer": host_copy(x)} for i, x in enumerate(self.momenta())}
        return {"network": network, "optimizer": {"state": momenta}}
