"""Run of a search, for Python: it is begun or loaded, looked at, exported and reported."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from search.config.request import AnyPath, Device, Names, Request, in_arguments
from search.results.conclusion import Conclusion
from search.results.trial_table import trial_table
from search.session.interrupt import EXIT_CODE
from search.stats.verdict import Verdict
from search.store.run_folder import RunFolder
from spaces import Strategy, WeightingError
from spaces.errors import UserError
from trainer.user_files import expanded

if TYPE_CHECKING:
    from search.export.export import ExportedPaths

COLUMNS = 100
"""Of the text of a run."""


class StoppedError(Exception):
    """A search ended before all of its trials did; what was computed stays, and can be resumed."""


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """A run of a search as its folder holds it, when it was loaded.

    A notebook shows what it found; ``print`` says it in words.

    Attributes:
        conclusion: what the run found, and on what grounds.
    """

    conclusion: Conclusion

    @property
    def path(self) -> Path:
        """Folder of the run."""
        return self.conclusion.folder.path

    @property
    def verdict(self) -> Verdict | None:
        """What the confirmation with fresh seeds shows; None before every arm has a result.

        ``winner`` names the strategy to use, ``to_uniform`` says what it gains, and ``str`` of it
        says so in words. It is that on images that are held out, where there are any.
        """
        judgement = self.conclusion.judgement
        return judgement.stated if judgement else None

    @property
    def strategy(self) -> Strategy | None:
        """Strategy that the run names: the verdict's winner, or else the best of the search.

        None before a trial was trained to its full length.
        """
        winner = self.conclusion.winner
        return winner[1] if winner else None

    @property
    def weights(self) -> tuple[float, ...] | None:
        """Class weights of ``strategy`` on the first benchmark's counts, (C,), summing to C."""
        strategy = self.strategy
        counts = self.conclusion.objective.benchmarks[0].counts
        return strategy.recipe(counts).weights if strategy else None

    def trials(self) -> list[dict[str, Any]]:
        """Return a flat row for each trial, for ``pandas.DataFrame`` or a CSV file.

        Its columns are those of ``search.results.trial_table.trial_table``.
        """
        return trial_table(self.conclusion)

    def export(self, folder: AnyPath | None = None) -> ExportedPaths:
        """Write ``best.json`` and the module of the strategy, and return where they are.

        Args:
            folder: where they are written; None for the run's.

        Raises:
            UserError: no trial was trained to its full length, or they cannot be written.
        """
        from search.export.export import export
        from search.export.winner import winner_of

        winner = winner_of(self.conclusion)
        if winner is None:
            raise UserError(f"run {self.path.name!r} has no full-length trial to export yet.")
        return export(self.path if folder is None else Path(folder), winner)

    def report(self, path: AnyPath | None = None) -> Path:
        """Write the report, one HTML file, and return where it is.

        Args:
            path: the file; None for ``report.html`` in the run's folder.

        Raises:
            UserError: it cannot be written.
        """
        from search.report.page import write_report

        file = self.conclusion.folder.report if path is None else Path(path)
        write_report(self.conclusion, file)
        return file

    def __repr__(self) -> str:
        return f"<Run {str(self.path)!r}, {len(self.conclusion.rows)} trials>"

    def __str__(self) -> str:
        from search.report.verdict_view import conclusion_view

        console = Console(file=io.StringIO(), width=COLUMNS, highlight=False, force_jupyter=False)
        console.print(conclusion_view(self.conclusion))
        assert isinstance(console.file, io.StringIO)
        return console.file.getvalue().strip("\n")

    def _repr_html_(self) -> str:
        from search.report.page.notebook import notebook_html

        return notebook_html(self.conclusion)


@contextmanager
def arguments_named(other: Mapping[str, str] | None = None) -> Iterator[None]:
    """Have every error of what a user gave be a UserError that names arguments of Python.

    ``other`` are options with another argument than that of ``run``.
    """
    from trainer.errors import CheckpointError

    try:
        yield
    except UserError as error:
        error.args = (in_arguments(str(error), other),)
        raise
    except (WeightingError, CheckpointError) as error:
        raise UserError(in_arguments(str(error), other)) from error


def load(path: AnyPath) -> Run:
    """Return the run in a folder, finished or not, as it is now.

    Args:
        path: run folder, such as "runs/resnet8-digitslt".

    Raises:
        UserError: it is no run, or its files are damaged.
    """
    with arguments_named():
        return Run(Conclusion.of(RunFolder(expanded(str(path)))))


