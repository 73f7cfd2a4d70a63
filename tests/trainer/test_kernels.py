"""Kernels of ResNets: what they compute is what torch's operators compute.

Triton interprets them on the CPU, in a process of its own: it decides that when it is imported.
"""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from repository import REPOSITORY
from training import CPU, digits_task, digits_trial

from spaces import STRATEGIES
from trainer import models
from trainer.errors import CheckpointError
from trainer.execution import checkpoint
from trainer.execution.slot import Slot
from trainer.kernels import probe
from trainer.kernels.probe import kernels_run
from trainer.models import NETWORKS, ResNet, build
from trainer.runtime import configure

COMPARE = """
import torch
from torch import nn
from torch.nn import functional
from trainer.kernels.probe import kernels_run
from trainer.kernels.resnet import features
from trainer.models import build

print("probe", kernels_run(torch.device("cpu")))
torch.manual_seed(0)
torch.set_num_threads(1)
theirs, ours = (build("resnet8", 3, 10, 0).to(memory_format=torch.channels_last) for _ in "12")
for network in (theirs, ours):
    noise = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data += 0.3 * torch.randn(module.weight.shape, generator=noise)
            module.bias.data += 0.3 * torch.randn(module.bias.shape, generator=noise)
images, labels = torch.randn(3, 3, 8, 8), torch.tensor([0, 3, 9])


def difference(left, right):
    return float((left - right).norm() / (right.norm() + 1e-12))


def trained(network, logits):
    functional.cross_entropy(logits, labels).backward()
    return [p.grad for p in network.parameters()]


found = trained(ours, ours.linear(features(ours, images)))
wanted = trained(theirs, theirs(images))
print("gradients", max(map(difference, found, wanted)))
print("strides", [x.stride() for x in found] == [x.stride() for x in wanted])
statistics = [b for b in theirs.buffers() if b.dtype == torch.float32]
print("statistics", max(map(difference, (b for b in ours.buffers() if b.numel() > 1), statistics)))
ours.eval(), theirs.eval()
with torch.no_grad():
    print("test", difference(ours.linear(features(ours, images)), theirs(images)))
ours.train()
for module in ours.modules():
    module.track_running_stats = False
before = [b.clone() for b in ours.buffers()]
features(ours, images)
print("unrecorded", all(map(torch.equal, before, ours.buffers())))
for kind, training in (("trained", True), ("tested", False)):
    lost = build("resnet8", 3, 10, 0).to(memory_format=torch.channels_last).train(training)
    lost.blocks[1].conv1.weight.data[0, 0, 0, 0] = torch.nan
    with torch.no_grad():
        print(kind, bool(features(lost, images).isnan().any()))
"""
EXACT = 2e-5
SLOTS = """
import dataclasses, sys
import numpy as np
import torch
from training import CPU, DIGITS, digits_data
from spaces import STRATEGIES
from trainer import models
from trainer.execution.loop import train
from trainer.execution.slot import Slot
from trainer.execution.task import Task
from trainer.trial import Trial

torch.set_num_threads(1)
data = digits_data()
train_images, test_images = (
    np.concatenate([np.flatnonzero(labels == label)[:2] for label in range(10)])
    for labels in (data.train_labels, data.test_labels)
)
few = data.subset(train_images, test_images)
benchmark = dataclasses.replace(DIGITS, batch_size=10, train_images=20).with_epochs(2)
task = Task(few, benchmark.padding, CPU)
recipe = STRATEGIES[sys.argv[1]].strategy.recipe(data.counts)
trial = Trial(benchmark, recipe, 3, "tf32", False)
models.products_are_short = lambda: True
for fused in (False, True):
    models.ResNet.fuses = lambda *_: fused
    results = train(trial, task, slot=Slot(trial, task))
    print(*(loss for r in results for loss in (r.train_loss, r.test_loss)))
"""


