"""No image starts a program, reads another file, runs code or fills the memory."""

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from PIL import EpsImagePlugin, Image, UnidentifiedImageError
from pyarrow import parquet

from search.cli.commands import main
from trainer.benchmarks import get_benchmark
from trainer.data import image_arrays, image_table, pixels
from trainer.errors import DataError

MakeFolder = Callable[..., Path]
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
OTHER_FORMAT = "it is damaged or in none of the formats AVIF, "
TOO_LARGE = "it has more than 100,000,000 pixels"


def iptc(content: bytes) -> bytes:
    """An IPTC file of 9 x 9 pixels, the image in which may be in any format of Pillow."""
    fields = ((3, 60, b"\1\0"), (3, 20, b"\0\11"), (3, 30, b"\0\11"), (3, 120, b"\5"))
    return b"".join(
        struct.pack(">BBBH", 0x1C, record, number, len(value)) + value
        for record, number, value in (*fields, (8, 10, content))
    )


def png(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds 99 bytes of pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(99))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


def ico(content: bytes) -> bytes:
    """An icon of 16 x 16 pixels by its header, which holds a PNG."""
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, 16, 16, 0, 0, 1, 24, len(content), 22) + content


def gif(frame: bool) -> bytes:
    """A GIF of which the screen, or only its frame, is 50,000 pixels square."""
    file = io.BytesIO()
    Image.new("RGB", (16, 16)).save(file, "GIF")
    content = bytearray(file.getvalue())
    at = content.rindex(b"\x2c") + 5 if frame else 6
    content[at : at + 4] = struct.pack("<HH", 50_000, 50_000)
    return bytes(content)


def webp() -> bytes:
    """A WebP that claims 16,000 pixels square and holds one of 8."""
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "WEBP", lossless=True)
    content = bytearray(file.getvalue())
    content[21:25] = struct.pack("<I", 15_999 | 15_999 << 14)
    return bytes(content)


def tiff(side: int, tile: int, text: int = 0) -> bytes:
    """A TIFF of `side` pixels square in one compressed tile of `tile` pixels square.

    The type of the tag `text` is text, not a number.
    """
    data = zlib.compress(bytes(99)).ljust(24)
    tags = {256: side, 257: side, 258: 8, 259: 8, 262: 1, 277: 1, 322: tile, 323: tile, 324: 8}
    entries = (*tags.items(), (325, len(data)))
    table = b"".join(
        struct.pack("<HHII", tag, 2 if tag == text else 4, 1, value) for tag, value in entries
    )
    start = struct.pack("<2sHI", b"II", 42, 8 + len(data))
    return start + data + struct.pack("<H", len(entries)) + table + bytes(4)


@pytest.fixture
def root(tmp_path: Path, make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder `pets` of images, beside which commands run."""
    monkeypatch.chdir(tmp_path)
    return make_folder(tmp_path / "pets", (6, 3))


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that a false Ghostscript, the first on the path, leaves when it is started."""
    mark, program = tmp_path / "started", tmp_path / "bin" / "gs"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch '{mark}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)  # or it would not be looked for again
    return mark


@pytest.mark.parametrize("content", (EPS, iptc(EPS)), ids=("eps", "eps in iptc"))
def test_postscript_under_another_name_does_not_start_ghostscript(
    root: Path, started: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    path = root / "train" / "class0" / "000.png"
    path.write_bytes(content)
    assert main(["prepare", str(root)]) == 2
    said = capsys.readouterr().err
    assert f"000.png ({OTHER_FORMAT}" in said
    assert "cannot be read as an image: replace or remove it" in said
    assert not started.exists()
    with Image.open(path) as image, pytest.raises(UnidentifiedImageError):
        image.load()
    assert started.exists()  # Pillow alone does start it


@pytest.mark.parametrize(
    ("content", "message"),
    (
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", OTHER_FORMAT),
        (b"<!doctype html><p>No image", OTHER_FORMAT),
        (ico(png(13_000, 13_000)), OTHER_FORMAT),
        (png(50_000, 50_000), TOO_LARGE),
        (png(12_000, 9_000), TOO_LARGE),
        (gif(frame=False), TOO_LARGE),
        (gif(frame=True), TOO_LARGE),
        (webp(), TOO_LARGE),
        (tiff(50_000, 16), TOO_LARGE),
        (tiff(16, 40_000), TOO_LARGE),
        (tiff(16, 0xB71B39, text=322), TOO_LARGE),  # "9" pixels wide
    ),
)
def test_image_is_refused_before_it_is_decoded(
    tmp_path: Path, content: bytes, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(pixels, "_upright")  # decodes
    (tmp_path / "a.png").write_bytes(content)
    with pixels.quiet(), pytest.raises(DataError, match=r"a\.png") as caught:
        pixels.decode(tmp_path / "a.png", 8)
    assert message in str(caught.value)


def declared(folder: Path, data: str) -> None:
    head = 'name = "mine"\nnetwork = "resnet8"\nresolution = 8\n'
    (folder / "mine.toml").write_text(f"{head}[data]\n{data}\n")
    get_benchmark(str(folder / "mine.toml"), folder)


def test_pipe_or_device_in_a_table_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "a.csv").write_text("path,label\npipe.png,0\n/dev/zero,1\n")
    with pytest.raises(DataError, match=r"2 files .*pipe\.png \(it is no regular file\), /dev/ze"):
        declared(tmp_path, 'csv = "a.csv"')


@pytest.mark.parametrize(
    ("path", "message"),
    (
        (png(8, 8), "has binary in the column 'path': it must be text; write the images to files"),
        ({"name": "a.png"}, "has struct<name: string> in the column 'path'"),
        ("a\0.png", "no path holds a zero byte"),
        ("a.png", "has 4 rows, more than 3: split it"),
    ),
)
def test_parquet_with_more_than_names_of_files_is_refused(
    tmp_path: Path, path: object, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_table, "MOST_ROWS", 3 if path == "a.png" else 4)
    table = pyarrow.table({"path": [path] * 4, "label": [0, 0, 1, 1]})
    parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(DataError, match=message):
        declared(tmp_path, 'parquet = "a.parquet"')


class Payload:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("executed",)


def header(shape: tuple[int, ...]) -> bytes:
    """The header of an array of bytes that does not follow."""
    file = io.BytesIO()
    fields = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, fields)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    (
        (header((10**13, 8, 8)), "is no .npz file of plain arrays"),
        (b"\x93NUMPY\1\0\x10\0{'descr':[[[[[[[[", "is no .npz file of plain arrays"),
        (b"no array", "pixels must be uint8"),
        (header((1, 2, 8)) + bytes(16), "an image may have 15 pixels: shrink them"),
        (header((1, 2, 2)) + bytes(4), "bytes, more than 0 times its size"),
        (None, "is no .npz file of plain arrays"),
    ),
)
def test_arrays_that_would_fill_the_memory_or_run_code_are_refused(
    tmp_path: Path, content: bytes | None, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pixels, "MOST_PIXELS", 15)
    if "times" in message:
        monkeypatch.setattr(image_arrays, "SMALL_ARRAYS", 3)
        monkeypatch.setattr(image_arrays, "MOST_UNPACKED", 0)
    if content is None:
        np.savez("a.npz", train_images=np.array([Payload()]), train_labels=[0])
    else:
        with zipfile.ZipFile("a.npz", "w") as archive:
            archive.writestr("train_images.npy", content)
    with pytest.raises(DataError, match=message):
        declared(tmp_path, 'npz = "a.npz"')
    assert not Path("executed").exists()
