"""Memory for a user's images, which are held as bytes: whether there is enough for them."""

from pathlib import Path

COPIES, COPIES_OF_A_PROCESS = 2.0, 1.5
"""Of the images, that are in memory: of a search, and of each process that trains on a CPU."""
GIB = 2**30
MEMINFO = Path("/proc/meminfo")
GROUP = Path("/sys/fs/cgroup")


def lacking_memory(images: int, resolution: int, processes: int, free: int | None) -> str | None:
    """What images need of the memory and do not find there, as words; None if they fit.

    Args:
        images: training and evaluated ones together.
        resolution: pixels of a side; an image has three bytes for each of its pixels.
        processes: that train at a time.
        free: bytes, None if that is not known.
    """
    held, copies = images * 3 * resolution**2, COPIES + COPIES_OF_A_PROCESS * processes
    if free is None or copies * held <= free:
        return None
    return (
        f"{images:,} images of {resolution} x {resolution} pixels take {held / GIB:.1f} GiB as"
        f" bytes, and to train with them in memory takes {copies * held / GIB:.1f} GiB, of which"
        f" {free / GIB:.1f} are free"
    )


def lacking_device_memory(images: int, train: int, side: int, padded: int, free: int) -> str | None:
    """What colour images need of a GPU's memory and do not find there; None if they fit.

    Args:
        images, train: numbers of all images and of the training images.
        side, padded: pixels of a side of an evaluated and of a training image there.
        free: bytes.
    """
    needed = 3 * ((images - train) * side**2 + 2 * train * padded**2)  # a copy while they are moved
    if needed <= free:
        return None
    return (
        f"{images:,} images of {side} x {side} pixels need {needed / GIB:.1f} GiB of the GPU, which"
        f" has {free / GIB:.1f} free"
    )


def available_memory(meminfo: Path = MEMINFO, group: Path = GROUP) -> int | None:
    """Return the bytes of memory that this process may still take; None where that is not told."""
    known = [free for free in (_of_machine(meminfo), _of_group(group)) if free is not None]
    return min(known, default=None)


def _of_machine(meminfo: Path) -> int | None:
    try:
        lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, ValueError, LookupError):
        return None


def _of_group(group: Path) -> int | None:
    """What the limit of a control group (version 2) leaves, the file cache not counted."""
    try:
        most = int((group / "memory.max").read_text())
        used = int((group / "memory.current").read_text())
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        return max(0, most - used + int(stat.get("inactive_file", 0)))
    except (OSError, ValueError):  # "max" is no number
        return None