def run(
    benchmark: Names | Path = Request.benchmark,
    trials: int | None = Request.trials,
    *,
    trainable: str | Callable[..., object] | None = Request.trainable,
    class_counts: object = Request.class_counts,
    name: str | None = Request.name,
    runs: AnyPath = Request.runs,
    data_root: AnyPath = Request.data_root,
    resume: bool = Request.resume,
    holdout: AnyPath | None = Request.holdout,
    hours: float | None = Request.hours,
    gpu_hours: float | None = Request.gpu_hours,
    confirm: bool = Request.confirm,
    confirm_runs: int | None = Request.confirm_runs,
    interval: float | None = Request.interval,
    epochs: int | None = Request.epochs,
    space: str = Request.space,
    baselines: Names | None = Request.baselines,
    sampler: str = Request.sampler,
    early_stopping: str = Request.early_stopping,
    grace_epochs: int | None = Request.grace_epochs,
    reduction_factor: int = Request.reduction_factor,
    seed: int = Request.seed,
    precision: str = Request.precision,
    compile: bool = Request.compile,
    device: Device = Request.device,
    slots: int | None = Request.slots,
    cpus_per_trial: int = Request.cpus_per_trial,
    concurrent: int | None = Request.concurrent,
    address: str | None = Request.address,
    save_every: int | None = Request.save_every,
    log: Names = Request.log,
    quiet: bool = False,
) -> Run:
    """Search, confirm the best with fresh seeds, export the winner, and return the run.

    It does what the command line does, and each argument is the option of that name. Ctrl-C saves
    every running trial and then raises KeyboardInterrupt: the same call with ``resume=True`` goes
    on.

    Args:
        benchmark: a name, a TOML file or a folder of images; several to search on jointly;
            none where there is a trainable.
        trainable: MODULE:FUNCTION or FILE.py:FUNCTION of your own that trains, or a function of a
            module that workers can import.
        class_counts: of its images: a file, a sequence by label, or a mapping by class name or by
            column, such as {"train": [...], "test": [...]}.
        trials: in total, 1 or more, controls and confirmation included; None for 64, or for no
            limit where hours are given.
        name: of the run's folder; None for the benchmark's.
        runs: folder of all runs.
        data_root: folder of the data sets.
        resume: continue the run of this name.
        holdout: benchmark on which the verdict's strategies are tried at the end.
        hours: wall-clock hours of this attempt, above 0; None for no limit.
        gpu_hours: of training, over all attempts, above 0; None for no limit.
        confirm: whether the best are trained again with fresh seeds.
        confirm_runs: at most, 9 or more; None for a third of the trials.
        interval: with "knowledge-gradient": to how many points the lead over uniform is to be
            known in the end, each way with 95 %, above 0; None for nine runs.
        epochs: shortens the protocol; None for the benchmark's own. Of a trainable, its length.
        space: what is searched, a key of ``spaces.SPACES``.
        baselines: names of the controls, or "none"; None for those of the space.
        sampler: what proposes strategies; "auto" chooses.
        early_stopping: the rule by which trials are stopped early; "none" for no rule.
        grace_epochs: never stop a trial before, 1 or more; None for a quarter of the epochs.
        reduction_factor: a rung keeps the best 1 in so many, 2 or more.
        seed: all seeds of trials derive from it, 0 or more.
        precision: arithmetic of the training, a key of ``trainer.runtime.PRECISIONS``.
        compile: training and test through ``torch.compile``.
        device: "cpu", "cuda", or "auto" for GPUs if there are any.
        slots: trials that share a GPU, 1 or more; None to try it out.
        cpus_per_trial: or per GPU, 1 or more.
        concurrent: trials at a time, 1 or more; None for as many as fit.
        address: of a Ray cluster, or "local"; None for that which this machine is part of, if any.
        save_every: epochs between checkpoints, 1 or more; None for 5 on CPUs and 20 on GPUs.
        log: names of tools that are told of every epoch, too, such as "tensorboard".
        quiet: print nothing; the run's ``log.txt`` tells all of it.

    Raises:
        UserError: bad input: the sentence names the argument, the rule and what to do.
        StoppedError: the search ended before all trials did, or exported nothing.
        KeyboardInterrupt: Ctrl-C, or SIGTERM.
    """
    given = dict(locals())
    del given["quiet"]
    if threading.current_thread() is not threading.main_thread():
        raise UserError(
            "search.run is called from a thread that Ctrl-C does not reach; call it from the main "
            "one."
        )
    from search.api.begin import begin
    from search.api.planning import chosen_budget
    from search.api.words import again_in_python, request_of, words_of
    from search.report.terminal import console_on

    with arguments_named():
        request = request_of(given)
        budget = chosen_budget(request)
        told = io.StringIO() if quiet else sys.stdout
        console = console_on(told, terminal=told.isatty() and told is sys.__stdout__)
        words, again = words_of(request), again_in_python(request)
        ending = begin(request, budget, console, arguments=words, again=again, owns_process=False)
    if ending.code == EXIT_CODE:
        raise KeyboardInterrupt
    if ending.code:
        raise StoppedError(
            f"{ending.reason.rstrip('.')}. What was computed stays; {again} goes on."
        )
    return Run(Conclusion.of(ending.folder))
