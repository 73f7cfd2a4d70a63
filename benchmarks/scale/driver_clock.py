"""Clock of a simulated cluster whose driver is real.

Simulated seconds pass while the driver works, as long as it takes it, and by what it is charged
for work that is left out here. They jump while it waits, and stand still while this program plays
the cluster.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from unittest.mock import patch


class WorkTimer:
    """Tells the seconds that this thread has worked: on a processor, or waiting for the disk.

    Unlike those of a clock on the wall, they do not depend on what else the machine does.
    """

    def __init__(self) -> None:
        self.disk = 0.0

    def __call__(self) -> float:
        return time.thread_time() + self.disk

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Count what ``fsync`` takes while the block runs."""
        fsync = os.fsync

        def timed(file: int) -> None:
            clock, processor = time.perf_counter(), time.thread_time()
            fsync(file)
            waited = time.perf_counter() - clock - (time.thread_time() - processor)
            self.disk += max(0.0, waited)

        with patch.object(os, "fsync", timed):
            yield


class DriverClock:
    """Simulated seconds since the clock was made.

    Attributes:
        charged: seconds of work that the driver was charged for.
        idle: seconds that it waited.
    """

    def __init__(self, timer: Callable[[], float]) -> None:
        """``timer`` tells the seconds that the driver has worked."""
        self._timer, self._start = timer, timer()
        self._left_out = 0.0
        self._stopped: float | None = None
        self.charged = 0.0
        self.idle = 0.0

    @property
    def busy(self) -> float:
        """Seconds that the driver has worked: here, measured, and what it was charged for."""
        until = self._timer() if self._stopped is None else self._stopped
        return until - self._start - self._left_out + self.charged

    @property
    def now(self) -> float:
        return self.busy + self.idle

    def charge(self, seconds: float) -> None:
        self.charged += seconds

    def wait_until(self, moment: float) -> None:
        """Let the driver wait; for a moment that has passed, it does not."""
        self.idle += max(0.0, moment - self.now)

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Let the clock stand while the block runs; blocks must not lie in one another."""
        assert self._stopped is None
        self._stopped = self._timer()
        try:
            yield
        finally:
            self._left_out += self._timer() - self._stopped
            self._stopped = None
