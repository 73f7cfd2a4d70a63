"""Raw images: CIFAR and its damages, digits, and a user's folder."""

import functools
import hashlib
import os
import pickle
import tarfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import CIFAR100, utils

from trainer.data.cifar import load_cifar100
from trainer.data.digits import load_digits
from trainer.data.image_folder import load_folder, scan_folder
from trainer.data.raw import RawImages, Request
from trainer.errors import DataError

MakeFolder = Callable[..., Path]


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
    raw = cifar(data_root)
    assert raw.train_images.shape == (6, 32, 32, 3)
    assert raw.test_labels.tolist() == [0, 1, 2, 3]
    assert raw.class_names == tuple(f"c{i}" for i in range(6))
    assert sorted(os.listdir(data_root)) == [CIFAR100.base_folder, CIFAR100.filename]
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
    assert raw.train_images.shape == (1797 - 600, 8, 8, 1)
    assert (raw.train_images.min(), raw.train_images.max()) == (0, 255)
    assert set(np.unique(raw.train_images)) <= {round(v * 255 / 16) for v in range(17)}
    again = load_digits(Request(Path(), 8, None))
    assert np.array_equal(raw.test_images, again.test_images)


def folder(root: Path, resolution: int = 8) -> RawImages:
    return load_folder(Request(Path(), resolution, scan_folder(root, "train", "test")))


def test_folder_keeps_pixels_of_the_right_size(tmp_path: Path, make_folder: MakeFolder) -> None:
    root = make_folder(tmp_path / "images", (3, 1))
    raw = folder(root)
    assert raw.class_names == ("class0", "class1")
    assert raw.train_labels.tolist() == [0, 0, 0, 1]
    assert raw.test_labels.tolist() == [0, 0, 1, 1]
    with Image.open(root / "train" / "class0" / "002.png") as image:
        assert np.array_equal(raw.train_images[2], np.asarray(image))


@pytest.mark.parametrize("size", ((8, 8), (7, 30), (31, 9), (3, 5), (1, 1)))
def test_folder_resizes_any_size(
    tmp_path: Path, make_folder: MakeFolder, size: tuple[int, int]
) -> None:
    raw = folder(make_folder(tmp_path / "images", (1, 1), size=size), resolution=6)
    assert raw.train_images.shape == (2, 6, 6, 3)


def test_resizing_crops_the_centre(tmp_path: Path, make_folder: MakeFolder) -> None:
    root = make_folder(tmp_path / "images", (1, 1))
    wide = np.zeros((8, 32, 3), dtype=np.uint8)
    wide[:, 12:20] = 200
    Image.fromarray(wide).save(root / "train" / "class0" / "000.png")
    image = folder(root, resolution=8).train_images[0]
    assert image.min() == 200


@pytest.mark.parametrize(
    ("suffix", "mode"),
    (
        *((".png", mode) for mode in ("L", "P", "RGBA", "1", "LA")),
        *((".JPG", mode) for mode in ("L", "CMYK", "RGB")),
        (".jpeg", "RGB"),
        (".WebP", "RGBA"),
    ),
)
def test_folder_reads_formats_and_modes(
    tmp_path: Path, make_folder: MakeFolder, mode: str, suffix: str
) -> None:
    root = make_folder(tmp_path / "images", (1, 1))
    image = Image.new("RGB", (8, 8), (255, 255, 255)).convert(mode)
    image.save(root / "train" / "class0" / f"white{suffix}")
    assert folder(root).train_images[1].min() >= 250


def test_palette_with_transparency_is_read_without_a_warning(
    tmp_path: Path, make_folder: MakeFolder
) -> None:
    root = make_folder(tmp_path / "images", (1, 1))
    image = Image.new("P", (8, 8))
    image.putpalette([255, 255, 255, 0, 0, 0])
    image.save(root / "train" / "class0" / "white.png", transparency=b"\x80\xff")
    assert folder(root).train_images[1].min() == 255


def test_sixteen_bit_image_is_refused(tmp_path: Path, make_folder: MakeFolder) -> None:
    root = make_folder(tmp_path / "images", (1, 1))
    deep = Image.fromarray(np.full((8, 8), 40000, dtype=np.uint16))
    deep.save(root / "train" / "class0" / "deep.png")
    with pytest.raises(DataError, match=r"deep\.png cannot be read .*not 8 bits per channel"):
        folder(root)


def test_other_files_are_ignored(tmp_path: Path, make_folder: MakeFolder) -> None:
    root = make_folder(tmp_path / "images", (2, 2))
    for name in (".DS_Store", "._000.png", "notes.txt"):
        (root / "train" / "class0" / name).write_text("x")
    (root / "train" / ".cache").mkdir()
    (root / "train" / "labels.csv").write_text("x")
    assert scan_folder(root, "train", "test").train_counts == (2, 2)


def damaged_png(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def no_png(path: Path) -> None:
    path.write_text("not an image")


@pytest.mark.parametrize("damage", (damaged_png, no_png))
def test_unreadable_image_is_named(
    tmp_path: Path, make_folder: MakeFolder, damage: Callable[[Path], Any]
) -> None:
    root = make_folder(tmp_path / "images", (2, 2), size=(40, 40))
    damage(root / "test" / "class1" / "001.png")
    with pytest.raises(DataError, match=r"test/class1/001\.png cannot be read as an image"):
        folder(root)


def test_differing_classes_are_named(tmp_path: Path, make_folder: MakeFolder) -> None:
    root = make_folder(tmp_path / "images", (1, 1, 1))
    (root / "test" / "class2").rename(root / "test" / "klass2")
    message = r"only in train: \['class2'\], only in test: \['klass2'\]"
    with pytest.raises(DataError, match=message):
        scan_folder(root, "train", "test")


def test_empty_class_is_named(tmp_path: Path, make_folder: MakeFolder) -> None:
    root = make_folder(tmp_path / "images", (1, 1))
    (root / "train" / "class1" / "000.png").unlink()
    with pytest.raises(DataError, match="train/class1 holds no images"):
        scan_folder(root, "train", "test")


def test_single_class_is_refused(tmp_path: Path, make_folder: MakeFolder) -> None:
    with pytest.raises(DataError, match="one class folder only"):
        scan_folder(make_folder(tmp_path / "images", (1,)), "train", "test")


def test_folder_without_classes_is_named(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    with pytest.raises(DataError, match="train holds no class folders"):
        scan_folder(tmp_path, "train", "test")


def test_missing_split_is_named(tmp_path: Path, make_folder: MakeFolder) -> None:
    root = make_folder(tmp_path / "images", (1, 1))
    with pytest.raises(DataError, match="validation cannot be read"):
        scan_folder(root, "train", "validation")


def test_folder_that_changed_since_it_was_listed_is_refused(
    tmp_path: Path, make_folder: MakeFolder
) -> None:
    root = make_folder(tmp_path / "images", (2, 2))
    listed = scan_folder(root, "train", "test")
    (root / "train" / "class0" / "000.png").unlink()
    with pytest.raises(DataError, match="changed while they were read"):
        load_folder(Request(Path(), 8, listed))
