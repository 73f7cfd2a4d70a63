"""Lease of a run: one process at a time writes to it, on all machines that share the folder.

A lock of the system keeps out other processes of this machine, and of others where the file
system shares locks. Where it does not, a lease does: a small file that its holder writes anew
every few seconds. Whoever wants the run watches the file, by a clock of his own, for longer than
the holder would leave it as it is, so that the clocks of two machines need not agree. Each lease
has a number, one above the last; a holder that was away for long asks whether it is still the
latest before it writes again.

``filelock.SoftFileLease`` does the same, but gives a lease up where the storage was away for two
thirds of it, though nobody else has come, lets no one follow a holder that was killed before its
first word, and takes two machines of one name for one machine.
"""

import contextlib
import errno
import json
import os
import platform
import secrets
import stat
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import filelock

from search.config.fields import Count, CountFromZero, Hex16, ShownText
from search.store.validation import printable, read
from spaces.errors import UserError
from trainer.files import patiently, write_atomic

RENEW_SECONDS = 5.0
LEASE_SECONDS = 30.0
"""Without a sign of life for so long, a holder on another machine counts as gone."""
TRUST_SECONDS = 12.0
"""How long after it was last seen to be ours a lease is believed without another look."""
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)
"""What a file system says that has no locks."""
SETTLE_SECONDS = 2.0
"""After taking a lease over, or one without a lock: time for another who did so just then."""


class LeaseLostError(OSError):
    """Another process has taken the run over, so that this one must not write to it any more."""


def clock() -> float:
    """Return seconds that go on while the machine sleeps, where the system has such a clock."""
    boot_time = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot_time is None else time.clock_gettime(boot_time)


def this_machine() -> str:
    """Return what tells this machine, and the start of it or of the container, from others."""
    parts = [platform.node()]
    for path in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"):
        with contextlib.suppress(OSError):
            link = os.readlink(path) if path.endswith("pid") else Path(path).read_text().strip()
            parts.append(link)
    return " ".join(parts)


@dataclass(frozen=True)
class Holder:
    """Which process holds a lease, as lease.json has it.

    Attributes:
        number: of the lease, one above the last one's.
        token: of its own, drawn at random.
        beat: how often the file was written.
        machine: tells this machine, and the start of it or of the container, from others.
    """

    number: Count
    token: Hex16
    beat: CountFromZero
    host: ShownText
    pid: CountFromZero
    machine: ShownText

    def __str__(self) -> str:
        return f"process {self.pid} on {printable(self.host)}"

    @property
    def is_here(self) -> bool:
        return self.machine == this_machine()

    @property
    def is_gone(self) -> bool:
        """Whether it was a process of this machine that has ended."""
        if not self.is_here:
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except (OSError, OverflowError):  # it is somebody else's, or no process of this system
            return False
        return False


