"""A user's folder of images: which files are its images, and their pixels."""

import os
import string
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.data import pixels
from trainer.data.listing import (
    Classes,
    Found,
    Listing,
    listing_of,
    raw_images,
    share_of,
)
from trainer.data.raw import FolderSpec, RawImages, Request
from trainer.data.reading import collected, faulty, hash_file, left_out, not_used
from trainer.errors import DataError

USUAL_NAMES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
LITTER = frozenset(("thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir"))
"""What systems leave in folders, in lower case; names that begin with a dot are litter too."""

MOST_NAMED = 9
"""Classes that a sentence names."""
Identity = tuple[int, int]
"""Device and inode of a folder."""


@dataclass(frozen=True)
class SplitNames:
    """The folders of a data set's splits, relative to its root.

    Attributes:
        val: a folder, or the share of the training images to set aside, or None.
    """

    train: str
    val: str | float | None
    test: str | None

    def folders(self) -> dict[str, str]:
        """Split to folder, of the splits that have one."""
        names = {"train": self.train, "val": self.val, "test": self.test}
        return {split: name for split, name in names.items() if isinstance(name, str)}


def split_names(
    root: Path,
    train: str | None = None,
    val: str | float | None = None,
    test: str | None = None,
) -> SplitNames:
    """The splits of a folder: as given, else its sub-folders of the usual names.

    Without any of these, the root itself holds the class folders. Without validation and test
    folders, a share of the training images is set aside; val = 0 has the test images choose.
    """
    present = {entry.name.lower(): entry.name for entry in _entries(root) if entry.is_dir()}
    usual = {
        split: next((present[name] for name in names if name in present), None)
        for split, names in USUAL_NAMES.items()
    }
    if train is None:
        train = usual["train"] or ("." if usual["val"] is usual["test"] is None else "train")
    test = usual["test"] if test is None else test
    if val is None and usual["val"]:
        val = usual["val"]
    elif not isinstance(val, str):
        val = share_of(root, ("train", "test") if test else ("train",), val)
    return SplitNames(train, val, test)


def scan_folder(root: Path, names: SplitNames) -> FolderSpec:
    """What a benchmark keeps of the images in `root`, of which every byte is hashed.

    Raises DataError for a missing folder, an empty class, a single one, classes that differ
    between splits, links that lead nowhere and files that cannot be read.
    """
    splits = names.folders()
    return list_folder(root, names).spec(root, **splits)


def list_folder(root: Path, names: SplitNames) -> Listing[Path]:
    """The images of a folder, by split and class (`scan_folder`)."""
    skipped: Counter[str] = Counter()
    paths = find_files(root, names, skipped)
    class_names = _same_classes(root, names, paths)
    flat = [path for classes in paths.values() for files in classes.values() for path in files]
    digests = iter(collected(hash_file, flat))
    splits: dict[str, Classes[Path]] = {
        split: [[Found(next(digests), path) for path in files] for files in classes.values()]
        for split, classes in paths.items()
    }
    share = names.val if isinstance(names.val, float) else None
    notes = ((left_out(skipped),) if skipped else ()) + not_used("", _unused(root, names))
    return listing_of(class_names, splits, share, root / names.train, notes)


def find_files(
    root: Path, names: SplitNames, skipped: Counter[str]
) -> dict[str, dict[str, list[Path]]]:
    """The image files of each split by class, classes sorted by name; opens none of them.

    The suffixes of files that are no images that can be read are counted in `skipped`. Raises
    DataError for links that lead nowhere, all of them counted.
    """
    dangling: list[str] = []
    folders = {split: root / name for split, name in names.folders().items()}
    splits = {_identity(folder): folder for folder in folders.values()}
    for folder in folders.values():
        if (other := splits[_identity(folder)]) is not folder:
            raise DataError(
                f"{folder} and {other} are one folder, to which a link leads: give each split"
                " images of its own"
            )
    found = {
        split: _find_classes(folder, splits, skipped, dangling) for split, folder in folders.items()
    }
    if dangling:
        raise DataError(faulty(dangling, "cannot be read, as a link leads nowhere"))
    return found


def _find_classes(
    split: Path, splits: Collection[Identity], skipped: Counter[str], dangling: list[str]
) -> dict[str, list[Path]]:
    """The images of a split by class; a folder of class folders may hold other splits too."""
    classes = {}
    above, other = _above(split / "class"), Counter[str]()
    for entry in _entries(split):
        path = Path(entry.path)
        if _is_dangling(entry):
            dangling.append(str(path))
        elif not entry.is_dir():
            other[f"{_kind(entry.name)} beside the class folders"] += 1
        elif _identity(path) not in splits:
            _check_name(path)
            seen = _above(path) if entry.is_symlink() else set(above)
            classes[entry.name] = list(_find_images(path, other, dangling, seen))
    skipped.update(other)
    empty = [name for name, files in classes.items() if not files]
    if empty or not classes:
        where = split / empty[0] if empty else split
        rest = f" ({left_out(other)})" if other else ""
        raise DataError(
            f"{where} holds no {'images that can be read' if empty else 'class folders'}{rest}: put"
            f" images, such as .png or .jpg, at {split}/<class>/"
            f"{' or remove the empty class everywhere' if empty else ''}"
            f"{'' if classes else ', or rename a folder of images without labels'}"
        )
    return classes


