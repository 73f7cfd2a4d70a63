"""The version of the code and the libraries that compute numbers, here or on a worker."""

import functools
import hashlib
import importlib.metadata
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("search", "trainer", "spaces")
LIBRARIES = ("torch", "numpy", "ray")
"""What a worker's numbers, or its understanding with the driver, depend on."""
ROOT = Path(__file__).resolve().parents[2]


def sources() -> list[Path]:
    """Return the Python files of the project's packages, in a fixed order."""
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


@dataclass(frozen=True)
class CodeVersion:
    """A code version is what a result depends on besides its inputs.

    Attributes:
        versions: (name, version) of Python and of each library in ``LIBRARIES``.
        code: 16 hexadecimal digits over the project's own sources.
    """

    versions: tuple[tuple[str, str], ...]
    code: str

    @classmethod
    def here(cls) -> "CodeVersion":
        """Return what this process computes with; torch is not imported for it."""
        digest = hashlib.sha256()
        for path in sources():
            digest.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
        versions = [("Python", platform.python_version())]
        versions += [(name, version_of(name)) for name in LIBRARIES]
        return cls(tuple(versions), digest.hexdigest()[:16])

    def differences(self, other: "CodeVersion") -> list[str]:
        """Return a phrase for everything in which ``other`` differs, naming both."""
        pairs = [*zip(self.versions, other.versions, strict=True)]
        pairs.append((("this project's code", self.code), ("", other.code)))
        return [
            f"{name} {there}, not {mine}" for (name, mine), (_, there) in pairs if mine != there
        ]


@functools.cache
def loaded_version() -> CodeVersion:
    """Return the version that this process had when it first asked, once its code was loaded."""
    return CodeVersion.here()


def version_of(library: str) -> str:
    """Return the installed version of a library, or that it is missing."""
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def copy_sources(folder: Path) -> None:
    """Copy the project's packages, such as a worker needs them, into an empty folder."""
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, folder / package, ignore=ignored)
