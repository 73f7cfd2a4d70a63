"""Stored images are read from a file one by one, each checked by its own checksum.

The file is an uncompressed .npy of uint8 (N, H, W, C). It is read, and not mapped into memory: a
file that was cut off is an error then and no signal that ends the process, and threads read ahead
while another one computes. What was read stays in the system's cache, which all processes share.
"""

import os
import platform
import weakref
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from trainer.errors import DataError
from trainer.files import patiently

Pixels = NDArray[np.uint8]
Checksums = NDArray[np.uint32]


class Images(Protocol):
    """Images, uint8 (N, C, H, W): an array, or what is indexed like one."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, key: Any, /) -> Any: ...


@dataclass(frozen=True, eq=False)
class StoredImages:
    """Images of a file, which are indexed like an array uint8 (N, C, H, W).

    They travel to another process by the path of their file.

    Attributes:
        path: of the file, absolute.
        offset: of the first image in the file, bytes.
        sides: height, width and channels of every image.
        checksums: CRC-32 of each image, (N,).
    """

    path: Path
    offset: int
    sides: tuple[int, int, int]
    checksums: Checksums

    @property
    def shape(self) -> tuple[int, ...]:
        height, width, channels = self.sides
        return len(self), channels, height, width

    @property
    def dtype(self) -> np.dtype[np.uint8]:
        return np.dtype(np.uint8)

    @property
    def image_bytes(self) -> int:
        height, width, channels = self.sides
        return height * width * channels

    def __len__(self) -> int:
        return len(self.checksums)

    def __getitem__(self, key: Any) -> Pixels:
        """The image of a number, (C, H, W), or those that a slice or an array chooses."""
        chosen = np.arange(len(self))[key]
        images = np.empty((chosen.size, *self.sides), dtype=np.uint8)
        for number, pixels in zip(np.ravel(chosen).tolist(), images, strict=True):
            self.read(number, pixels)
        return images.transpose(0, 3, 1, 2) if np.ndim(chosen) else images[0].transpose(2, 0, 1)

    def part(self, first: int, images: int) -> "StoredImages":
        """So many of the images from the ``first`` one on."""
        offset = self.offset + first * self.image_bytes
        return replace(self, offset=offset, checksums=self.checksums[first : first + images])

    def read(self, number: int, pixels: Pixels) -> None:
        """Read an image into ``pixels``, (H, W, C) and contiguous; any number of threads may.

        Raises DataError for a file that is not there, cannot be read or was damaged.
        """
        at, done = self.offset + number * self.image_bytes, 0
        view = pixels.reshape(-1).data
        try:
            while done < len(view):
                rest = partial(os.preadv, self.descriptor, [view[done:]], at + done)
                got = patiently(rest, self.path, "read")
                if not got:
                    raise self.unusable("is cut off")
                done += got
        except OSError as error:
            raise DataError(
                f"{self.path} cannot be read ({error.strerror}): see to its disk, and run again"
            ) from error
        if zlib.crc32(view) != self.checksums[number]:
            raise self.unusable("is damaged")

    def check(self) -> None:
        """Raise DataError unless the file is there, and as long as it was written."""
        length, expected = os.fstat(self.descriptor).st_size, len(self) * self.image_bytes
        if length < self.offset + expected:
            raise self.unusable("is cut off")

    @cached_property
    def descriptor(self) -> int:
        try:
            descriptor = os.open(self.path, os.O_RDONLY)
        except OSError as error:
            raise DataError(
                f"{self.path}, from which images are read during the training, cannot be opened on"
                f" {platform.node()} ({error.strerror}): it must be at this path on every machine"
                " that trains, so give a --data-root that they share"
            ) from error
        weakref.finalize(self, os.close, descriptor)
        return descriptor

    def unusable(self, fault: str) -> DataError:
        return DataError(
            f"{self.path} {fault}: delete the folder {self.path.parent} and run again, and it will"
            " be made anew"
        )

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


def open_images(path: Path, checksums: Checksums) -> StoredImages:
    """The images of a file that ``write_images`` wrote, which is as long as it was then.

    Raises DataError for any other file.
    """
    try:
        with open(path, "rb") as file:
            if npy.read_magic(file) != (1, 0):
                raise ValueError("another version of the format")
            shape, by_columns, kind = npy.read_array_header_1_0(file)
            offset = file.tell()
    except Exception as error:  # numpy meets a damaged header with whatever it stumbles over
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            f"{path} holds no images ({reason}): delete the folder {path.parent} and run again, and"
            " it will be made anew"
        ) from error
    images = StoredImages(path.absolute(), offset, (0, 0, 0), checksums)
    if len(shape) != 4 or by_columns or kind != np.uint8 or checksums.shape != shape[:1]:
        raise images.unusable(f"has {kind} of shape {shape} for {len(checksums)} checksums")
    images = replace(images, sides=shape[1:])
    images.check()
    return images


def write_images(path: Path, shape: tuple[int, ...], portions: Iterable[Pixels]) -> Checksums:
    """Write images of ``shape`` (N, H, W, C), a portion of them at a time.

    Returns the CRC-32 of each, (N,). Raises OSError.
    """
    checksums: list[int] = []
    with open(path, "xb") as file:
        kind = npy.dtype_to_descr(np.dtype(np.uint8))
        header = {"descr": kind, "fortran_order": False, "shape": shape}
        npy.write_array_header_1_0(file, header)
        for portion in portions:
            for image in portion:
                checksums.append(zlib.crc32(image.tobytes()))
            file.write(portion.tobytes())
        file.flush()
        os.fsync(file.fileno())
    assert len(checksums) == shape[0]
    return np.array(checksums, dtype=np.uint32)
