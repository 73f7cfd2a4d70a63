"""Earlier run as a prior of a search: what is taken from its record, and what it must have."""

from dataclasses import replace
from pathlib import Path

from search.config.settings import Settings
from search.samplers.transfer import expected_of
from search.session.design.run_model import RunModel, run_model
from search.store.facts import PriorRun
from search.store.run_folder import RunFolder
from search.store.stored_run import StoredRun, read_run
from search.store.trials import HOLDOUT, TrialState
from spaces import CLASS_WEIGHTS, SPACES, Strategy
from spaces.errors import UserError

LEAST_RESULTS = 8
"""Full-length results of class weights below which a run tells too little."""


def prior_run(path: Path, settings: Settings) -> PriorRun:
    """Return what an earlier run tells a search with these settings.

    Raises:
        UserError: it is no run, or damaged, or tells nothing that can be used.
    """
    folder = RunFolder(path)
    run = read_run(folder)
    before = run.manifest.settings
    if not SPACES[before.space].class_weights_alone:
        spaces = [name for name, space in SPACES.items() if space.class_weights_alone]
        raise UserError(
            f"run {folder.path.name!r} searched space {before.space!r}, which has more than class "
            f"weights; take a run of space {' or '.join(spaces)}."
        )
    if set(before.benchmarks) & set(settings.benchmarks) and before.seed == settings.seed:
        raise UserError(
            f"run {folder.path.name!r} has the same benchmark and the same --seed "
            f"({settings.seed}), so that the same trainings would count twice; give another --seed."
        )
    return told_by(run, folder.path.name)


def told_by(run: StoredRun, name: str) -> PriorRun:
    """Return what a run of class weights tells of them.

    Raises:
        UserError: it has too few results.
    """
    model, results = model_of_all(run)
    if results < LEAST_RESULTS:
        raise UserError(
            f"run {name!r} has too few full-length results of class weights ({results}); a prior "
            f"needs {LEAST_RESULTS} or more, so let it go on, or take another."
        )
    expected = expected_of(model.model.candidates, model.posterior())
    weightings = tuple(weighting.to_dict() for weighting in expected.weightings)
    return PriorRun(name, results, weightings, expected.means)


def model_of_all(run: StoredRun) -> tuple[RunModel, int]:
    """Return the model of all class weights that a run trained on its benchmarks, whichever sampler
    proposed them, and the number of its full-length results."""
    begun = run.record.begun
    assert begun is not None
    controls = [c for c in begun.controls if Strategy.from_dict(c.weighting).kind == CLASS_WEIGHTS]
    begun = replace(begun, controls=tuple(controls))
    model, results = run_model(run.manifest.settings, begun, run.manifest.objective), 0
    for row in run.record.rows():
        if row.study != HOLDOUT and row.strategy.kind == CLASS_WEIGHTS:
            model.begin(row)
            model.end(row)
            results += row.state == TrialState.COMPLETE
    return model, results
