"""What a CUDA graph demands of the steps, shown with torch's fake tensors where there is no GPU.

A fake tensor has a device, a shape and a layout but no content: mixing devices fails as it would
on a GPU, and so does every look at a value on the host.
"""

import contextlib
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from training import DIGITS, digits_data, digits_trial

from spaces.recipe import Variant
from trainer.execution import batch_steps, learner, slot
from trainer.execution.graphs import Queue
from trainer.execution.learner import Learner
from trainer.execution.slot import Slot
from trainer.execution.task import Task
from trainer.models import NETWORKS
from trainer.runtime import PRECISIONS
from trainer.strategies.loss import LossTerms
from trainer.streaming.buffered_task import BufferedTask
from trainer.trial import Trial

LOSSES = ("plain", "general")
CASES = [("cpu", precision) for precision in PRECISIONS] + [("cuda:0", "tf32")]
"""Autocasting on a GPU needs a real one."""
VARIANTS = (
    *(Variant(loss) for loss in LOSSES),
    Variant("plain", auxiliary="regular"),
    Variant("general", "cosine"),
    *(Variant("general", mixed=True), Variant("plain", frozen=True)),
    Variant("general", "cosine", "rotation", "joint"),
)
MakeSlot = Callable[..., Slot]
FREE = 2**36
"""Bytes of a GPU that holds all images."""


@pytest.fixture(autouse=True)
def fake() -> Iterator[None]:
    with FakeTensorMode():
        yield


def fake_queue(device: torch.device) -> Queue:
    return Queue(torch.device("cpu"))  # there are no fake streams


def fake_network(like: Trial, device: torch.device) -> nn.Module:
    """Return the trial's network of fake tensors, with the layout that ``Learner`` gives it."""
    benchmark = like.benchmark
    with torch.device(device):
        network = NETWORKS[benchmark.network].make(benchmark.channels, benchmark.num_classes)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            weight = module.weight.detach().contiguous(memory_format=torch.channels_last)
            module.weight = nn.Parameter(weight)
        elif isinstance(module, nn.BatchNorm2d):
            module.num_batches_tracked = None
    return network


@pytest.fixture
def make_slot(monkeypatch: pytest.MonkeyPatch) -> MakeSlot:
    def make(precision: str, device_name: str, free: int = FREE) -> Slot:
        device, like = torch.device(device_name), digits_trial(precision=precision)
        if device_name != "cpu":
            monkeypatch.setattr(batch_steps, "arithmetic", lambda *_: contextlib.nullcontext())
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free, FREE))
        monkeypatch.setattr(slot, "Queue", fake_queue)
        monkeypatch.setattr(Learner, "initialised", lambda self, seed: fake_network(like, device))
        monkeypatch.setattr(
            learner, "auxiliary_head", lambda *_: nn.Linear(64, 10, device=device_name)
        )
        monkeypatch.setattr(nn.Module, "to", lambda network, *_: network)
        task = Task(digits_data(), DIGITS.padding, device)
        made = Slot(like, task, variants=VARIANTS)
        for group in made.optimizer.param_groups:
            group["fused"] = True  # as on a GPU
        return made

    return make


@pytest.mark.parametrize(
    ("device", "precision", "free"), (*((*case, FREE) for case in CASES), ("cuda:0", "tf32", 0))
)
def test_a_step_reads_nothing_on_the_host_and_keeps_to_its_device(
    device: str, precision: str, free: int, make_slot: MakeSlot, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_slot(precision, device, free)
    assert isinstance(made.task, BufferedTask) == (not free)
    if device != "cpu":  # gradients and optimizer need a real GPU
        monkeypatch.setattr(Tensor, "backward", lambda loss: None)
        monkeypatch.setattr(made.optimizer, "step", lambda: None)
    losses = {name.split()[1] for name in made.steps if name.startswith("train")}
    assert losses == set(map(str, VARIANTS))
    for step in made.steps.values():
        step()
    tensors = [made.totals, made.batch_steps.position, *made.network.parameters(), *made.momenta()]
    assert {str(x.device) for x in tensors} == {device}
    saved = made.state()
    assert {str(x.device) for x in saved["network"].values()} == {"cpu"}
    assert saved["optimizer"]["state"][0]["momentum_buffer"].device.type == "cpu"


def test_a_look_at_a_value_would_be_noticed(make_slot: MakeSlot) -> None:
    made = make_slot("tf32", "cuda:0")
    with pytest.raises(DataDependentOutputException):
        float(made.totals[0])


@pytest.mark.parametrize("loss", LOSSES)
def test_a_tensor_on_another_device_would_be_noticed(loss: str, make_slot: MakeSlot) -> None:
    made = make_slot("tf32", "cuda:0")
    made.inputs.terms = LossTerms.neutral(10)
    with pytest.raises(RuntimeError, match="device"):
        made.steps[f"train {loss} 32"]()


@pytest.mark.parametrize("graphs", (True, False))
def test_steps_begin_when_all_that_was_made_for_them_is_there(
    graphs: bool, make_slot: MakeSlot, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_slot("tf32", "cuda:0")
    calls: list[object] = []
    monkeypatch.setattr(torch.cuda, "synchronize", calls.append)
    monkeypatch.setattr(slot, "captured", lambda *_: calls.append("captured"))
    made.queue.stream = object()
    made._steps(graphs)
    assert calls == [torch.device("cuda:0"), *["captured"] * graphs]
