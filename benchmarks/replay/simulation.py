"""Simulation of a search on asynchronous workers; time is in epochs, of which each takes one."""

from __future__ import annotations

import heapq
import time
from dataclasses import dataclass

from benchmarks.replay.searchers import Searcher
from benchmarks.replay.world import Candidate, World
from search.store.trials import BASELINES, trial_key
from spaces import WeightingError
from spaces.counts import FloatArray


@dataclass(frozen=True)
class Ended:
    """A trial that has ended.

    Attributes:
        value: best accuracy at its last epoch, percent.
        stopped: it did not run to its full length.
        spent: epochs that all trials had been trained for by then.
    """

    key: str
    candidate: Candidate
    value: float
    stopped: bool
    spent: int


@dataclass(frozen=True)
class History:
    """A search that is over.

    Attributes:
        trials: in the order in which they ended.
        time: from the first start to the last end, epochs.
        believes_stopped: a stopped trial may be named the best.
        asking: seconds of processor time that were spent on proposals.
    """

    trials: tuple[Ended, ...]
    time: int
    believes_stopped: bool
    asking: float

    @property
    def epochs(self) -> int:
        """Epochs trained in all."""
        return self.trials[-1].spent if self.trials else 0


@dataclass
class _Running:
    """A trial on a worker, which trains it up to epoch ``until``."""

    key: str
    candidate: Candidate
    curve: FloatArray
    epoch: int
    until: int


class Simulation:
    """A search under way; a worker takes the next trial as soon as it is free.

    A trial starts only while it could run to its full length within the budget, beside those that
    are running: nothing is cut off at the end, and stopped trials make room for others.
    """

    def __init__(
        self, searcher: Searcher, world: World, baselines: bool, repetition: tuple[int, ...]
    ) -> None:
        """``repetition`` seeds the noise; with ``baselines`` the controls run first."""
        self.searcher, self.world, self.repetition = searcher, world, repetition
        self.baselines = tuple(world.controls.values()) if baselines else ()
        self.running: dict[int, _Running] = {}
        self.events: list[tuple[int, int]] = []
        self.ended: list[Ended] = []
        self.started = 0
        self.spent = 0
        self.time = 0
        self.asking = 0.0
        self.stops = (*searcher.rungs, world.epochs)

    def run(self, workers: int, budget: int) -> History:
        """Run until the budget, in epochs, has no room for a trial."""
        while True:
            while len(self.running) < workers and self._has_room(budget):
                self._start()
            if not self.events:
                return History(
                    tuple(self.ended), self.time, self.searcher.believes_stopped, self.asking
                )
            self.time, number = heapq.heappop(self.events)
            self._advance(number)

    def _has_room(self, budget: int) -> bool:
        epochs = self.world.epochs
        rest = sum(epochs - trial.epoch for trial in self.running.values())
        return self.spent + rest + epochs <= budget

    def _start(self) -> None:
        key, candidate = self._next()
        self.searcher.starts(key, candidate.weights)
        curve = self.world.search_run(candidate, self.repetition, self.started)
        self.running[self.started] = _Running(key, candidate, curve, 0, self.stops[0])
        heapq.heappush(self.events, (self.time + self.stops[0], self.started))
        self.started += 1

    def _next(self) -> tuple[str, Candidate]:
        """A baseline while one is left, then what is proposed and passes the guards."""
        if self.started < len(self.baselines):
            return trial_key(BASELINES, self.started), self.baselines[self.started]
        while True:
            began = time.process_time()
            key, weighting = self.searcher.ask()
            self.asking += time.process_time() - began
            try:
                return key, self.world.candidate(weighting)
            except WeightingError:
                self.searcher.refuse(key)

    def _advance(self, number: int) -> None:
        """Let a trial reach the rung, or the end, that it was training for."""
        trial = self.running[number]
        self.spent += trial.until - trial.epoch
        trial.epoch = trial.until
        value = float(trial.curve[trial.epoch - 1])
        stopped = False
        if trial.epoch == self.world.epochs:
            self.searcher.complete(trial.key, value)
        else:
            stopped = self.searcher.observe(trial.key, trial.epoch, value)
            if not stopped:
                trial.until = self.stops[self.stops.index(trial.epoch) + 1]
                heapq.heappush(self.events, (self.time + trial.until - trial.epoch, number))
                return
        del self.running[number]
        self.ended.append(Ended(trial.key, trial.candidate, value, stopped, self.spent))