def _entries(folder: Path) -> list["os.DirEntry[str]"]:
    """What a folder holds, by name, litter left out."""
    try:
        with os.scandir(folder) as entries:
            kept = [
                entry
                for entry in entries
                if not entry.name.startswith(".") and entry.name.lower() not in LITTER
            ]
    except OSError as error:
        raise _unreadable(folder, error) from error
    return sorted(kept, key=lambda entry: entry.name)


def _unreadable(folder: Path, error: OSError) -> DataError:
    return DataError(
        f"{folder} cannot be read ({error.strerror}): it must be a folder that holds one folder"
        " of images per class"
    )


def _is_dangling(entry: "os.DirEntry[str]") -> bool:
    """Whether it is a link that leads nowhere, or to itself."""
    return entry.is_symlink() and not os.path.exists(entry.path)


def _check_name(folder: Path) -> None:
    if not folder.name.isprintable():
        raise DataError(
            f"{str(folder)!r} has a name with characters that cannot be printed: rename that class"
        )


def _kind(name: str) -> str:
    """A file's suffix as it may be shown."""
    suffix = os.path.splitext(name)[1].lower()
    usual = string.ascii_letters + string.digits + "._-"
    if not suffix:
        return "without a suffix"
    return suffix if len(suffix) <= 12 and all(c in usual for c in suffix) else "other"


def _find_images(
    folder: Path, skipped: Counter[str], dangling: list[str], seen: set[Identity]
) -> Iterator[Path]:
    """The image files in a class's folder and all folders in it, but those in `seen`.

    Links may lead back to one of them, or to one above the class.
    """
    if _identity(folder) in seen:
        return
    seen.add(_identity(folder))
    for entry in _entries(folder):
        if _is_dangling(entry):
            dangling.append(entry.path)
        elif entry.is_dir():
            yield from _find_images(Path(entry.path), skipped, dangling, seen)
        elif entry.is_file() and os.path.splitext(entry.name)[1].lower() in pixels.SUFFIXES:
            yield Path(entry.path)
        else:
            skipped[_kind(entry.name)] += 1


def _identity(folder: Path) -> Identity:
    """What tells folders apart that several paths may lead to. Raises DataError."""
    try:
        status = os.stat(folder)
    except OSError as error:
        raise _unreadable(folder, error) from error
    return status.st_dev, status.st_ino


def _above(folder: Path) -> set[Identity]:
    return {_identity(parent) for parent in folder.resolve().parents}


def _same_classes(
    root: Path, names: SplitNames, paths: dict[str, dict[str, list[Path]]]
) -> tuple[str, ...]:
    """The class names, which must be the same in all splits."""
    train = set(paths["train"])
    for split, classes in paths.items():
        if set(classes) != train:
            folder = names.folders()[split]
            raise DataError(
                f"the classes in {root / names.train} and {root / folder} differ (only in"
                f" {names.train}: {_some(train - set(classes))}, only in {folder}:"
                f" {_some(set(classes) - train)}): give every class a folder in both"
            )
    return tuple(paths["train"])


def _some(classes: set[str]) -> str:
    """The first of some classes; letters beyond ASCII, which may look alike, are escaped."""
    named = [ascii(name) for name in sorted(classes)[:MOST_NAMED]]
    more = f", ... {len(classes):,} in all" if len(classes) > MOST_NAMED else ""
    return f"[{', '.join(named)}{more}]"


def _unused(root: Path, names: SplitNames) -> list[str]:
    """The folders beside those of the splits; none where the root itself is a split."""
    paths = [Path(name) for name in names.folders().values()]
    if Path() in paths:
        return []
    used = {path.parts[0] for path in paths}
    return [f"{e.name}/" for e in _entries(root) if e.is_dir() and e.name not in used]


def load_folder(request: Request) -> RawImages:
    """The user's own images, as RGB, `resolution` pixels square (`pixels.fit`)."""
    spec, resolution = request.folder, request.resolution
    assert spec is not None  # Benchmark checks it
    listing = list_folder(spec.root, SplitNames(spec.train, spec.val, spec.test))
    check_unchanged(listing, spec)

    def decode(image: Found[Path]) -> pixels.Pixels:
        return pixels.decode(image.place, resolution, image.digest)

    return raw_images(listing, decode, resolution)


def check_unchanged(listing: Listing[Any], spec: FolderSpec) -> None:
    """Raise DataError unless the images are those that the benchmark was made of."""
    if listing.state() != spec.state:
        raise DataError(f"the images in {spec.root} changed while they were read: run again")
