"""What is said of a machine on which Ray or torch cannot start."""

import resource
import socket
import subprocess
import sys

import pytest
from repository import REPOSITORY

from search.api import machine_check
from search.api.machine_check import check_address_space, check_loopback
from search.cli.commands import main
from spaces.errors import UserError

SEARCH = ["search", "--benchmark", "resnet8-digitslt", "--address", "local"]


def test_this_machine_passes() -> None:
    check_address_space()
    check_loopback()


def test_a_limited_address_space_is_refused_before_anything_large_is_loaded() -> None:
    program = (
        "import resource, sys; from search.cli.commands import main\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30)); sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *SEARCH],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    told = " ".join(done.stderr.split())
    assert told.startswith("error: the address space is limited to 1 GiB (ulimit -v), and a search")


def test_an_address_space_that_is_large_enough_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    limit = machine_check.LEAST_ADDRESS_SPACE
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    check_address_space()
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit - 1, limit))
    with pytest.raises(UserError, match=r"ulimit -v unlimited\."):
        check_address_space()


@pytest.mark.parametrize(
    "error", (OSError(101, "Network is unreachable"), TimeoutError("timed out"))
)
def test_a_machine_without_a_loopback_interface_is_refused(
    error: OSError, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unreachable(*_: object, **__: object) -> socket.socket:
        raise error

    monkeypatch.setattr(socket, "create_connection", unreachable)
    assert main(SEARCH) == 2
    told = " ".join(capsys.readouterr().err.split())
    reason = error.strerror or error
    assert told.startswith(f"error: this machine does not reach itself at 127.0.0.1 ({reason}), as")
