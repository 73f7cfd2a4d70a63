"""What a search knows of its benchmarks: scores, stages, and that all of it survives JSON."""

import json
from dataclasses import replace

import pytest
from confirming import manifest_of
from twin import BENCHMARK, JOINT, OBJECTIVE, OTHER, make_settings

from search.config.objective import BenchmarkObjective, Objective
from search.stats.priors import GUESS, GUESSED_RUNS, KNOWN_RUNS, NOISE_SD, NoisePrior
from search.store.manifest import Manifest
from spaces.validation import checked

THIRD = replace(OTHER, name="third", epochs=7, noise_sd=1.25)


def with_lengths(*epochs: int) -> Objective:
    return Objective(tuple(replace(OTHER, epochs=n) for n in epochs))


def test_on_one_benchmark_the_score_is_the_accuracy() -> None:
    assert OBJECTIVE.score([61.5]) == 61.5
    assert Objective((OTHER,)).score([61.5]) == 61.5


def test_on_several_the_score_is_the_mean_of_accuracies_in_noise_sds() -> None:
    assert JOINT.score([60.0, 44.0]) == pytest.approx((60 / 0.5 + 44 / 2) / 2)
    three = Objective((*JOINT.benchmarks, THIRD))
    assert three.score([60.0, 44.0, 25.0]) == pytest.approx((120 + 22 + 20) / 3)


def test_score_differences_are_the_mean_gain_in_noise_sds() -> None:
    gain = JOINT.score([61.0, 46.0]) - JOINT.score([60.0, 44.0])
    assert gain == pytest.approx((1 / 0.5 + 2 / 2) / 2)


@pytest.mark.parametrize("accuracies", ([60.0], [60.0, 44.0, 25.0]))
def test_a_score_needs_one_accuracy_per_benchmark(accuracies: list[float]) -> None:
    with pytest.raises(ValueError, match="zip"):
        JOINT.score(accuracies)


def test_a_noise_that_is_not_known_counts_as_the_usual_one() -> None:
    unknown = Objective((BENCHMARK, OTHER))
    assert unknown.score([60.0, 44.0]) == pytest.approx((60 / NOISE_SD + 44 / 2) / 2)


def test_the_noise_to_expect_of_a_score() -> None:
    assert OBJECTIVE.noise_prior == GUESS
    assert Objective((OTHER,)).noise_prior == NoisePrior(2.0, KNOWN_RUNS)
    assert JOINT.noise_prior == NoisePrior(1 / 2**0.5, KNOWN_RUNS)
    assert Objective((*JOINT.benchmarks, THIRD)).noise_prior.sd == pytest.approx(3**-0.5)


def test_the_noise_of_a_shortened_training_is_a_guess() -> None:
    short = replace(OTHER, shortened=True)
    assert Objective((short,)).noise_prior == NoisePrior(2.0, GUESSED_RUNS)
    assert Objective((THIRD, short)).noise_prior.runs == GUESSED_RUNS


def test_a_rung_lies_at_the_same_part_of_every_training_rounded_up() -> None:
    assert with_lengths(40, 10, 3).stages((5, 10, 20)) == (
        (5, 2, 1),
        (10, 3, 1),
        (20, 5, 2),
        (40, 10, 3),
    )


def test_a_rung_may_fall_on_the_last_epoch_of_a_short_benchmark() -> None:
    assert with_lengths(6, 1).stages((2,)) == ((2, 1), (6, 1))


def test_a_benchmark_longer_than_the_first_keeps_its_length() -> None:
    assert with_lengths(4, 200).stages((1, 3)) == ((1, 50), (3, 150), (4, 200))


def test_without_rungs_the_only_stage_is_the_whole_trial() -> None:
    assert JOINT.stages(()) == ((6, 4),)
    assert OBJECTIVE.stages(()) == ((6,),)


def test_rungs_on_the_first_benchmark_are_what_they_are() -> None:
    for epochs in range(1, 60):
        objective = with_lengths(epochs, 7)
        rungs = tuple(range(1, epochs))
        assert tuple(stage[0] for stage in objective.stages(rungs)) == (*rungs, epochs)
        reached = [stage[1] for stage in objective.stages(rungs)]
        assert reached == sorted(reached)
        assert 1 <= reached[0] <= reached[-1] == 7


def test_the_holdout_is_the_last_of_all_benchmarks_and_not_searched() -> None:
    held = Objective(OBJECTIVE.benchmarks, holdout=OTHER)
    assert held.all_benchmarks == (BENCHMARK, OTHER)
    assert OBJECTIVE.all_benchmarks == (BENCHMARK,)
    assert not held.joint
    assert JOINT.joint
    assert held.epochs == JOINT.epochs == BENCHMARK.epochs


def test_images_that_choose_are_those_of_both_halves_unless_one_is_held_out() -> None:
    uneven = replace(OTHER, half_counts=((5, 4, 3, 2), (1, 1, 0, 2)))
    assert uneven.selection_counts == (6, 5, 3, 4)
    assert replace(uneven, test_held_out=True).selection_counts == uneven.half_counts[0]


@pytest.mark.parametrize("objective", (BENCHMARK, OTHER), ids=("unknown noise", "known noise"))
def test_facts_go_through_json_and_back(objective: BenchmarkObjective) -> None:
    again = checked(BenchmarkObjective, json.loads(json.dumps(objective.to_dict())))
    assert again == objective
    assert hash(again) == hash(objective)


@pytest.mark.parametrize("holdout", (None, THIRD))
def test_a_manifest_holds_all_facts(holdout: BenchmarkObjective | None) -> None:
    manifest = manifest_of(Objective(JOINT.benchmarks, holdout), make_settings())
    first, second = manifest.benchmarks
    short = replace(second, benchmark=replace(second.benchmark, shortened_from=9))
    again = checked(Manifest, replace(manifest, benchmarks=(first, short)).to_dict())
    searched = (JOINT.benchmarks[0], replace(JOINT.benchmarks[1], shortened=True))
    assert again.objective == Objective(searched, holdout)
