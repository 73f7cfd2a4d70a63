"""The connection to a Ray cluster, and Ray's start on this machine."""

import contextlib
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ray
from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]
from ray.exceptions import RayError
from ray.tune.error import TuneError

from search.cluster.address import LOCAL, TOKEN_MODE, check_reachable, host_and_port
from search.cluster.admission import check_admitted
from search.cluster.noted_cluster import ForeignNoteError, check_listener
from search.cluster.session_folder import logs_in, session_folder
from search.cluster.watcher import watched
from search.workers.code_version import copy_sources
from spaces.errors import UserError
from trainer.runtime import available_cpus

UNLOGGED: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
RAY_ERRORS = (RayError, TuneError)
"""What is raised where Ray fails once it has started."""

PRIVATE = 0o077
"""The umask of Ray's processes; workers take up the user's own (``WorkerSetup``)."""

AHEAD = "RAY_prestart_worker_first_driver"
"""Whether Ray starts a worker for each CPU ahead. Ours have this project's code, which those lack:
Ray ends them unused, and starts others."""


class StartError(UserError):
    """Ray does not start on this machine."""


@contextlib.contextmanager
def local_ray() -> Iterator[None]:
    """Run Ray on this machine's CPUs; what it leaves on disk is deleted, except when it fails.

    None of its processes stays, even if this one is killed.

    Raises:
        UserError: Ray does not start here.
    """
    with session_folder(kept_after=(StartError, *RAY_ERRORS)) as folder, watched(folder):
        try:
            start_here(folder)
            yield
        finally:
            ray.shutdown()


def check_unused() -> None:
    """Raise UserError if Ray is in use in this process, which a search would shut down."""
    if ray.is_initialized():
        raise UserError(
            "Ray is in use in this process already (ray.init), and a search begins and ends its "
            "own; call ray.shutdown() before it, or search in another process."
        )


def start_here(folder: Path) -> None:
    """Start Ray with its sockets and logs in ``folder``, all that it writes for this user alone."""
    try:
        with shipped_code() as code, umask(PRIVATE), no_workers_ahead():
            # LOCAL: without it, Ray looks for a cluster that this machine may have.
            begin(
                address=LOCAL,
                num_cpus=available_cpus(),
                include_dashboard=False,
                _temp_dir=str(folder),
                **code,
            )
    except Exception as error:  # Ray has no one class for it
        reason = " ".join(str(error).split()) or type(error).__name__
        raise StartError(
            f"Ray does not start on this machine ({reason[:300]}); its logs are kept in "
            f"{logs_in(folder)}; try again where the machine was overloaded, and see whether "
            "memory, processes or open files are limited (ulimit -a)."
        ) from error


@contextlib.contextmanager
def umask(mask: int) -> Iterator[None]:
    """Have this process, and those that it starts, leave out permissions of the files they make."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@contextlib.contextmanager
def no_workers_ahead() -> Iterator[None]:
    """Have a Ray that starts in the block start no workers ahead, unless the user asks it to."""
    asked = AHEAD in os.environ
    os.environ.setdefault(AHEAD, "0")
    try:
        yield
    finally:
        if not asked:
            del os.environ[AHEAD]


@contextlib.contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Be connected to the cluster at ``address``, if there is one; once in a process's life.

    The cluster's workers are sent this project's code, as it is here.

    Raises:
        UserError: no cluster answers at the address.
    """
    if address is None:
        yield
        return
    check_reachable(address)
    check_account(address)
    check_admitted(address)
    check_closed(address)
    with shipped_code() as code:
        connect(address, code)
    try:
        yield
    finally:
        ray.shutdown()


def check_account(address: str) -> None:
    """Raise UserError if another account started the Ray of this machine: its files are closed.

    Ray's processes on a machine run as one account, and Ray ends a driver of another.
    """
    endpoint = host_and_port(address)
    if endpoint is None or os.getuid() == 0:
        return
    try:
        check_listener(*endpoint)
    except ForeignNoteError as error:
        raise UserError(
            f"--address is {address!r}, and {error}, while this is the account {os.getuid()}; "
            f"submit the search as a job (ray job submit), or give --address {LOCAL} to start Ray "
            "here."
        ) from error


def check_closed(address: str) -> None:
    """Raise UserError if we ask for a token and the cluster does not: Ray cannot work so."""
    if (
        os.environ.get("RAY_AUTH_MODE") == TOKEN_MODE
        and host_and_port(address)
        and is_open(address)
    ):
        raise UserError(
            f"the Ray cluster at {address} lets anybody in, but a token is kept here "
            "(~/.ray/auth_token, RAY_AUTH_TOKEN); start its nodes with RAY_AUTH_MODE=token, or set "
            "RAY_AUTH_MODE=disabled here to use it as it is."
        )


def is_open(address: str) -> bool:
    """Return whether the Ray head at ``HOST:PORT`` answers without a token.

    In a process of its own: Ray reads the mode once.
    """
    ask = "import sys; from ray._raylet import GcsClient; GcsClient(address=sys.argv[1])"
    environment = os.environ | {"RAY_AUTH_MODE": "disabled"}
    command = [sys.executable, "-c", ask, address]
    return not subprocess.run(command, env=environment, capture_output=True, check=False).returncode


@contextlib.contextmanager
def shipped_code() -> Iterator[dict[str, Any]]:
    """Yield options of ``ray.init`` that give workers this project's code, as it is now.

    So they have it on machines without it, and keep it when it is changed here during the search.
    """
    os.environ["RAY_OVERRIDE_JOB_RUNTIME_ENV"] = "1"  # a job's folder gives way to our code
    with tempfile.TemporaryDirectory() as staged:
        copy_sources(Path(staged))
        yield {"runtime_env": {"working_dir": staged}}


def begin(**options: Any) -> None:
    """Call ``ray.init``, and take back SIGTERM, which it takes; while it runs, it is as Ctrl-C.

    What it starts inherits that hang-ups wait: the kernel sends them to all that a closed terminal
    has in its foreground, and the trials must still be saved then. Ray is told to read again
    whether it asks for a token, for it may have been imported before that was decided.
    """
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()
    before = signal.getsignal(signal.SIGTERM)
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        ray.init(**options, **UNLOGGED)
    except SystemExit as error:  # what Ray makes of the signal
        raise KeyboardInterrupt from error
    finally:
        signal.signal(signal.SIGTERM, before)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def connect(address: str, code: dict[str, Any]) -> None:
    log = logging.getLogger("ray")
    level = log.level
    log.setLevel(logging.WARNING)  # that it connects is said by us
    try:
        begin(address=address, **code)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UserError(
            f"--address is {address!r}, and no Ray cluster lets us in there: {error}"
        ) from error
    finally:
        log.setLevel(level)
