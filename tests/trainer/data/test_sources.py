"""Raw images: CIFAR and its damages, and digits."""

import functools
import hashlib
import os
import pickle
import tarfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from images import evaluated_pixels, training_pixels
from torchvision.datasets import CIFAR100, utils

from trainer.data.cifar import load_cifar100
from trainer.data.digits import load_digits
from trainer.data.raw import RawImages, Request
from trainer.errors import DataError


def no_network(*_args: object, **_kwargs: object) -> NoReturn:
    raise urllib.error.URLError("no route to host")


@pytest.fixture
def fake_cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny CIFAR-100 in an archive and a data root without a network.

    torchvision's md5 sums are replaced by those of the tiny files.
    """
    made = tmp_path / "made" / CIFAR100.base_folder
    made.mkdir(parents=True)
    random = np.random.default_rng(0)
    for name, count in (("train", 6), ("test", 4)):
        pixels = random.integers(0, 256, (count, 3072), dtype=np.uint8)
        labels = list(range(count))
        (made / name).write_bytes(pickle.dumps({"data": pixels, "fine_labels": labels}))
    (made / "meta").write_bytes(pickle.dumps({"fine_label_names": [f"c{i}" for i in range(6)]}))

    def md5(path: Path) -> str:
        return hashlib.md5(path.read_bytes()).hexdigest()

    archive: Path = tmp_path / "archives" / CIFAR100.filename
    archive.parent.mkdir()
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(made, CIFAR100.base_folder)
    monkeypatch.setattr(CIFAR100, "train_list", [["train", md5(made / "train")]])
    monkeypatch.setattr(CIFAR100, "test_list", [["test", md5(made / "test")]])
    monkeypatch.setattr(CIFAR100, "meta", {**CIFAR100.meta, "md5": md5(made / "meta")})
    monkeypatch.setattr(CIFAR100, "tgz_md5", md5(archive))
    monkeypatch.setattr(urllib.request, "urlopen", no_network)
    return archive


def cifar(data_root: Path) -> RawImages:
    return load_cifar100(Request(data_root, 32, None))


def with_archive(data_root: Path, archive: Path) -> Path:
    data_root.mkdir()
    (data_root / archive.name).write_bytes(archive.read_bytes())
    return data_root


def test_local_archive_is_unpacked_silently_and_leaves_no_scratch(
    fake_cifar: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data_root = with_archive(tmp_path / "root", fake_cifar)
    left, other = f".{CIFAR100.base_folder}.0.unfinished", ".other.unfinished"
    (data_root / left).mkdir()  # by a process that was killed
    (data_root / other).mkdir()
    raw = cifar(data_root)
    assert training_pixels(raw).shape == (6, 32, 32, 3)
    assert raw.test_labels.tolist() == [0, 1, 2, 3]
    assert raw.class_names == tuple(f"c{i}" for i in range(6))
    assert sorted(os.listdir(data_root)) == [other, CIFAR100.base_folder, CIFAR100.filename]
    assert capfd.readouterr().out == ""


@pytest.fixture
def web(fake_cifar: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A web server on this machine that serves the tiny archive."""
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(fake_cifar.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/{fake_cifar.name}"
        monkeypatch.setattr(CIFAR100, "url", url)
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        monkeypatch.setattr(urllib.request, "urlopen", direct.open)
        yield
        server.shutdown()
        thread.join()


@pytest.mark.usefixtures("web")
def test_missing_cifar_is_downloaded(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert len(cifar(tmp_path / "root").train_labels) == 6
    assert os.listdir(tmp_path / "root") == [CIFAR100.base_folder]
    assert capfd.readouterr().out == ""


@pytest.mark.usefixtures("web")
def test_download_of_other_bytes_is_refused(fake_cifar: Path, tmp_path: Path) -> None:
    os.truncate(fake_cifar, 100)
    with pytest.raises(DataError, match="downloading it failed"):
        cifar(tmp_path / "root")
    assert os.listdir(tmp_path / "root") == []


def test_missing_cifar_without_network_says_what_to_put_where(
    fake_cifar: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data_root = tmp_path / "root"
    with pytest.raises(DataError, match=r"downloading it failed .*no route to host") as error:
        cifar(data_root)
    for part in (fake_cifar.name, CIFAR100.url, CIFAR100.base_folder, str(data_root)):
        assert part in str(error.value)
    assert os.listdir(data_root) == []
    assert capfd.readouterr().out == ""


def test_partial_archive_is_named(fake_cifar: Path, tmp_path: Path) -> None:
    data_root = with_archive(tmp_path / "root", fake_cifar)
    os.truncate(data_root / fake_cifar.name, 100)
    with pytest.raises(DataError, match=r"python\.tar\.gz is a partial or damaged download"):
        cifar(data_root)


@pytest.mark.usefixtures("fake_cifar")
def test_data_root_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "root").write_text("")
    with pytest.raises(DataError, match=r"is not in .*root"):
        cifar(tmp_path / "root")


@pytest.mark.parametrize("name", ("train", "test", "meta"))
def test_partial_folder_names_the_missing_file(fake_cifar: Path, tmp_path: Path, name: str) -> None:
    data_root = with_archive(tmp_path / "root", fake_cifar)
    cifar(data_root)
    (data_root / CIFAR100.base_folder / name).unlink()
    with pytest.raises(DataError, match=f"{name} is missing.: delete that folder"):
        cifar(data_root)


@pytest.mark.parametrize("name", ("train", "test", "meta"))
def test_altered_file_is_named(fake_cifar: Path, tmp_path: Path, name: str) -> None:
    data_root = with_archive(tmp_path / "root", fake_cifar)
    cifar(data_root)
    with open(data_root / CIFAR100.base_folder / name, "ab") as file:
        file.write(b"x")
    with pytest.raises(DataError, match=f"{name} has the wrong md5 sum"):
        cifar(data_root)


def test_another_process_may_unpack_first(
    fake_cifar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_root = with_archive(tmp_path / "root", fake_cifar)
    extract = utils.extract_archive

    def overtaken(archive: Path, scratch: str) -> None:
        extract(archive, scratch)
        extract(archive, data_root)

    monkeypatch.setattr(utils, "extract_archive", overtaken)
    assert len(cifar(data_root).train_labels) == 6
    assert sorted(os.listdir(data_root)) == [CIFAR100.base_folder, CIFAR100.filename]


def test_digits_have_a_balanced_test_set_and_share_no_image() -> None:
    raw = load_digits(Request(Path(), 8, None))
    assert np.bincount(raw.test_labels).tolist() == [60] * 10
    assert training_pixels(raw).shape == (1797 - 600, 8, 8, 1)
    pixels = training_pixels(raw)
    assert (pixels.min(), pixels.max()) == (0, 255)
    assert set(np.unique(pixels)) <= {round(v * 255 / 16) for v in range(17)}
    again = load_digits(Request(Path(), 8, None))
    assert np.array_equal(evaluated_pixels(raw), evaluated_pixels(again))
