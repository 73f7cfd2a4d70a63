"""Ray, Optuna and what they need, small enough to be carried to a machine without network.

    python -m benchmarks.gpu_check.package_pack PACK.tar.xz
    mkdir site; tar -C site -xJf PACK.tar.xz; PYTHONPATH=site python -m benchmarks.gpu_check ...

For Linux on x86-64. Packages that the machine with torch has are left out, and so are the parts of
Ray that a search never loads.
"""

import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.throughput.processes import REPOSITORY
from spaces.errors import UserError
from trainer.arguments import Parser
from trainer.entry_point import entry_point

WANTED = ("ray", "optuna", "cmaes", "greenlet", "pydantic", "tensorboardX")
GIVEN = ("numpy", "numpy.libs")
"""Come with the wanted ones, and are there with torch."""
UNUSED = ("jars", "rllib", "dashboard/client", "llm", "cpp", "include")
"""Folders of Ray."""
PLATFORMS = ("2_28", "2_27", "2_24", "2_17", "2_5")
"""glibc versions of wheels, from which pip takes no older one by itself."""


def install(site: Path, python: str, packages: Sequence[str]) -> None:
    """Install packages, in the versions of constraints.txt, into a folder.

    Raises:
        UserError: pip fails, which has said why.
    """
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(site)]
    command += ["--only-binary=:all:", "--python-version", python, "--implementation", "cp"]
    for version in PLATFORMS:
        command += ["--platform", f"manylinux_{version}_x86_64"]
    command += ["--platform", "manylinux2014_x86_64", "--no-compile"]
    constraints = [line for line in pinned() if line.partition("==")[0] in packages]
    done = subprocess.run([*command, *packages, *constraints], check=False)
    if done.returncode:
        raise UserError(f"pip cannot install {', '.join(packages)}; mend what it says above.")


def pinned() -> list[str]:
    return (REPOSITORY / "constraints.txt").read_text().split()


def trim(site: Path) -> None:
    """Delete what is given there, or never loaded."""
    for folder in (*(site / name for name in GIVEN), *(site / "ray" / name for name in UNUSED)):
        shutil.rmtree(folder, ignore_errors=True)
    for information in site.glob("numpy-*"):
        shutil.rmtree(information)


@entry_point()
def main(arguments: list[str] | None = None) -> int:
    parser = Parser(prog="python -m benchmarks.gpu_check.package_pack")
    parser.add_argument("pack", type=Path, help="file to write, .tar.xz")
    parser.add_argument("--python", default="3.12", help="version on that machine (3.12)")
    parser.add_argument("--packages", default=",".join(WANTED), help="by their names (%(default)s)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder)
        install(site, options.python, options.packages.split(","))
        trim(site)
        with tarfile.open(options.pack, "w:xz") as archive:
            archive.add(site, ".")
    print(f"{options.pack}: {options.pack.stat().st_size / 2**20:.1f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
