"""What a person reads at the end of a run: whole, and no wider than a terminal."""

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from concluded import (
    CASES,
    RUNS,
    STRATEGIES_TOO,
    TRIALS,
    conclusion_of,
    shown,
    strategies_win,
    text_of,
)
from confirming import PLAIN, drive, new_run, plan_of, steady, train, whole_run
from rich.console import Console
from twin import BENCHMARK, JOINT, OBJECTIVE, attempt

from search.config.objective import Objective
from search.report.benchmark_view import gains_text
from search.report.leaderboard import OTHER_TRAINING, leaderboards, show
from search.report.page.arms import arms_figure
from search.report.tables import LONGEST_NAME
from search.report.verdict_view import export_note
from search.results.adjusted import Adjusted
from search.results.conclusion import Conclusion
from search.session.phases import plan_text
from search.stats.accuracies import Gains
from search.stats.estimate import Estimate
from search.store.trials import Row
from spaces import PostHoc


def twice(row: Row, part: int) -> int:
    """A weighting that two controls stand for is good; a single run of another is lucky."""
    return 60 if row.label in ("inverse", "effective") else 61 if row.label == "#1" else 50


def arm_lines(text: str, arm: str) -> list[str]:
    """Return an arm's rows in the tables; a long name begins a line above."""
    begin = arm if len(arm) <= LONGEST_NAME else arm[: arm.rindex("_", 0, LONGEST_NAME) + 1]
    return [line.rstrip() for line in text.splitlines() if re.match(rf" *{begin} +\d+ ", line)]


@pytest.mark.parametrize("case", CASES)
def test_the_arms_fit_80_columns(place: Path, case: str) -> None:
    found = conclusion_of(place / "run", *CASES[case])
    text = text_of(found)
    assert "…" not in text
    benchmark = found.objective.benchmarks[0]
    held_out, in_halves = benchmark.test_held_out, benchmark.scoring.has_halves
    assert ("half B" in text) == (found.judgement is not None and in_halves and not held_out)
    if not found.judgement:
        return
    tables = len(found.objective.all_benchmarks)
    for arm in found.judgement.plan.arms:
        lines = arm_lines(text, arm)
        assert len(lines) == tables
        assert max(map(len, lines)) <= 80


def test_a_row_has_the_numbers_of_its_arm(place: Path) -> None:
    found = conclusion_of(place / "run", steady, RUNS, OBJECTIVE)
    assert found.judgement is not None
    reached = found.judgement.benchmarks[0].arms["#2"]
    cells = arm_lines(text_of(found), "#2")[0].split()
    assert cells[1] == str(reached.runs)
    assert reached.published_mean is not None
    numbers = (
        reached.seed_42,
        reached.published_mean,
        reached.last,
        reached.last_ten,
        reached.half_b,
    )
    assert cells[-5:] == [f"{number:.2f}" for number in numbers]
    best = found.judgement.verdict.best.accuracy
    assert cells[2:4] == [f"{best.mean:.1f}", f"({best.low:.1f}-{best.high:.1f})"]


@pytest.mark.parametrize("arm", ("mlsbench_balanced_softmax", "median_split_effective"))
def test_a_long_name_cuts_nothing(place: Path, arm: str) -> None:
    def named(row: Row, part: int) -> int:
        return steady(row, part) + 20 * (row.label == arm)

    folder = whole_run(place / "run", named, TRIALS, RUNS, OBJECTIVE, baselines=("uniform", arm))
    assert arm in plan_of(folder).controls
    text = text_of(Conclusion.of(folder))
    assert "…" not in text
    assert max(map(len, arm_lines(text, "#2"))) <= 80


def test_what_is_not_confirmed_says_so(place: Path) -> None:
    found = conclusion_of(place / "run", steady, None, OBJECTIVE)
    assert str(export_note(found)).startswith("not confirmed: it is the best of the search by ")
    text = text_of(found)
    assert "best of the search: #2, p=" in text
    assert "its single run 66.00), not confirmed\n#2: the rarest class weighs " in text
    assert "on the test images of small: balanced accuracy 66.00 %, macro F1 " in text
    assert "\np: steepness; " in text
    assert "Verdict" not in text
    again = f"'python run_search.py confirm {place / 'run'}' trains it and the controls with fresh"
    assert again in " ".join(text.split())


