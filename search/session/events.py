"""Events of a run: what happens, in its order, for everything that shows it or writes it down."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from search.store.trials import Keyed, Row
from trainer.results import EpochResult

SLOW_SECONDS = 2.0
"""After which a person is told what is waited for."""


@dataclass(frozen=True)
class TrialBegun:
    """A trial was handed out for the first time."""

    row: Row


@dataclass(frozen=True)
class EpochReported(Keyed):
    """An epoch of a part of a trial is on record."""

    key: str
    part: int
    result: EpochResult


@dataclass(frozen=True)
class TrialEnded:
    """A trial of the search, or a run of a later phase (``row.in_search``), has come to its end."""

    row: Row


@dataclass(frozen=True)
class SearchOver:
    """The last of the search's ``trials`` has ended; ``plan`` says what is confirmed."""

    trials: int
    plan: str


@dataclass(frozen=True)
class Note:
    """Something that a person should know."""

    text: str


@dataclass(frozen=True)
class Warned:
    """The trainer warns, here or on a worker."""

    text: str


Event = TrialBegun | EpochReported | TrialEnded | SearchOver | Note | Warned
Subscriber = Callable[[Event], None]


class Events:
    """The stream of a run's events; it is published to every subscriber at once."""

    def __init__(self) -> None:
        self.subscribers: list[Subscriber] = []

    def subscribe(self, subscriber: Subscriber) -> None:
        """Have a subscriber told of every event from now on."""
        self.subscribers.append(subscriber)

    def publish(self, event: Event) -> None:
        """Tell every subscriber of an event."""
        for subscriber in self.subscribers:
            subscriber(event)

    @contextlib.contextmanager
    def noted_if_slow(self, text: str) -> Iterator[None]:
        """Note what is waited for, once that has taken ``SLOW_SECONDS``."""
        timer = threading.Timer(SLOW_SECONDS, self.note, [text])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def note(self, text: str) -> None:
        """Publish something that a person should know."""
        self.publish(Note(text))
