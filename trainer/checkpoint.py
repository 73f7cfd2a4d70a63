"""Where a trial's progress survives: one checked, atomic file per saved epoch.

A file is a line naming the format and the SHA-256 of what follows, then ``torch.save`` bytes.
"""

import hashlib
import io
import logging
import pickle
from pathlib import Path
from typing import Any

import torch

from trainer.files import write_atomic

MAGIC = "class-weighting-checkpoint-1"
KEEP = 2

log = logging.getLogger(__name__)


class CheckpointError(Exception):
    """A checkpoint cannot be used: torn, unreadable, or of another configuration."""


def checkpoint_path(folder: Path, epoch: int) -> Path:
    return folder / f"epoch-{epoch:05d}.ckpt"


def saved_epochs(folder: Path) -> list[Path]:
    """Return the folder's checkpoints, newest epoch first (empty if there is no folder)."""
    return sorted(folder.glob("epoch-*.ckpt"), reverse=True)


def save(folder: Path, epoch: int, state: dict[str, Any]) -> None:
    """Write ``state`` atomically and drop all but the newest ``KEEP`` files."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    payload = buffer.getvalue()
    header = f"{MAGIC} {hashlib.sha256(payload).hexdigest()}\n".encode()
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(checkpoint_path(folder, epoch), header + payload)
    for old in saved_epochs(folder)[KEEP:]:
        old.unlink(missing_ok=True)


def load(path: Path, configuration: str) -> dict[str, Any]:
    """Return the state in ``path``, which must belong to ``configuration``.

    Raises:
        CheckpointError: the file is torn or corrupt, or another configuration wrote it.
    """
    header, _, payload = path.read_bytes().partition(b"\n")
    if header != f"{MAGIC} {hashlib.sha256(payload).hexdigest()}".encode():
        raise CheckpointError(f"{path} is torn or corrupt; delete it to go on without it.")
    try:
        state: dict[str, Any] = torch.load(
            io.BytesIO(payload), map_location="cpu", weights_only=True
        )
    except (RuntimeError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    if state["configuration"] != configuration:
        raise CheckpointError(
            f"{path} belongs to configuration {state['configuration']}, not to {configuration}; "
            "use another checkpoint folder."
        )
    return state


def newest(folder: Path, configuration: str) -> dict[str, Any] | None:
    """Return the newest readable state, or None where nothing was saved yet.

    A damaged newest file is named in the log and the one before it is used. Where files exist but
    none can be used, the newest one's error is raised: never a silent start from epoch 0.
    """
    errors = []
    for path in saved_epochs(folder):
        try:
            return load(path, configuration)
        except CheckpointError as error:
            log.warning("%s", error)
            errors.append(error)
    if errors:
        raise errors[0]
    return None
