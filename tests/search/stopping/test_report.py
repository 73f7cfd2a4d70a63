"""The report on early stopping: what it saved and risked."""

import json
from dataclasses import replace

import numpy as np
import pytest

from search.stopping.report import Observed, StoppingReport, stopping_report

EPOCHS, BEST = 8, 3


def full(key: str, rung: float, final: float, immune: bool = False) -> Observed:
    baseline = key.startswith("baselines")
    return Observed(key, {4: rung}, final, None, immune, baseline)


def report(trials: list[Observed], rule: str = "asha") -> StoppingReport:
    return stopping_report(trials, rule, 4, 2, EPOCHS, BEST, level=0.95)


def a_search() -> list[Observed]:
    """Twenty full-length proposals that keep their order, and ten that were stopped."""
    trials = [full(f"proposals-{n:05d}", 50.0 + n, 60.0 + n) for n in range(20)]
    return trials + [Observed(f"proposals-{n:05d}", {4: 40.0}, None, 4) for n in range(20, 30)]


def test_what_was_saved() -> None:
    found = report(a_search())
    assert found.stopped == 10
    assert found.saved_epochs == 10 * (EPOCHS - 4)
    assert found.saved_share == pytest.approx(40 / (30 * EPOCHS))
    (rung,) = found.rungs
    assert (rung.epoch, rung.passed, rung.stopped, rung.may_stop) == (4, 20, 10, True)
    assert rung.correlation == pytest.approx(1.0)
    assert rung.interval is None


def test_the_interval_of_a_correlation_holds_the_truth_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    truth, covered = 6 / np.pi * np.arcsin(0.7 / 2), []  # Spearman's, of a normal pair
    for _ in range(400):
        values = random.multivariate_normal([0, 0], [[1, 0.7], [0.7, 1]], size=20)
        trials = [full(f"proposals-{n:05d}", *pair) for n, pair in enumerate(values.tolist())]
        interval = report(trials).rungs[0].interval
        assert interval is not None
        covered.append(interval[0] <= truth <= interval[1])
    assert 0.92 <= np.mean(covered) <= 0.98


def test_the_risk_is_seen_in_immune_trials_and_baselines_alone() -> None:
    trials = a_search()
    trials.append(full("proposals-00039", 30.0, 99.0, immune=True))
    trials.append(full("baselines-00000", 31.0, 10.0))
    trials.append(full("proposals-00049", 90.0, 98.0, immune=True))  # would have passed
    trials.append(full("proposals-00050", 30.0, 97.0))  # passed when there was little to beat
    found = report(trials)
    assert (found.spared, found.spared_best) == (2, 1)
    assert found.spared_interval == pytest.approx((0.0126, 0.9874), abs=1e-3)  # Clopper-Pearson
    assert "Of 2 trials" in found.sentences()[1]
    assert "1 ended among the best 3" in found.sentences()[1]


def test_without_a_check_it_says_that_the_risk_is_unknown() -> None:
    found = report(a_search())
    assert (found.spared, found.spared_interval) == (0, None)
    assert "cannot be said" in found.sentences()[1]


def test_a_rung_of_auto_that_has_not_earned_it_would_have_stopped_nobody() -> None:
    few = [full(f"proposals-{n:05d}", 50.0 + n, 60.0 + n, immune=n == 0) for n in range(11)]
    assert report(few, "asha").spared == 1
    unearned = report(few, "auto")
    assert (unearned.spared, unearned.rungs[0].may_stop) == (0, False)
    assert report([*few, full("proposals-00011", 61.0, 71.0)], "auto").spared == 1


def test_the_order_of_the_trials_is_irrelevant() -> None:
    trials = a_search()
    random = np.random.default_rng(0)
    assert report([trials[i] for i in random.permutation(len(trials))]) == report(trials)


@pytest.mark.parametrize("rule", ("asha", "auto", "none"))
@pytest.mark.parametrize("trials", ([], [full("baselines-00000", 1.0, 2.0)], a_search()))
def test_it_can_be_said_and_written_at_any_time(rule: str, trials: list[Observed]) -> None:
    found = report(trials, rule)
    assert json.loads(json.dumps(found.to_dict()))["stopped"] == found.stopped
    assert all(sentence.endswith(".") for sentence in found.sentences())
    assert bool(found.sentences()) == (found.stopped > 0)


def test_only_rungs_that_stopped_a_trial_are_told() -> None:
    found = report(a_search())
    idle = replace(found.rungs[0], epoch=8, stopped=0)
    told = replace(found, rungs=(*found.rungs, idle)).sentences()
    assert [line.split(":")[0] for line in told if "Rung" in line] == ["Rung at epoch 4"]
