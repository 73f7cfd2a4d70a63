"""Training elsewhere: its run is opened, and what is told of a trial becomes a result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

from search.api.planning import chosen_baselines, chosen_settings
from search.api.words import request_of
from search.config.budget import Budget
from search.config.request import Request
from search.config.settings import Resources
from search.session.opening import begin_attempt, open_record
from search.session.plan import Plan
from search.session.search import Search
from search.store.manifest import Manifest, RecordedBenchmark
from search.store.run_folder import RunFolder
from trainer.own.training import OwnTraining
from trainer.user_files import expanded


@contextmanager
def opened(training: OwnTraining, folder: RunFolder, given: Mapping[str, Any]) -> Iterator[Search]:
    """Hold the run of a training elsewhere, which begins or goes on, and yield its search.

    Args:
        training: what is trained.
        folder: of the run.
        given: fields of `Request`; the others have their defaults.

    Raises:
        UserError: bad input, a run with other settings, or one that another process holds.
    """
    defaults = {field.name: field.default for field in fields(Request)}
    ours = {"benchmark": training.name, "early_stopping": "none", "resume": folder.exists()}
    request = request_of(defaults | dict(given) | ours)
    settings = chosen_settings(request, (training,), chosen_baselines(request, folder))
    plan = Plan(
        benchmarks=(training,),
        holdout=None,
        data_root=expanded(request.data_root),
        folder=folder,
        settings=settings,
        budget=Budget(None, None),
        resources=Resources(1, False, None, None, None),
        device="cpu",
        save_every=1,
        resume=request.resume,
        resume_command="",
        arguments=(),
    )
    folder.create()
    with folder.locked():
        record = open_record(plan, Manifest.of(settings, (RecordedBenchmark.of_own(training),)))
        attempt = begin_attempt(plan)
        objective = folder.read_manifest().objective
        yield Search(settings, plan.budget, objective, folder, record, attempt)
