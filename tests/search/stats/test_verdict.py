"""The verdict: who won, by how much, and what cannot be told."""

import json
import re

import numpy as np
import pytest

from search.stats.comparison import SeededRun
from search.stats.estimate import Difference, Estimate, Unit
from search.stats.priors import NoisePrior
from search.stats.sentences import difference_sentence
from search.stats.verdict import Verdict, verdict


def runs_of(means: dict[str, float], seeds: int = 5, noise: float = 0.4) -> list[SeededRun]:
    random = np.random.default_rng(7)
    common = noise * random.standard_normal(seeds)
    return [
        SeededRun(arm, seed, mean + float(common[seed]) + noise * float(random.standard_normal()))
        for arm, mean in means.items()
        for seed in range(seeds)
    ]


CLEAR = {"a": 42.0, "b": 40.5, "c": 40.0, "uniform": 39.0, "inverse": 40.0}
EQUAL = dict.fromkeys(CLEAR, 40.0)


def test_a_clear_winner_stands_alone() -> None:
    found = verdict(runs_of(CLEAR), "uniform", "inverse")
    assert found.winner == "a"
    assert found.best.probability_best > 0.95
    assert found.ties == ()
    assert found.loss < 0.05


def test_the_difference_to_uniform_is_stated_with_its_interval() -> None:
    found = verdict(runs_of(CLEAR), "uniform", "inverse")
    assert found.to_uniform is not None
    assert found.to_uniform.points.low < 3.0 < found.to_uniform.points.high
    assert found.to_uniform.points.low > 0
    assert found.to_uniform.probability > 0.99


def test_equal_arms_end_as_ties() -> None:
    found = verdict(runs_of(EQUAL), "uniform", "inverse")
    assert len(found.ties) >= 3
    assert found.best.probability_best < 0.95


def test_the_winners_accuracy_is_below_its_lucky_mean() -> None:
    found = verdict(runs_of(dict.fromkeys("abcdefgh", 40.0) | {"u": 38.0}, 3), "u", "u")
    assert found.winner != "u"
    assert found.best.accuracy.mean < found.best.raw_mean


def test_the_intervals_of_a_null_world_hold_the_truth_though_the_best_was_picked() -> None:
    covered = 0
    for replay in range(40):
        random = np.random.default_rng([1, replay])
        values = 40 + 0.7 * random.standard_normal((8, 3))
        runs = [SeededRun(f"arm{i}", j, float(values[i, j])) for i in range(8) for j in range(3)]
        best = verdict([*runs, SeededRun("u", 0, 30.0)], "u", "u").best.accuracy
        covered += best.low <= 40 <= best.high
    assert covered >= 36


def test_a_large_common_seed_effect_leaves_the_difference_sharp() -> None:
    shift = {seed: 3.0 * (-1) ** seed for seed in range(5)}
    calm = runs_of(CLEAR)
    loud = [SeededRun(r.arm, r.seed, (r.value or 0) + shift[r.seed]) for r in calm]
    one, other = (verdict(runs, "uniform", "inverse") for runs in (calm, loud))
    assert one.to_uniform is not None
    assert other.to_uniform is not None
    sharp, as_sharp = one.to_uniform.points, other.to_uniform.points
    assert as_sharp.high - as_sharp.low < 1.2 * (sharp.high - sharp.low)
    assert other.best.accuracy.high - other.best.accuracy.low > 2


def test_a_diverged_arm_is_out_and_the_sentences_say_so() -> None:
    runs = [*runs_of(CLEAR), SeededRun("a", 5, None)]
    found = verdict(runs, "uniform", "inverse")
    assert found.winner == "b"
    assert found.out == ("a",)
    assert "a is out: a run of it diverged." in found.sentences()


def test_the_difference_to_a_diverged_control_is_not_stated() -> None:
    found = verdict([*runs_of(CLEAR), SeededRun("uniform", 5, None)], "uniform", "inverse")
    assert found.to_uniform is None
    assert found.to_baseline is not None


def test_a_winning_control_is_said_to_have_won() -> None:
    found = verdict(runs_of(CLEAR | {"inverse": 44.0}), "uniform", "inverse")
    assert found.winner == "inverse"
    assert found.to_baseline is None
    said = found.sentences()[0]
    assert said.startswith("Use inverse: ")
    assert said.endswith("nothing that was searched could be shown to be better than this control.")


