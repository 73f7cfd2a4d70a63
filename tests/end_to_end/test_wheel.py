"""The wheel: it holds every package, and its console command searches from another folder."""

import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from repository import REPOSITORY

pytestmark = pytest.mark.slow
PACKAGES = ("search", "trainer", "spaces")
PIP = (sys.executable, "-m", "pip", "--no-input", "--disable-pip-version-check", "-q")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a copy of the sources, as building leaves files beside them."""
    sources, built = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("built")
    for package in PACKAGES:
        unwanted = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / package, sources / package, ignore=unwanted)
    shutil.copytree(REPOSITORY / "benchmarks", sources / "benchmarks")
    for name in ("pyproject.toml", "README.md", "LICENSE", "run_search.py"):
        shutil.copy(REPOSITORY / name, sources)
    build = ("wheel", "--no-index", "--no-deps", "--no-build-isolation", "-w", built, sources)
    subprocess.run([*PIP, *build], check=True)
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def command(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The console command in an environment that has the wheel, and sees this one's libraries."""
    home = tmp_path_factory.mktemp("venv")
    venv.create(home, symlinks=True)
    (own,) = home.glob("lib/python*/site-packages")
    libraries = [path for path in sys.path if path.endswith("site-packages")]
    (own / "libraries.pth").write_text("\n".join(libraries))  # follows no .pth in them
    python = ("--python", home / "bin" / "python")
    install = ("install", "--no-index", "--no-deps", "--ignore-installed", wheel)
    subprocess.run([*PIP, *python, *install], check=True)
    return home / "bin" / "class-weighting-search"


def test_the_wheel_holds_every_file_of_the_packages_and_nothing_else(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    expected = {
        path.relative_to(REPOSITORY).as_posix()
        for package in PACKAGES
        for path in (REPOSITORY / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert names == expected
    assert {f"{package}/py.typed" for package in PACKAGES} < names


def test_its_command_searches_and_exports_from_another_folder(
    command: Path, tmp_path: Path
) -> None:
    def told(*arguments: str) -> str:
        done = subprocess.run(
            [command, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout

    assert "  class-weighting-search show runs/" in told("help")
    assert "usage: class-weighting-search [search]" in told("--help")
    told("--benchmark", "resnet8-digitslt", "--trials", "5", "--epochs", "1", "--name", "run")
    assert "mlsbench_balanced_softmax" in told("show", "runs/run")
    assert told("export", "runs/run", "--output", "out").endswith("out/best_weighting.py\n")
    assert "revision" not in told("--version")  # no commit is known of what is installed
