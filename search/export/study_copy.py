"""Copy of a run's trials as a journal of Optuna, for its dashboard and other tools to open.

It is a copy because such tools may change what they open: a dashboard deletes studies.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.trial import FrozenTrial, TrialState

from search.samplers.registry import distributions
from search.stats.scoring import half_a, half_b
from search.store.manifest import Manifest
from search.store.run_folder import SETTINGS, RunFolder
from search.store.stored_run import parts_of, read_run
from search.store.trials import RecordedTrial, Row
from spaces import SPACES
from spaces.errors import UserError
from trainer.files import is_file, is_there, write_atomic
from trainer.trial import SCALE_FREE_LOSS


class Lines(BaseJournalBackend):
    """A journal in memory."""

    def __init__(self) -> None:
        self.logs: list[dict[str, Any]] = []

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        yield from self.logs[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self.logs += logs


def write_study_copy(folder: RunFolder, path: Path) -> None:
    """Write the trials of a run to ``path``, a journal of one study for each of its phases.

    Raises:
        UserError: the run cannot be read, or the file is not to be written there.
    """
    if is_file(path.parent / SETTINGS):
        raise UserError(f"{path} lies in a run's folder; give --output FILE elsewhere.")
    if is_there(path) and not (is_file(path) and path.read_bytes().startswith(b'{"op_code":')):
        raise UserError(f"{path} exists and is no journal of Optuna; give another --output FILE.")
    run = read_run(folder)
    studies = {
        name: [copied(trial, folder, run.manifest) for trial in trials]
        for name, trials in run.record.trials.items()
    }
    lines = journal_of(studies)
    text = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in lines)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, text.encode())
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}); give --output.") from error


def journal_of(studies: Mapping[str, Sequence[FrozenTrial]]) -> list[dict[str, Any]]:
    """Return what Optuna writes into a journal of studies, by name, with these trials."""
    lines = Lines()
    storage = JournalStorage(lines)
    for name, trials in studies.items():
        study = optuna.create_study(study_name=name, storage=storage, direction="maximize")
        study.add_trials(trials)
    return lines.logs


def copied(trial: RecordedTrial, folder: RunFolder, manifest: Manifest) -> FrozenTrial:
    """Return a trial as Optuna has it, with the parameters that were drawn.

    Raises:
        UserError: they are none of the run's space, or the trial's epochs cannot be read.
    """
    params = trial.drawn.params if trial.drawn else {}
    domains = SPACES[manifest.settings.space].searched(SCALE_FREE_LOSS)
    try:
        return optuna.trial.create_trial(
            state=trial.state,
            value=trial.value if trial.state == TrialState.COMPLETE else None,
            params=params,
            distributions=distributions(domains, params),
            intermediate_values=trial.rungs,
            user_attrs=facts_of(trial, folder, manifest),
        )
    except (KeyError, ValueError) as error:
        raise UserError(
            f"{trial.key} was not drawn from space {manifest.settings.space!r} as it is now "
            f"({error}); use the program that began the run."
        ) from error


def facts_of(trial: RecordedTrial, folder: RunFolder, manifest: Manifest) -> dict[str, Any]:
    """Return what people want to see of a trial beside its parameters and scores."""
    if trial.refused:
        return {"reason": trial.refused}
    row = trial.row()
    known = {
        "name": row.label,
        "weighting": row.strategy.describe(),
        "seed": row.seed,
        "device_hours": row.device_hours,
        "hardware": row.hardware,
        "reason": row.reason,
        "accuracy_half_b": half_b_score(row, folder, manifest),
    }
    return {name: fact for name, fact in known.items() if fact is not None}


def half_b_score(row: Row, folder: RunFolder, manifest: Manifest) -> float | None:
    """Return the score on half B at the best epoch on half A, percent; None before the end.

    Nor is there one of images that do not come in halves. It is that of the first benchmark, or of
    the hold-out.
    """
    if not row.summaries:
        return None
    benchmark = parts_of(manifest.objective, row.study)[0]
    scoring = benchmark.scoring
    if not scoring.has_halves:
        return None
    curve = folder.read_curve(row, 0, benchmark)
    best = curve.at(int(scoring.scores(curve, half_a).argmax()))
    return float(scoring.scores(best, half_b))
