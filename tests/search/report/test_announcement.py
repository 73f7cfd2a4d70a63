"""What a search says of itself before it starts, and at its end."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from confirming import PLAIN, WITH_HOLDOUT, drive, new_run, steady, usual, whole_run
from rich.console import Console
from twin import BENCHMARK, OBJECTIVE, attempt, lines_told, make_plan, make_run, make_settings

from search.config.budget import FEWEST_RUNS, Budget
from search.config.objective import Objective
from search.driver.ending import conclude
from search.report.announcement import announcement, forecast_text, phases_text
from search.results.forecast import Forecast
from search.session.interrupt import Interrupt


def said(
    tmp_path: Path,
    benchmark: str,
    trials: int,
    sampler: str,
    scheduler: str,
    objective: Objective = OBJECTIVE,
    **changes: object,
) -> str:
    settings = make_settings(sampler=sampler, early_stopping=scheduler, **changes)
    folder = make_run(tmp_path / "run", settings)
    search = attempt(folder, settings, trials, objective=objective, confirm=True)
    plan = make_plan(folder, benchmark, Budget(trials, None), settings)
    return "\n".join(announcement(plan, search))


def test_an_ordinary_search_has_no_notes_but_says_what_is_not_searched(tmp_path: Path) -> None:
    text = said(tmp_path, "resnet8-digitslt", 32, "tpe", "asha")
    assert "note:" not in text
    assert "not searched: normalization" in text
    assert "searched: p (steepness), nu (effective number), s (split), h (head); " in text
    assert "control uniform: 1 (plain cross-entropy); all classes weigh the same" in text


@pytest.mark.parametrize(
    ("benchmark", "trials", "sampler", "scheduler", "note"),
    (
        ("vgg16bn-cifar100lt", 32, "tpe", "asha", "note: vgg16bn-cifar100lt is the leaderboard's"),
        ("resnet8-digitslt", 16, "tpe", "asha", "note: 16 trials: too few for a confirmation"),
        ("resnet8-digitslt", 32, "gp", "asha", "note: sampler gp learns nothing from trials"),
    ),
)
def test_what_may_surprise_is_one_note(
    benchmark: str, trials: int, sampler: str, scheduler: str, note: str, tmp_path: Path
) -> None:
    text = said(tmp_path, benchmark, trials, sampler, scheduler)
    assert note in text
    assert text.count("note:") == 1


@pytest.mark.parametrize(("given", "most"), ((None, 48), (12, 12)))
def test_a_search_by_hours_says_how_many_runs_confirm_at_most(given: int | None, most: int) -> None:
    assert phases_text(Budget(None, 5.0, runs=given)).endswith(f"confirms in up to {most} runs")


def test_gp_without_early_stopping_needs_no_note(tmp_path: Path) -> None:
    assert "note:" not in said(tmp_path, "resnet8-digitslt", 32, "gp", "none")


def test_baselines_that_take_all_trials_are_a_note(tmp_path: Path) -> None:
    text = said(tmp_path, "resnet8-digitslt", 4, "tpe", "asha")
    assert "note: the controls take every trial of the search (4)" in text


def test_a_grace_as_long_as_a_trial_is_a_note(tmp_path: Path) -> None:
    text = said(tmp_path, "resnet8-digitslt", 32, "tpe", "asha", grace_epochs=OBJECTIVE.epochs)
    assert (
        f"because --grace-epochs is {OBJECTIVE.epochs} and trials have {OBJECTIVE.epochs} epochs"
        in text
    )


def test_of_trials_of_one_epoch_no_option_that_was_not_given_is_named(tmp_path: Path) -> None:
    short = Objective((replace(BENCHMARK, epochs=1),))
    text = said(tmp_path, "resnet8-digitslt", 32, "tpe", "auto", short, grace_epochs=1)
    note = "note: no trial is stopped early, because trials have 1 epoch; early stopping needs 2 or"
    assert note in text
    assert "--grace-epochs" not in text


def test_a_search_of_controls_alone_says_at_its_end_why_nothing_was_confirmed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.driver.ending.export_winner", lambda _: None)
    folder = new_run(tmp_path / "run", OBJECTIVE)
    budget = Budget(FEWEST_RUNS + 1, None, runs=FEWEST_RUNS)
    search = attempt(folder, PLAIN, budget.trials or 0, confirm=True, runs=FEWEST_RUNS)
    drive(search, usual)
    plan = make_plan(folder, "resnet8-digitslt", budget, PLAIN)
    told = lines_told(search)
    folder.begin_attempt({"resources": {}, "device": "cpu"})
    conclude(plan, search, Interrupt(), Console(file=io.StringIO()))
    assert told[-1].startswith("nothing was confirmed: its search has no full-length ")
    said = "\n".join(announcement(plan, search))
    assert "nothing is left to do: the budget is used up" in said


def test_a_confirmation_that_is_over_names_the_options_that_go_on(tmp_path: Path) -> None:
    folder = whole_run(tmp_path / "run", steady, 20, 12, OBJECTIVE)
    search = attempt(folder, PLAIN, 20, confirm=True, runs=12)
    plan = make_plan(folder, "resnet8-digitslt", Budget(20, None, runs=12), PLAIN)
    known = "\n".join(announcement(plan, search))
    assert "nothing is left to do: the confirmation is decided, or its runs are used up" in known
    assert "more --confirm-runs); --resume with more --trials searches on" in known


def test_a_confirmation_says_what_it_confirms_and_nothing_of_the_search(tmp_path: Path) -> None:
    folder = whole_run(tmp_path / "run", steady, 20, 12, WITH_HOLDOUT)
    budget = Budget(8 + 16, 2.0, runs=16)
    search = attempt(folder, PLAIN, 24, 2.0, WITH_HOLDOUT, confirm=True, runs=16)
    plan = make_plan(folder, "resnet8-digitslt", budget, PLAIN)
    known = "\n".join(announcement(plan, search))
    began = 16 - search.later.confirmation_left(search.rows())
    assert 0 < began < 16
    assert (
        f"at most 16 runs, of which {began} began before, within 2 hours; each weighting has "
        in (known)
    )
    assert "the fresh seeds 42, 123 and 456, then more where it is open which one is " in known
    assert "candidate #2: p=" in known
    assert "control sqrt_inverse: n^(-1/2)" in known
    for word in ("space", "sampler", "searched", "inverse:  1 / n", "search,", "resumed"):
        assert word not in known
    text = " ".join(forecast_text(Forecast((0.2,), 2), plan, search))
    assert f"if all runs are needed ({16 - began} trials x 40 epochs x 0.2 s, 2 at " in text
