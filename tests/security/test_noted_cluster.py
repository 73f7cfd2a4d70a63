"""The note of a Ray cluster in the shared temporary folder: only this account's own is followed."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import searching
from other_account import BECOME, NOBODY, require_another_account

from search.cli.commands import main
from search.cluster import noted_cluster
from search.cluster.address import Found, find_address
from search.cluster.connection import check_account
from search.cluster.noted_cluster import is_here, listening_accounts
from spaces.errors import UserError

LISTEN = f"""import socket
{BECOME}
with socket.create_server(("127.0.0.1", 0)) as server:
    print(server.getsockname()[1], flush=True)
    input()
"""
Change = Callable[[Path], str]


@pytest.fixture
def note(short_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where Ray keeps its note, in a folder that it opens to everybody."""
    monkeypatch.setenv("RAY_TMPDIR", str(short_folder))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    (short_folder / "ray").mkdir()
    (short_folder / "ray").chmod(0o777)
    return short_folder / "ray" / "ray_current_cluster"


@pytest.fixture
def server() -> Iterator[str]:
    """The address of something of this account that listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def test_this_accounts_note_is_followed_and_it_is_said_why(note: Path, server: str) -> None:
    note.write_text(f"{server}\n")
    for given in (None, "auto"):
        sentence = (
            f"Connecting to the Ray cluster at {server} (noted by this account in {note}) ..."
        )
        assert find_address(given) == Found(server, sentence)


def test_it_is_said_what_named_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    found = find_address("a:1")
    assert found.sentence == "Connecting to the Ray cluster at a:1 (--address) ..."
    monkeypatch.setenv("RAY_ADDRESS", "b:2")
    for given in (None, "auto"):
        found = find_address(given)
        assert found.sentence == "Connecting to the Ray cluster at b:2 (RAY_ADDRESS) ..."


def of_another_account(note: Path) -> str:
    require_another_account()
    os.chown(note, NOBODY, NOBODY)
    return f"it belongs to the account {NOBODY}"


def in_a_folder_of_another_account(note: Path) -> str:
    require_another_account()
    os.chown(note.parent, NOBODY, NOBODY)
    return f"its folder {note.parent} belongs to the account {NOBODY}"


def in_a_folder_behind_a_link(note: Path) -> str:
    real = note.parent.rename(note.parent.with_name("real"))
    note.parent.symlink_to(real)
    return f"its folder {note.parent} is a link or of another kind"


def writable_to_everybody(note: Path) -> str:
    note.chmod(0o666)
    return "it is writable to everybody"


def a_link(note: Path) -> str:
    note.symlink_to(note.rename(note.with_name("mine")))
    return "it cannot be opened as a file (Too many levels of symbolic links)"


def a_pipe(note: Path) -> str:
    note.unlink()
    os.mkfifo(note)
    return "it is a link or of another kind"


CHANGES = (
    of_another_account,
    in_a_folder_of_another_account,
    in_a_folder_behind_a_link,
    writable_to_everybody,
    a_link,
    a_pipe,
)


@pytest.mark.parametrize("change", CHANGES)
def test_a_note_that_another_account_could_have_written_is_passed_over(
    change: Change, note: Path, server: str
) -> None:
    note.write_text(server)
    refused = f"the Ray cluster that {note} names is passed over, because {change(note)}"
    told = f"note: {refused}; Ray is started here (--address joins a cluster)."
    assert find_address(None) == Found(None, told)
    with pytest.raises(UserError, match=re.escape(f"--address is auto, and {refused}; give HOST")):
        find_address("auto")


def test_an_address_at_which_another_account_listens_is_passed_over(note: Path) -> None:
    require_another_account()
    with subprocess.Popen(
        [sys.executable, "-c", LISTEN],
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as listener:
        assert listener.stdout is not None
        address = f"127.0.0.1:{int(listener.stdout.readline())}"
        note.write_text(address)
        found = find_address(None)
        listener.communicate("\n")
    assert found.address is None
    assert f"what listens at {address} belongs to the account {NOBODY};" in str(found.sentence)


def test_a_head_of_this_machine_that_another_account_started_is_refused(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_account(server)
    monkeypatch.setattr(os, "getuid", lambda: NOBODY)
    told = f"what listens at {server} belongs to the account .*, while this is the account {NOBODY}"
    with pytest.raises(UserError, match=f"^--address is '{server}', and {told}; submit the search"):
        check_account(server)
    monkeypatch.setattr(os, "getuid", lambda: 0)  # to which nothing is closed
    check_account(server)


def test_accounts_that_listen_are_read_from_what_linux_lists(
    server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    port = int(server.rpartition(":")[2])
    assert listening_accounts(port) == {os.getuid()}
    with socket.create_connection(("127.0.0.1", port)) as client:
        assert listening_accounts(client.getsockname()[1]) == set()  # it is connected only
    monkeypatch.setattr(noted_cluster, "LISTENERS", (tmp_path / "none",))  # another system
    assert listening_accounts(port) == set()


@pytest.mark.parametrize(
    ("host", "here"), (("127.0.0.1", True), ("localhost", True), ("203.0.113.1", False))
)
def test_whether_a_host_is_this_machine_is_known(host: str, here: bool) -> None:
    assert is_here(host) == here


def test_auto_without_a_note_is_refused(note: Path) -> None:
    with pytest.raises(UserError, match=f"is part of no Ray cluster .there is no {note}.; give"):
        find_address("auto")


def test_a_note_that_is_passed_over_is_told_on_the_screen(
    note: Path, server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    note.write_text(server)
    note.chmod(0o666)
    assert main(searching.arguments(tmp_path, "--cpus-per-trial", "9999")) == 2
    told = " ".join(capsys.readouterr().out.split())
    assert f"note: the Ray cluster that {note} names is passed over, because it is" in told
