"""Training elsewhere: the trials that are handed out, and the run that holds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from typing import Any

from search.api.planning import chosen_baselines, chosen_settings
from search.api.prior import with_prior
from search.api.words import request_of
from search.config.budget import Budget
from search.config.request import Request
from search.config.settings import Resources
from search.session.opening import open_run
from search.session.plan import Plan
from search.session.search import Search
from search.store.manifest import Manifest, RecordedBenchmark
from search.store.run_folder import RunFolder
from search.store.trials import Row
from spaces import Recipe, Strategy
from spaces.errors import UserError
from trainer.own.training import OwnTraining
from trainer.user_files import expanded


@dataclass(frozen=True, repr=False)
class Trial:
    """A training that is to be run: a strategy on class counts, and a seed.

    Attributes:
        key: its name, unique in its study and safe as a file name, such as "proposals-00003".
        number: its place among the trials of its phase, from 0.
        label: what people are shown: a strategy's name, "#3", or the arm of the confirmation.
        seed: of all that is random in the training, 0 to 2^32 - 1. In the confirmation all arms
            are trained with the same seeds.
        strategy: how it trains.
        counts: training images of each class, (C,).
    """

    key: str
    number: int
    label: str
    seed: int
    strategy: Strategy
    counts: tuple[int, ...]

    @classmethod
    def of(cls, row: Row, counts: tuple[int, ...]) -> Trial:
        """Return the trial of a row of the record."""
        return cls(row.key, row.number, row.label, row.seed, row.strategy, counts)

    def __repr__(self) -> str:
        return f"<Trial {self.key!r}, seed {self.seed}: {self.strategy.describe()}>"

    @property
    def recipe(self) -> Recipe:
        """Numbers of the strategy on the class counts, for more than class weights."""
        return self.strategy.recipe(self.counts)

    @property
    def weights(self) -> tuple[float, ...]:
        """Class weights of the loss, (C,), summing to C."""
        return self.recipe.weights


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
    settings, prior = with_prior(settings, request, folder)
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
        prior=prior,
    )
    folder.create()
    with folder.locked():
        if folder.exists() is not plan.resume:
            raise UserError(
                f"run {folder.path.name!r} was begun or deleted by another process just now; make "
                "the study again."
            )
        manifest = Manifest.of(settings, (RecordedBenchmark.of_own(training),))
        record, attempt = open_run(plan, manifest)
        objective, known = folder.read_manifest().objective, record.plan()
        budget = replace(plan.budget, runs=known.runs if known else None)  # it is as long as before
        yield Search(settings, budget, objective, folder, record, attempt)
