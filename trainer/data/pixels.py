"""Pixels of an image file, as a network is given them: upright, opaque, RGB, square, 8 bits."""

import contextlib
import functools
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
NOT_DECODED = frozenset(("BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"))
"""Formats that Pillow names but cannot read alone; for EPS it would run another program."""


@functools.cache
def formats() -> tuple[str, ...]:
    """The formats that Pillow decodes here."""
    from PIL import Image

    Image.init()
    return tuple(name for name in Image.ID if name not in NOT_DECODED)


@functools.cache
def suffixes() -> frozenset[str]:
    """The file name extensions of `formats`, such as ".png", in lower case."""
    from PIL import Image

    known = (*formats(), "MPO")  # opened by JPEG's reader
    return frozenset(s for s, name in Image.registered_extensions().items() if name in known)


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
        with Image.open(path, formats=formats()) as image:
            return image.size
    except Exception:  # whatever is wrong with it is said when it is decoded
        return None


def decode(path: Path, resolution: int) -> NDArray[np.uint8]:
    """The first frame of an image file, uint8 (resolution, resolution, 3). Call `quiet` around it.

    Raises DataError, naming the file, if it is damaged, too large or of no known range.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path, formats=formats()) as image:
            return fit(image, resolution)
    except UnidentifiedImageError as error:
        raise DataError(f"{path} (it is in no format that can be read)") from error
    except Image.DecompressionBombError as error:
        raise DataError(f"{path} ({_too_large()})") from error
    # Decoders meet broken files with whatever they stumble over, SyntaxError included.
    except Exception as error:
        raise DataError(f"{path} ({error or type(error).__name__})") from error


def _too_large() -> str:
    return f"it has more than {MOST_PIXELS:,} pixels"


def fit(image: "Image.Image", resolution: int) -> NDArray[np.uint8]:
    """The pixels of an image, its shorter side resized to `resolution`, its centre cropped.

    Bilinear and antialiased. Returns uint8 (resolution, resolution, 3); raises ValueError.
    """
    from PIL import Image

    if image.width * image.height > MOST_PIXELS:
        raise ValueError(_too_large())
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
            raise ValueError("its pixels are whole numbers outside 0..65535; store it in 8 bits")
        # As Pillow reads 16-bit colour.
        return Image.fromarray((values >> 8).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise ValueError("its pixels are fractions of an unknown range; store it in 8 bits")
    if image.has_transparency_data:
        foreground = image.convert("RGBA")
        background = Image.new("RGBA", image.size, BACKGROUND)
        return Image.alpha_composite(background, foreground).convert("RGB")
    return image.convert("RGB")
