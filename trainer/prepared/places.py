"""Places of prepared images below a data root."""

from pathlib import Path

IMAGES, DESCRIPTION = "images.npy", "description.npz"
"""The files of a prepared folder: the pixels, and all else."""


def file_of(data_root: Path, stem: str, fingerprint: str) -> Path:
    """The prepared file of a benchmark's name and data fingerprint."""
    return data_root / "prepared" / f"{stem}-{fingerprint}.npz"


def folder_of(file: Path) -> Path:
    """The prepared folder that takes the place of a file, for images that memory cannot hold."""
    return file.with_name(file.name.removesuffix(".npz"))
