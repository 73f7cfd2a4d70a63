"""What a confirmation shows: verdicts per benchmark, on the hold-out, and half the test set."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from concluded import STRATEGIES_TOO, strategies_win
from confirming import (
    HELD,
    HELD_OUT,
    PLAIN,
    WITH_HOLDOUT,
    Worth,
    drive,
    new_run,
    plan_of,
    rows_of,
    seeds_by_arm,
    steady,
    train,
    whole_run,
)
from twin import JOINT, OBJECTIVE, attempt

from search.config.objective import Objective
from search.results.conclusion import Conclusion
from search.results.judgement import Judgement, judge
from search.stats.estimate import Unit
from search.stats.verdict import Verdict
from search.store.record import Record
from search.store.run_folder import RunFolder
from search.store.trials import CONFIRMATION, HOLDOUT, Row
from trainer.benchmarks.published import PUBLISHED_SEEDS

TRIALS, RUNS = 20, 12


def judged(folder: RunFolder, objective: Objective) -> Judgement | None:
    return judge(folder, objective, plan_of(folder), Record(folder.record).rows())


def judgement_of(path: Path, worth: Worth, objective: Objective, runs: int = RUNS) -> Judgement:
    found = judged(whole_run(path, worth, TRIALS, runs, objective), objective)
    assert found is not None
    return found


def test_the_verdict_is_that_of_the_runs(place: Path) -> None:
    found = judgement_of(place / "run", steady, OBJECTIVE)
    assert found.decided
    assert found.verdict.winner == "#2"
    assert (found.verdict.uniform, found.verdict.baseline) == ("uniform", "sqrt_inverse")
    assert found.verdict.unit == Unit.PERCENT
    assert found.verdict.to_uniform is not None
    assert found.verdict.to_uniform.points.low > 0
    assert {arm.name for arm in found.verdict.arms} == set(found.plan.arms)
    assert found.runs == sum(arm.seeds for arm in found.verdict.arms)


def test_on_one_benchmark_the_verdict_is_not_said_twice(place: Path) -> None:
    (benchmark,) = judgement_of(place / "run", steady, OBJECTIVE).benchmarks
    assert benchmark.verdict is None
    assert benchmark.name == "small"


def test_every_arm_has_what_its_runs_reached(place: Path) -> None:
    folder = whole_run(place / "run", steady, TRIALS, RUNS, OBJECTIVE)
    found = judged(folder, OBJECTIVE)
    assert found is not None
    (benchmark,) = found.benchmarks
    rows = rows_of(folder, CONFIRMATION)
    for label, seeds in seeds_by_arm(rows).items():
        values = [row.value for row in rows if row.label == label]
        reached = benchmark.arms[label]
        assert reached.runs == len(seeds)
        assert reached.best == pytest.approx(sum(values) / len(values))
        assert reached.seed_42 == next(
            row.value for row in rows if row.label == label and row.seed == PUBLISHED_SEEDS[0]
        )
    assert list(benchmark.arms) == found.plan.order


def test_half_b_tells_what_half_a_chose(place: Path) -> None:
    (benchmark,) = judgement_of(place / "run", steady, OBJECTIVE).benchmarks
    assert benchmark.half_split.arm == "#2"
    assert benchmark.half_split.accuracies == benchmark.arms["#2"]
    assert benchmark.half_split.accuracies.half_b < 70


def test_a_test_set_that_is_held_out_judges_what_validation_chose(place: Path) -> None:
    def worse_there(row: Row, part: int) -> int:
        return steady(row, part) - (3 if row.label == "#3" else 0)

    found = judgement_of(place / "run", worse_there, HELD_OUT)
    (benchmark,) = found.benchmarks
    assert benchmark.verdict is found.stated
    assert found.stated.given
    assert (found.verdict.scored, found.stated.scored) == (
        "validation balanced accuracy",
        "test balanced accuracy",
    )
    reached = benchmark.arms[found.verdict.winner]
    assert found.stated.best.raw_mean == pytest.approx(reached.half_b)
    assert found.verdict.best.raw_mean == pytest.approx(reached.half_a)
    assert reached.half_b < reached.half_a - 5
    assert reached.metrics["balanced_accuracy"] == reached.half_b


def test_gains_are_over_uniform_by_class(place: Path) -> None:
    (benchmark,) = judgement_of(place / "run", steady, OBJECTIVE).benchmarks
    assert benchmark.gains is not None
    assert len(benchmark.gains.classes) == 4
    assert benchmark.gains.seeds >= 3
    assert all(gain > 0 for gain in benchmark.gains.classes)


def test_a_winner_that_is_uniform_gains_nothing_over_itself(place: Path) -> None:
    def flat(row: Row, part: int) -> int:
        return 75 if row.label == "uniform" and not row.in_search else steady(row, part)

    found = judgement_of(place / "run", flat, OBJECTIVE)
    assert found.verdict.winner == "uniform"
    assert found.verdict.to_uniform is None
    assert found.benchmarks[0].gains is None


def test_a_judgement_goes_through_json(place: Path) -> None:
    objective = Objective(JOINT.benchmarks, holdout=HELD)
    found = judgement_of(place / "run", steady, objective)
    data = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert Verdict.from_dict(data["verdict"]) == found.verdict
    assert [benchmark["name"] for benchmark in data["benchmarks"]] == ["small", "other"]
    assert data["holdout"]["name"] == "held"
    assert data["plan"] == found.plan.to_dict()
    assert (data["decided"], data["runs"]) == (True, found.runs)


def test_nothing_is_said_before_every_arm_has_a_result(place: Path) -> None:
    folder = new_run(place / "run", OBJECTIVE)
    search = attempt(folder, PLAIN, TRIALS, confirm=True, runs=RUNS)
    while (trial := search.next_trial()) and trial.row.in_search:
        train(search, trial, steady)
    arms = len(plan_of(folder).arms)
    for _ in range(arms):
        assert trial is not None
        assert judged(folder, OBJECTIVE) is None
        train(search, trial, steady)
        trial = search.next_trial()
    found = judged(folder, OBJECTIVE)
    assert found is not None
    assert (found.decided, found.runs) == (False, arms)
    assert found.benchmarks[0].gains is None  # one common seed is no spread


def test_what_an_arm_outside_the_plan_reached_does_not_count(place: Path) -> None:
    folder = whole_run(place / "run", steady, TRIALS, RUNS, OBJECTIVE)
    plan = plan_of(folder)
    left = replace(plan, candidates={k: w for k, w in plan.candidates.items() if k != "#2"})
    found = judge(folder, OBJECTIVE, left, Record(folder.record).rows())
    assert found is not None
    assert found.verdict.winner == "#3"
    assert "#2" not in found.benchmarks[0].arms


def one_way(row: Row, part: int) -> int:
    """#2 gains much on the first benchmark and loses a little on the second."""
    return steady(row, part) - (10 if row.label == "#2" and part == 1 else 0)


