"""The check of an environment for the versions that the repository pins.

``python -m search.cluster.environment_check``, in the repository's folder, is the last step of a
node's set-up. It needs nothing installed, so that it can also say that nothing is.
"""

import re
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PYPROJECT, CONSTRAINTS = Path("pyproject.toml"), Path("constraints.txt")


def needed(pyproject: str) -> list[str]:
    """Return the names of the packages that a node of a cluster needs."""
    project = tomllib.loads(pyproject)["project"]
    requirements = project["dependencies"] + project["optional-dependencies"]["cluster"]
    return sorted({re.split(r"[^\w.-]", requirement)[0] for requirement in requirements})


def installed(name: str) -> str | None:
    """Return the installed version without its build (2.15.0 for 2.15.0+cu128), if there is one."""
    try:
        return version(name).partition("+")[0]
    except PackageNotFoundError:
        return None


def faults(pyproject: str, constraints: str) -> list[str]:
    """Return a sentence for each needed package whose version is not the pinned one."""
    pins = dict(line.split("==") for line in constraints.split())
    found = [(name, pins.get(name), installed(name)) for name in needed(pyproject)]
    return [
        f"{name} is {actual or 'not installed'}, and constraints.txt pins {required or 'nothing'}; "
        "run pip install -c constraints.txt -e '.[cluster]' in this environment"
        for name, required, actual in found
        if actual is None or actual != required
    ]


def main() -> int:
    """Print what is wrong, if anything is, and return the exit code."""
    sentences = faults(PYPROJECT.read_text(), CONSTRAINTS.read_text())
    for sentence in sentences:
        print(f"error: {sentence}", file=sys.stderr)
    return 2 if sentences else 0


if __name__ == "__main__":
    sys.exit(main())
