"""The folder of a search's own Ray: no other account of the machine gets into it."""

import os
import pwd
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import engines
import pytest
import searching
from other_account import NOBODY, reached, require_another_account

from search.cluster import connection, session_folder
from search.cluster.connection import PRIVATE, local_ray
from search.cluster.session_folder import ROOM, check_parent, parent_folder
from search.workers import engine_actor
from search.workers.engine_actor import EngineActor
from search.workers.setup import own_umask
from search.workers.trainable import TrialTrainable
from spaces.errors import UserError

CODE = "session_1/runtime_resources/working_dir_files"
"""The folder of the workers' code, which Ray opens to everybody."""


@pytest.fixture
def parent(short_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder for everybody, such as /tmp."""
    short_folder.chmod(0o1777)
    monkeypatch.setenv("RAY_TMPDIR", str(short_folder))
    return short_folder


@pytest.fixture
def masks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Stand in for Ray, which opens its folders to everybody, and tell its umask."""
    seen: list[int] = []

    def init(**options: Any) -> None:
        seen.append(own_umask())
        code = Path(options["_temp_dir"]) / CODE
        code.mkdir(parents=True)
        (code / "search.py").touch()
        for path in (code, *code.parents[:3]):
            path.chmod(0o777)

    monkeypatch.setattr(connection.ray, "init", init)
    monkeypatch.setattr(connection.ray, "shutdown", lambda: None)
    return seen


def test_another_account_reaches_nothing_of_it(parent: Path, masks: list[int]) -> None:
    with local_ray():
        (outer,) = parent.glob("ray-*")
        assert reached(outer) == []
        outer.chmod(0o755)  # had it been open, then
        code = outer / "r" / CODE
        assert {f"make in {code}", f"move {code}"} < set(reached(outer))


def test_only_ray_is_started_with_its_own_umask(parent: Path, masks: list[int]) -> None:
    before = own_umask()
    with local_ray():
        assert own_umask() == before
    assert masks == [PRIVATE]


@pytest.mark.parametrize("kind", ("trainable", "engine"))
def test_workers_take_up_the_umask_of_the_driver(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TrialTrainable, "enter", lambda *_: None)
    monkeypatch.setattr(EngineActor, "make_engine", lambda *_: None)
    monkeypatch.setattr(engine_actor, "watch", lambda *_: None)
    before = os.umask(0o027)
    try:
        setup = engines.setup(tmp_path)
        os.umask(PRIVATE)
        if kind == "trainable":
            TrialTrainable.setup(TrialTrainable.__new__(TrialTrainable), {}, setup)
        else:
            engine = EngineActor.__new__(EngineActor)
            engine.setup = setup
            engine.make_engines()
        assert own_umask() == 0o027
    finally:
        os.umask(before)


def of_another_account(folder: Path) -> str:
    require_another_account()
    os.chown(folder, NOBODY, NOBODY)
    return f"'{folder}' belongs to the account {NOBODY}"


def open_without_sticky_bit(folder: Path) -> str:
    folder.chmod(0o777)
    return f"'{folder}' is writable to everybody and has no sticky bit"


def below_an_open_folder(folder: Path) -> str:
    """Have the folder lie in one in which everybody can replace it."""
    return open_without_sticky_bit(folder.parent)


def behind_a_link_of_another_account(folder: Path) -> str:
    require_another_account()
    folder.symlink_to(folder.rename(folder.with_name("real")))
    os.lchown(folder, NOBODY, NOBODY)
    return f"'{folder}' belongs to the account {NOBODY}"


def behind_a_link_into_an_open_folder(folder: Path) -> str:
    outside = folder.with_name("open")
    outside.mkdir()
    folder.rmdir()
    (outside / "real").mkdir()
    folder.symlink_to("open/real")
    return open_without_sticky_bit(outside)


@pytest.mark.parametrize(
    "prepare",
    (
        of_another_account,
        open_without_sticky_bit,
        below_an_open_folder,
        behind_a_link_of_another_account,
        behind_a_link_into_an_open_folder,
    ),
)
def test_a_parent_in_which_others_could_replace_it_is_refused(
    prepare: Callable[[Path], str], parent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = parent / "p"
    place.mkdir(mode=0o700)
    monkeypatch.setenv("RAY_TMPDIR", str(place))
    assert check_parent() == place
    reason = prepare(place)
    with pytest.raises(UserError, match=f"replace the code that Ray runs, because {reason}; set"):
        check_parent()


def test_a_file_system_that_closes_no_folder_is_refused(
    parent: Path, masks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    make = tempfile.mkdtemp

    def opened(**options: Any) -> str:
        path = make(**options)
        os.chmod(path, 0o755)  # as file systems without permissions have it
        return path

    monkeypatch.setattr(session_folder.tempfile, "mkdtemp", opened)
    with pytest.raises(UserError, match="cannot be closed to other accounts"):
        local_ray().__enter__()
    assert list(parent.iterdir()) == []


@pytest.mark.parametrize(
    "fault", (None, "open", "link", "long", "relative", "ends with the login", "RAY_TMPDIR")
)
def test_a_runtime_folder_is_taken_if_it_is_the_users_alone_and_stays(
    fault: str | None, short_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RAY_TMPDIR", "TMPDIR"):
        monkeypatch.delenv(name, raising=False)
    folder = short_folder / ("x" * ROOM if fault == "long" else "run")
    folder.mkdir(mode=0o755 if fault == "open" else 0o700)
    if fault == "link":
        folder = short_folder / "link"
        folder.symlink_to("run")
    if fault == "relative":
        monkeypatch.chdir(short_folder)
        folder = Path("run")
    if fault != "ends with the login":
        (short_folder / pwd.getpwuid(os.getuid()).pw_name).touch()
    if fault == "RAY_TMPDIR":
        monkeypatch.setenv("RAY_TMPDIR", "/tmp")
    monkeypatch.setattr(session_folder, "LINGERING", short_folder)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    assert parent_folder()[1] == (Path("/tmp") if fault else folder)


@pytest.mark.slow
def test_another_account_reaches_nothing_of_a_search_that_runs(
    parent: Path, tmp_path: Path
) -> None:
    """Files in it are closed, too, except code that Ray unpacks and Tune's notes, the driver's."""
    require_another_account()
    before = os.umask(0o022)
    try:
        search = searching.start(
            tmp_path, "--trials", "5", "--epochs", "4", "--no-confirm", "--address", "local"
        )
    finally:
        os.umask(before)
    try:
        searching.wait_for_epochs(tmp_path, 2, search)
        (outer,) = parent.glob("ray-*")
        assert list(outer.glob("r/session_*/runtime_resources/working_dir_files/*/search"))
        written = (p for p in outer.glob("r/**/*") if not (p.is_dir() or p.is_symlink()))
        opened = [p for p in written if p.lstat().st_mode & 0o077]
        assert [p for p in opened if not {"runtime_resources", "artifacts"} & {*p.parts}] == []
        assert reached(outer) == []
    finally:
        _, errors = search.communicate(timeout=120)
    assert search.returncode == 0, errors
    assert list(parent.iterdir()) == []
    for path in searching.folder(tmp_path).path.rglob("*"):
        wanted = 0o755 if path.is_dir() else 0o644
        assert stat.S_IMODE(path.lstat().st_mode) == wanted, path
