"""Pixels of an image file, as a network is given them: upright, opaque, RGB, square, 8 bits."""

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trainer.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

BACKGROUND = "white"
"""What shows through transparent pixels: images with transparency are mostly drawn for white pages,
and dark lines would vanish on black."""
MOST_PIXELS = 100_000_000
"""Pixels of the largest image that is read: 300 MB decoded, in each of a few threads."""
FORMATS = {
    "AVIF": (".avif", ".avifs"),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "JPEG2000": (".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"),
    "PNG": (".png", ".apng"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm", ".pfm"),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
}
"""The formats that are decoded, by Pillow's names, and their suffixes. The content decides which of
them a file is in. None starts a program (EPS would), opens a second file, or hands what it holds to
readers of other formats (IPTC and ICO would)."""
SUFFIXES = frozenset(suffix for suffixes in FORMATS.values() for suffix in suffixes)
TILE_WIDTH, TILE_LENGTH = 322, 323
"""Tags of a TIFF file: a tile is decoded whole, however small the image is."""


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No warnings of Pillow: what they tell is handled here, or the image is refused.

    It holds for all threads, so it is entered around them and not in each.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def size(path: Path) -> tuple[int, int] | None:
    """Width and height in pixels, None if that cannot be read; decodes nothing. Call `quiet`."""
    from PIL import Image

    try:
        with Image.open(path, formats=tuple(FORMATS)) as image:
            return image.size
    except Exception:  # whatever is wrong with it is said when it is decoded
        return None


def decode(path: Path, resolution: int) -> NDArray[np.uint8]:
    """The first frame of an image file, uint8 (resolution, resolution, 3). Call `quiet` around it.

    Raises DataError, naming the file, if it is damaged, too large or of no known range.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path, formats=tuple(FORMATS)) as image:
            return fit(image, resolution)
    except DataError as error:
        raise DataError(f"{path} ({error})") from error
    except UnidentifiedImageError as error:
        known = ", ".join(FORMATS)
        raise DataError(f"{path} (it is damaged or in none of the formats {known})") from error
    except Image.DecompressionBombError as error:
        raise DataError(f"{path} ({_too_large()})") from error
    # Decoders meet broken files with whatever they stumble over, SyntaxError included.
    except Exception as error:
        reason = getattr(error, "strerror", None) or "it is damaged or cut short"
        raise DataError(f"{path} ({reason})") from error


def _too_large() -> str:
    return f"it has more than {MOST_PIXELS:,} pixels"


def fit(image: "Image.Image", resolution: int) -> NDArray[np.uint8]:
    """The pixels of an image, its shorter side resized to `resolution`, its centre cropped.

    Bilinear and antialiased. Returns uint8 (resolution, resolution, 3); raises DataError.
    """
    from PIL import Image

    tags = getattr(image, "tag_v2", {})
    tile = int(tags.get(TILE_WIDTH, 0)) * int(tags.get(TILE_LENGTH, 0))  # a tag may hold text
    if max(image.width * image.height, tile) > MOST_PIXELS:
        raise DataError(_too_large())
    opaque = _rgb(_upright(image))
    if opaque.size != (resolution, resolution):
        # The box at once, and not a crop of the whole: that may be very long and thin.
        side = min(opaque.size)
        left, top = ((length - side) / 2 for length in opaque.size)
        box = (left, top, left + side, top + side)
        opaque = opaque.resize((resolution, resolution), Image.Resampling.BILINEAR, box)
    return np.asarray(opaque)


def _upright(image: "Image.Image") -> "Image.Image":
    """The image, turned in place as its EXIF orientation says, if that can be read."""
    from PIL import ImageOps

    image.load()
    with contextlib.suppress(Exception):  # damage in the EXIF block, not in the pixels
        ImageOps.exif_transpose(image, in_place=True)
    return image


def _rgb(image: "Image.Image") -> "Image.Image":
    """The image as RGB: composited on `BACKGROUND`, and the high byte of 16 bits."""
    from PIL import Image

    if image.mode.startswith("I"):
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 0xFFFF:
            raise DataError("its pixels are whole numbers outside 0..65535; store it in 8 bits")
        # As Pillow reads 16-bit colour.
        return Image.fromarray((values >> 8).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise DataError("its pixels are fractions of an unknown range; store it in 8 bits")
    if image.has_transparency_data:
        foreground = image.convert("RGBA")
        background = Image.new("RGBA", image.size, BACKGROUND)
        return Image.alpha_composite(background, foreground).convert("RGB")
    return image.convert("RGB")
