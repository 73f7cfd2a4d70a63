"""Endings of long measurements: whatever ends one, what was measured until then is kept."""

import contextlib
import signal
from collections.abc import Iterator
from dataclasses import dataclass

from trainer.entry_point import INTERRUPTED


@dataclass
class Ending:
    """How a measurement ended.

    Attributes:
        interrupted: by Ctrl-C or SIGTERM.
        error: that ended it; None for none.
    """

    interrupted: bool = False
    error: Exception | None = None

    @property
    def early(self) -> bool:
        return self.interrupted or self.error is not None

    def code(self) -> int:
        """Return the exit code; raise the error that ended the measurement, if one did."""
        if self.error is not None:
            raise self.error
        return INTERRUPTED if self.interrupted else 0


@contextlib.contextmanager
def stoppable() -> Iterator[Ending]:
    """Measure in the block until its end, Ctrl-C, SIGTERM or an error, and then go on behind it.

    A handler of SIGTERM that is there already is left alone.
    """
    ending, free = Ending(), signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    if free:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield ending
    except KeyboardInterrupt:
        ending.interrupted = True
    except Exception as error:  # raised again by ``code``, when the rest is written
        ending.error = error
    finally:
        if free:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
