"""What a run amounts to: the weighting that it names, its story, and its export."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from concluded import CASES, RUNS, TRIALS, conclusion_of, text_of, uniform_wins
from confirming import PLAIN, WITH_HOLDOUT, new_run, plan_of, steady, whole_run
from twin import BENCHMARK, OBJECTIVE, attempt

from search.cli.commands import main
from search.config.objective import Objective
from search.export.export import export_winner
from search.export.winner import winner_of
from search.report import verdict_view
from search.results.conclusion import Conclusion
from search.store.trials import Row
from spaces import NAMED, Strategy

NOISY = Objective((replace(BENCHMARK, noise_sd=5.0),))
STORY = {
    "metric",
    "value",
    "runs",
    "basis",
    "trial",
    "protocol",
    "benchmarks",
    "verdict",
    "early_stopping",
    "trials",
    "device_hours",
    "search",
    "settings_fingerprint",
    "provenance",
    "resources",
}


def lucky(row: Row, part: int) -> int:
    """One weighting, trained twice as a baseline, is good; a single run of another is lucky."""
    twice = row.label in ("inverse", "effective")
    return 60 if twice else 61 if row.label == "#1" else 50 + row.seed % 3


@pytest.fixture(autouse=True)
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """test_export.py checks modules in a fresh interpreter, which takes seconds."""
    monkeypatch.setattr("search.export.export.verify_export", lambda *_: None)


@pytest.mark.parametrize("case", CASES)
def test_the_story_is_whole_and_json_able(place: Path, case: str) -> None:
    worth, runs, objective = CASES[case]
    found = conclusion_of(place / "run", worth, runs, objective)
    story = json.loads(json.dumps(found.story(), allow_nan=False))
    assert story.keys() >= STORY
    assert story["trial"] == found.winner[0]  # type: ignore[index]
    assert (story["verdict"] is None) == (runs is None)
    assert ("interval_95" in story) == (runs is not None)
    assert [b["name"] for b in story["benchmarks"]] == [b.name for b in objective.benchmarks]
    assert story["trials"] == {"complete": 8, "stopped": 0, "unfinished": 0, "failed": 0}
    assert story["device_hours"] > 0
    assert ("noise SD" in story["metric"]) == objective.joint


@pytest.mark.parametrize("case", CASES)
def test_the_export_is_the_weighting_that_the_run_names(place: Path, case: str) -> None:
    worth, runs, objective = CASES[case]
    found = conclusion_of(place / "run", worth, runs, objective)
    paths = export_winner(found)
    assert paths is not None
    best, written = winner_of(found), json.loads(paths.record.read_text())
    assert best is not None
    assert found.winner is not None
    assert best.strategy == found.winner[1]
    assert best.class_counts == BENCHMARK.counts
    assert written == json.loads(json.dumps(best.to_dict()))
    if found.judgement:
        winner = found.judgement.verdict.winner
        assert best.strategy == plan_of(found.folder).arms[winner]


def test_the_result_is_the_corrected_one_with_its_interval(place: Path) -> None:
    found = conclusion_of(place / "run", steady, RUNS, OBJECTIVE)
    assert found.judgement is not None
    best, story = found.judgement.verdict.best, found.story()
    low, high = story["interval_95"]
    assert low < story["value"] == best.accuracy.mean < high
    assert story["runs"] == best.seeds >= 3
    assert story["trial"] == "#2"


def test_before_a_confirmation_it_names_the_best_posterior_mean(place: Path) -> None:
    twice = (*PLAIN.baselines, "effective")
    found = Conclusion.of(whole_run(place / "run", lucky, 9, None, NOISY, baselines=twice))
    single = max(found.rows, key=lambda row: row.value or 0)
    assert single.label == "#1"
    assert found.winner == ("inverse", Strategy.of(NAMED["inverse"].weighting))
    story = found.story()
    assert [run["value"] for run in story["single_runs"]] == [60, 60]
    assert story["runs"] == 2
    assert 50 < story["value"] < 60
    assert story["posterior_sd"] > 0
    assert "not confirmed" in story["basis"]


def test_confirmed_or_not_uniform_may_be_the_winner_and_it_is_said(place: Path) -> None:
    found = conclusion_of(place / "run", uniform_wins, RUNS, OBJECTIVE)
    assert found.winner == ("uniform", Strategy())
    nothing = "Use uniform: nothing that was found could be shown to be better."
    assert nothing in text_of(found)
    best = winner_of(found)
    assert best is not None
    assert set(best.recipe.weights) == {1.0}


def test_a_run_without_a_full_length_trial_has_nothing_to_export(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = new_run(place / "run", OBJECTIVE)
    search = attempt(folder, PLAIN, TRIALS)
    search.next_trial()
    found = Conclusion.of(folder)
    assert (found.winner, found.incumbent, found.judgement) == (None, None, None)
    assert export_winner(found) is None
    assert "no full-length result yet" in text_of(found)
    assert main(["export", str(folder.path)]) == 2
    assert "run 'run' has no full-length trial to export yet." in capsys.readouterr().err


def test_a_joint_run_judges_every_benchmark_for_the_same_winner(place: Path) -> None:
    found = conclusion_of(place / "run", *CASES["holdout"])
    verdict = found.story()["verdict"]
    winners = [b["verdict"]["winner"] for b in (*verdict["benchmarks"], verdict["holdout"])]
    assert winners == [found.winner[0]] * 3  # type: ignore[index]
    text = text_of(found)
    for name in ("small", "other", "held"):
        assert f"On {name}: " in text
        assert f"{name}, test accuracy in percent" in text
    assert "Held out, and never searched on:" in text


def test_hours_are_summed_over_all_phases(place: Path) -> None:
    found = conclusion_of(place / "run", steady, RUNS, WITH_HOLDOUT)
    epochs = sum(s.epochs for row in found.rows for s in row.summaries)
    assert found.device_hours == pytest.approx(0.5 * epochs / 3600)
    assert found.hours_unit == "CPU worker-hours"
    assert found.saved_hours == 0


def test_epochs_that_early_stopping_saved_are_told_in_hours_if_there_are_enough(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def falling(row: Row, part: int) -> int:
        return 40 - int(row.key[-2:]) if "proposals" in row.key else steady(row, part)

    folder = whole_run(place / "run", falling, 16, None, OBJECTIVE, early_stopping="asha")
    found = Conclusion.of(folder)
    missing = sum(OBJECTIVE.epochs - row.epochs for row in found.rows)
    assert missing > 6
    assert found.saved_hours == pytest.approx(0.5 * missing / 3600)
    assert "CPU worker-hours" not in text_of(found)
    monkeypatch.setattr(verdict_view, "SAVED_HOURS", found.saved_hours)
    assert "CPU worker-hours" in text_of(found)


def test_reading_a_run_changes_nothing(place: Path) -> None:
    folder = whole_run(place / "run", steady, TRIALS, RUNS, WITH_HOLDOUT)
    before = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    Conclusion.of(folder)
    after = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    assert after == before


def test_where_all_trials_are_alike_uniform_is_exported_and_nothing_was_found(place: Path) -> None:
    def same(row: Row, part: int) -> int:
        return 96

    for runs, words in (
        (RUNS, "nothing was found, as all 4 "),
        (None, "nothing was found: all 8 "),
    ):
        found = conclusion_of(place / f"run-{runs}", same, runs, OBJECTIVE)
        assert found.winner == ("uniform", Strategy())
        assert words + "weightings reached the same" in text_of(found)


def test_weights_for_other_counts_neither_write_nor_check_an_export(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a run folder may be read only, and the command takes no seconds."""
    found = conclusion_of(place / "run", steady, RUNS, OBJECTIVE)
    monkeypatch.setattr("search.export.export.verify_export", None)
    before = sorted(found.folder.path.rglob("*"))
    (place / "counts.csv").write_text("class 0;900\nclass 1;12\n")
    run = str(found.folder.path)
    assert main(["export", run, "--counts", str(place / "counts.csv")]) == 0
    captured = capsys.readouterr()
    assert [row["count"] for row in json.loads(captured.out)["classes"]] == [900, 12]
    assert "counts.csv: 2 class counts from 12 to 900\n" in captured.err
    assert sorted(found.folder.path.rglob("*")) == before
