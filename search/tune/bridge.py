"""The bridge from Ray Tune to a search: a searcher, a scheduler and a callback.

Tune hands every result to the scheduler (except a trial's last one) and then to the callback.
Tune's own state is scratch: nothing is ever restored from it.
"""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ray.tune import Callback, Stopper
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from search.session.events import Warned
from search.session.running import Running
from search.session.search import Search
from search.store.lease import LeaseLostError
from search.store.run_folder import RunFolderGoneError, part_key
from search.tune.saving import Saving
from spaces.errors import UserError
from trainer.entry_point import sentence_of
from trainer.results import EpochResult

KEPT = frozenset(("done", "training_iteration", "trial_id", "node_ip", "pid"))
"""What Tune itself needs of a result; it would keep the rest in memory until the search ends."""
MANY_WORKERS = 1_000_000
"""More than a machine has."""


class DriverOnly:
    """An object of the driver alone: Tune pickles its set-up, and this leaves no trace there."""

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return object, ()

    def __deepcopy__(self, memo: dict[int, Any]) -> "DriverOnly":
        return self


@contextlib.contextmanager
def halting(search: Search) -> Iterator[None]:
    """Halt the search where the block cannot record something; what runs is to be saved then.

    Tune would make a traceback of the error, and end every trial where its last checkpoint is. So
    it may where the run is gone, or another process's: nothing must be saved there.
    """
    try:
        yield
    except (RunFolderGoneError, LeaseLostError):
        raise
    except (OSError, UserError) as error:
        search.halt(sentence_of(error))


class StudySearcher(DriverOnly, Searcher):
    """Hands out the search's next trial as a config of the trainable.

    While nothing runs, Tune does no more than ask for a trial every second, so that stopping and
    drawing are cared for here too.
    """

    def __init__(
        self,
        search: Search,
        limit: Callable[[], int],
        stop: Callable[[], str | None],
        refresh: Callable[[], None],
    ) -> None:
        """``limit`` returns how many trials may be under way, ``stop`` why to stop, if at all."""
        super().__init__()
        self.search, self.limit, self.stop, self.refresh = search, limit, stop, refresh
        self.benchmarks = search.objective.all_benchmarks

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Return a config; None if there is none now; FINISHED if there will be none."""
        self.refresh()
        if self.stop():
            return str(Searcher.FINISHED)
        under_way = self.search.under_way
        room = self.limit() > under_way
        trial = None
        with halting(self.search):  # also where nothing more can be drawn
            trial = self.search.next_trial() if room else None
        if trial is None:
            over = (room or not under_way) and not self.search.has_more()
            return str(Searcher.FINISHED) if over else None
        return self.config(trial)

    def config(self, trial: Running) -> dict[str, Any]:
        """Return what ``TrialTrainable`` is told of a trial."""
        key, folder = trial.row.key, self.search.folder
        parts = []
        for part, benchmark in enumerate(trial.benchmarks):
            described = {
                "benchmark": self.benchmarks.index(benchmark),
                "recipe": trial.row.strategy.recipe(benchmark.counts).to_dict(),
                "checkpoints": str(folder.checkpoint_folder(part_key(key, part))),
                "known_epochs": len(trial.results[part]),
            }
            parts.append(described)
        stages = [list(stage) for stage in trial.stages]
        return {
            "key": key,
            "seed": trial.row.seed,
            "parts": parts,
            "stages": stages,
            "diagnosed": trial.row.diagnosed,
        }

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Nothing: the callback records how trials end."""

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Nothing: the record has the state."""


def take_report(search: Search, trial: Trial, result: dict[str, Any]) -> bool:
    """Record the epochs in ``result``, in their order; return True if the trial must stop."""
    key = trial.config["key"]
    running = search.running.get(key)
    if running is None:
        return True
    text = result["epochs"]
    if (
        running.last_report is not text
    ):  # Tune tells the scheduler and the callback of the same result
        running.last_report, running.hardware = text, result["hardware"]
        epochs = json.loads(text)
        any(search.report(key, part, EpochResult.from_dict(epoch)) for part, epoch in epochs)
    running.within = result["within"]
    running.note_progress(time.monotonic())
    return running.stop


def error_of(trial: Trial) -> str:
    """Return what Tune wrote about a trial's failures, the last one last.

    ``Trial.get_error`` looks where Tune moves it at the end of the experiment.
    """
    path = trial.error_file
    return Path(path).read_text() if path and Path(path).is_file() else ""


class StudyScheduler(DriverOnly, FIFOScheduler):
    """Starts trials in the order they come and stops one where the search says so.

    Once there is a reason to stop, trials that have reported wait for their end.
    """

    def __init__(self, search: Search, stop: Callable[[], str | None], keeps: bool = False) -> None:
        """``keeps``: workers stay while they wait for a trial, as they do where a phase ends.

        Of those, Tune keeps one. The next phase then starts others; where its trials are shorter
        than that start, the one worker takes over each trial that waits for a new one, which Tune
        stops then, so that the phase is trained one trial at a time.
        """
        super().__init__()
        self.search, self.stop, self.keeps = search, stop, keeps
        self.waiting: dict[str, Trial] = {}
        """By key; some may run by now."""

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        if self.keeps:
            self.keeps = False  # they are from now on
            cache = tune_controller._tune_controller._actor_cache
            cache.increase_max(trial.placement_group_factory, MANY_WORKERS)
        self.waiting[str(trial.config["key"])] = trial

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Return a trial that waits, if any; unlike Tune's rule, do not look at all others."""
        self.waiting = {k: t for k, t in self.waiting.items() if t.status == Trial.PENDING}
        return self.waiting[min(self.waiting)] if self.waiting else None

    def on_trial_result(
        self,
        tune_controller: Any,
        trial: Trial,
        result: dict[str, Any],
    ) -> str:
        with halting(self.search):
            if take_report(self.search, trial, result):
                return str(TrialScheduler.STOP)
        return str(TrialScheduler.NOOP if self.stop() else TrialScheduler.CONTINUE)


