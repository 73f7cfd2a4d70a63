"""The CPUs that a process may use: its affinity, or the quota of its control groups if lower."""

import os
from pathlib import Path

import pytest

from trainer import cpus
from trainer.cpus import available_cpus, cpu_quota


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
    monkeypatch.setattr(cpus, "cpu_quota", lambda: quota)
    assert available_cpus() == cpus_left
