"""Memory: what is free, and which images do not fit."""

from pathlib import Path

import pytest

from trainer.data.memory import GIB, available_memory, lacking_device_memory, lacking_memory


def test_images_that_fit_lack_nothing() -> None:
    assert lacking_memory(100_000, 224, 8, None) is None
    assert lacking_memory(100_000, 224, 1, 50 * GIB) is None


@pytest.mark.parametrize(("processes", "free", "needed"), ((1, 32, 49.1), (2, 50, 70.1)))
def test_images_that_do_not_fit_are_told_with_the_numbers(
    processes: int, free: int, needed: float
) -> None:
    assert lacking_memory(100_000, 224, processes, free * GIB) == (
        "100,000 images of 224 x 224 pixels take 14.0 GiB as bytes, and to train with them in"
        f" memory takes {needed} GiB, of which {free}.0 are free"
    )


def test_images_that_do_not_fit_into_a_gpu_are_told_with_the_numbers() -> None:
    assert lacking_device_memory(100_000, 90_000, 224, 280, 42 * GIB) is None
    assert lacking_device_memory(100_000, 90_000, 224, 280, 24 * GIB) == (
        "100,000 images of 224 x 224 pixels need 40.8 GiB of the GPU, which has 24.0 free"
    )


def group(folder: Path, most: str) -> Path:
    (folder / "memory.max").write_text(f"{most}\n")
    (folder / "memory.current").write_text("700\n")
    (folder / "memory.stat").write_text("anon 400\ninactive_file 100\n")
    return folder


@pytest.mark.parametrize(
    ("meminfo", "most", "available"),
    (
        ("MemFree: 1 kB\nMemAvailable:    2 kB\n", "1000", 400),
        ("MemAvailable:    2 kB\n", "max", 2048),
        ("nothing", "500", 0),
        ("nothing", "max", None),
    ),
)
def test_the_least_of_what_machine_and_group_leave_is_available(
    meminfo: str, most: str, available: int | None, tmp_path: Path
) -> None:
    (tmp_path / "meminfo").write_text(meminfo)
    assert available_memory(tmp_path / "meminfo", group(tmp_path, most)) == available


def test_a_machine_with_linux_tells(tmp_path: Path) -> None:
    assert available_memory(tmp_path / "absent", tmp_path) is None
    told = [available_memory(), available_memory(group=tmp_path)]
    assert all(told) or not Path("/proc/meminfo").exists()
