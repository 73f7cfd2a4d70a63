"""Interrupts of a running search by Ctrl-C and SIGTERM."""

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from types import FrameType

NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
LEAVE_SECONDS = 1.5
"""For tidying up after a second signal, and again for what libraries do when a program ends."""
EXIT_CODE = 130


def leave_soon() -> None:
    """End the process before long, whatever it is doing then."""
    timer = threading.Timer(LEAVE_SECONDS, os._exit, (EXIT_CODE,))
    timer.daemon = True
    timer.start()


class Interrupt:
    """An interrupt stops a search cleanly the first time, and at once the second time.

    A thread of its own acknowledges both, because the main one may be inside a library for seconds.
    """

    def __init__(self, acknowledge: Callable[[int], None] = lambda times: None) -> None:
        """``acknowledge`` is told that a signal came for the first or the second time."""
        self.acknowledge = acknowledge
        self.signal: int | None = None
        self.left = threading.Event()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number

    def _listen(self, signals: socket.socket) -> None:
        times = 0
        while byte := signals.recv(1):
            if byte[0] not in NAMES:
                continue
            times += 1
            with contextlib.suppress(OSError):  # nobody reads any more
                self.acknowledge(times)
            if times == 2 and not self.left.wait(LEAVE_SECONDS):
                os._exit(EXIT_CODE)

    @contextlib.contextmanager
    def caught(self) -> Iterator[None]:
        told, tells = socket.socketpair()
        tells.setblocking(False)
        listener = threading.Thread(target=self._listen, args=(told,), daemon=True)
        listener.start()
        before = [signal.signal(number, self._handle) for number in NAMES]
        descriptor = signal.set_wakeup_fd(tells.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(descriptor)
            for number, handler in zip(NAMES, before, strict=True):
                signal.signal(number, handler)
            self.left.set()
            tells.close()
            listener.join()
            told.close()

    def reason(self) -> str | None:
        """Return the name of the signal that came, if one did."""
        return None if self.signal is None else NAMES[signal.Signals(self.signal)]
