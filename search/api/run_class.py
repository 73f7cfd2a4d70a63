"""Run of a search as Python holds it: it is looked at, confirmed, exported and reported."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from search.api.call import arguments_named, check_thread, console_for, ended_well, path_text
from search.config.request import AnyPath, Device, Names
from search.results.conclusion import Conclusion
from search.results.trial_table import trial_table
from search.stats.verdict import Verdict
from search.store.run_folder import RunFolder
from spaces import Strategy
from spaces.errors import UserError
from spaces.parts.words import number_of
from trainer.user_files import expanded

if TYPE_CHECKING:
    from search.export.export import ExportedPaths

COLUMNS = 100
"""Of the text of a run."""


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

    def __fspath__(self) -> str:
        return str(self.path)

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

    def confirm(
        self,
        confirm_runs: int | None = None,
        *,
        trainable: str | Callable[..., object] | None = None,
        hours: float | None = None,
        holdout: object = None,
        data_root: AnyPath | None = None,
        device: Device | None = None,
        slots: int | None = None,
        cpus_per_trial: int | None = None,
        concurrent: int | None = None,
        address: str | None = None,
        save_every: int | None = None,
        log: Names | None = None,
        quiet: bool = False,
    ) -> Run:
        """Train the best and the controls with fresh seeds, export, and return the run as it is.

        It does what the command ``confirm`` does. Ctrl-C saves every running trial and then raises
        KeyboardInterrupt: the same call goes on. All other arguments are as for ``search.run``;
        what is not given is as it was for the search.

        Args:
            confirm_runs: at most, those of an earlier confirmation included, 9 or more; None for
                those that the search was given, or else half as many as it had trials.
            trainable: of a training of your own, which a run's record alone does not start.
            hours: wall-clock hours of this attempt, above 0; None for no limit.
            address: of a Ray cluster, or "local"; None for that which this machine is part of, if
                any.

        Raises:
            UserError: bad input, or the run has nothing to confirm.
            StoppedError: the confirmation ended before all of its runs did, or exported nothing.
            KeyboardInterrupt: Ctrl-C, or SIGTERM.
        """
        given = {name: value for name, value in locals().items() if value is not None}
        del given["self"], given["quiet"]
        check_thread("Run.confirm")
        from search.api.begin import begin
        from search.api.confirmation import chosen_confirmation
        from search.api.words import confirm_in_python

        with arguments_named():
            request, budget, words = chosen_confirmation(self.conclusion.folder, given)
            told = {name: getattr(request, name) for name in given}
            again, console = confirm_in_python(self.path, told), console_for(quiet)
            ending = begin(
                request, budget, console, arguments=words, again=again, owns_process=False
            )
        return Run(Conclusion.of(ended_well(ending, again)))

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
        where = self.path if folder is None else expanded(path_text("folder", folder))
        return export(where, winner)

    def report(self, path: AnyPath | None = None) -> Path:
        """Write the report, one HTML file, and return where it is.

        Args:
            path: the file; None for ``report.html`` in the run's folder.

        Raises:
            UserError: it cannot be written.
        """
        from search.report.page import write_report

        ours = self.conclusion.folder.report
        file = ours if path is None else expanded(path_text("path", path))
        write_report(self.conclusion, file)
        return file

    def __repr__(self) -> str:
        return f"<Run {str(self.path)!r}, {number_of(len(self.conclusion.rows), 'trial')}>"

    def __str__(self) -> str:
        from search.report.verdict_view import conclusion_view

        console = Console(file=io.StringIO(), width=COLUMNS, highlight=False, force_jupyter=False)
        console.print(conclusion_view(self.conclusion))
        assert isinstance(console.file, io.StringIO)
        return console.file.getvalue().strip("\n")

    def _repr_html_(self) -> str:
        from search.report.page.notebook import notebook_html

        return notebook_html(self.conclusion)


def load(path: AnyPath) -> Run:
    """Return the run in a folder, finished or not, as it is now.

    Args:
        path: run folder, such as "runs/resnet8-digitslt".

    Raises:
        UserError: it is no run, or its files are damaged.
    """
    with arguments_named():
        return Run(Conclusion.of(RunFolder(expanded(path_text("path", path)))))
