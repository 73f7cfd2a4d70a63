"""The engine's actor trains all trials on one GPU, for proxies that ask it for reports."""

import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from queue import Empty, SimpleQueue
from typing import Any

import torch

from search.workers.reports import Warnings, refusal, report
from search.workers.schedule import Batches, Leg, Part, PartResult, legs_of, parts_of
from search.workers.setup import WorkerSetup
from search.workers.trainable import load_task, save_parts, template_trial
from trainer import runtime
from trainer.errors import CheckpointError
from trainer.execution.engine import Engine
from trainer.execution.slot import Slot
from trainer.execution.watchdog import watch
from trainer.provenance import device_name
from trainer.results import EpochResult

LOOK_SECONDS = 1.0
"""Between looks at how far a trial is, while its next epoch is waited for."""
IDLE_SECONDS = 0.0005
"""Between looks at the GPU when everything is queued; an epoch takes a hundred times as long."""
DESERTED_SECONDS = 120.0
"""An engine that had no trial for so long ends, and the autoscaler may take its machine away."""
FORGOTTEN_SECONDS = 10.0
"""A trial that no call has asked about for so long may have to make room for another."""


class EvictedError(Exception):
    """The trial had to make room for another; it must begin again."""


@dataclass(eq=False)
class Client:
    """A client is one stay of a trial in the engine, as the calls about it see it.

    Attributes:
        legs: those that were left when it came.
        slots: in which its parts are, by benchmark.
        epochs: the last one of each part that a call has seen.
        calls: how many calls are waiting for its results.
        seen: when it entered or its last call ended, in seconds of the monotonic clock.
    """

    parts: list[Part]
    legs: list[Leg]
    slots: dict[int, Slot] = field(default_factory=dict)
    outcomes: "SimpleQueue[EpochResult | Exception]" = field(default_factory=SimpleQueue)
    epochs: list[int] = field(init=False)
    calls: int = 0
    seen: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.epochs = [0] * len(self.parts)

    def is_forgotten(self) -> bool:
        return not self.calls and time.monotonic() - self.seen > FORGOTTEN_SECONDS

    def enter(self, save_every: int, engines: Sequence[Engine]) -> None:
        """Let every part that has a leg enter its engine; only the first of them may train."""
        for number in sorted({leg.part for leg in self.legs}):
            part, first = self.parts[number], self.legs[0]
            until = first.until if first.part == number else 0
            engine = engines[part.benchmark]
            slot = engine.begin((self, number), part.trial, part.folder, save_every, until)
            self.slots[part.benchmark] = slot

    def allow(self, leg: Leg, engines: Sequence[Engine]) -> None:
        engines[self.parts[leg.part].benchmark].allow((self, leg.part), leg.until)

    def next_outcome(self) -> "EpochResult | Exception | None":
        """Return what comes next of the trial; None if nothing does within a second."""
        try:
            return self.outcomes.get(timeout=LOOK_SECONDS)
        except Empty:
            return None

    def batches(self, leg: Leg) -> Batches:
        slot = self.slots.get(self.parts[leg.part].benchmark)
        return Batches(slot.batch, len(slot.sequence)) if slot else Batches(0, 1)

    def save(self, done: "SimpleQueue[Exception | None]", engines: Sequence[Engine]) -> None:
        """Save where the parts are; ``done`` is given the error, if there is one."""
        try:
            save_parts(self.parts, self.slots)
            done.put(None)
        except (CheckpointError, OSError) as error:
            done.put(error)

    def leave(self, engines: Sequence[Engine]) -> None:
        """Take all parts out; what is not in an engine changes nothing."""
        for number, part in enumerate(self.parts):
            engines[part.benchmark].leave((self, number))