def interpreted(program: str, *words: str) -> list[str]:
    """Return the lines that a program prints whose kernels are interpreted."""
    pytest.importorskip("triton", reason="Triton is not installed")
    paths = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "tests" / "helpers")])
    environment = os.environ | {"TRITON_INTERPRET": "1", "PYTHONPATH": paths}
    command = [sys.executable, "-W", "ignore", "-c", program, *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("strategy", ("inverse", "two_branch", "two_branch_ssl", "crt"))
def test_a_slot_with_kernels_trains_as_one_with_torch_s_operators(strategy: str) -> None:
    theirs, ours = (list(map(float, line.split())) for line in interpreted(SLOTS, strategy))
    assert ours == pytest.approx(theirs, rel=EXACT)


@pytest.mark.slow
def test_kernels_train_and_test_as_torch_does() -> None:
    found = dict(line.split(" ") for line in interpreted(COMPARE))
    assert float(found["gradients"]) < EXACT
    assert float(found["statistics"]) < EXACT
    assert float(found["test"]) < EXACT
    assert found["probe"] == found["strides"] == found["unrecorded"] == "True"
    assert found["trained"] == found["tested"] == "True", "what is no number stays none"


@pytest.mark.parametrize(
    ("change", "fuses"),
    (
        ({}, True),
        ({"capability": (7, 5)}, False),
        ({"available": False}, False),
        ({"device": "cpu"}, False),
        ({"size": (30, 32)}, False),
        ({"size": (32, 30)}, False),
        ({"size": (64, 64)}, True),
        ({"size": (64, 68)}, False),
        ({"configured": False}, False),
        ({"runs": False}, False),
    ),
)
def test_kernels_are_used_on_new_gpus_for_small_images_whose_sides_can_be_halved_twice(
    change: dict[str, Any], fuses: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: change.get("available", True))
    capability = change.get("capability", (8, 0))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    monkeypatch.setattr(ResNet, "fused", ResNet.fused)
    monkeypatch.setattr(probe, "kernels_run", lambda _: change.get("runs", True))
    configure("tf32", 1, fused=change.get("configured", True))
    network = build("resnet8", 3, 10, 0)
    assert isinstance(network, ResNet)
    device = torch.device(change.get("device", "cuda"))
    assert network.fuses(device, *change.get("size", (32, 32))) is fuses


@pytest.mark.parametrize(
    ("images", "training", "fused"), ((1024, True, True), (1025, True, False), (1025, False, True))
)
def test_kernels_are_not_used_for_training_batches_whose_sums_no_program_holds(
    images: int, training: bool, fused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "products_are_short", lambda: True)
    monkeypatch.setattr(ResNet, "fuses", lambda *_: True)
    calls = []

    def features(network: ResNet, x: torch.Tensor) -> torch.Tensor:
        calls.append(len(x))
        return x.new_empty(len(x), 64)

    monkeypatch.setattr(ResNet, "fused_features", features)
    network = NETWORKS["resnet8"].make(3, 10).to("meta").train(training)
    assert network(torch.empty(images, 3, 32, 32, device="meta")).shape == (images, 10)
    assert calls == [images] * fused


@pytest.mark.parametrize(
    ("fault", "said"),
    (
        ("no Triton", "ModuleNotFoundError"),
        ("no compiler", "RuntimeError: Failed to find C compiler."),
        ("nothing is written", "a kernel's numbers are wrong"),
    ),
)
def test_where_kernels_do_not_run_it_is_said_and_torch_s_operators_are_used(
    fault: str, said: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Kernel:
        def __getitem__(self, grid: object) -> Any:
            return self.launch

        def launch(self, *given: object, **constants: object) -> None:
            if fault == "no compiler":
                raise RuntimeError("Failed to find C compiler.")

    module = SimpleNamespace(norm_gradient=Kernel())
    there = None if fault == "no Triton" else module
    monkeypatch.setitem(sys.modules, "trainer.kernels.normalisation", there)
    assert not kernels_run.__wrapped__(CPU)
    assert said in caplog.text
    assert "torch's operators are used" in caplog.text


@pytest.mark.parametrize(
    ("precision", "compiled", "strategy", "suffix"),
    (
        ("tf32", False, "uniform", "-fused"),
        ("bf16", False, "uniform", "-fused"),
        ("fp32", False, "uniform", ""),
        ("tf32", True, "uniform", ""),
        ("tf32", True, "cmo", "-fused"),  # whose training step is not compiled
    ),
)
def test_a_checkpoint_of_a_gpu_says_that_kernels_of_our_own_were_used(
    precision: str,
    compiled: bool,
    strategy: str,
    suffix: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    trial = dataclasses.replace(digits_trial(precision=precision), compiled=compiled)
    recipe = STRATEGIES[strategy].strategy.recipe(trial.recipe.counts)
    trial = dataclasses.replace(trial, recipe=recipe)
    slot = Slot(trial, digits_task())
    slot.queue.stream = object()  # type: ignore[assignment]
    plain = slot.configuration(trial)
    monkeypatch.setattr(ResNet, "fuses", lambda *_: True)
    assert slot.configuration(trial) == plain + suffix
    if suffix:
        checkpoint.save(tmp_path, 1, {"configuration": plain + suffix})
        with pytest.raises(CheckpointError, match=r"other kernels .* delete its folder"):
            checkpoint.newest(tmp_path, plain)


def test_in_a_compiled_trial_kernels_run_in_the_steps_that_are_not_compiled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = []

    def features(network: ResNet, x: torch.Tensor) -> torch.Tensor:
        calls.append(len(x))
        return network.blocks(network.conv(x)).mean(dim=(2, 3))

    monkeypatch.setattr(ResNet, "fuses", lambda *_: True)
    monkeypatch.setattr(ResNet, "fused_features", features)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    trial = dataclasses.replace(digits_trial(precision="tf32"), compiled=True)
    recipe = STRATEGIES["cmo"].strategy.recipe(trial.recipe.counts)
    trial = dataclasses.replace(trial, recipe=recipe)
    slot = Slot(trial, digits_task())
    slot.enter(trial)
    slot.steps["train general+mixed 32"]()
    assert calls == [32]
