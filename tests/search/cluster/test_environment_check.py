"""The check of a node's versions at the end of its set-up."""

from pathlib import Path

import pytest
from repository import REPOSITORY

from search.cluster import environment_check

PYPROJECT = """
[project]
dependencies = ["numpy>=2.0", "ray[tune]>=2.60,<3"]
[project.optional-dependencies]
cluster = ["ray[default]>=2.60,<3", "no-such_package"]
test = ["pytest"]
"""


def test_what_a_node_needs_are_the_dependencies_with_those_of_a_cluster() -> None:
    assert environment_check.needed(PYPROJECT) == ["no-such_package", "numpy", "ray"]


def test_the_repository_pins_all_that_a_node_needs() -> None:
    names = environment_check.needed((REPOSITORY / "pyproject.toml").read_text())
    pins = [
        line.partition("==")[0] for line in (REPOSITORY / "constraints.txt").read_text().split()
    ]
    assert {"torch", "ray", "optuna", "boto3"} <= set(names) <= set(pins)


def test_other_missing_and_unpinned_versions_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"numpy": "2.4.6", "ray": "2.59.0"}
    monkeypatch.setattr(environment_check, "installed", versions.get)
    told = environment_check.faults(PYPROJECT, "numpy==2.4.6\nray==2.60.0\nno-such_package==1\n")
    assert [sentence.partition(";")[0] for sentence in told] == [
        "no-such_package is not installed, and constraints.txt pins 1",
        "ray is 2.59.0, and constraints.txt pins 2.60.0",
    ]
    assert environment_check.faults(PYPROJECT, "")[1].startswith(
        "numpy is 2.4.6, and constraints.txt pins no"
    )


def test_the_build_of_a_version_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment_check, "version", lambda name: "2.15.0+cu128")
    assert environment_check.installed("torch") == "2.15.0"


def test_the_exit_code_says_whether_all_is_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    (tmp_path / "constraints.txt").write_text("numpy==1\nray==1\nno-such_package==1")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(environment_check, "installed", lambda name: "1")
    assert environment_check.main() == 0
    monkeypatch.setattr(environment_check, "installed", lambda name: None)
    assert environment_check.main() == 2
    assert capsys.readouterr().err.count("error: ") == 3
