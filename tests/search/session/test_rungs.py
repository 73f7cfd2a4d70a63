"""Rungs judge trials of one kind against each other, once their strategies no longer change."""

from dataclasses import replace
from pathlib import Path

import pytest
from confirming import drive, whole_run
from twin import OBJECTIVE, STRATEGY, attempt, make_run, make_settings

from search.results.conclusion import Conclusion
from search.session.rungs import judged_rungs
from search.stopping.rules import is_judged
from search.store.record import Record
from search.store.trials import Row
from spaces import CLASS_WEIGHTS, STRATEGIES, Ramp, Sampling, Schedule, Strategy, Weighting

DRW = STRATEGIES["drw"].strategy


@pytest.mark.parametrize(
    ("strategy", "first"),
    (
        (Strategy(), 1),
        (STRATEGY, 1),
        (STRATEGIES["logit_adjusted"].strategy, 1),
        (DRW, 162),
        (Strategy(sampling=Sampling(Weighting(exponent=1), Ramp(0.2, 0.6))), 122),
        (Strategy(weights=Schedule(Weighting(exponent=1), Ramp(0.0, 0.01))), 4),
    ),
)
def test_a_rung_judges_a_trial_after_its_ramps_have_ended(strategy: Strategy, first: int) -> None:
    judged = [epoch for epoch in range(1, 200) if is_judged(strategy, epoch, 200)]
    assert judged == list(range(first, 200))


def falling(row: Row, part: int) -> int:
    return 90 - 3 * row.number - 40 * (row.strategy.kind != CLASS_WEIGHTS)


def test_kinds_are_not_compared_and_deferred_trials_are_not_stopped(place: Path) -> None:
    settings = make_settings(early_stopping="asha", baselines=("uniform", "drw", "cb_sampling"))
    folder = make_run(place / "run", settings)
    search = attempt(folder, settings, 12)
    drive(search, falling)
    rows = {row.label: row for row in Record(folder.record).rows()}
    kinds = {label: row.strategy.kind for label, row in rows.items()}
    rules = search.rungs.rules
    seen = {kind: set.union(*rule.seen.values()) for kind, rule in rules.items()}  # type: ignore[attr-defined]
    assert seen[kinds["cb_sampling"]] == {rows["cb_sampling"].key}
    assert seen[kinds["drw"]] == set()
    assert seen[CLASS_WEIGHTS] == {r.key for r in rows.values() if r.strategy.kind == CLASS_WEIGHTS}
    assert list(rows["drw"].rungs) == list(rows["cb_sampling"].rungs) == [1, 2, 4, 6]
    assert judged_rungs(rows["drw"], OBJECTIVE.epochs) == {6: rows["drw"].value}
    assert attempt(folder, settings, 12).rungs.rules == rules


def test_a_report_on_early_stopping_tells_kinds_apart(place: Path) -> None:
    baselines = ("uniform", "cb_sampling")
    folder = whole_run(
        place / "run", falling, 8, None, OBJECTIVE, early_stopping="asha", baselines=baselines
    )
    report = Conclusion.of(folder).stopping
    kinds = {rung.kind: rung.passed for rung in report.rungs if rung.epoch == 1}
    assert kinds["sampling"] == 1
    assert report.to_dict()["rungs"][0].keys() == {
        *("epoch", "passed", "correlation", "interval", "may_stop", "stopped")
    }
    told = replace(report.rungs[-1], stopped=1).sentence()
    assert told.startswith("Rung at epoch 4 (sampling): ")