def test_sentences_of_a_clear_winner() -> None:
    said = verdict(runs_of(CLEAR), "uniform", "inverse").sentences()
    assert re.fullmatch(
        r"Use a: \d\.\d\d points over uniform \(95 % interval \+\S+ to \+\S+\)\.", said[0]
    )
    assert said[1].startswith("a is the best of 5 weightings with a probability")
    assert "5 seeds" in said[2]
    assert "points better than inverse" in said[3]
    assert len(said) == 4
    assert not any("cannot" in sentence for sentence in said)


def test_sentences_of_equal_arms_say_that_the_data_cannot_tell() -> None:
    said = " ".join(verdict(runs_of(EQUAL), "uniform", "inverse").sentences())
    assert "which may be none: it is better with a probability of " in said
    assert "The data cannot tell which of 5 weightings is the best" in said
    assert "cannot separate" in said


def test_a_control_named_twice_is_compared_with_once() -> None:
    said = verdict(runs_of(CLEAR), "uniform", "uniform").sentences()
    assert sum("uniform" in sentence for sentence in said) == 1


@pytest.mark.parametrize("unit", Unit)
@pytest.mark.parametrize("winner", (None, "b"))
def test_the_verdict_survives_json(unit: Unit, winner: str | None) -> None:
    for means in (CLEAR, EQUAL, CLEAR | {"inverse": 44.0}):
        runs = [*runs_of(means), SeededRun("c", 5, None)]
        found = verdict(runs, "uniform", "inverse", winner, unit=unit)
        assert Verdict.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_the_same_runs_in_another_order_give_the_same_verdict() -> None:
    runs = runs_of(EQUAL)
    assert verdict(runs, "uniform", "inverse") == verdict(runs[::-1], "uniform", "inverse")


def test_a_control_that_never_ran_is_refused() -> None:
    with pytest.raises(ValueError, match="'missing'"):
        verdict(runs_of(CLEAR), "missing", "inverse")


def test_a_given_winner_is_judged_though_another_arm_leads() -> None:
    runs = runs_of(CLEAR)
    chosen, given = (verdict(runs, "uniform", "inverse", winner) for winner in (None, "c"))
    assert (chosen.given, given.given, given.winner) == (False, True, "c")
    assert given.best == next(arm for arm in chosen.arms if arm.name == "c")
    assert given.to_uniform is not None
    assert given.to_uniform.points.mean < chosen.best.accuracy.mean - 39.0
    assert given.ties[0] == "a"
    assert given.loss == pytest.approx(1.7, abs=0.5)


def test_sentences_of_a_given_winner_claim_no_rank() -> None:
    found = verdict(runs_of(CLEAR), "uniform", "inverse", winner="c")
    said = found.sentences("my-images")
    assert said[0].startswith("On my-images: The accuracy of c with a fresh seed is ")
    assert "not corrected" not in said[0]
    assert "than uniform" in said[1]
    assert "than inverse" in said[2]
    assert len(said) == 3
    assert not any(word in " ".join(said) for word in ("lead", "the best", "cannot separate"))
    assert found.sentences()[0] == said[0].removeprefix("On my-images: ")


def test_a_given_control_is_compared_with_the_other_one() -> None:
    found = verdict(runs_of(CLEAR), "uniform", "inverse", winner="uniform")
    assert found.to_uniform is None
    said = found.sentences()
    assert len(said) == 2
    assert "than inverse" in said[1]


def test_a_given_winner_may_be_worse_than_a_control() -> None:
    runs = runs_of(CLEAR | {"inverse": 44.0})
    percent, joint = (
        verdict(runs, "uniform", "inverse", winner="a", unit=unit).sentences() for unit in Unit
    )
    assert any("points worse than inverse (95 % interval -" in sentence for sentence in percent)
    assert any("Its gain over inverse, averaged over the benchmarks, is -" in s for s in joint)
    assert not any("cannot tell" in sentence for sentence in (*percent, *joint))


def test_a_given_winner_that_diverged_or_never_ran_is_refused() -> None:
    runs = [*runs_of(CLEAR), SeededRun("c", 5, None)]
    for name in ("c", "stranger"):
        with pytest.raises(ValueError, match=f"winner: got '{name}'"):
            verdict(runs, "uniform", "inverse", winner=name)


def test_in_noise_sds_gains_are_stated_and_no_accuracy() -> None:
    found = verdict(runs_of(CLEAR), "uniform", "inverse", unit=Unit.NOISE_SDS)
    said = found.sentences()
    assert re.match(r"Use a: \d+\.\d\d noise SDs over uniform \(95 % interval \+", said[0])
    assert said[0].endswith(", mean over the benchmarks).")
    assert said[1].startswith("a is the best of 5 weightings")
    assert said[2].startswith("Its gain over inverse, averaged over the benchmarks, is +")
    assert said[3].startswith("A noise SD is")
    assert not any("points" in s or "accuracy" in s for s in said)


