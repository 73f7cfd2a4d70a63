"""Number formats, devices, threads and CPUs; what needs a GPU is skipped where there is none."""

import ctypes
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.nn import functional
from training import (
    CPU,
    all_equal,
    all_numbers,
    digits_task,
    digits_trial,
    last_slot,
    momentum,
    slot_with,
    threads,
    train_epoch,
    without_seconds,
)

from spaces.errors import UserError
from trainer import runtime
from trainer.execution.loop import train
from trainer.models import BatchNorm2d
from trainer.runtime import (
    PRECISIONS,
    arithmetic,
    available_cpus,
    configure,
    cpu_quota,
    select_device,
)


@pytest.fixture(autouse=True)
def settings_restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, matmul.fp32_precision, cudnn.deterministic, cudnn.benchmark
    monkeypatch.setattr(BatchNorm2d, "native", False)
    with threads(1):
        yield
    cudnn.allow_tf32, matmul.fp32_precision, cudnn.deterministic, cudnn.benchmark = before


def test_bf16_keeps_weights_statistics_and_momentum_in_float32() -> None:
    slot = slot_with(digits_trial(precision="bf16"), digits_task())
    train_epoch(slot, 1)
    numbers = [*slot.network.state_dict().values(), *momentum(slot.optimizer)]
    assert {x.dtype for x in numbers} == {torch.float32}
    assert {p.grad.dtype for p in slot.network.parameters() if p.grad is not None} == {
        torch.float32
    }


def test_bf16_takes_the_loss_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    cross_entropy = functional.cross_entropy

    def watched(logits: torch.Tensor, *rest: Any, **more: Any) -> torch.Tensor:
        seen.append(logits.dtype)
        return cross_entropy(logits, *rest, **more)

    monkeypatch.setattr(functional, "cross_entropy", watched)
    train_epoch(slot_with(digits_trial(precision="bf16"), digits_task()), 1)
    assert set(seen) == {torch.float32}


def test_bf16_computes_the_network_in_bfloat16() -> None:
    x, weight = torch.rand(1, 1, 8, 8), torch.rand(1, 1, 3, 3)
    computed = {}
    for precision in PRECISIONS:
        with arithmetic(precision, CPU):
            computed[precision] = functional.conv2d(x, weight).dtype
    assert computed == {
        "tf32": torch.float32,
        "fp32": torch.float32,
        "bf16": torch.bfloat16,
    }


def test_bf16_changes_the_results_and_still_learns() -> None:
    bf16 = list(train(digits_trial(6, precision="bf16"), digits_task()))
    fp32 = next(train(digits_trial(6), digits_task()))
    assert bf16[0].train_loss != fp32.train_loss
    assert bf16[-1].best_score > 50


def test_tf32_and_fp32_are_the_same_on_the_cpu() -> None:
    tf32 = next(train(digits_trial(precision="tf32"), digits_task()))
    fp32 = next(train(digits_trial(precision="fp32"), digits_task()))
    assert without_seconds([tf32]) == without_seconds([fp32])


@pytest.mark.parametrize("number", (1, 2))
def test_configure_sets_the_thread_count(number: int) -> None:
    configure("fp32", number)
    assert torch.get_num_threads() == number


@pytest.mark.parametrize("precision", PRECISIONS)
def test_configure_sets_the_convolutions_of_the_gpu(precision: str) -> None:
    configure(precision, 1)
    cudnn: Any = torch.backends.cudnn  # whose stubs lack conv and rnn
    assert cudnn.allow_tf32 == (precision == "tf32"), "and it can be read"
    assert cudnn.conv.fp32_precision == cudnn.rnn.fp32_precision
    assert (cudnn.conv.fp32_precision == "tf32") == (precision == "tf32")
    assert torch.backends.cuda.matmul.fp32_precision == "ieee"
    assert torch.backends.cudnn.deterministic
    assert not torch.backends.cudnn.benchmark


def test_native_batch_norm_goes_without_cudnn_and_is_the_same_on_the_cpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slots, asked = [], []
    batch_norm = torch.batch_norm

    def watched(*arguments: Any) -> torch.Tensor:
        asked.append(arguments[-1])
        return batch_norm(*arguments)

    monkeypatch.setattr(torch, "batch_norm", watched)
    for native in (False, True):
        configure("fp32", 1, native_batch_norm=native)
        slots.append(slot_with(digits_trial(), digits_task()))
        train_epoch(slots[-1], 1)
        assert set(asked) == {not native}
        asked.clear()
    assert all_equal(*(all_numbers(slot.network, slot.optimizer) for slot in slots))


def test_a_checkpoint_of_a_gpu_says_which_batch_norm_it_had() -> None:
    slot = slot_with(digits_trial(), digits_task())
    names = set()
    for stream in (None, object()):  # as on the CPU, and on a GPU
        slot.queue.stream = stream  # type: ignore[assignment]
        for native in (False, True):
            configure("fp32", 1, native_batch_norm=native)
            names.add(slot.configuration(slot.trial))
    assert len(names) == 2


@pytest.mark.parametrize("name", ("", "gpu", "CUDA", "mps", "meta", "cpu:5", "cuda:-1", "cuda:x"))
def test_an_unknown_device_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=f"device is '{name}'; it must be auto, cpu, cuda or"):
        select_device(name)


# torch.device reads the last two as cuda:0 and cuda:-97.
@pytest.mark.parametrize("name", ("cuda:7", "cuda:256", "cuda:99999"))
def test_an_absent_gpu_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(UserError, match=f"device is '{name}', but torch sees 2 CUDA devices"):
        select_device(name)


