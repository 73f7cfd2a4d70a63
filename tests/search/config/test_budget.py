"""How a budget is split between the search and its confirmation, and which ones are refused."""

import math
from dataclasses import replace

import pytest
from searching import search_parser

from search.api.planning import chosen_budget, long_enough, noise_of
from search.cli.request import options_request
from search.config.budget import (
    CONFIRM_SHARE,
    CONTROLS,
    FEWEST_RUNS,
    FEWEST_TRIALS,
    MOST_CANDIDATES,
    MOST_RUNS,
    Budget,
    candidates_for,
)
from search.config.request import DEFAULT_TRIALS
from search.stats.best_arm import SEEDS_EACH, seeds_for
from search.stats.priors import guessed_noise
from spaces.errors import UserError
from spaces.validation import checked
from trainer.benchmarks import BENCHMARKS
from trainer.own.class_counts import counts_text
from trainer.own.declaration import told_training


def of(*options: str) -> Budget:
    """Return the budget of a command with these options."""
    options_given = search_parser().parse_args(["--benchmark", "any", *options])
    return chosen_budget(options_request(options_given))


@pytest.mark.parametrize(("trials", "runs"), ((26, 0), (27, 9), (64, 21)))
def test_a_third_of_the_trials_confirms(trials: int, runs: int) -> None:
    assert Budget(trials, None).confirm_runs == runs


def test_the_phases_share_all_trials_and_no_more() -> None:
    for trials in range(1, 300):
        budget = Budget(trials, None)
        assert budget.search_trials is not None
        assert budget.search_trials + budget.confirm_runs == trials
        assert budget.search_trials >= 1
        if trials < FEWEST_TRIALS:
            assert budget.confirm_runs == 0
        else:
            assert FEWEST_RUNS <= budget.confirm_runs <= trials * CONFIRM_SHARE + 1e-6
            assert budget.confirm_runs > trials * CONFIRM_SHARE - 1


def test_the_smallest_confirmation_has_a_candidate_and_the_controls() -> None:
    assert candidates_for(FEWEST_RUNS) == 1
    assert FEWEST_RUNS == SEEDS_EACH * (1 + CONTROLS)


def test_every_arm_has_its_first_seeds_within_the_runs() -> None:
    for runs in range(FEWEST_RUNS, 200):
        arms = candidates_for(runs) + CONTROLS
        assert arms * SEEDS_EACH <= runs
        fuller = (arms + 1) * SEEDS_EACH > runs
        assert fuller or candidates_for(runs) == MOST_CANDIDATES


def test_there_is_always_a_candidate_and_never_too_many() -> None:
    assert candidates_for(1) == 1
    assert candidates_for(10_000) == MOST_CANDIDATES


def test_the_runs_can_be_given() -> None:
    budget = Budget(60, None, runs=12)
    assert (budget.search_trials, budget.confirm_runs) == (48, 12)
    assert Budget(20, None, runs=12).search_trials == 8  # below what the rule asks for


def test_a_block_takes_what_it_needs_and_confirms_one_weighting() -> None:
    budget = Budget(64, None, block=3)
    assert (budget.search_trials, budget.confirm_runs, budget.candidates) == (55, 9, 1)
    assert Budget(64, None, block=5).search_trials == 49
    assert (Budget(18, None, block=3).search_trials, budget.fewest_trials) == (9, 18)
    assert Budget(17, None, block=3).search_trials == 17


def test_the_knowledge_gradient_confirms_with_a_block_unless_runs_are_given() -> None:
    words = ("--sampler", "knowledge-gradient")
    assert of(*words).block == SEEDS_EACH
    assert of(*words, "--confirm-runs", "12").block is None
    assert of(*words, "--hours", "2").block is None
    assert of().block is None


def test_an_interval_keeps_the_runs_that_it_takes() -> None:
    benchmark = replace(BENCHMARKS["resnet32-cifar100lt"], noise_sd=None)  # a guess: .7
    asked = of("--sampler", "knowledge-gradient", "--interval", "0.8")
    assert long_enough(asked, (benchmark,)).confirm_runs == 3 * seeds_for(0.8, 0.7) == 18
    assert long_enough(of(), (benchmark,)) == of()
    worst = replace(benchmark, metric="worst_class")  # of a hundred classes
    with pytest.raises(UserError, match=r"two runs of one weighting differ by 10 \(SD\)"):
        long_enough(asked, (worst,))
    counts = {"train": [500, 20], "test": [90, 10]}
    own = told_training("mine", counts_text(counts))
    assert noise_of(own) == guessed_noise("balanced_accuracy", counts["test"]) > 1
    narrow = of("--sampler", "knowledge-gradient", "--interval", "0.2")
    with pytest.raises(UserError, match=r"--interval is 0.2, for which 285 runs .* least 570"):
        long_enough(narrow, (benchmark,))


