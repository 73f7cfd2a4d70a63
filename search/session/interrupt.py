"""Interrupts of a running search by Ctrl-C, SIGTERM and a closed terminal."""

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from types import FrameType

NAMES = {
    signal.SIGINT: "Ctrl-C",
    signal.SIGTERM: "SIGTERM",
    signal.SIGHUP: "hang-up: the terminal was closed",
}
LEAVE_SECONDS = 1.5
"""For tidying up after a second signal, and again for what libraries do when a program ends."""
EXIT_CODE = 130


def leave_soon(code: int = EXIT_CODE) -> None:
    """End the process before long, whatever it is doing then."""
    timer = threading.Timer(LEAVE_SECONDS, os._exit, (code,))
    timer.daemon = True
    timer.start()


def hang_up_ignored() -> bool:
    """Return whether a closed terminal does not end this process, as under nohup."""
    return signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


class Interrupt:
    """An interrupt stops a search cleanly the first time, and at once the second time.

    A thread of its own acknowledges both, because the main one may be inside a library for seconds.
    A hang-up never counts as the second: the shell and the kernel each send one, and the manager of
    logins a SIGTERM besides. It is left alone where it is ignored, as under nohup.

    Attributes:
        signal: the first one that came.
        asked: whether a signal other than a hang-up came.
    """

    def __init__(
        self,
        acknowledge: Callable[[signal.Signals, int], None] = lambda number, times: None,
        ends_process: bool = True,
    ) -> None:
        """``acknowledge`` is told which signal came, and whether it is the first or the second.

        ``ends_process``: after the second one the process ends, whatever it is doing then.
        """
        self.acknowledge, self.ends_process = acknowledge, ends_process
        self.signal: int | None = None
        self.asked = False
        self.left = threading.Event()

    def take(self, number: int, frame: FrameType | None = None) -> None:
        """Take note of a signal.

        Raises:
            KeyboardInterrupt: it is the second that counts.
        """
        if number != signal.SIGHUP:
            if self.asked:
                raise KeyboardInterrupt
            self.asked = True
        if self.signal is None:
            self.signal = number

    def _listen(self, signals: socket.socket) -> None:
        times, hung_up = 0, False
        while byte := signals.recv(1):
            if byte[0] not in NAMES:
                continue
            number = signal.Signals(byte[0])
            if number == signal.SIGHUP:
                if times or hung_up:
                    continue
                hung_up = True
            else:
                times += 1
            with contextlib.suppress(OSError):  # nobody reads any more
                self.acknowledge(number, times or 1)
            if times == 2 and self.ends_process and not self.left.wait(LEAVE_SECONDS):
                os._exit(EXIT_CODE)

    @contextlib.contextmanager
    def caught(self) -> Iterator[None]:
        told, tells = socket.socketpair()
        tells.setblocking(False)
        listener = threading.Thread(target=self._listen, args=(told,), daemon=True)
        listener.start()
        numbers = [n for n in NAMES if n != signal.SIGHUP or not hang_up_ignored()]
        before = [signal.signal(number, self.take) for number in numbers]
        descriptor = signal.set_wakeup_fd(tells.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(descriptor)
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)
            self.left.set()
            tells.close()
            listener.join()
            told.close()

    def reason(self) -> str | None:
        """Return the name of the signal that came, if one did."""
        return None if self.signal is None else NAMES[signal.Signals(self.signal)]
