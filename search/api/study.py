"""Study by ask and tell: whoever trains asks for strategies, and tells what they reached."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from numbers import Integral
from pathlib import Path
from typing import Any

from search.api.call import arguments_named, path_text
from search.api.run_class import Run
from search.api.told import Trial, opened
from search.config.budget import FEWEST_RUNS, Budget
from search.config.request import AnyPath, Names, Request
from search.results.conclusion import Conclusion
from search.session.phases import nothing_to_confirm
from search.session.running import Running
from search.stats.verdict import Verdict
from search.store.run_folder import RunFolder
from spaces.errors import FieldError, UserError
from spaces.parts.words import number_of
from spaces.validation import checked, shown
from trainer.benchmarks import get_benchmark
from trainer.own.class_counts import counts_text
from trainer.own.declaration import told_training
from trainer.own.reports import DivergedError, ReportError, told_result
from trainer.user_files import expanded


class Study:
    """A study proposes strategies and learns from what it is told that they reach.

    It decides as a search does, and keeps the same record: with a folder it survives a kill, and
    ``search.load``, ``show``, ``report`` and ``export`` read it. Trials may be told in any order
    and from any thread of the process that made the study. It holds its folder until ``close``,
    or the end of a ``with`` block.

    Example:
        >>> with search.Study([500, 100, 20]) as study:
        ...     for _ in range(40):
        ...         trial = study.ask()
        ...         study.tell(trial, train(trial.weights, trial.seed))
        ...     while runs := study.confirmation():
        ...         for trial in runs:
        ...             study.tell(trial, train(trial.weights, trial.seed))
        ...     print(study.verdict())
    """

    def __init__(
        self,
        class_counts: object = None,
        *,
        benchmark: AnyPath | None = None,
        folder: AnyPath | None = None,
        space: str = Request.space,
        baselines: Names | None = Request.baselines,
        sampler: str = Request.sampler,
        prior: AnyPath | Sequence[AnyPath] = Request.prior,
        seed: int = Request.seed,
        data_root: AnyPath = Request.data_root,
    ) -> None:
        """Begin a study, or go on with the one in ``folder``.

        Args:
            class_counts: training images of each class, (C,), 1 or more each; a mapping of class
                name to count; a mapping of "train" and "test" (or "validation", or both) to counts,
                where correct images are told by class; or a file with them.
            benchmark: takes the class counts of this one instead.
            folder: of the run, whose name is the study's; None keeps it in memory and in a
                temporary folder, which goes with it.
            space: what is searched, a key of ``spaces.SPACES``.
            baselines: names of the controls, or "none"; None for those of the space.
            sampler: what proposes strategies; "auto" chooses.
            prior: with "knowledge-gradient": earlier runs, or their folders, from which it learns
                what to expect; a study that goes on has them on record.
            seed: all seeds of trials derive from it, 0 or more.
            data_root: folder of the data sets, for a benchmark.

        Raises:
            UserError: bad input, a folder of another study, or one that another process holds.
        """
        self._lock, self._process = threading.RLock(), os.getpid()
        self._asked: dict[str, float] = {}
        with ExitStack() as stack, arguments_named({"--name": "folder"}):
            if folder is None:
                scratch = tempfile.mkdtemp(prefix="study-")
                stack.callback(shutil.rmtree, scratch, ignore_errors=True)
                folder = Path(scratch) / "study"
            place = RunFolder(expanded(path_text("folder", folder)))
            if benchmark is not None:
                name, root = path_text("benchmark", benchmark), path_text("data_root", data_root)
                class_counts = counts_of_benchmark(name, class_counts, root)
            self._training = told_training(place.path.name, counts_text(class_counts))
            given = {"space": space, "baselines": baselines, "sampler": sampler, "seed": seed}
            self._search = stack.enter_context(
                opened(self._training, place, given | {"prior": prior})
            )
            self._leave = weakref.finalize(self, let_go, self._process, stack.pop_all().close)

    def __repr__(self) -> str:
        told = len(self._search.ended)
        return f"<Study {str(self._search.folder.path)!r}, {number_of(told, 'trial')} told>"

    @property
    def counts(self) -> tuple[int, ...]:
        """Training images of each class, (C,)."""
        return self._search.objective.benchmarks[0].counts

    @property
    def run(self) -> Run:
        """The study as a run, as it is now."""
        with self._lock:
            return Run(Conclusion.of(self._search.folder, self._search.record))

    def ask(self) -> Trial:
        """Return the next trial of the search: the controls first, then what the sampler proposes.

        What an earlier process was asked for and not told comes first, with the same seed.

        Raises:
            UserError: the confirmation has begun and not ended.
        """
        with self._held():
            if self._search.search_is_over():
                raise UserError(
                    "the confirmation has begun; train what confirmation() returns until it "
                    "returns nothing, and ask again then."
                )
            self._search.failures_in_a_row = 0  # whoever trains sees them, and decides
            running = self._search.next_trial()
            assert running is not None
            return self._handed(running)

    def pending(self) -> list[Trial]:
        """Return the trials that were asked for and not told, in the order of their asking.

        Those of an earlier process count as handed out from then on: ``ask`` and ``confirmation``
        return them no more. It is for whoever still trains them.
        """
        with self._held():
            self._search.adopted.clear()
            return [self._handed(running) for running in self._search.running.values()]

    def tell(
        self,
        trial: Trial | str,
        accuracy: float | None = None,
        *,
        correct: object = None,
        failed: str | None = None,
        seconds: float | None = None,
    ) -> None:
        """Record what a trial reached, or that it failed; it is on disk when this returns.

        Args:
            trial: as it was asked for, or its key.
            accuracy: share of correct images, 0 to 1; nan says that the training diverged, also
                where ``correct`` is what is told.
            correct: instead, where the class counts have evaluated images: correct images of each
                class, (C,), or (2, C) by half, or of validation and test.
            failed: instead: why there is no result.
            seconds: that the training took, 0 or more; None for the time since it was asked for.

        Raises:
            UserError: the trial is not pending, or a value breaks a rule.
        """
        key = trial.key if isinstance(trial, Trial) else trial
        with self._held():
            running = self._search.running.get(key) if isinstance(key, str) else None
            if running is None:
                raise UserError(
                    f"trial {key} is not pending; tell each one that was asked for once."
                )
            if failed is not None:
                if accuracy is not None or correct is not None:
                    raise UserError(f"trial {key} failed and has a result; tell one of the two.")
                if not isinstance(failed, str):
                    raise UserError(
                        f"trial {key}: failed is {shown(failed)}; tell why in a text, such as "
                        "str(error)."
                    )
                self._search.fail(key, failed or "failed")
                return
            now = time.monotonic()
            took = now - self._asked.get(key, now) if seconds is None else seconds
            self._record(running, accuracy, correct, took)

    def confirmation(self, slots: int = 1, runs: int | None = None) -> list[Trial]:
        """Return the next trainings with fresh seeds, by which the best is told from the controls.

        The best strategies and the controls are trained with the same seeds, and runs go where
        they help to tell the best from its rivals. It can be asked again after more of the search.

        Args:
            slots: most trainings to return, 1 or more.
            runs: most of the confirmation, 9 or more; None for half of the trials so far, or 9.

        Returns:
            Trials to train and tell; none where it is decided, or waits for what is pending.

        Raises:
            UserError: trials of the search are pending, or there is nothing to confirm.
        """
        if isinstance(slots, bool) or not isinstance(slots, Integral) or slots < 1:
            raise FieldError(f"slots is {slots!r}; it must be a whole number, at least 1.")
        with self._held():
            self._begin_confirmation(runs)
            found: list[Trial] = []
            while len(found) < slots and self._search.search_is_over():
                self._search.failures_in_a_row = 0
                running = self._search.next_trial()
                if running is None:
                    break
                found.append(self._handed(running))
            return found

    def verdict(self) -> Verdict | None:
        """Return what the confirmation shows so far; None before every arm has a result."""
        return self.run.verdict

    def close(self) -> None:
        """Let go of the folder, when no other thread tells of a trial; what is pending stays so."""
        with self._lock:
            self._leave()

    def __enter__(self) -> Study:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Let one thread at a time use the study, as long as it holds its folder."""
        if os.getpid() != self._process:  # a fork, whose record would not be that of the other
            raise UserError(
                "the study was made by another process; ask and tell it there, and only train here."
            )
        with self._lock, arguments_named():
            if not self._leave.alive:
                raise UserError("the study is closed; make it again with the same folder.")
            yield

    def _handed(self, running: Running) -> Trial:
        self._asked.setdefault(running.row.key, time.monotonic())
        return Trial.of(running.row, self.counts)

    def _record(self, running: Running, accuracy: Any, correct: object, seconds: float) -> None:
        key = running.row.key
        try:
            result = told_result(self._training, accuracy, correct, seconds)
        except DivergedError as error:
            self._search.fail(key, str(error), diverged=True)
            return
        except ReportError as error:
            raise UserError(f"trial {key}: {str(error).removeprefix('epoch 1: ')}") from error
        self._search.report(key, 0, result)
        self._search.finish(key)

    def _begin_confirmation(self, runs: int | None) -> None:
        search = self._search
        waiting = [trial.row for trial in search.running.values() if trial.row.in_search]
        if waiting:
            labels = ", ".join(row.label for row in waiting)
            raise UserError(
                f"{labels} of the search are pending; tell what they reached, or that they failed, "
                "before the confirmation."
            )
        if nothing := nothing_to_confirm(search.standings, search.rows()):
            why = nothing.partition(";")[0]
            raise UserError(f"there is nothing to confirm: {why}; ask for more, and tell of it.")
        known = search.record.plan()
        if runs is None:
            begun = known is not None and known.search_trials == search.search_trials
            runs = known.runs if known and begun else max(FEWEST_RUNS, search.search_trials // 2)
        limits = {"trials": None, "hours": None, "runs": runs}
        search.confirm(checked(Budget, limits, error=FieldError))


def let_go(process: int, close: Callable[[], None]) -> None:
    """Let go of what a study holds, which a fork of its process must leave alone."""
    if os.getpid() == process:
        close()


def counts_of_benchmark(name: str, given: object, data_root: str) -> list[int]:
    """Return the class counts of a benchmark, in place of ``given``, which must be None."""
    if given is not None:
        raise UserError("class_counts is given with benchmark; leave one of them out.")
    counts: list[int] = get_benchmark(name, expanded(data_root)).counts.tolist()
    return counts