def test_a_joint_verdict_is_in_noise_sds_and_stands_beside_one_per_benchmark(place: Path) -> None:
    found = judgement_of(place / "run", one_way, JOINT)
    assert found.verdict.unit == Unit.NOISE_SDS
    assert found.verdict.winner == "#2"
    first, second = (benchmark.verdict for benchmark in found.benchmarks)
    assert first is not None
    assert second is not None
    for said in (first, second):
        assert said.winner == "#2"
        assert said.given
        assert said.unit == Unit.PERCENT
    assert first.to_uniform is not None
    assert second.to_uniform is not None
    assert first.to_uniform.points.mean > 5
    assert second.to_uniform.points.mean < 0
    assert found.benchmarks[1].arms["#2"].best < found.benchmarks[0].arms["#2"].best - 9


def test_a_benchmark_says_nothing_of_a_joint_winner_that_diverged(place: Path) -> None:
    folder = new_run(place / "run", JOINT)
    search = attempt(folder, PLAIN, TRIALS, objective=JOINT, confirm=True, runs=RUNS)
    while trial := search.next_trial():
        if trial.row.study == CONFIRMATION and trial.row.label == "uniform":
            search.fail(trial.row.key, "nan", diverged=True)
        else:
            train(search, trial, one_way)
    found = judged(folder, JOINT)
    assert found is not None
    assert found.verdict.out == ("uniform",)
    folder.begin_attempt({"resources": {}, "device": "cpu"})
    story = Conclusion.of(folder).story()
    assert story["value"] is story["interval_95"] is None, "a gain over uniform"
    assert all(b.verdict is not None and b.verdict.to_uniform is None for b in found.benchmarks)
    assert all(benchmark.gains is None for benchmark in found.benchmarks)
    assert all("uniform" not in benchmark.arms for benchmark in found.benchmarks)


