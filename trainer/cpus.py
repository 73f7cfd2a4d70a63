"""How many CPUs may this process use, by its affinity and by the quota of its container?"""

import os
from collections.abc import Iterator
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


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
