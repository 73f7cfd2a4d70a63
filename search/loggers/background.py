"""Logging in the background: a search goes on whatever a logger does, and however long it takes."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from search.config.objective import Objective
from search.config.redaction import redacted
from search.loggers.logger import LoggedTrial, Logger, Value
from search.loggers.registry import LOGGERS
from search.results.conclusion import ENDS, Conclusion
from search.session.events import SLOW_SECONDS, EpochReported, Event, Events, TrialEnded
from search.store.run_folder import RunFolder
from search.store.stored_run import parts_of
from search.store.trials import Row
from search.store.validation import printable
from spaces.errors import UserError

log = logging.getLogger("search")
MOST_WAITING = 10_000
"""Calls that wait for a slow logger; further ones are lost, which is said."""
CLOSE_SECONDS = 15.0
"""For a logger to write what is left at the end of a search."""


class Background:
    """Calls a logger in a thread of its own; its first error ends it, with a note.

    Attributes:
        lost: calls that were left out because too many were waiting.
        done: all that it was told is written; else it failed, or was left as it was.
    """

    def __init__(self, name: str, make: Callable[[], Logger], note: Callable[[str], None]) -> None:
        self.name, self.make, self.note, self.lost = name, make, note, 0
        self.done = False
        self.calls: queue.Queue[tuple[str, tuple[Any, ...]] | None] = queue.Queue(MOST_WAITING)
        self.thread = threading.Thread(target=self._run, name=f"logger {name}", daemon=True)
        self.ended = threading.Event()
        self.thread.start()

    def call(self, method: str, *arguments: object) -> None:
        """Have a method called, soon; nothing is done once the logger has ended."""
        if self.ended.is_set():
            return
        try:
            self.calls.put_nowait((method, arguments))
        except queue.Full:
            self.lost += 1

    def close(self) -> None:
        """Wait for the logger to write what is left, but not for long."""
        with contextlib.suppress(queue.Full):
            self.calls.put(None, timeout=SLOW_SECONDS)
        self.thread.join(SLOW_SECONDS)
        if self.thread.is_alive():
            self.note(
                f"Waiting for --log {self.name} to write what is left, for at most "
                f"{CLOSE_SECONDS:g} s ..."
            )
            self.thread.join(CLOSE_SECONDS)
        if self.thread.is_alive():
            self.note(f"--log {self.name} did not end within {CLOSE_SECONDS:g} s; it is left.")
        if self.lost:
            self.note(f"--log {self.name} was too slow: {self.lost} reports are not logged.")

    def _run(self) -> None:
        try:
            logger = self.make()
            while (call := self.calls.get()) is not None:
                method, arguments = call
                getattr(logger, method)(*arguments)
            logger.close()
            self.done = True
        except Exception as error:  # whatever a library raises must not reach the search
            # Not exc_info: its text has the address, and so the password, of a server.
            log.info("--log %s failed\n%s", self.name, redacted(traceback.format_exc()))
            reason = redacted(f"{type(error).__name__}: {error}".partition("\n")[0])
            self.note(f"--log {self.name} failed ({reason}) and logs no more; the search goes on.")
        finally:
            self.ended.set()


class EventLogging:
    """Tells loggers of a run's events.

    Attributes:
        row: of a trial, by its key.
        objective: names of its benchmarks stand before metrics, where there are several.
    """

    def __init__(
        self,
        backgrounds: Sequence[Background],
        row: Callable[[str], Row],
        objective: Objective,
    ) -> None:
        self.backgrounds, self.row, self.objective = backgrounds, row, objective

    def __call__(self, event: Event) -> None:
        """Pass on an event."""
        match event:
            case EpochReported(key, part, result):
                trial = logged(self.row(key))
                self._call("epoch", trial, self._prefixes(trial.study)[part], result)
            case TrialEnded(row):
                summary = summary_of(row, self._prefixes(row.study))
                self._call("ended", logged(row), ENDS[row.state], summary)

    @property
    def left(self) -> bool:
        """Whether one is not done, whose library may want to write on when this process ends."""
        return any(not background.done for background in self.backgrounds)

    def conclude(self, folder: RunFolder) -> None:
        """Pass on what a run concludes, or why that cannot be read."""
        if self.backgrounds:
            try:
                told = concluded(Conclusion.of(folder))
            except UserError as error:
                told = {"verdict": printable(str(error))}
            self._call("concluded", told)

    def close(self) -> None:
        """Wait for the loggers to write what is left, but not for long."""
        for background in self.backgrounds:
            background.close()

    def _prefixes(self, study: str) -> list[str]:
        """What stands before the metrics of each benchmark that trials of a study train on."""
        several = len(self.objective.all_benchmarks) > 1
        return [f"{b.name}/" if several else "" for b in parts_of(self.objective, study)]

    def _call(self, method: str, *arguments: object) -> None:
        for background in self.backgrounds:
            background.call(method, *arguments)


@contextlib.contextmanager
def logging_events(
    names: Sequence[str],
    folder: RunFolder,
    events: Events,
    row: Callable[[str], Row],
    objective: Objective,
) -> Iterator[EventLogging]:
    """Tell the loggers of these names of all events within the context."""

    def begun(name: str) -> Background:
        return Background(name, lambda: LOGGERS[name].make(folder), events.note)

    backgrounds = [begun(name) for name in names]
    told = EventLogging(backgrounds, row, objective)
    if backgrounds:
        events.subscribe(told)
    try:
        yield told
    finally:
        told.close()


def logged(row: Row) -> LoggedTrial:
    """Return a trial as loggers know it."""
    parameters = {"seed": row.seed, **flat(row.strategy.to_dict())}
    return LoggedTrial(row.key, row.label, row.study, parameters)


def flat(values: Mapping[str, Any], before: str = "") -> dict[str, Value]:
    """Return values by name, those of a part under ``part.name``."""
    found: dict[str, Value] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{before}{name}.")
        else:
            found[f"{before}{name}"] = value
    return found


def summary_of(row: Row, prefixes: Sequence[str]) -> dict[str, float]:
    """Return the numbers of a trial that has ended, those of each benchmark under its prefix."""
    found = {"device_hours": row.device_hours}
    if row.value is not None and len(prefixes) == 1:  # of several, a sum that means nothing alone
        found["value"] = row.value
    for prefix, summary in zip(prefixes, row.summaries, strict=False):
        found |= {f"{prefix}best_score": summary.best_score}
        found |= {f"{prefix}last_ten_score": summary.last_ten_score}
    return found


def concluded(conclusion: Conclusion) -> Mapping[str, Value]:
    """Return what a run concludes, as names and values."""
    if conclusion.winner is None:
        return {"verdict": "no full-length result"}
    judgement, named = conclusion.judgement, {"winner": conclusion.winner[0]}
    joint = conclusion.objective.joint  # a sum of several benchmarks' scores means nothing alone
    if judgement is None:
        found = conclusion.incumbent
        assert found is not None
        estimate = {"over_uniform": found.gain} if joint else {"estimate": found.known.mean}
        return {**named, "verdict": "not confirmed", **estimate}
    verdict = judgement.stated
    accuracy, to_uniform = verdict.best.accuracy, verdict.to_uniform
    values: dict[str, Value] = {**named, "verdict": " ".join(verdict.sentences())}
    if not joint:
        ends = {"score_low": accuracy.low, "score_high": accuracy.high}
        values |= {"score": accuracy.mean, **ends}
    if to_uniform:
        points = to_uniform.points
        values |= {"over_uniform": points.mean, "over_uniform_low": points.low}
    return values