class EngineActor:
    """Trains the trials of as many proxies as it has slots.

    Each benchmark has an engine of as many slots, made when the process starts, because nothing
    can be captured on a GPU that trains: together they take the memory of benchmarks times slots.
    A trial has a slot in the engine of each of its parts, and trains in one of them at a time.

    One thread owns the device and does all the work; calls come on other threads and talk to it
    through queues. A proxy that was killed cannot say so: when no slot is free for a newcomer, a
    trial that nobody asks about makes room. It goes on from its checkpoint wherever Ray starts it.
    """

    def __init__(
        self,
        setup: WorkerSetup,
        gpu: str,
        slots: int,
        deserted_seconds: float = DESERTED_SECONDS,
    ) -> None:
        """Begin to make the engines.

        Args:
            gpu: what CUDA_VISIBLE_DEVICES must be here, for Ray gave the GPU to the proxies.
            slots: of each engine.
            deserted_seconds: this process ends after so long without a trial.
        """
        if setup.device != "cpu":
            os.environ["CUDA_VISIBLE_DEVICES"] = gpu
        self.setup, self.slots, self.deserted_seconds = setup, slots, deserted_seconds
        self.clients: dict[str, Client] = {}
        self.lock = threading.RLock()
        self.commands: SimpleQueue[Callable[[Sequence[Engine]], None]] = SimpleQueue()
        self.warnings = Warnings()
        logging.getLogger("trainer").addHandler(self.warnings)
        self.hardware: str | None = None
        self.unusable: Exception | None = None
        self.ready = threading.Event()
        threading.Thread(target=self.work, daemon=True).start()

    def begin(self, config: dict[str, Any]) -> None:
        """Let the trial that ``config`` describes enter, from its newest checkpoint."""
        client = Client(parts_of(config, self.setup), legs_of(config))
        while not self.admit(config["key"], client):
            time.sleep(0.1)

    def admit(self, key: str, client: Client) -> bool:
        """Let a trial enter if there is room, or a forgotten one makes it; tell whether it did."""
        with self.lock:
            self.leave(key)
            if len(self.clients) >= self.slots:
                forgotten = [k for k, known in self.clients.items() if known.is_forgotten()]
                if not forgotten:
                    return False
                self.leave(forgotten[0])
            client.seen = time.monotonic()
            self.clients[key] = client
            if self.unusable:
                client.outcomes.put(self.unusable)
            self.commands.put(partial(client.enter, self.setup.save_every))
        return True

    def leave(self, key: str) -> None:
        """Take the trial out; a key that is not here changes nothing."""
        with self.lock:  # whoever takes its place must enter behind it
            client = self.clients.pop(key, None)
            if client:
                client.outcomes.put(EvictedError(key))  # whoever waits for it waits no longer
                self.commands.put(client.leave)

    def report(self, key: str) -> dict[str, Any]:
        """Return the trial's next report, letting it go on to where the driver decides.

        Raises:
            EvictedError: the trial is not here, or had to make room meanwhile.
        """
        client = self.clients.get(key)
        if client is None:
            raise EvictedError(key)
        client.calls += 1
        self.ready.wait()
        try:
            results = self.results(client)
            content = report(results, client.legs, lambda: self.hardware, self.warnings)
        finally:
            client.calls -= 1
            client.seen = time.monotonic()
        if self.clients.get(key) is not client:
            raise EvictedError(key)
        return content

    def save_now(self, key: str) -> None:
        """Save where the trial is, if it is here.

        Raises:
            CheckpointError: it cannot be written.
        """
        self.ready.wait()  # nothing answers where no engine could be made
        client, done = self.clients.get(key), SimpleQueue[Exception | None]()
        if client is None or self.unusable:
            return
        self.commands.put(partial(client.save, done))
        error = done.get()
        if error:
            raise error

    def results(self, client: Client) -> Iterator[PartResult]:
        """Yield the epochs that the driver does not know, and how far the next one is."""
        for leg in client.legs:
            while client.epochs[leg.part] < leg.until:
                self.commands.put(partial(client.allow, leg))
                while (outcome := client.next_outcome()) is None:
                    yield leg.part, client.batches(leg)
                if isinstance(outcome, Exception):
                    raise outcome
                client.epochs[leg.part] = outcome.epoch
                if outcome.epoch > client.parts[leg.part].known:
                    yield leg.part, outcome

    def work(self) -> None:
        """Train until the process ends."""
        try:
            engines = self.engines_or_refusal()
            while engines:
                self.turn(engines)
        except BaseException:
            # A GPU that failed has failed for good in this process: the trials go on elsewhere.
            try:
                traceback.print_exc()
                sys.stderr.flush()
            finally:  # also where the disk with this process's log is full
                os._exit(1)

    def engines_or_refusal(self) -> list[Engine]:
        """Return the engines; none where they cannot be made, which every trial is told."""
        try:
            return self.make_engines()
        except Exception as error:
            self.refuse(refusal(error, self.setup, self.slots, self.hardware))
            return []
        finally:
            self.ready.set()

    def make_engines(self) -> list[Engine]:
        setup = self.setup
        setup.check_here()
        os.umask(setup.umask)
        runtime.configure(setup.precision, setup.threads)
        device = runtime.select_device(setup.device)
        self.hardware = device_name(device)
        engines = [self.make_engine(index, device) for index in range(len(setup.benchmarks))]
        watch((slot.queue for engine in engines for slot in engine.free), self.hardware)
        return engines

    def make_engine(self, index: int, device: torch.device) -> Engine:
        task, trial = load_task(self.setup, index, device), template_trial(self.setup, index)
        return Engine(lambda: Slot(trial, task, variants=self.setup.variants), self.slots)

    def refuse(self, error: Exception) -> None:
        """Let every trial, present and to come, know why nothing can be trained here."""
        with self.lock:
            self.unusable = error
            for client in self.clients.values():
                client.outcomes.put(error)

    def turn(self, engines: Sequence[Engine]) -> None:
        """Do what the calls want, then advance every trial by a batch."""
        while not self.commands.empty():
            self.commands.get()(engines)
        turns = [engine.turn() for engine in engines]
        for (client, _), outcome in chain.from_iterable(turn.outcomes for turn in turns):
            if isinstance(outcome, torch.AcceleratorError):
                raise outcome
            if isinstance(outcome, Exception):
                client.leave(engines)  # the other parts of a trial end with one
            client.outcomes.put(outcome)
        if all(turn.idle for turn in turns):
            held = all(turn.held for turn in turns)
            try:
                self.commands.get(timeout=self.deserted_seconds if held else IDLE_SECONDS)(engines)
            except Empty:
                if held and not self.clients and not any(engine.jobs for engine in engines):
                    os._exit(0)  # whoever asks next is given another engine