def test_a_test_set_that_is_held_out_is_in_the_verdict_alone(place: Path) -> None:
    text = text_of(conclusion_of(place / "confirmed", *CASES["held out"]))
    assert "Use #2: 8.01 points over uniform on the test images (95 % interval " in text
    assert "Its validation balanced accuracy with a fresh seed is 68." in text
    assert text.count("points better than uniform") == 2, "by validation, and by the test images"
    assert "On small: The test balanced accuracy of #2 with a fresh seed is 53." in text
    assert "small, test balanced accuracy in percent" in text
    assert "#2 on the test images, mean of 3 runs: accuracy 54.00 %, macro F1 " in text
    searched = conclusion_of(place / "searched", *CASES["held out, searched"])
    text = text_of(searched)
    assert "about 67.88 % validation balanced accuracy (" in text
    assert "small: its test images are held out for the verdict (confirm RUN)" in text
    metrics = searched.story()["metrics"]["small"]
    assert metrics["balanced_accuracy"] == searched.incumbent.known.raw_mean  # type: ignore[union-attr]


def test_a_joint_score_is_in_noise_sds(place: Path) -> None:
    found = conclusion_of(place / "run", steady, None, JOINT)
    text = text_of(found)
    assert " noise SDs over uniform (posterior SD of its score " in text
    assert found.story()["posterior_sd"] is None, "the value is a gain, and that SD is no gain's"
    assert " %" not in text.splitlines()[0]


def test_an_unfinished_confirmation_says_so(place: Path) -> None:
    folder = new_run(place / "run", OBJECTIVE)
    search = attempt(folder, PLAIN, TRIALS, confirm=True, runs=RUNS)
    while (trial := search.next_trial()) and trial.row.key != "confirmation-00005":
        train(search, trial, steady)
    found = Conclusion.of(folder)
    assert text_of(found).strip().startswith("So far: Use #2: ")
    assert "Verdict so far after 5 runs with fresh seeds (undecided):" in text_of(found)
    assert str(export_note(found)).startswith("the confirmation has not ended (undecided); ")
    drive(attempt(folder, PLAIN, TRIALS, confirm=True, runs=RUNS), steady)
    found = Conclusion.of(folder)
    text = text_of(found).strip()
    assert re.match(r"Use #2: \d+\.\d\d points over uniform \(95 % interval \+", text)
    assert "Verdict after " in text
    assert export_note(found) is None


def test_every_benchmark_and_the_holdout_are_told_by_name(place: Path) -> None:
    text = text_of(conclusion_of(place / "run", *CASES["holdout"]))
    for name in ("small", "other", "held"):
        assert f"On {name}: " in text
        assert f"{name}, test accuracy in percent" in text
    assert text.index("Held out, and never searched on:") < text.index("On held: ")
    assert text.index("On other: ") < text.index("Held out")


def test_a_holdout_that_is_not_done_says_so(place: Path) -> None:
    objective = CASES["holdout"][2]
    folder = new_run(place / "run", objective)
    search = attempt(folder, PLAIN, TRIALS, objective=objective, confirm=True, runs=RUNS)
    while (trial := search.next_trial()) and trial.row.key != "holdout-00001":
        train(search, trial, steady)
    text = text_of(Conclusion.of(folder))
    assert "not every arm that the verdict needs has a result there" in text
    assert "On held: " not in text


def test_the_leaderboard_is_in_the_order_of_the_estimates_and_shows_both_numbers(
    place: Path,
) -> None:
    """A lucky single run stands below two good ones of another weighting, as in the choice."""
    noisy = Objective((replace(BENCHMARK, noise_sd=5.0),))
    baselines = (*PLAIN.baselines, "effective")
    found = Conclusion.of(whole_run(place / "run", twice, 9, None, noisy, baselines=baselines))
    console = Console(file=io.StringIO(), width=120, highlight=False)
    console.print(*leaderboards(found, 0))
    assert isinstance(console.file, io.StringIO)
    row = r"^ (\S+) +([\d.]+) +([\d.]+) \((\d)\)"
    rows = re.findall(row, console.file.getvalue(), re.MULTILINE)
    assert [(label, mean, n) for label, _, mean, n in rows[:3]] == [
        ("inverse", "60.00", "2"),
        ("effective", "60.00", "2"),
        ("#1", "61.00", "1"),
    ]
    estimates = [float(estimate) for _, estimate, _, _ in rows]
    assert len(estimates) == 9
    assert estimates == sorted(estimates, reverse=True)
    assert found.incumbent is not None
    assert rows[0][1] == f"{found.incumbent.known.mean:.2f}"


