"""Memory: images that do not fit are refused before one of them is read."""

from collections.abc import Callable
from pathlib import Path

import pytest

from trainer.benchmarks import get_benchmark
from trainer.data.memory import GIB, available_memory, check_device_memory, check_memory
from trainer.errors import DataError
from trainer.prepared import prepare


def test_images_that_fit_are_not_refused() -> None:
    check_memory(100_000, 224, None)
    check_memory(100_000, 224, 43 * GIB)


def test_images_that_do_not_fit_are_refused_with_the_numbers_and_a_way_out() -> None:
    with pytest.raises(DataError) as found:
        check_memory(100_000, 224, 32 * GIB)
    assert str(found.value).startswith(
        "100,000 images of 224 x 224 pixels take 14.0 GiB as bytes, and to prepare them 42.1 GiB "
        "of memory, of which 32.0 are free: lower the resolution, or train with a function"
    )


def test_images_that_do_not_fit_into_a_gpu_are_refused() -> None:
    check_device_memory(90_000, 10_000, 224, 280, 42 * GIB)
    with pytest.raises(DataError) as found:
        check_device_memory(90_000, 10_000, 224, 280, 24 * GIB)
    assert str(found.value).startswith(
        "100,000 images of 224 x 224 pixels need 40.8 GiB of the GPU, which has 24.0 free: lower"
    )


def test_they_are_refused_before_they_are_read(
    tmp_path: Path, make_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    benchmark = get_benchmark(str(make_folder(tmp_path / "pets", (6, 3))), tmp_path)
    monkeypatch.setattr("trainer.prepared.available_memory", lambda: 100)
    with pytest.raises(DataError, match="13 images of 8 x 8 pixels"):
        prepare(benchmark, tmp_path)


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


def test_this_machine_tells_or_does_not(tmp_path: Path) -> None:
    assert available_memory(tmp_path / "absent", tmp_path) is None
    known = available_memory()
    assert known is None or known > 0
