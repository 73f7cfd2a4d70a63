"""Pixels of image files: orientation, transparency, depth, palettes, size and damage."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from trainer.data import pixels
from trainer.errors import DataError

SIDE = 4


def decoded(path: Path, side: int = SIDE) -> NDArray[np.uint8]:
    with pixels.quiet():
        return pixels.decode(path, side)


def corner() -> Image.Image:
    """Black, but for a white quarter at the top left."""
    values = np.zeros((16, 16, 3), dtype=np.uint8)
    values[:8, :8] = 255
    return Image.fromarray(values)


@pytest.mark.parametrize(
    ("orientation", "white"),
    ((1, (0, 0)), (2, (0, 1)), (3, (1, 1)), (6, (0, 1)), (8, (1, 0))),
)
@pytest.mark.parametrize("suffix", (".jpg", ".png", ".tif"))
def test_image_is_turned_as_its_exif_says(
    tmp_path: Path, orientation: int, white: tuple[int, int], suffix: str
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    corner().save(tmp_path / f"turned{suffix}", exif=exif, quality=95)
    image = decoded(tmp_path / f"turned{suffix}", 2)[..., 0]
    assert np.argwhere(image > 127).tolist() == [list(white)]


def test_damage_elsewhere_in_the_exif_does_not_matter(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x8825] = {2: (1.0, 2.0, 3.0)}  # a place, of which the tag will be wrong
    whole = exif.tobytes()
    content = whole.replace(b"\0\2\0\5\0\0\0\3", b"\0\11\0\5\0\0\0\3")
    assert content != whole
    corner().save(tmp_path / "bad.jpg", exif=content, quality=95)
    assert np.argwhere(decoded(tmp_path / "bad.jpg", 2)[..., 0] > 127).tolist() == [[0, 1]]


def test_unreadable_exif_leaves_the_image_as_it_is(tmp_path: Path) -> None:
    corner().save(tmp_path / "bad.jpg", exif=b"Exif\0\0damaged", quality=95)
    assert np.argwhere(decoded(tmp_path / "bad.jpg", 2)[..., 0] > 127).tolist() == [[0, 0]]


def half_transparent(mode: str) -> tuple[Image.Image, dict[str, object]]:
    """Black with an alpha of 128, and red or black that nobody can see."""
    if mode == "P":
        palette = Image.new("P", (SIDE, SIDE))
        palette.putpalette([0, 0, 0, 255, 0, 0])
        palette.putpixel((0, 0), 1)
        return palette, {"transparency": b"\x80\x00"}
    if mode in ("RGB", "L"):
        image = Image.new(mode, (SIDE, SIDE), 0)
        image.putpixel((0, 0), (255, 0, 0) if mode == "RGB" else 9)
        return image, {"transparency": (255, 0, 0) if mode == "RGB" else 9}
    rgba = Image.new("RGBA", (SIDE, SIDE), (0, 0, 0, 128))
    rgba.putpixel((0, 0), (255, 0, 0, 0))
    return rgba.convert(mode), {}


@pytest.mark.parametrize(
    ("mode", "elsewhere"), (("RGBA", 127), ("LA", 127), ("P", 127), ("RGB", 0), ("L", 0))
)
def test_transparent_pixels_are_white_whatever_their_hidden_colour(
    tmp_path: Path, mode: str, elsewhere: int
) -> None:
    image, options = half_transparent(mode)
    image.save(tmp_path / "a.png", **options)
    found = decoded(tmp_path / "a.png")
    assert found[0, 0].tolist() == [255, 255, 255]
    assert np.abs(found[1:].astype(int) - elsewhere).max() <= 1


@pytest.mark.parametrize("name", ("a.png", "a.tif", "a.pgm"))
def test_sixteen_bits_keep_their_high_byte(tmp_path: Path, name: str) -> None:
    deep = np.arange(SIDE * SIDE, dtype=np.uint16).reshape(SIDE, SIDE) * 4369
    Image.fromarray(deep).save(tmp_path / name)
    found = decoded(tmp_path / name)
    assert np.array_equal(found, np.repeat((deep >> 8)[..., None], 3, axis=2))


@pytest.mark.parametrize(
    ("values", "message"),
    (
        (np.full((4, 4), 70000, dtype=np.int32), r"whole numbers outside 0\.\.65535"),
        (np.full((4, 4), -1, dtype=np.int32), r"whole numbers outside 0\.\.65535"),
        (np.full((4, 4), 0.5, dtype=np.float32), "fractions of an unknown range"),
    ),
)
def test_pixels_of_unknown_range_are_refused(
    tmp_path: Path, values: NDArray[np.int32], message: str
) -> None:
    Image.fromarray(values).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=rf"a\.tif \(its pixels are {message}"):
        decoded(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("name", "mode"),
    (
        *((f"a{suffix}", "RGB") for suffix in (".bmp", ".tiff", ".ppm", ".JPG", ".WebP", ".jp2")),
        *(("a.png", mode) for mode in ("L", "P", "1", "RGBA", "LA")),
        *(("a.jpeg", mode) for mode in ("L", "CMYK")),
        ("a.gif", "P"),
    ),
)
def test_formats_and_modes_give_rgb(tmp_path: Path, name: str, mode: str) -> None:
    Image.new("RGB", (8, 8), (255, 255, 255)).convert(mode).save(tmp_path / name)
    assert (tmp_path / name).suffix.lower() in pixels.SUFFIXES
    assert decoded(tmp_path / name).min() >= 250


def test_cmyk_is_converted_by_its_inks_alone(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.tif")
    assert decoded(tmp_path / "a.tif")[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("name", ("a.gif", "a.png", "a.webp", "a.tif", "a.mpo"))
def test_first_frame_of_an_animation_is_taken(tmp_path: Path, name: str) -> None:
    frames = [Image.new("RGB", (8, 8), (value, value, value)) for value in (255, 0, 90)]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], lossless=True)
    assert decoded(tmp_path / name).min() == 255


@pytest.mark.parametrize("size", ((8, 8), (7, 30), (31, 9), (3, 5), (1, 1), (1, 100_000)))
def test_any_size_is_resized(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", size, (9, 9, 9)).save(tmp_path / "a.png")
    assert decoded(tmp_path / "a.png", 6).tolist() == [[[9, 9, 9]] * 6] * 6


def test_resizing_crops_the_centre(tmp_path: Path) -> None:
    wide = np.zeros((8, 32, 3), dtype=np.uint8)
    wide[:, 12:20] = 200
    Image.fromarray(wide).save(tmp_path / "a.png")
    assert decoded(tmp_path / "a.png", 8).min() == 200


def truncated(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def enlarged(path: Path) -> None:
    """Claim 60,000 times 60,000 pixels in the header."""
    content = bytearray(path.read_bytes())
    content[18:26] = (60_000).to_bytes(4, "little") * 2
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "message"),
    (
        (truncated, "it is damaged or cut short"),
        (enlarged, r"it has more than 100,000,000 pixels"),
        (lambda path: path.write_bytes(b""), "it is damaged or in none of the formats AVIF, BMP"),
    ),
)
def test_damaged_or_enormous_file_is_named(
    tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    path = tmp_path / "a.bmp"
    corner().save(path)
    damage(path)
    with pytest.raises(DataError, match=rf"a\.bmp \(.*{message}"):
        decoded(path)


def test_image_of_just_too_many_pixels_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pixels, "MOST_PIXELS", 255)
    corner().save(tmp_path / "a.png")
    with pytest.raises(DataError, match="more than 255 pixels"):
        decoded(tmp_path / "a.png")
    assert pixels.size(tmp_path / "a.png") == (16, 16)


def test_every_suffix_is_one_that_pillow_knows_for_the_format() -> None:
    Image.init()
    known = Image.registered_extensions()
    for name, suffixes in pixels.FORMATS.items():
        assert {known[suffix] for suffix in suffixes} <= {name, "MPO"}
