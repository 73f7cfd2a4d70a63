"""How are arrays and their description one compressed file that is trusted only if it is whole?"""

import io
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spaces.errors import UserError

Arrays = dict[str, NDArray[Any]]
_DESCRIPTION = "description"


class ArrayFileError(UserError):
    """A file that is missing, damaged or something else; the sentence names it and the remedy."""


def to_bytes(description: dict[str, Any], arrays: Arrays) -> bytes:
    """Return the content of an .npz file; equal input gives equal bytes."""
    words = json.dumps(description, separators=(",", ":")).encode()
    buffer = io.BytesIO()
    members = arrays | {_DESCRIPTION: np.frombuffer(words, dtype=np.uint8)}
    np.savez_compressed(buffer, allow_pickle=False, **members)
    return buffer.getvalue()


def read(path: Path) -> tuple[dict[str, Any], Arrays]:
    """Return the description and the arrays that ``to_bytes`` was given.

    Raises:
        ArrayFileError: there is no such file, or it is not whole.
    """
    try:
        with zipfile.ZipFile(path) as archive:  # read whole, which checks the CRC of each member
            members = {name: archive.read(name) for name in archive.namelist()}
        arrays = {
            name.removesuffix(".npy"): np.load(io.BytesIO(content), allow_pickle=False)
            for name, content in members.items()
        }
        description = json.loads(arrays.pop(_DESCRIPTION).tobytes())
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, KeyError) as error:
        raise ArrayFileError(
            f"{path} is damaged or was not written by this program ({error}); delete it, and "
            "record or copy it again."
        ) from error
    except OSError as error:
        raise ArrayFileError(f"{path} cannot be read ({error.strerror}).") from error
    return description, arrays