def test_a_present_gpu_is_selected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert select_device("auto") == select_device("cuda") == torch.device("cuda", 0)
    assert select_device("cuda:1") == torch.device("cuda", 1)
    assert select_device("cpu") == CPU


def test_auto_is_the_cpu_where_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert select_device("auto") == CPU


@pytest.mark.gpu
@pytest.mark.parametrize("precision", PRECISIONS)
def test_digits_train_on_the_gpu(precision: str, gpu: torch.device) -> None:
    configure(precision, 1)
    results = list(train(digits_trial(6, precision=precision), digits_task(gpu)))
    assert len(results) == 6
    assert results[-1].best_score > 50


@pytest.mark.gpu
def test_gpu_and_cpu_start_from_the_same_network(gpu: torch.device) -> None:
    on_gpu = slot_with(digits_trial(), digits_task(gpu)).network.state_dict()
    on_cpu = slot_with(digits_trial(), digits_task()).network.state_dict()
    assert all_equal([x.cpu() for x in on_gpu.values()], list(on_cpu.values()))


@pytest.mark.gpu
def test_gpu_and_cpu_agree_on_the_first_batch(gpu: torch.device) -> None:
    configure("fp32", 1)
    trial = digits_trial(batch_size=512)  # one batch an epoch: its loss is taken before the step
    losses = [next(train(trial, digits_task(device))).train_loss for device in (gpu, CPU)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", PRECISIONS)
def test_training_resumes_bit_for_bit_on_the_gpu(
    precision: str, gpu: torch.device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(precision, 1)
    slots = last_slot(monkeypatch)
    trial, task = digits_trial(precision=precision), digits_task(gpu)
    whole = list(train(trial, task))
    stopped = train(trial, task, tmp_path, save_every=2)
    assert [next(stopped).epoch for _ in range(3)] == [1, 2, 3]
    resumed = list(train(trial, task, tmp_path, save_every=2))
    assert without_seconds(resumed) == without_seconds(whole)
    first, _, last = (all_numbers(x.network, x.optimizer) for x in slots)
    assert all_equal(first, last)


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def cfs(group: str, quota: int) -> dict[str, str]:
    return {f"{group}/cpu.cfs_quota_us": f"{quota}\n", f"{group}/cpu.cfs_period_us": "100000\n"}


CASES = (
    # a container of its own name space, version 2
    ("0::/\n", {"cpu.max": "250000 100000\n"}, 2.5),
    ("0::/\n", {"cpu.max": "max 100000\n"}, None),
    ("0::/\n", {}, None),
    # a service below a slice, which is the tighter one
    ("0::/a/b\n", {"a/b/cpu.max": "400000 100000\n", "a/cpu.max": "50000 50000\n"}, 1.0),
    # a container that sees its host's names but its own files
    ("0::/docker/1\n", {"cpu.max": "150000 100000\n"}, 1.5),
    # version 1
    ("3:cpu,cpuacct:/j\n1:name=systemd:/j\n", cfs("cpu,cpuacct/j", 300000), 3.0),
    ("3:cpu,cpuacct:/docker/1\n", cfs("cpu,cpuacct", 50000), 0.5),
    ("3:cpu,cpuacct:/\n", cfs("cpu,cpuacct", -1), None),
    ("3:cpuset:/\n", cfs("cpuset", 100000), None),
)


@pytest.mark.parametrize(("membership", "files", "quota"), CASES)
def test_the_quota_of_control_groups_is_found(
    membership: str, files: dict[str, str], quota: float | None, tmp_path: Path
) -> None:
    root = write(tmp_path / "cgroup", files)
    own = write(tmp_path, {"self": membership}) / "self"
    assert cpu_quota(root, own) == quota


def test_without_control_groups_there_is_no_quota(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path, tmp_path / "none") is None


@pytest.mark.parametrize(("quota", "cpus_left"), ((None, 4), (8.0, 4), (2.9, 2), (0.5, 1)))
def test_the_lower_of_affinity_and_quota_counts_and_at_least_one(
    quota: float | None, cpus_left: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {1, 2, 3, 7})
    monkeypatch.setattr(runtime, "cpu_quota", lambda: quota)
    assert available_cpus() == cpus_left


PAGE_FAULTS = """
import ctypes, resource, sys
from trainer.runtime import keep_freed_memory

libc, size = ctypes.CDLL(None), 64 << 20
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    memory = libc.malloc(size)
    ctypes.memset(memory, 1, size)
    libc.free(memory)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

takes_any = libc.mallopt(-3, 2**31 - 1)  # M_MMAP_THRESHOLD
libc.mallopt(-3, 2**17)  # the default
faults()
given_back = faults()
keep_freed_memory()
faults()
print(takes_any, given_back, faults())
"""
"""Page faults of writing to 64 MiB of memory that was made and freed before."""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is of the GNU C library")
def test_freed_memory_is_used_again() -> None:
    done = subprocess.run([sys.executable, "-c", PAGE_FAULTS], capture_output=True, check=True)
    takes_any, given_back, kept = map(int, done.stdout.split())
    if not takes_any:
        pytest.skip("an older library, which keeps 32 MiB at most")
    assert kept < 10 < given_back


@pytest.mark.parametrize("most", (2**25, 2**31 - 1))
def test_older_libraries_keep_what_they_can(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = {}

    def mallopt(option: int, value: int) -> int:
        is_taken = option != runtime.M_MMAP_THRESHOLD or value <= most
        taken.update({option: value} if is_taken else {})
        return int(is_taken)

    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace(mallopt=mallopt))
    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", "2.28"))
    runtime.keep_freed_memory()
    assert taken == {runtime.M_MMAP_THRESHOLD: most, runtime.M_TRIM_THRESHOLD: 2**31 - 1}
