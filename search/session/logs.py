"""Who hears which words: the libraries' go to the run's log, the trainer's warnings to a person."""

import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

MEANINGLESS = ("ray.tune.analysis", "ray.tune.tune")
"""Loggers that speak of files which Ray's scratch does not have, and which nobody needs."""


def means_something(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR or not record.name.startswith(MEANINGLESS)


@contextlib.contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Send what the libraries log, warn of and print to a file instead of the terminal.

    Consoles that were given their stream before still write to it.
    """
    handler = logging.FileHandler(path)
    handler.addFilter(means_something)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root, ray_logger, optuna_logger = (logging.getLogger(n) for n in (None, "ray", "optuna"))
    ray_handlers, optuna_handlers = ray_logger.handlers[:], optuna_logger.handlers[:]
    root.addHandler(handler)
    ray_logger.handlers, optuna_logger.handlers = [], []
    propagated = (ray_logger.propagate, optuna_logger.propagate)
    ray_logger.propagate = optuna_logger.propagate = True
    logging.captureWarnings(True)
    stream = handler.stream
    try:
        with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
            yield
    finally:
        logging.captureWarnings(False)
        root.removeHandler(handler)
        handler.close()
        ray_logger.handlers, optuna_logger.handlers = ray_handlers, optuna_handlers
        ray_logger.propagate, optuna_logger.propagate = propagated


class Telling(logging.Handler):
    """Tells a person what is warned of."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self.say = say

    def emit(self, record: logging.LogRecord) -> None:
        self.say(record.getMessage())


@contextlib.contextmanager
def telling(say: Callable[[str], None]) -> Iterator[None]:
    """Have ``say`` told at once what the trainer's code warns of in this process."""
    handler, log = Telling(say), logging.getLogger("trainer")
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