@pytest.mark.parametrize(
    "words",
    (
        (),
        ("--sampler", "tpe"),
        ("--sampler", "knowledge-gradient", "--no-confirm"),
        ("--sampler", "knowledge-gradient", "--confirm-runs", "12"),
        ("--sampler", "knowledge-gradient", "--hours", "2"),
    ),
)
def test_an_interval_without_a_block_is_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(UserError, match=r"--interval is 0\.5, which is for --sampler"):
        of("--interval", "0.5", *words)


def test_without_a_confirmation_all_is_search() -> None:
    budget = Budget(64, 3.0, confirm=False)
    assert (budget.search_trials, budget.confirm_runs, budget.search_share) == (64, 0, 1.0)


@pytest.mark.parametrize("limits", ({"hours": 2.0}, {"hours": None, "gpu_hours": 5.0}))
def test_without_a_limit_in_trials_time_is_split(limits: dict[str, float]) -> None:
    budget = Budget(None, **limits)
    assert budget.search_trials is None
    assert budget.confirm_runs == MOST_RUNS
    assert budget.search_share == pytest.approx(1 - CONFIRM_SHARE)
    assert candidates_for(MOST_RUNS) == MOST_CANDIDATES


def test_time_is_not_split_where_the_trials_are_too_few_to_confirm() -> None:
    assert Budget(FEWEST_TRIALS - 1, 2.0).search_share == 1.0
    assert Budget(FEWEST_TRIALS, 2.0).search_share == pytest.approx(1 - CONFIRM_SHARE)


def test_the_limits_in_words() -> None:
    assert Budget(64, 1.5, 8.0).describe() == "64 trials or 1.5 hours or 8 GPU-hours"
    assert Budget(None, 0.25).describe() == "0.25 hours"


def test_the_command_line_has_a_default_only_where_nothing_limits() -> None:
    assert of() == Budget(DEFAULT_TRIALS, None)
    assert of("--confirm-runs", "12") == Budget(DEFAULT_TRIALS, None, runs=12)
    assert of("--hours", "2") == Budget(None, 2.0)
    assert of("--gpu-hours", "2") == Budget(None, None, 2.0)
    assert of("--trials", "30", "--hours", "2") == Budget(30, 2.0)
    assert of("--no-confirm") == Budget(DEFAULT_TRIALS, None, confirm=False)
    assert DEFAULT_TRIALS >= FEWEST_TRIALS


@pytest.mark.parametrize(
    ("fields", "sentence"),
    (
        ({"trials": 0}, "trials is 0; it must be at least 1"),
        ({"trials": -3}, "trials is -3; it must be at least 1"),
        ({"trials": 10**9 + 1}, "trials is 1000000001; it must be at most 1000000000"),
        ({"hours": 0.0}, "hours is 0.0; it must be above 0.0"),
        ({"hours": math.nan}, "hours is nan; it must be a finite number"),
        ({"hours": 1e308}, "hours is 1e+308; it must be at most 1000000.0"),
        ({"gpu_hours": -1.0}, "gpu_hours is -1.0; it must be above 0.0"),
        ({"gpu_hours": math.inf}, "gpu_hours is inf; it must be a finite number"),
        ({"gpu_hours": 1e308}, "gpu_hours is 1e+308; it must be at most 1000000.0"),
        (
            {"runs": FEWEST_RUNS - 1},
            f"runs is {FEWEST_RUNS - 1}; it must be at least {FEWEST_RUNS}",
        ),
        ({"runs": 10**6 + 1}, "runs is 1000001; it must be at most 1000000"),
        ({"interval": 1e-300}, "interval is 1e-300; it must be at least 0.001"),
        ({"interval": 2e6}, "interval is 2000000.0; it must be at most 1000000.0"),
        (
            {"trials": 12, "runs": 12},
            "trials is 12, and the runs of the confirmation take 12 of them, which leaves none to "
            "the search; give at least 13",
        ),
    ),
)
def test_a_budget_out_of_range_is_refused(fields: dict[str, float], sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        checked(Budget, {"trials": None, "hours": None} | fields)
    assert str(caught.value) == sentence


def test_runs_of_no_confirmation_are_refused() -> None:
    with pytest.raises(UserError) as caught:
        of("--no-confirm", "--confirm-runs", "12")
    assert str(caught.value) == (
        "--confirm-runs is given with --no-confirm; leave one of them out."
    )


def test_the_bounds_themselves_are_allowed() -> None:
    tiny = {"trials": 1, "hours": 1e-9, "gpu_hours": 1e-9}
    assert checked(Budget, tiny) == Budget(1, 1e-9, 1e-9)
    fewest = {"trials": FEWEST_RUNS + 1, "hours": None, "runs": FEWEST_RUNS}
    assert checked(Budget, fewest).search_trials == 1