class StudyCallback(DriverOnly, Callback):
    """Tells the search how each trial ended, and lets a display look on."""

    def __init__(
        self, search: Search, saving: Saving, refresh: Callable[[], None], saved: bool = True
    ) -> None:
        """``saved``: workers save where their trials are when they are asked to."""
        self.search, self.saving, self.refresh, self.saved = search, saving, refresh, saved

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **_: Any) -> None:
        if self.saved:
            self.saving.begins(trial.config["key"], trial.temporary_state.ray_actor)

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        self.refresh()

    def on_trial_result(
        self,
        iteration: int,
        trials: list[Trial],
        trial: Trial,
        result: dict[str, Any],
        **info: Any,
    ) -> None:
        with halting(self.search):
            self.take_result(trial, result)
        for name in result.keys() - KEPT:
            del result[name]

    def take_result(self, trial: Trial, result: dict[str, Any]) -> None:
        """Record what is in a result, and the trial's end if it is its last."""
        key = trial.config["key"]
        stop = take_report(self.search, trial, result)
        for warning in result["warnings"]:
            self.search.events.publish(Warned(f"{key}: {warning}"))
        if "halt" in result:
            self.search.halt(result["halt"])
        elif "failure" in result and not stop:
            self.search.fail(key, result["failure"], result["traceback"], result["diverged"])
        elif result.get("done") and key in self.search.running:
            self.search.finish(key)

    def on_trial_error(
        self,
        iteration: int,
        trials: list[Trial],
        trial: Trial,
        **info: Any,
    ) -> None:
        """Let the search decide: Tune tries nothing again but what its node's notice ended."""
        self.saving.loses(trial.config["key"])
        with halting(self.search):
            self.search.lost_worker(trial.config["key"], error_of(trial))

    def on_trial_recover(
        self,
        iteration: int,
        trials: list[Trial],
        trial: Trial,
        **info: Any,
    ) -> None:
        """Say that a trial goes on elsewhere: Tune itself tries it again after a notice."""
        self.saving.loses(trial.config["key"])
        with halting(self.search):
            self.search.left_node(trial.config["key"])


class StopSwitch(DriverOnly, Stopper):
    """Ends the whole experiment as soon as ``is_over`` says so; running trials stay resumable."""

    def __init__(self, is_over: Callable[[], bool]) -> None:
        self.is_over = is_over

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self.is_over()
