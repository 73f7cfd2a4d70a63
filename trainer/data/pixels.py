"""Pixels of an image file, as a network is given them: upright, opaque, RGB, square, 8 bits."""

import contextlib
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from trainer.data.reading import hash_file, in_portions
from trainer.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

LEVELS, FAINT, MOST_FAINT = 256, 64, 0.05
"""Of a pixel; images that are below the second are hardly meant so, if they are a larger share."""
PORTION_BYTES = 2**25
"""Of images that are decoded at a time."""

Place = TypeVar("Place")
Pixels = NDArray[np.uint8]

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


def decoded(
    places: Sequence[Place], decode: Callable[[Place], NDArray[np.uint8]], resolution: int
) -> Iterator[NDArray[np.uint8]]:
    """The images (n, resolution, resolution, 3) of all places, a portion at a time.

    At the end it raises one DataError for all that cannot be decoded.
    """
    size = max(1, PORTION_BYTES // (3 * resolution**2))
    portions = in_portions(decode, places, size, "cannot be read as an image")
    while True:
        with quiet():
            portion = next(portions, None)
        if portion is None:
            return
        yield np.stack(portion)


def size(path: Path) -> tuple[int, int] | None:
    """Width and height in pixels, None if that cannot be read; decodes nothing. Call `quiet`."""
    from PIL import Image

    try:
        with Image.open(path, formats=tuple(FORMATS)) as image:
            return image.size
    except Exception:  # whatever is wrong with it is said when it is decoded
        return None


def decode(path: Path, resolution: int, digest: int | None = None) -> Pixels:
    """The first frame of an image file, uint8 (resolution, resolution, 3). Call `quiet` around it.

    Raises DataError, naming the file, if it is damaged, too large, of no known range, or if its
    content is not that of `digest`, of which a benchmark was made.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path, formats=tuple(FORMATS)) as image:
            pixels = fit(image, resolution)
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
    if digest is not None and hash_file(path) != digest:  # after it, so that it was of these bytes
        raise DataError(f"{path} (it changed while the images were read)")
    return pixels


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


class Levels:
    """Counts of the 256 levels in every channel, from which mean and deviation are exact.

    Attributes:
        faint: images of no pixel as high as `FAINT`, of those that are counted and of all others.
        images: of both, how many there are.
    """

    def __init__(self, channels: int) -> None:
        self.counts = np.zeros((channels, LEVELS), dtype=np.int64)
        self.faint, self.images = [0, 0], [0, 0]

    def counted(
        self, portions: Iterable[NDArray[np.uint8]], images: int
    ) -> Iterator[NDArray[np.uint8]]:
        """Pass images (n, H, W, C) on; the first so many of them are counted."""
        for portion in portions:
            faint = portion.max(axis=(1, 2, 3)) < FAINT
            ours = max(0, images)
            for part, found in enumerate((faint[:ours], faint[ours:])):
                self.faint[part] += int(found.sum())
                self.images[part] += len(found)
            for image in portion[:ours]:
                for counts, channel in zip(self.counts, image.transpose(2, 0, 1), strict=True):
                    counts += np.bincount(channel.ravel(), minlength=LEVELS)
            images -= len(portion)
            yield portion

    def warning(self) -> str | None:
        """What a person should know of images of few levels; None where they have more."""
        words = ("training", "evaluated")
        told = [
            f"{faint:,} of the {images:,} {word} images"
            for word, faint, images in zip(words, self.faint, self.images, strict=True)
            if faint > MOST_FAINT * images
        ]
        if not told:
            return None
        return (
            f"warning: {' and '.join(told)} have no pixel above {FAINT - 1} of {LEVELS - 1}, so"
            " that they have few levels: of 16 bits the upper 8 are read, so scale images of 12"
            " bits to 0..65535, or store them in 8 bits"
        )

    def statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation of every channel, of pixels scaled to 0..1."""
        mean, std = [], []
        for counts in self.counts:
            values, levels = counts / counts.sum(), np.arange(LEVELS) / (LEVELS - 1)
            mean.append(float(values @ levels))
            std.append(float(np.sqrt(values @ (levels - mean[-1]) ** 2)))
        if min(std) < 1e-6:
            raise DataError(
                "every training pixel of a channel has the same value, so images cannot be"
                " normalised: check the images, or set mean and std in the benchmark's file"
            )
        return tuple(mean), tuple(std)
