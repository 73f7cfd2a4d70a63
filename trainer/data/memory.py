"""Memory for a user's images, which are held as bytes: whether there is enough for them."""

from pathlib import Path

from trainer.errors import DataError

COPIES = 3
"""Of the images, that are in memory at a time while they are prepared."""
GIB = 2**30
MEMINFO = Path("/proc/meminfo")
GROUP = Path("/sys/fs/cgroup")


def check_memory(images: int, resolution: int, available: int | None) -> None:
    """Raise DataError unless so many images can be prepared; nothing is known where it is None.

    Args:
        images: training and evaluated ones together.
        resolution: pixels of a side; an image has three bytes for each of its pixels.
        available: bytes.
    """
    held = images * 3 * resolution**2
    if available is None or COPIES * held <= available:
        return
    raise DataError(
        f"{images:,} images of {resolution} x {resolution} pixels take {held / GIB:.1f} GiB as"
        f" bytes, and to prepare them {COPIES * held / GIB:.1f} GiB of memory, of which"
        f" {available / GIB:.1f} are free: lower the resolution, or train with a function of your"
        " own, which reads them from disk as it trains (--trainable, docs/own-training.md)"
    )


def check_device_memory(train: int, evaluated: int, side: int, padded: int, free: int) -> None:
    """Raise DataError unless colour images fit into the memory of a GPU.

    Args:
        train, evaluated: numbers of images.
        side, padded: pixels of a side of an evaluated and of a training image there.
        free: bytes.
    """
    needed = 3 * (evaluated * side**2 + 2 * train * padded**2)  # a copy while they are put there
    if needed <= free:
        return
    raise DataError(
        f"{train + evaluated:,} images of {side} x {side} pixels need {needed / GIB:.1f} GiB of the"
        f" GPU, which has {free / GIB:.1f} free: lower the resolution, or train with a function of"
        " your own, which reads them from disk as it trains (--trainable, docs/own-training.md)"
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
