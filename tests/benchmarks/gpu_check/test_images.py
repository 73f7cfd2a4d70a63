"""The images of the check on a GPU: made up, transformed for the plain script, and packed."""

import bz2
import dataclasses
import io
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torchvision import transforms
from training import colour_task, digits_data

from benchmarks.gpu_check import data_pack, package_pack
from benchmarks.gpu_check.made_up import made_up
from benchmarks.throughput import plain
from trainer.benchmarks import BENCHMARKS


def test_made_up_images_have_the_benchmarks_sizes() -> None:
    benchmark = dataclasses.replace(BENCHMARKS["resnet32-cifar10lt"], resolution=8)
    whole, data = made_up(benchmark, test_images=60)
    assert (data.counts == whole.counts).all()
    assert data.train_images.shape == (12406, 3, 8, 8)
    assert (data.half_a.sum(), len(data.half_a)) == (30, 60)
    means = [data.train_images[data.train_labels == c].mean((0, 2, 3)) for c in range(10)]
    assert np.ptp(means, axis=0).min() > 20  # something can be learned
    few, cut = made_up(benchmark, 7, 60)
    assert few.train_images == len(cut.train_images) == 7


@pytest.mark.parametrize("colour", (True, False))
def test_the_plain_scripts_transforms_are_torchvisions_bit_for_bit(colour: bool) -> None:
    if colour:
        benchmark, data = colour_task(train=20, test=20)
    else:
        benchmark, data = BENCHMARKS["resnet8-digitslt"], digits_data()
    steps: list[Any] = [transforms.RandomCrop(benchmark.resolution, padding=benchmark.padding)]
    steps += [transforms.RandomHorizontalFlip()] * benchmark.flip
    steps += [transforms.ToTensor(), transforms.Normalize(data.mean, data.std)]
    for pixels in data.train_images[:20]:
        image = plain.picture(pixels)
        images = []
        for transform in (transforms.Compose(steps), plain.train_transform(benchmark, data)):
            torch.manual_seed(int(pixels.sum()))
            images.append(transform(image))
        assert torch.equal(*images)


def prepared(path: Path, train: np.ndarray, test: np.ndarray) -> dict[str, np.ndarray]:
    description = np.frombuffer(b'{"benchmark": "b"}', dtype=np.uint8)
    arrays = {"train_images": train, "test_images": test, "description": description}
    np.savez(path, **arrays)
    return arrays


def test_a_pack_of_images_gives_back_every_byte_and_keeps_an_image_once(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (9, 3, 6, 5), dtype=np.uint8)
    images[0], images[1] = 0, 255
    files = {
        "a.npz": prepared(tmp_path / "a.npz", images[:6], images[6:]),
        "b.npz": prepared(tmp_path / "b.npz", images[3:6], images[6:]),
    }
    pack = tmp_path / "pack.bz2"
    assert data_pack.main(["pack", str(pack), *(str(tmp_path / name) for name in files)]) == 0
    assert data_pack.main(["unpack", str(pack), str(tmp_path / "root")]) == 0
    for name, arrays in files.items():
        back = np.load(tmp_path / "root" / "prepared" / name)
        assert back.files == list(arrays)
        for key, array in arrays.items():
            np.testing.assert_array_equal(back[key], array)
    content = np.load(io.BytesIO(bz2.decompress(pack.read_bytes())))
    assert content["images"].shape == images.shape


def test_only_colour_images_of_one_size_are_packed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grey = np.zeros((2, 1, 4, 4), np.uint8)
    prepared(tmp_path / "grey.npz", grey, grey)
    (tmp_path / "cut.npz").write_bytes((tmp_path / "grey.npz").read_bytes()[:200])
    pack = tmp_path / "pack.bz2"
    for path, sentence in (
        (tmp_path / "grey.npz", "the images are of (1, 4, 4); pack colour images of one size"),
        (tmp_path / "none.npz", "cannot be read"),
        (tmp_path / "cut.npz", "cannot be read"),
    ):
        assert data_pack.main(["pack", str(pack), str(path)]) == 2
        assert sentence in capsys.readouterr().err
    for content in (b"no pack", bz2.compress(b"no pack")):
        pack.write_bytes(content)
        assert data_pack.main(["unpack", str(pack), str(tmp_path)]) == 2
        assert "is no pack of images" in capsys.readouterr().err


def test_packages_that_pip_cannot_install_are_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = subprocess.CompletedProcess([], 1)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    assert package_pack.main([str(tmp_path / "pack.tar.xz"), "--packages", "one,two"]) == 2
    assert "error: pip cannot install one, two; mend what" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
