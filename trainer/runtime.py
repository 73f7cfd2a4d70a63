"""The device, the number format and the CPUs that a trial computes with.

Functions import torch themselves: it takes seconds, which a list of names need not cost.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from spaces.errors import UserError

if TYPE_CHECKING:
    import torch

PRECISIONS = {
    "tf32": "float32 storage; convolutions may use TF32 tensor cores (torch's default on CUDA)",
    "fp32": "IEEE float32 throughout",
    "bf16": "autocast to bfloat16; float32 weights, momentum, batch norm statistics and loss",
}
"""On the CPU ``tf32`` and ``fp32`` are the same arithmetic."""
NATIVE_BATCH_NORM = False
"""The default of ``configure``, which awaits measurement: cuDNN's kernels for float32 batch norm
may have to wait for what other slots do (``benchmarks.gpu_check``, speed-tf32-native-bn)."""
CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT_BYTES = 2**31 - 1  # the largest value that mallopt takes
OLDER_MMAP_BYTES = 2**25  # the largest of M_MMAP_THRESHOLD in older versions of the library


def select_device(name: str) -> torch.device:
    """Return device ``name``: ``auto`` (the first GPU, else CPU), ``cpu``, ``cuda``, ``cuda:1``.

    Raises:
        UserError: the name is no device, or no such CUDA device is present.
    """
    import torch

    if name == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    # Not left to torch.device: it takes cpu:5, and reads cuda:99999 as cuda:-97.
    match = re.fullmatch(r"cpu|cuda(?::(\d+))?", name)
    if match is None:
        raise UserError(f"device is {name!r}; it must be auto, cpu, cuda or cuda:N.")
    if name == "cpu":
        return torch.device("cpu")
    index = int(match[1] or 0)
    if index >= torch.cuda.device_count():
        raise UserError(
            f"device is {name!r}, but torch sees {torch.cuda.device_count()} CUDA devices; "
            "choose one that exists, or cpu."
        )
    return torch.device("cuda", index)


def configure(
    precision: str,
    threads: int,
    reproducible: bool = True,
    native_batch_norm: bool = NATIVE_BATCH_NORM,
    fused: bool = True,
) -> None:
    """Set this process's convolution mode, determinism, batch norm and intra-op thread count.

    ``reproducible`` kernels give the same bits in every run on the same GPU; without it cuDNN and
    Inductor time theirs and take the fastest, whatever else is running then. ``native_batch_norm``
    is by torch's own kernels on GPUs, else by those that torch chooses; they round differently.
    ``fused`` kernels of our own train and test ResNets on GPUs, in steps that are not compiled and
    not in fp32.
    """
    import torch

    from trainer.models import BatchNorm2d, ResNet

    # For all of cuDNN: where its parts differ, torch raises when it is asked for this later.
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    torch.backends.cuda.matmul.fp32_precision = "ieee"  # torch's default, so the harness's
    torch.backends.cudnn.deterministic = reproducible
    torch.backends.cudnn.benchmark = not reproducible
    BatchNorm2d.native = native_batch_norm
    ResNet.fused = fused
    # Read when CUDA starts: streams with workspaces of their own give repeatable sums, and with
    # fewer connections than streams some would wait for others.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    os.environ.setdefault("CUDA_DEVICE_MAX_CONNECTIONS", "32")
    torch.set_num_threads(threads)


@contextlib.contextmanager
def threads(number: int) -> Iterator[None]:
    """Let torch use so many threads of this process meanwhile."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def keep_freed_memory() -> None:
    """Let the memory that tensors on the CPU free be used again, in place of being given back.

    A step makes and frees the same large tensors. By default the GNU C library maps each anew, and
    the kernel clears its pages. Older versions keep tensors of up to 32 MiB only; with another
    library nothing changes. Source: mallopt(3).
    """
    if platform.libc_ver()[0] == "glibc":
        mallopt = ctypes.CDLL(None).mallopt
        if not mallopt(M_MMAP_THRESHOLD, KEPT_BYTES):
            mallopt(M_MMAP_THRESHOLD, OLDER_MMAP_BYTES)
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


@contextlib.contextmanager
def arithmetic(precision: str, device: torch.device) -> Iterator[None]:
    """Run the enclosed forward pass in ``precision``."""
    import torch

    # Without the cache, whose tensors would be a CUDA graph's own: no weight is used twice.
    with torch.autocast(
        device.type, torch.bfloat16, enabled=precision == "bf16", cache_enabled=False
    ):
        yield


def available_cpus() -> int:
    """Return the number of CPUs this process may use, at least 1.

    A quota of 2.5 CPUs counts as 2: threads beyond it would all be stopped for a part of the time.
    """
    if hasattr(os, "sched_getaffinity"):
        allowed = len(os.sched_getaffinity(0))
    else:
        allowed = os.cpu_count() or 1
    quota = cpu_quota()
    return allowed if quota is None else max(1, min(allowed, int(quota)))


def cpu_quota(cgroups: Path = CGROUPS, membership: Path = MEMBERSHIP) -> float | None:
    """Return the CPUs' worth of time that control groups leave this process; None if all.

    Both versions of control groups are read: ``cpu.max`` of version 2, ``cpu.cfs_quota_us`` and
    ``cpu.cfs_period_us`` of version 1. The groups above a process's own limit it, too.
    """
    quotas = [quota for group in groups(cgroups, membership) if (quota := quota_of(group))]
    return min(quotas, default=None)


def groups(cgroups: Path, membership: Path) -> Iterator[Path]:
    """Yield the folders of this process's group and of those above it, for both versions.

    In a container they may be mounted as the root; then folders by their full names are missing.
    """
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, name = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = cgroups / controllers if controllers else cgroups
        group = root / name.lstrip("/")
        yield from (group, *(parent for parent in group.parents if parent.is_relative_to(root)))


def quota_of(group: Path) -> float | None:
    """Return the quota of one group in CPUs, None without one."""
    try:
        if (group / "cpu.max").exists():
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota = (group / "cpu.cfs_quota_us").read_text()
            period = (group / "cpu.cfs_period_us").read_text()
        return int(quota) / int(period) if int(quota) > 0 else None
    except (OSError, ValueError):  # there is no limit, or it is none of these files
        return None