class Lease:
    """The lease of one run, held by this process between ``take`` and ``give_back``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.token, self.process = secrets.token_hex(8), os.getpid()
        self.number = 0
        self.beat = 0
        self.mode = 0o600
        self.seen_ours = 0.0
        self.lost: str | None = None
        self.ended = threading.Event()
        self.keeper = threading.Thread(target=self._keep, daemon=True)

    def take(self, say: Callable[[str], None], locked: bool = True) -> None:
        """Become the holder; ``locked``: the file system has locks, and gave one.

        Raises:
            UserError: another process holds the lease.
        """
        found = self._read()
        takes_over = found is not None and not found.is_gone
        if found is not None and takes_over:
            self._wait_for_end(found, say)
        self.number = found.number + 1 if found else 1
        self._write()
        if takes_over or not locked:
            time.sleep(SETTLE_SECONDS)
        self._look()
        if self.lost:
            raise UserError(f"run {self.path.parent.name!r} {self.lost}; wait for it to end.")
        self.mode = stat.S_IMODE(self.path.stat().st_mode)
        self.keeper.start()

    def _wait_for_end(self, found: Holder, say: Callable[[str], None]) -> None:
        name = self.path.parent.name
        say(
            f"Run {name!r} was last searched by {found}; waiting {LEASE_SECONDS:g} s for a sign "
            "that it still is ..."
        )
        deadline = clock() + LEASE_SECONDS
        while clock() < deadline:
            now = self._read()
            if now is None:
                return
            if now != found:
                raise UserError(
                    f"run {name!r} is being searched by another process ({found}); "
                    "wait for it to end, or choose another --name."
                )
            time.sleep(0.5)

    def give_back(self) -> None:
        """Hold it no longer; a fork of the process that holds it changes nothing."""
        if os.getpid() != self.process:
            return
        self.ended.set()
        self.keeper.join()
        with contextlib.suppress(OSError):
            self._look()
            if not self.lost:
                self.path.unlink(missing_ok=True)

    def check(self) -> None:
        """Raise LeaseLostError if another process may be writing to the run."""
        if not self.lost and clock() - self.seen_ours > TRUST_SECONDS:
            patiently(self._look, self.path)
        if self.lost:
            raise LeaseLostError(f"run {self.path.parent.name!r} {self.lost}")

    def _keep(self) -> None:
        while not self.ended.wait(RENEW_SECONDS) and not self.lost:
            with contextlib.suppress(OSError):  # storage is away: tried again, and never trusted
                self._look()
                if not self.lost:
                    self._write()
                    self.path.chmod(self.mode)  # the umask is stricter while Ray starts

    def _look(self) -> None:
        """Find out whether the lease is still ours."""
        now = clock()
        found = self._read()
        if found is None or found.token != self.token:
            self.lost = f"was taken over by {found}" if found else "has lost its lease.json"
        else:
            self.seen_ours = now

    def _read(self) -> Holder | None:
        """Return what is in the file; None if there is none, or it is no lease."""
        try:
            return read(Holder, self.path.read_bytes(), self.path)
        except (FileNotFoundError, UserError):
            return None

    def _write(self) -> None:
        self.beat += 1
        host, machine = platform.node(), this_machine()
        holder = Holder(self.number, self.token, self.beat, host, os.getpid(), machine)
        write_atomic(self.path, json.dumps(asdict(holder)).encode())


@contextlib.contextmanager
def held(folder: Path, say: Callable[[str], None]) -> Iterator[Lease]:
    """Hold the run in ``folder`` for this process.

    Raises:
        UserError: another process holds it.
    """
    lock, locked = filelock.FileLock(folder / "lock", timeout=0), False
    try:
        lock.acquire()
        locked = True
    except filelock.Timeout as error:
        raise UserError(
            f"run {folder.name!r} is being searched by another process; "
            "wait for it to end, or choose another --name."
        ) from error
    except NotImplementedError:
        pass  # the file system knows no locks; the lease does without
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
    try:
        lease = Lease(folder / "lease.json")
        lease.take(say, locked)
        try:
            yield lease
        finally:
            lease.give_back()
    finally:
        lock.release()


class HolderView:
    """A view of whether a process holds a run, for whoever looks at its lease again and again."""

    def __init__(self, folder: Path) -> None:
        self.lease = Lease(folder / "lease.json")
        self.seen: list[Holder | None] = []
        self.since = 0.0
        self.lives: bool | None = None

    def is_held(self) -> bool | None:
        """Return whether the run is held; None where that cannot be told yet, or not at the moment.

        A process on another machine holds it if its lease was renewed between two looks, and does
        not if it was not for so long that another search may follow.
        """
        try:
            found = self.lease._read()
        except OSError:
            return None
        if self.seen != [found]:
            self.lives = True if self.seen else None
            self.seen, self.since = [found], clock()
        elif clock() - self.since > LEASE_SECONDS:
            self.lives = False
        if found is None or found.is_gone:
            return False
        return True if found.is_here else self.lives


def living_holder(folder: Path) -> str | None:
    """Return which process holds the run's lease, None if none does.

    One on another machine is watched for two of its renewals.
    """
    lease = Lease(folder / "lease.json")
    found = lease._read()
    if found is None or found.is_gone:
        return None
    if found.is_here:
        return str(found)
    deadline = clock() + 2 * RENEW_SECONDS
    while clock() < deadline:
        now = lease._read()
        if now != found:
            return str(found) if now else None
        time.sleep(RENEW_SECONDS / 20)
    return None
