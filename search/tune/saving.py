"""The saving of running trials before a search stops."""

import time
from collections.abc import Callable
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayError

from search.session.search import Search
from spaces.parts.words import number_of

SAVE_SECONDS = 30.0
"""So long the saving may take: what a worker is doing ends after some seconds, then it saves."""


class Saving:
    """The saving of all running trials, which begins once there is a reason to stop.

    Attributes:
        workers: of the running trials, by key.
        calls: to workers that have not saved yet -> key.
        deadline: when the rest is given up, seconds of the monotonic clock.
    """

    def __init__(self, search: Search, stop: Callable[[], str | None]) -> None:
        """``stop`` returns the reason, if there is one."""
        self.search, self.stop = search, stop
        self.workers: dict[str, ActorHandle] = {}
        self.calls: dict[Any, str] = {}
        self.deadline: float | None = None

    def begins(self, key: str, worker: ActorHandle) -> None:
        """Note which worker trains a trial."""
        self.workers = {k: w for k, w in self.workers.items() if k in self.search.running}
        self.workers[key] = worker

    def loses(self, key: str) -> None:
        """Note that a trial has lost its worker."""
        self.workers.pop(key, None)

    def is_over(self) -> bool:
        """Whether there was a reason to stop, and every trial is saved or has had its time."""
        if self.deadline is None:
            if not (reason := self.stop()):
                return False
            self.search.halt(reason)  # trials wait by now: one that ends well takes nothing back
            for key in self.search.running.keys() & self.workers.keys():
                self.calls[self.workers[key].save_now.remote()] = key
            self.deadline = time.monotonic() + SAVE_SECONDS
        if self.calls:
            self._look()
        return not self.calls or time.monotonic() > self.deadline

    @property
    def is_done(self) -> bool:
        """Whether every trial is saved, or cannot be; for any thread."""
        return self.deadline is not None and not self.calls

    def _look(self) -> None:
        """Let go of the calls that have ended."""
        ended = ray.wait(list(self.calls), num_returns=len(self.calls), timeout=0)[0]
        for call in ended:
            key = self.calls.pop(call)
            try:
                ray.get(call)
            except RayError as error:
                cause = getattr(error, "cause", error)
                reason = f"{type(cause).__name__}: {cause}".splitlines()[0]
                self.search.events.note(f"{key} is not saved where it is ({reason})")

    def text(self) -> str | None:
        """Return how far the saving is; None before it begins."""
        if self.deadline is None:
            return None
        left = max(0.0, self.deadline - time.monotonic())
        trials = number_of(len(self.calls), "trial")
        return f"Saving {trials}, for at most {left:.0f} s more" if self.calls else "Ending Ray"