def test_in_noise_sds_doubts_are_in_that_unit_too() -> None:
    said = verdict(runs_of(EQUAL), "uniform", "inverse", unit=Unit.NOISE_SDS).sentences()
    assert "which may be none" in said[0]
    assert any(
        "cannot tell whether it is better than inverse: its gain, averaged over" in s for s in said
    )
    assert any("noise SDs on average against the truly best" in s for s in said)
    assert not any("points" in s or "accuracy" in s for s in said)


def test_the_noise_prior_widens_the_intervals_of_few_runs() -> None:
    runs = runs_of({"a": 41.0, "uniform": 40.0}, seeds=1)
    calm, loud = (verdict(runs, "uniform", "uniform", prior=NoisePrior(sd)) for sd in (0.2, 2.0))
    assert calm.to_uniform is not None
    assert loud.to_uniform is not None
    assert loud.to_uniform.points.low < calm.to_uniform.points.low - 1


@pytest.mark.parametrize("unit", Unit)
@pytest.mark.parametrize("better", ("a", "uniform"))
def test_one_candidate_against_uniform_is_judged(unit: Unit, better: str) -> None:
    runs = runs_of({"a": 40.0, "uniform": 40.0} | {better: 43.0})
    found = verdict(runs, "uniform", "uniform", unit=unit)
    assert (found.winner, found.ties) == (better, ())
    said = " ".join(found.sentences())
    assert f"{better} is the best of 2 weightings" in said
    assert ("nothing that was found" in said) == (better == "uniform")
    assert said.count("95 % interval") == (better == "a") + (unit == Unit.PERCENT)


def test_the_only_weighting_left_is_said_to_be_so() -> None:
    found = verdict([SeededRun("a", 0, 40.0), SeededRun("uniform", 0, None)], "uniform", "uniform")
    assert found.to_uniform is None
    assert found.sentences()[0] == "Use a: it is the only weighting left."
    assert "uniform is out: a run of it diverged." in found.sentences()


@pytest.mark.parametrize(
    ("best", "said"),
    (
        ("a", "Use a: no control is left to compare it with."),
        ("inverse", "Use inverse: no other control is left to compare it with; nothing that was"),
    ),
)
def test_weightings_without_a_control_are_not_called_the_only_one(best: str, said: str) -> None:
    runs = runs_of({"a": 40.0, "b": 38.0, "inverse": 36.0} | {best: 45.0})
    baseline = "inverse" if best == "inverse" else "uniform"
    found = verdict([*runs, SeededRun("uniform", 0, None)], "uniform", baseline)
    assert found.sentences()[0].startswith(said)


PERFECT = [SeededRun(arm, seed, 100.0) for arm in ("#7", "inverse", "uniform") for seed in range(3)]


def test_the_intervals_of_accuracies_near_the_bounds_stay_within_them() -> None:
    random = np.random.default_rng(3)
    near = [
        SeededRun(arm, seed, min(100.0, mean + float(random.normal())))
        for arm, mean in {"uniform": 99.0, "inverse": 99.6, "#7": 100.0, "#8": 0.3}.items()
        for seed in range(3)
    ]
    for runs in (PERFECT, near):
        for arm in verdict(runs, "uniform", "inverse").arms:
            assert 0 <= arm.accuracy.low < arm.accuracy.mean < arm.accuracy.high <= 100


def test_where_all_reached_the_same_uniform_wins_and_nothing_was_found() -> None:
    found = verdict(PERFECT, "uniform", "inverse", order=("uniform", "inverse", "#7"))
    assert [arm.name for arm in found.arms] == ["uniform", "inverse", "#7"]
    assert found.sentences()[0] == (
        "Use uniform: nothing was found, as all 3 weightings reached the same, 100.00 % on average."
    )
    without = [run for run in PERFECT if run.arm != "uniform"]
    assert verdict(without, "inverse", "inverse").winner == "inverse"
    clear = verdict(runs_of(CLEAR), "uniform", "inverse").sentences()
    assert not any("nothing was found" in sentence for sentence in clear)


def test_a_difference_that_rounds_to_nothing_has_no_minus_sign() -> None:
    difference = Difference("uniform", Estimate(-0.001, -0.3, 0.3), 0.5)
    assert "difference is +0.00 points" in difference_sentence(difference, Unit.PERCENT)
