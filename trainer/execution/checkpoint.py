"""Checkpoints keep the progress of a trial: one checked, atomic file per saved epoch.

A file is a line naming the format and the SHA-256 of what follows, then ``torch.save`` bytes.
"""

import hashlib
import io
import logging
import os
import pickle
from functools import partial
from pathlib import Path
from typing import Any

import torch

from trainer.errors import CheckpointError
from trainer.files import patiently, write_atomic

MAGIC = "class-weighting-checkpoint-1"
KEEP = 2

log = logging.getLogger(__name__)


class DamagedCheckpointError(CheckpointError):
    """A checkpoint is torn, corrupt or unreadable, so an older one may be used in its place."""


def checkpoint_path(folder: Path, epoch: int) -> Path:
    return folder / f"epoch-{epoch:05d}.ckpt"


def saved_epochs(folder: Path) -> list[Path]:
    """Return the folder's checkpoints, newest epoch first (empty if there is no folder).

    Raises OSError when it cannot be read, which is not as if there were none.
    """
    try:
        names = patiently(partial(os.listdir, folder), folder, "read")
    except (FileNotFoundError, NotADirectoryError):
        return []
    found = (name for name in names if name.startswith("epoch-") and name.endswith(".ckpt"))
    return [folder / name for name in sorted(found, key=lambda n: (len(n), n), reverse=True)]


def last_saved_epoch(folder: Path) -> int:
    """Return the epoch of the newest checkpoint by its name, 0 without one."""
    newest_first = saved_epochs(folder)
    return int(newest_first[0].stem.removeprefix("epoch-")) if newest_first else 0


def save(folder: Path, epoch: int, state: dict[str, Any]) -> None:
    """Write ``state`` atomically and drop all but the newest ``KEEP`` files.

    Raises:
        CheckpointError: the file cannot be written; those already there are untouched.
    """
    path, content = checkpoint_path(folder, epoch), file_content(state)
    try:
        make = partial(folder.mkdir, exist_ok=True)  # nothing is saved below a deleted folder
        patiently(make, folder)
        write_atomic(path, content)
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be written ({error.strerror}); make room or use another folder."
        ) from error
    for old in saved_epochs(folder)[KEEP:]:
        patiently(partial(old.unlink, missing_ok=True), old)


def file_content(state: dict[str, Any]) -> memoryview:
    """Return a file's bytes, made in one place: every copy of them would stop all other threads."""
    buffer = io.BytesIO()
    start = buffer.write(header_of(b""))
    torch.save(state, buffer)
    content = buffer.getbuffer()
    content[:start] = header_of(content[start:])
    return content


def header_of(payload: bytes | memoryview) -> bytes:
    return f"{MAGIC} {hashlib.sha256(payload).hexdigest()}\n".encode()


def load(path: Path, configuration: str) -> dict[str, Any]:
    """Return the state in ``path``, which must belong to ``configuration``.

    Raises:
        DamagedCheckpointError: the file is torn, corrupt or unreadable.
        CheckpointError: another configuration wrote it.
    """
    try:
        content = patiently(path.read_bytes, path, "read")
    except OSError as error:
        raise DamagedCheckpointError(f"{path} cannot be read ({error.strerror}).") from error
    header, newline, payload = content.partition(b"\n")
    if header + newline != header_of(payload):
        raise DamagedCheckpointError(f"{path} is torn or corrupt; delete it to go on without it.")
    try:
        state: dict[str, Any] = torch.load(
            io.BytesIO(payload), map_location="cpu", weights_only=True
        )
        written_by = state["configuration"]
    except (RuntimeError, pickle.UnpicklingError, TypeError, LookupError) as error:
        # Not torch's message: it advises to load without weights_only, which runs the file's code.
        raise DamagedCheckpointError(
            f"{path} holds something else than a trial's state; delete it to go on without it."
        ) from error
    if written_by != configuration:
        if str(written_by).split("-")[:2] == configuration.split("-")[:2]:  # trial and images
            raise CheckpointError(
                f"{path} is of a training by other kernels ({written_by}, here {configuration}), "
                "whose numbers differ; go on with a GPU like the one before, or delete its folder "
                "to begin again."
            )
        raise CheckpointError(
            f"{path} belongs to configuration {written_by}, not to {configuration}; "
            "use another checkpoint folder."
        )
    return state


def newest(folder: Path, configuration: str) -> dict[str, Any] | None:
    """Return the newest readable state, or None where nothing was saved yet.

    A damaged newest file is named in the log and the one before it is used. Where files exist but
    none can be used, the newest one's error is raised: never a silent start from epoch 0. A file
    of another configuration is an error at once: two trials in one folder would drop each other's.
    """
    errors = []
    for path in saved_epochs(folder):
        try:
            state = load(path, configuration)
        except DamagedCheckpointError as error:
            errors.append(error)
            continue
        for damaged in errors:
            log.warning("%s %s is used instead.", damaged, path.name)
        return state
    if errors:
        raise errors[0]
    return None
