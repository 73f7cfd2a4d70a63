"""Journal of an earlier version, study.journal: its record of a run, as the facts of record.jsonl.

It was a journal of Optuna's, which is read here and never written.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial

from search.store.files.jsonl import checksummed
from search.store.manifest import read_manifest
from search.store.trials import (
    BASELINES,
    CONFIRMATION,
    ENDS,
    HOLDOUT,
    PROPOSALS,
    TrialState,
    trial_key,
)
from spaces.errors import UserError
from trainer.files import is_file, write_atomic
from trainer.results import present_names

JOURNAL = "study.journal"
"""The record of a run that an earlier version began."""
NOT_A_RECORD = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    RuntimeError,
)
"""What Optuna raises on lines that it did not write, and on a study that is not there."""


def carry_over(path: Path) -> None:
    """Make the record of a run that an earlier version began, for this one to continue it.

    Raises:
        UserError: there is nothing to make it of, or its sampler's state cannot be made again.
    """
    journal = path.with_name(JOURNAL)
    if not is_file(journal):
        raise UserError(f"{path} is missing; restore it, or search under another --name.")
    if read_manifest(path.with_name("settings.json")).settings.sampler == "cmaes":
        raise UserError(
            f"{path.parent.name} was begun by an earlier version with sampler cmaes, whose state "
            "this one does not read; search under another --name."
        )
    write_atomic(path, b"".join(line + b"\n" for line in earlier_lines(journal)))


def earlier_lines(journal: Path) -> list[bytes]:
    """Return ``earlier_facts`` of the run of a journal as lines of a record, without newlines.

    Raises:
        UserError: the journal is not the record of a search.
    """
    seed = read_manifest(journal.with_name("settings.json")).settings.seed
    try:
        facts = earlier_facts(journal, seed)
        return [checksummed(number, *fact)[:-1] for number, fact in enumerate(facts)]
    except (OSError, *NOT_A_RECORD) as error:
        raise UserError(
            f"{journal} cannot be read as the record of a search ({error!r}); restore it, or "
            "search under another --name."
        ) from error


def earlier_facts(journal: Path, seed: int) -> list[tuple[str, dict[str, Any]]]:
    """Return the kinds and contents of the facts in the study.journal of an earlier version.

    What CMA-ES kept in it is left out, for these were pickles. ``seed`` is the run's.
    """
    storage = JournalStorage(JournalFileBackend(str(journal)))
    names = (BASELINES, PROPOSALS, CONFIRMATION, HOLDOUT)
    studies = {name: optuna.load_study(study_name=name, storage=storage) for name in names}
    trials = [(name, t) for name, study in studies.items() for t in study.get_trials(False)]
    controls = [
        {"name": t.user_attrs["name"], "weighting": json.loads(t.user_attrs["weighting"])}
        for name, t in trials
        if name == BASELINES
    ]
    begun = [(name, t) for name, t in trials if t.state != TrialState.WAITING]
    ended = [(n, t) for n, t in begun if t.state.is_finished() and "seed" in t.user_attrs]
    ended.sort(key=lambda found: (str(found[1].datetime_complete), found[1].number))
    facts = [
        ("begun", {"seed": seed, "controls": controls}),
        *(asked_before(*found) for found in begun),
        *(rung for found in begun for rung in rungs_before(*found)),
        *(ended_before(*found) for found in ended),
    ]
    of_study = storage.get_study_system_attrs(storage.get_study_id_from_name(PROPOSALS))
    position = {name: n for name, n in of_study.items() if name.startswith("qmc:")}
    if position:
        drawn = [content["drawn"] for _, content in facts if "drawn" in content]
        drawn[-1]["study"] = position
    plan = studies[CONFIRMATION].user_attrs.get("plan")
    return [*facts, ("plan", json.loads(plan))] if plan else facts


def asked_before(study: str, trial: FrozenTrial) -> tuple[str, dict[str, Any]]:
    """Return the fact that a trial was asked for, or that its draw was refused."""
    known = trial.user_attrs
    attrs = {k: v for k, v in trial.system_attrs.items() if isinstance(v, str | int | float)}
    attrs = {k: v for k, v in attrs.items() if not k.startswith("cma:")}
    drawn = {"drawn": {"params": trial.params, "attrs": attrs}} if study == PROPOSALS else {}
    key = {"trial": trial_key(study, trial.number)}
    if "seed" not in known:
        return "refused", key | {"reason": known.get("reason", "never started")} | drawn
    rest = {name: known[name] for name in ("name", "seed_index") if name in known}
    weighting = {"weighting": json.loads(known["weighting"]), "seed": known["seed"]}
    return "asked", key | weighting | rest | drawn


def rungs_before(study: str, trial: FrozenTrial) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the facts that a trial reached rungs."""
    if "seed" in trial.user_attrs:
        stop = trial.user_attrs.get("stop_epoch")
        scores: dict[int, float | None] = dict(trial.intermediate_values)
        if stop is not None:
            scores.setdefault(stop, None)
        for epoch, score in scores.items():
            rung = {"trial": trial_key(study, trial.number), "epoch": epoch, "score": score}
            yield "rung", rung | {"stop": stop == epoch}


def ended_before(study: str, trial: FrozenTrial) -> tuple[str, dict[str, Any]]:
    """Return the fact that a trial has ended."""
    known = trial.user_attrs
    words = {state: word for word, state in ENDS.items()}
    names = ("reason", "diverged", "hardware", "device_hours")
    rest = {name: known[name] for name in names if known.get(name) is not None}
    summaries = [present_names(row) for row in json.loads(known.get("summaries", "[]"))]
    end = {"trial": trial_key(study, trial.number), "state": words[trial.state]}
    return "ended", end | {"score": trial.value, "summaries": summaries} | rest
