"""A learner is a network and its optimizer at fixed addresses, with their state."""

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, nn

from trainer.benchmarks.benchmark import Benchmark
from trainer.models import build
from trainer.pretrained.weights import load_pretrained
from trainer.strategies.heads import (
    RENEWED_STREAM,
    auxiliary_head,
    classifier_name,
    classifier_of,
    extractor_of,
    initialised_layer,
)


def host_copy(tensor: Tensor) -> Tensor:
    """Return a copy on the CPU; from a GPU it is queued, and its memory is pinned."""
    return tensor.to("cpu", non_blocking=True, copy=True)


def copy_state(module: nn.Module, state: dict[str, Tensor]) -> None:
    """Copy a state dict into a module, at the same addresses; what it has not is left out."""
    for name, tensor in module.state_dict().items():
        tensor.copy_(state[name])


class Learner:
    """A network and its optimizer, at fixed addresses.

    Attributes:
        network: channels_last, without the batch norms' step counters, which nothing reads.
        extractor, classifier: the network in two.
        heads: of auxiliary tasks, beside the classifier.
        rate: learning rate, float32 ().
        optimizer: SGD, whose every parameter has a momentum from the beginning.
    """

    def __init__(
        self, benchmark: Benchmark, seed: int, device: torch.device, tasks: Collection[str] = ()
    ) -> None:
        """Make the network of a benchmark, initialised from ``seed``, with heads for ``tasks``."""
        self.benchmark = benchmark
        self.network = self.initialised(seed).to(device)
        self.extractor = extractor_of(self.network)
        self.classifier = classifier_of(self.network)
        heads = {task: auxiliary_head(task, self.classifier, seed) for task in sorted(tasks)}
        self.heads = nn.ModuleDict(heads).to(device)
        self.rate = torch.zeros((), device=device)
        self.optimizer = torch.optim.SGD(
            [*self.network.parameters(), *self.heads.parameters()],
            lr=benchmark.learning_rate,
            momentum=benchmark.momentum,
            weight_decay=benchmark.weight_decay,
            fused=device.type == "cuda",  # on the CPU its last bit differs
        )
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate  # as a tensor, it can change between replays of a graph
        for parameter in self.optimizer.param_groups[0]["params"]:  # as none, but with an address
            self.optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)

    def initialised(self, seed: int) -> nn.Module:
        """Return another network of the benchmark, on the CPU."""
        benchmark = self.benchmark
        network = build(benchmark.network, benchmark.channels, benchmark.num_classes, seed)
        if benchmark.pretrained:
            load_pretrained(network, benchmark.pretrained, classifier_name(network))
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.num_batches_tracked = None
        return network.to(memory_format=torch.channels_last)

    def momenta(self, module: nn.Module | None = None) -> list[Tensor]:
        """Return the momenta of a module's parameters, by default the network's."""
        parameters = (self.network if module is None else module).parameters()
        return [self.optimizer.state[p]["momentum_buffer"] for p in parameters]

    def set_training(self, training: bool) -> None:
        """Let the network, as a whole and in two, train or be tested."""
        self.network.train(training)
        self.extractor.train(training)  # its root is a module of its own

    def take(self, loss: Tensor) -> None:
        """Take a step against the gradient of a loss, float32 ()."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()

    def begin(self, seed: int) -> None:
        """Become what a learner of this ``seed`` is at first."""
        copy_state(self.network, self.initialised(seed).state_dict())
        for task, head in self.heads.items():
            copy_state(head, auxiliary_head(task, self.classifier, seed).state_dict())
        for buffer in [*self.momenta(), *self.momenta(self.heads)]:
            buffer.zero_()

    def renew_classifier(self, seed: int) -> None:
        """Initialise the classifier anew, as ``seed`` has it, without momentum."""
        layer = self.classifier
        new = initialised_layer(layer.in_features, layer.out_features, seed, RENEWED_STREAM)
        copy_state(layer, new.state_dict())
        for buffer in self.momenta(layer):
            buffer.zero_()

    def restore(self, state: dict[str, Any]) -> None:
        """Become what ``state`` was made of."""
        copy_state(self.network, state["network"])
        saved = state["optimizer"]["state"]
        for index, buffer in enumerate(self.momenta()):
            buffer.copy_(saved[index]["momentum_buffer"])
        for task, kept in state.get("heads", {}).items():
            head = self.heads[task]
            copy_state(head, kept["head"])
            for buffer, momentum in zip(self.momenta(head), kept["momenta"], strict=True):
                buffer.copy_(momentum)

    def state(self, steps: int, tasks: Collection[str] = ()) -> dict[str, Any]:
        """Return network and optimizer after so many steps, as copies on the CPU.

        ``network`` is a complete state dict, batch-norm counters included. Of the heads, those of
        ``tasks`` are there.
        """
        network = {name: host_copy(x) for name, x in self.network.state_dict().items()}
        for name, module in self.network.named_modules():
            if isinstance(module, nn.BatchNorm2d):
                network[f"{name}.num_batches_tracked"] = torch.tensor(steps)
        momenta = {i: {"momentum_buffer": host_copy(x)} for i, x in enumerate(self.momenta())}
        heads = {task: self._head_state(self.heads[task]) for task in tasks}
        return {
            "network": network,
            "optimizer": {"state": momenta},
            **({"heads": heads} if heads else {}),
        }

    def _head_state(self, head: nn.Module) -> dict[str, Any]:
        state = {name: host_copy(x) for name, x in head.state_dict().items()}
        return {"head": state, "momenta": [host_copy(x) for x in self.momenta(head)]}