def test_the_holdout_judges_the_winner_that_was_chosen_elsewhere(place: Path) -> None:
    def worse_there(row: Row, part: int) -> int:
        return steady(row, part) - (12 if (row.study, row.label) == (HOLDOUT, "#2") else 0)

    found = judgement_of(place / "run", worse_there, WITH_HOLDOUT)
    assert found.verdict.winner == "#2"
    held = found.holdout
    assert held is not None
    assert held.name == "held"
    assert held.verdict is not None
    assert (held.verdict.winner, held.verdict.given) == ("#2", True)
    assert held.verdict.to_uniform is not None
    assert held.verdict.to_uniform.points.high < 0
    assert {arm.seeds for arm in held.verdict.arms} == {3}
    assert held.arms.keys() == found.plan.arms.keys()
    assert found.benchmarks[0].arms["#2"].best > held.arms["#2"].best


def test_without_a_run_there_the_holdout_is_silent(place: Path) -> None:
    folder = whole_run(place / "run", steady, TRIALS, RUNS, OBJECTIVE)
    found = judged(folder, WITH_HOLDOUT)
    assert found is not None
    assert found.holdout is None


def test_the_holdout_has_no_verdict_before_the_arms_that_it_needs_ran_there(place: Path) -> None:
    folder = new_run(place / "run", WITH_HOLDOUT)
    search = attempt(folder, PLAIN, TRIALS, objective=WITH_HOLDOUT, confirm=True, runs=RUNS)
    while (trial := search.next_trial()) and trial.row.key != "holdout-00001":
        train(search, trial, steady)
    found = judged(folder, WITH_HOLDOUT)
    assert found is not None
    assert found.holdout is not None
    assert list(found.holdout.arms) == ["#2"]
    assert found.holdout.verdict is None
    drive(attempt(folder, PLAIN, TRIALS, objective=WITH_HOLDOUT, confirm=True, runs=RUNS), steady)
    found = judged(folder, WITH_HOLDOUT)
    assert found is not None
    assert found.holdout is not None
    assert found.holdout.verdict is not None


def test_a_run_with_a_judgement_is_read_from_its_folder_alone(place: Path) -> None:
    folder = whole_run(place / "run", steady, TRIALS, RUNS, WITH_HOLDOUT)
    assert Conclusion.of(folder).judgement == judged(folder, WITH_HOLDOUT)


def test_where_more_than_class_weights_is_confirmed_half_b_states_what_the_winner_is_worth(
    place: Path,
) -> None:
    folder = whole_run(
        place / "run", strategies_win, TRIALS, RUNS, OBJECTIVE, baselines=STRATEGIES_TOO
    )
    found = judged(folder, OBJECTIVE)
    assert found is not None
    assert found.plan.other_training == ("cb_sampling", "drw")
    assert found.verdict.winner == "drw"
    assert found.stated is found.half_b
    assert found.half_b.winner == "drw"
    assert found.half_b.given
    assert found.half_b.scored == "test accuracy on half B"
    (benchmark,) = found.benchmarks
    for arm in found.half_b.arms:
        assert arm.raw_mean == pytest.approx(benchmark.arms[arm.name].half_b)
    said = json.loads(json.dumps(found.to_dict()))
    assert said["half_b"]["winner"] == "drw"
    assert Verdict.from_dict(said["verdict"]) == found.verdict
    assert any("best of 4 strategies" in sentence for sentence in found.verdict.sentences())


def test_class_weights_alone_are_judged_as_ever(place: Path) -> None:
    found = judgement_of(place / "run", steady, OBJECTIVE)
    assert found.half_b is None
    assert found.stated is found.verdict
    assert "half_b" not in found.to_dict()