def test_show_prints_the_search_and_the_verdict(place: Path) -> None:
    found = conclusion_of(place / "run", steady, RUNS, JOINT)
    console = Console(file=io.StringIO(), width=80, highlight=False, soft_wrap=True)
    show(found, console)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "Verdict after " in text
    assert all(row.label in text for row in found.rows)
    assert found.plan is not None
    assert f"Confirmation: {plan_text(found.plan, found.standings)}." in text
    assert "small: 6 epochs" in text
    assert "other: 4 epochs" in text


def gains(seeds: int, few: float) -> Gains:
    shots = {"many": Estimate(1.0, -1.0, 3.0), "few": Estimate(9.0, few, 18.0 - few)}
    return Gains(seeds, (1.0, 9.0), shots)


def test_a_gain_by_class_frequency_is_told_only_where_it_is_known() -> None:
    text = gains_text(gains(seeds=5, few=2.0))
    assert text == (
        "  Gain over uniform by class frequency, points over 5 common seeds (95 % t interval): "
        "few +9.0 (+2.0 to +16.0); per class in best.json."
    )
    assert gains_text(gains(seeds=5, few=-2.0)) is None
    assert gains_text(gains(seeds=4, few=2.0)) is None


def test_early_stopping_is_told_after_the_verdict_and_only_where_it_stopped_a_trial(
    place: Path,
) -> None:
    found = conclusion_of(place / "run", steady, RUNS, OBJECTIVE)
    assert "arly stopping" not in text_of(found)
    stopping = replace(found.stopping, stopped=2, saved_epochs=6)
    found.__dict__["stopping"] = stopping
    text = text_of(found)
    assert text.index("Verdict after") < text.index("Early stopping ended 2 trials")


def test_more_than_class_weights_is_told_by_half_b_and_in_a_table_of_its_own(place: Path) -> None:
    folder = whole_run(
        place / "run", strategies_win, TRIALS, RUNS, OBJECTIVE, baselines=STRATEGIES_TOO
    )
    found = Conclusion.of(folder)
    text = text_of(found)
    assert re.match(r"\s*Use drw: .* points over uniform on half B of the test images \(95 %", text)
    assert "  drw (scheduled class weights): class weights 1 for .8 of the epochs" in text
    assert "cb_sampling, drw differ from plain training in more than class weights" in text
    assert "Half B comes first, because" in text
    assert "are chosen on half A, but the winner on all of the images" in text
    assert found.judgement is not None
    assert "but the winner on all of the images" in arms_figure(found.judgement).note
    assert found.story()["basis"].endswith("corrected for the choice of the winner, by all images")
    assert text.count("points better than uniform") == 2, "on half B, and by all images"
    tables = shown(folder).split(OTHER_TRAINING)
    assert len(tables) == 2
    weights, others = (
        {line.split()[0] for line in table.splitlines() if re.match(r" +\S+ +\d\d\.\d\d ", line)}
        for table in tables
    )
    assert weights >= {"uniform", "sqrt_inverse", "#0"}
    assert others == {"drw", "cb_sampling"}


def test_arms_are_shown_adjusted_after_training(place: Path) -> None:
    found = conclusion_of(place / "run", *CASES["confirmed"])
    judgement = found.judgement
    assert judgement is not None
    assert "adjusted" not in text_of(found)
    adjusted = Adjusted(PostHoc(adjustment=0.5), 3, 67.0, 66.0, 61.5, Estimate(4.5, 1.0, 8.0))
    (benchmark,) = judgement.benchmarks
    arms = dict.fromkeys(benchmark.arms, adjusted)
    known = replace(judgement, benchmarks=(replace(benchmark, adjusted=arms),))
    text = text_of(replace(found, judgement=known))
    rows = [line for line in text.splitlines() if "adjusted " in line and "66.00" in line]
    assert len(rows) == len(arms)
    assert all("adjustment=0.5" in row and "+4.50 (+1.00 to +8.00)" in row for row in rows)
    assert max(map(len, rows)) <= 80
    assert "not comparable with the class-weight leaderboard" in text
