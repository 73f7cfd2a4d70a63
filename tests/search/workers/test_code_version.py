"""A worker that would compute with other versions, other code or another folder is refused."""

import errno
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from search.driver.preparation import worker_setup
from search.workers import code_version
from search.workers.code_version import CodeVersion, copy_sources, loaded_version
from search.workers.setup import WorkerSetup
from spaces.errors import UserError
from trainer import files
from trainer.benchmarks import BENCHMARKS


def setup(place: Path, driver: CodeVersion) -> WorkerSetup:
    return WorkerSetup(
        benchmarks=(BENCHMARKS["resnet8-digitslt"],),
        images=(),
        run=place / "run",
        proof=place,
        code_version=driver,
        precision="tf32",
        compiled=False,
        device="cpu",
        threads=1,
        save_every=1,
    )


def with_version(here: CodeVersion, name: str, version: str) -> CodeVersion:
    return replace(here, versions=tuple({**dict(here.versions), name: version}.items()))


def test_the_same_versions_code_and_folder_pass(tmp_path: Path) -> None:
    setup(tmp_path, CodeVersion.here()).check_here()


@pytest.mark.parametrize("name", ("Python", *code_version.LIBRARIES))
def test_another_version_is_refused_with_both_named(name: str, tmp_path: Path) -> None:
    here = CodeVersion.here()
    mine = dict(here.versions)[name]
    with pytest.raises(UserError, match=rf"has {name} {mine}, not 1\.2\.3 as the driver has;"):
        setup(tmp_path, with_version(here, name, "1.2.3")).check_here()


def test_other_code_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"project's code [0-9a-f]{16}, not 0123 as the driver"):
        setup(tmp_path, replace(CodeVersion.here(), code="0123")).check_here()


def test_a_worker_that_does_not_see_the_run_folder_is_refused(tmp_path: Path) -> None:
    lost = replace(setup(tmp_path, CodeVersion.here()), proof=tmp_path / "proof")
    with pytest.raises(UserError, match=r"does not see the run folder .*run that the driver"):
        lost.check_here()


def test_a_run_folder_that_is_away_for_a_moment_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look, errors = Path.stat, iter([OSError(errno.ESTALE, "stale")])

    def away(path: Path) -> os.stat_result:
        if path == tmp_path:
            for error in errors:
                raise error
        return look(path)

    monkeypatch.setattr(Path, "exists", os.path.exists)  # as from Python 3.14 on
    monkeypatch.setattr(Path, "stat", away)
    monkeypatch.setattr(files, "RETRY_SECONDS", 0.0)
    setup(tmp_path, CodeVersion.here()).check_here()
    assert next(errors, None) is None


def test_the_copied_code_is_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = CodeVersion.here()
    copy_sources(tmp_path)
    assert list(tmp_path.rglob("__pycache__")) == []
    monkeypatch.setattr(code_version, "ROOT", tmp_path)
    assert CodeVersion.here() == here
    (tmp_path / "spaces" / "named.py").write_text("# changed\n")
    assert [name for name in CodeVersion.here().differences(here) if "code" in name] != []


def test_a_library_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_version, "LIBRARIES", ("no-such-library",))
    assert dict(CodeVersion.here().versions)["no-such-library"] == "missing"


@pytest.fixture
def changed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The code is another than the one that was loaded."""
    loaded_version.cache_clear()
    loaded = loaded_version()
    monkeypatch.setattr(CodeVersion, "here", lambda: replace(loaded, code="0" * 16))
    yield
    loaded_version.cache_clear()


def test_code_that_is_changed_while_a_search_starts_is_told(changed: None) -> None:
    plan: Any = SimpleNamespace()  # nothing of it is looked at
    with pytest.raises(UserError, match="code or its libraries were changed while the search st"):
        worker_setup(plan, 1)
