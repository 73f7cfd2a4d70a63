"""The log of a run takes what the libraries say; the trainer's warnings become events."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from search.session.events import Events, Warned

MEANINGLESS = ("ray.tune.analysis", "ray.tune.tune")
"""Loggers that speak of files which Ray's scratch does not have, and which nobody needs."""


def means_something(record: logging.LogRecord) -> bool:
    """Return whether a log record is worth keeping."""
    return record.levelno >= logging.ERROR or not record.name.startswith(MEANINGLESS)


@contextlib.contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Send what the libraries log, warn of and print to a file instead of the terminal.

    What this project logs is in it too, from INFO on.

    Consoles that were given their stream before still write to it.
    """
    handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    handler.addFilter(means_something)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root, ray_logger, optuna_logger = (logging.getLogger(n) for n in (None, "ray", "optuna"))
    own = logging.getLogger("search")
    level = own.level
    own.setLevel(logging.INFO)
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
        own.setLevel(level)
        logging.captureWarnings(False)
        root.removeHandler(handler)
        handler.close()
        ray_logger.handlers, optuna_logger.handlers = ray_handlers, optuna_handlers
        ray_logger.propagate, optuna_logger.propagate = propagated


class Publisher(logging.Handler):
    """Publishes what is warned of."""

    def __init__(self, events: Events) -> None:
        super().__init__(logging.WARNING)
        self.events = events

    def emit(self, record: logging.LogRecord) -> None:
        self.events.publish(Warned(record.getMessage()))


@contextlib.contextmanager
def warnings_published(events: Events) -> Iterator[None]:
    """Publish at once what the trainer's code warns of in this process."""
    handler, log = Publisher(events), logging.getLogger("trainer")
    log.addHandler(handler)
    propagated, log.propagate = log.propagate, False  # the events are logged
    try:
        yield
    finally:
        log.propagate = propagated
        log.removeHandler(handler)
