"""What Ctrl-C and SIGTERM do to a running search."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupt:
    """Ctrl-C or SIGTERM once: stop cleanly. A second time: stop at once."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number

    @contextlib.contextmanager
    def caught(self) -> Iterator[None]:
        before = [signal.signal(number, self._handle) for number in SIGNALS]
        try:
            yield
        finally:
            for number, handler in zip(SIGNALS, before, strict=True):
                signal.signal(number, handler)

    def reason(self) -> str | None:
        """Return the name of the signal that came, if one did."""
        return None if self.signal is None else signal.Signals(self.signal).name
