"""Which Ray a search finds: one that was named, the one this machine is part of, or its own."""

import os
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import searching
from clusters import free_port, ray_head

from search.cli.commands import main
from search.cluster import connection
from search.cluster.address import (
    TOKEN_MODE,
    Found,
    check_reachable,
    ensure_home,
    find_address,
    use_token,
)
from search.cluster.connection import check_closed, connect
from search.store.trials import TrialState
from spaces.errors import UserError


@pytest.fixture
def part_of(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder in which Ray notes which cluster this machine is part of; none at first."""
    with tempfile.TemporaryDirectory() as short:  # Ray's sockets do not fit into a long path
        monkeypatch.setenv("RAY_TMPDIR", short)
        monkeypatch.delenv("RAY_ADDRESS", raising=False)
        (Path(short) / "ray").mkdir()
        yield Path(short) / "ray"


@pytest.fixture
def no_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The file in which a token may be kept, and nothing said about one elsewhere."""
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    return tmp_path / "token"


@pytest.fixture
def head(part_of: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with ray_head() as (address, _):
        deadline = time.monotonic() + 60
        while not (part_of / "ray_current_cluster").is_file():  # the last thing that it does
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield address


def test_without_a_cluster_ray_is_started_here(part_of: Path) -> None:
    assert find_address(None) == Found(None)


def test_what_is_given_comes_before_the_environment(
    part_of: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "there:1")
    assert find_address(None).address == "there:1"
    assert find_address("here:2").address == "here:2"
    assert find_address("local") == Found(None)


@pytest.mark.parametrize(
    ("address", "sentence"),
    (
        ("http://127.0.0.1:8265", "'http://127.0.0.1:8265', a dashboard's address, to which jobs"),
        ("https://me:secret@host", r"'https://\*\*\*@host', a dashboard's address"),
        ("host", "'host'; it must be HOST:PORT of a cluster's head, such as 127.0.0.1:6379, or"),
        ("host:port", "'host:port'; it must be HOST:PORT"),
        ("host:\u00b2", r"'host:\u00b2'; it must be HOST:PORT"),
        ("k8s://host", "'k8s://host'; it must be HOST:PORT"),
    ),
)
def test_an_address_that_is_no_clusters_is_refused(
    address: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=f"^--address is {sentence}"):
        find_address(address)
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(UserError, match=f"^RAY_ADDRESS is {sentence}"):
        find_address(None)


def test_an_empty_address_is_none_but_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"^--address is ''; it must be HOST:PORT"):
        find_address("")
    monkeypatch.setenv("RAY_ADDRESS", "")
    assert find_address(None).address is None


def test_a_user_without_a_home_directory_has_that_of_a_container(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    ensure_home()
    assert os.environ["HOME"] == "/somewhere"

    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    ensure_home()
    assert os.environ["HOME"] == "/"


def test_a_home_that_may_not_be_entered_has_no_token(
    no_token: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(path: object, **options: object) -> os.stat_result:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", denied)
        use_token("there:1")
    assert "RAY_AUTH_MODE" not in os.environ


def test_a_cluster_that_is_gone_is_told(part_of: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    (part_of / "ray_current_cluster").write_text(address)
    with pytest.raises(UserError, match=f"the Ray cluster at {address}, and nothing answers"):
        find_address(None)
    assert find_address("local") == Found(None)


def test_an_address_where_nothing_listens_is_refused() -> None:
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(UserError, match=f"--address is '{address}', and nothing answers there"):
        check_reachable(address)


def test_a_cluster_that_ray_cannot_join_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(**_: object) -> None:
        raise RuntimeError("Version mismatch")

    monkeypatch.setattr(connection, "begin", refused)
    with pytest.raises(UserError, match=r"'there:1', and no .* lets us in there: Version mism"):
        connect("there:1", {})


@pytest.mark.parametrize("address", ("auto", "ray://127.0.0.1:1", "local"))
def test_other_forms_of_address_are_left_to_ray(address: str) -> None:
    check_reachable(address)


def test_the_address_of_the_environment_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    address = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv("RAY_ADDRESS", address)
    assert main(searching.arguments(tmp_path, "--trials", "4", "--epochs", "1")) == 2
    assert f"--address is '{address}'" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.long
def test_a_search_finds_the_cluster_this_machine_is_part_of(head: str, tmp_path: Path) -> None:
    done = searching.search(tmp_path, "--trials", "5", "--epochs", "2")
    assert done.returncode == 0, done.stderr
    port = head.rpartition(":")[2]
    assert re.search(rf"Connecting to the Ray cluster at [0-9.]+:{port} ", done.stdout)
    assert "2 trials at a time, on 1 node with 2 CPUs and 0 GPUs" in done.stdout
    rows = searching.rows(tmp_path)
    assert len(rows) == 5
    assert all(row.state in (TrialState.COMPLETE, TrialState.PRUNED) for row in rows)


def test_a_token_that_is_kept_is_shown(no_token: Path) -> None:
    no_token.write_text("0" * 64)
    use_token("there:1")
    assert os.environ.pop("RAY_AUTH_MODE") == TOKEN_MODE
    assert "RAY_AUTH_TOKEN" not in os.environ


def test_a_ray_of_our_own_is_closed_without_a_token_too(
    no_token: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    use_token(None)
    assert os.environ["RAY_AUTH_MODE"] == TOKEN_MODE
    assert len(os.environ["RAY_AUTH_TOKEN"]) == 64
    use_token("there:1")  # of the next search in this process: a cluster does not know that token
    assert not {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN"} & os.environ.keys()


def test_a_cluster_is_asked_without_a_token_where_there_is_none(no_token: Path) -> None:
    use_token("there:1")
    assert "RAY_AUTH_MODE" not in os.environ


def test_what_the_user_says_about_tokens_stays(
    no_token: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_token.write_text("0" * 64)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    use_token(None)
    assert os.environ["RAY_AUTH_MODE"] == "disabled"


@pytest.mark.slow
def test_an_open_cluster_is_refused_where_a_token_is_kept(
    head: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_closed(head)
    monkeypatch.setenv("RAY_AUTH_MODE", TOKEN_MODE)
    with pytest.raises(UserError, match=f"the Ray cluster at {head} lets anybody in, but a token"):
        check_closed(head)
