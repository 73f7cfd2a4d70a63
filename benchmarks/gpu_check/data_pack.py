"""Prepared image files, small enough to be carried to a machine without network: a third smaller.

    python -m benchmarks.gpu_check.data_pack pack PACK.bz2 FILE.npz [FILE.npz ...]
    python -m benchmarks.gpu_check.data_pack unpack PACK.bz2 DATA_ROOT

Nothing is lost. An image that stands in several files, as CIFAR-100's do, is kept once; what is
compressed are colour differences less the guess that their neighbours give.
"""

import bz2
import io
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spaces.errors import UserError
from trainer.arguments import Parser
from trainer.entry_point import entry_point
from trainer.files import write_atomic

PARTS = ("train_images", "test_images")

Images = NDArray[np.uint8]
"""Shape (N, 3, H, W)."""
Array = NDArray[Any]


def planes_of(images: Images) -> Images:
    """Return green, red - green and blue - green, modulo 256."""
    red, green, blue = (images[:, channel] for channel in range(3))
    return np.stack([green, red - green, blue - green], axis=1)


def images_of(planes: Images) -> Images:
    green = planes[:, 0]
    return np.stack([planes[:, 1] + green, green, planes[:, 2] + green], axis=1)


def guess(
    west: NDArray[np.int16], north: NDArray[np.int16], corner: NDArray[np.int16]
) -> NDArray[np.int16]:
    """Return the median edge predictor (Weinberger et al., LOCO-I, IEEE TIP 2000)."""
    low, high = np.minimum(west, north), np.maximum(west, north)
    return np.where(corner >= high, low, np.where(corner <= low, high, west + north - corner))


def residuals_of(planes: Images) -> Images:
    """Return what the guesses from the pixels to the left and above leave over, modulo 256."""
    number, channels, height, width = planes.shape
    wide = np.zeros((number, channels, height + 1, width + 1), np.int16)
    wide[..., 1:, 1:] = planes
    guesses = guess(wide[..., 1:, :-1], wide[..., :-1, 1:], wide[..., :-1, :-1])
    return (planes - guesses).astype(np.uint8)


def planes_from(residuals: Images) -> Images:
    """Return the planes that gave the residuals: pixel by pixel, for all images at once."""
    number, channels, height, width = residuals.shape
    wide = np.zeros((height + 1, width + 1, number, channels), np.int16)
    left = residuals.transpose(2, 3, 0, 1)
    for y in range(1, height + 1):
        for x in range(1, width + 1):
            guessed = guess(wide[y, x - 1], wide[y - 1, x], wide[y - 1, x - 1])
            wide[y, x] = (guessed + left[y - 1, x - 1]) & 255
    return wide[1:, 1:].astype(np.uint8).transpose(2, 3, 0, 1)


def pack(target: Path, paths: list[Path]) -> None:
    """Write the prepared files, whose images are of one size and of three channels."""
    files = {path.name: arrays_of(path) for path in paths}
    images = [arrays[part] for arrays in files.values() for part in PARTS]
    if len({i.shape[1:] for i in images}) > 1 or images[0].shape[1] != 3:
        sizes = ", ".join(sorted({str(i.shape[1:]) for i in images}))
        raise UserError(f"the images are of {sizes}; pack colour images of one size together.")
    everything = np.concatenate(images)
    known: dict[bytes, int] = {}
    which = np.array([known.setdefault(image.tobytes(), len(known)) for image in everything])
    once = np.frombuffer(b"".join(known), np.uint8).reshape(-1, *everything.shape[1:])
    content: dict[str, Array] = {"images": residuals_of(planes_of(once))}
    start = 0
    for name, arrays in files.items():
        for key, array in arrays.items():
            if key in PARTS:
                start += len(array)
                array = which[start - len(array) : start].astype(np.int32)
            content[f"{name}/{key}"] = array
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **content)
    write_atomic(target, bz2.compress(buffer.getvalue()))
    print(f"{target}: {target.stat().st_size / 2**20:.1f} MiB for {', '.join(files)}")


def unpack(source: Path, data_root: Path) -> None:
    """Write the prepared files of a pack where a data root has them."""
    try:
        packed = bz2.decompress(source.read_bytes())
        content = dict(np.load(io.BytesIO(packed), allow_pickle=False))
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{source} is no pack of images ({error}).") from error
    images = np.ascontiguousarray(images_of(planes_from(content.pop("images"))))
    files: dict[str, dict[str, Array]] = {}
    for key, array in content.items():
        name, part = key.split("/")
        files.setdefault(name, {})[part] = images[array] if part in PARTS else array
    folder = data_root / "prepared"
    folder.mkdir(parents=True, exist_ok=True)
    for name, arrays in files.items():
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **arrays)
        write_atomic(folder / name, buffer.getvalue())
        print(folder / name)


def arrays_of(path: Path) -> dict[str, Array]:
    """Return a prepared file's arrays.

    Raises:
        UserError: the file cannot be read, or is no prepared file.
    """
    try:
        with path.open("rb") as file:
            arrays = dict(np.load(file, allow_pickle=False))
    except (OSError, ValueError, zlib.error, zipfile.BadZipFile) as error:
        raise UserError(f"{path} cannot be read ({error}); give prepared .npz files.") from error
    if not arrays.keys() >= {*PARTS}:
        raise UserError(f"{path} has no {' and '.join(PARTS)}; give prepared .npz files.")
    return arrays


@entry_point()
def main(arguments: list[str] | None = None) -> int:
    parser = Parser(prog="python -m benchmarks.gpu_check.data_pack")
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack", help="write a pack of prepared files")
    packing.add_argument("pack", type=Path)
    packing.add_argument("files", type=Path, nargs="+")
    unpacking = commands.add_parser("unpack", help="write a pack's prepared files")
    unpacking.add_argument("pack", type=Path)
    unpacking.add_argument("data_root", type=Path)
    options = parser.parse_args(arguments)
    if options.command == "pack":
        pack(options.pack, options.files)
    else:
        unpack(options.pack, options.data_root)
    return 0


if __name__ == "__main__":
    sys.exit(main())
