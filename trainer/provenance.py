"""The provenance of a number names the versions, the hardware and the commit behind it."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

PACKAGES = ("class-weighting-search", "torch", "torchvision", "numpy", "ray", "optuna")


def versions() -> dict[str, str]:
    """Return the installed version of Python and of each package that numbers depend on."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found | {"python": platform.python_version()}


def processor() -> str:
    """Return the CPU's model name, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def device_name(device: torch.device) -> str:
    """Return the hardware behind ``device``: the GPU's or the CPU's model name."""
    if device.type != "cuda":
        return processor()
    import torch  # here, because --version needs the rest of this module and not torch

    return torch.cuda.get_device_name(device)


def git_revision() -> str | None:
    """Return the source tree's commit, ``-dirty`` appended if it was changed; None outside git.

    An installed copy has none, even inside the repository of another project.
    """
    if not _git("ls-files", Path(__file__).name):
        return None
    return _git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*") or None


def _git(*arguments: str) -> str:
    """Return what git prints about this file's folder; nothing outside git, or without it."""
    command = ["git", *arguments]
    here = Path(__file__).resolve().parent
    try:
        done = subprocess.run(command, cwd=here, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip()


def now() -> str:
    """Return the time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def provenance() -> dict[str, Any]:
    """Return time, versions, CPU and revision as a JSON-able dict."""
    return {
        "time": now(),
        "versions": versions(),
        "cpu": processor(),
        "revision": git_revision(),
    }
