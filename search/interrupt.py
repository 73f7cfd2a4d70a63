"""What Ctrl-C and SIGTERM do to a running search."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType


class Interrupt:
    """Ctrl-C or SIGTERM once: stop cleanly. Ctrl-C again: stop at once."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number

    @contextlib.contextmanager
    def caught(self) -> Iterator[None]:
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(number, self._handle) for number in numbers]
        try:
            yield
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)

    def reason(self) -> str | None:
        return None if self.signal is None else signal.Signals(self.signal).name
