"""Proposals of the samplers: from which space they come, and what the samplers learn from."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.samplers import GPSampler, RandomSampler
from optuna.trial import FrozenTrial, TrialState
from threadpoolctl import threadpool_info, threadpool_limits
from twin import fast_folder, make_settings

from search.config.objective import BenchmarkObjective, Objective
from search.samplers.registry import OPTUNA_SAMPLERS, STARTUP_TRIALS, default_sampler, draw
from search.session.proposer import Proposer
from search.session.standings import Standings
from search.store.record import Record
from search.store.trials import PROPOSALS
from spaces import SPACES, Choice, Float, check_recipe
from trainer.trial import SCALE_FREE_LOSS

LARGE = ("full", "strategies")
"""Spaces that hold the parameters of all others between them."""
COUNTS = (500, 200, 80, 30, 10)
OBJECTIVE = Objective((BenchmarkObjective("five", 6, COUNTS, (COUNTS, COUNTS)),))
TRIALS = 16
STATIC = [name for name, sampler in OPTUNA_SAMPLERS.items() if not sampler.conditional]


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    with fast_folder() as folder:
        yield folder


@pytest.fixture
def optuna_warnings() -> Iterator[list[str]]:
    """Collects what Optuna's logger warns of; its Python warnings are errors already."""
    messages: list[str] = []
    handler = logging.Handler(logging.WARNING)

    def emit(record: logging.LogRecord) -> None:
        if "greenlet" not in record.getMessage():  # not installed: gp is slower, not worse
            messages.append(record.getMessage())

    handler.emit = emit  # type: ignore[method-assign]
    logger = logging.getLogger("optuna")
    logger.addHandler(handler)
    yield messages
    logger.removeHandler(handler)


def make_proposer(journal: Path, sampler: str, space: str, attempt: int = 1) -> Proposer:
    """Open the record in ``journal``, which is made if there is none."""
    settings = make_settings(sampler=sampler, space=space, baselines=())
    record = Record.reopen(journal) if journal.exists() else Record.create(journal, (), 7)
    return Proposer(record, settings, attempt, Standings(OBJECTIVE))


def ask_and_tell(proposer: Proposer, trials: int) -> list[FrozenTrial]:
    """Ask for trials and end them, a third as stopped early; return them as Optuna has them."""
    record, first = proposer.record, len(proposer.study.get_trials(deepcopy=False))
    for number in range(first, first + trials):
        row = proposer.ask()
        value = float(np.random.default_rng(number).uniform(20, 80))
        record.report(row.key, 5, value - 10)
        end = "stopped" if number % 3 == 1 else "complete"
        if number % 3 != 1:
            record.report(row.key, 20, value)
        record.tell(row.key, end, score=value)
    return proposer.study.get_trials()[first:]


def drawn_in(proposer: Proposer) -> list[Any]:
    """Return what the record has of the proposals."""
    return list(proposer.record.trials[PROPOSALS])


def points(trials: list[FrozenTrial]) -> list[tuple[object, ...]]:
    return [tuple(trial.params.items()) for trial in trials]


@pytest.mark.parametrize("space", LARGE)
@pytest.mark.parametrize("sampler", OPTUNA_SAMPLERS)
def test_proposals_lie_in_the_space_and_pass_the_guards(
    tmp_path: Path, optuna_warnings: list[str], sampler: str, space: str
) -> None:
    proposer = make_proposer(tmp_path / "journal", sampler, space)
    trials = ask_and_tell(proposer, TRIALS)
    rows = proposer.record.rows()
    assert len(rows) == TRIALS
    domains = SPACES[space].searched(SCALE_FREE_LOSS)
    for trial, row in zip(trials, rows, strict=True):
        for domain in domains:
            if domain.name in trial.params:
                domain.check(trial.params[domain.name])
        drawn = [d.name for d in domains if SPACES[space].active(d, trial.params)]
        every = [d.name for d in domains]
        assert list(trial.params) == (drawn if OPTUNA_SAMPLERS[sampler].conditional else every)
        assert row.strategy == SPACES[space].strategy(trial.params)
        check_recipe(row.strategy.recipe(COUNTS))
    assert len(set(points(trials))) == TRIALS
    assert optuna_warnings == []


def modelled(proposer: Proposer) -> set[str]:
    """Return the parameters that the sampler draws from its model, once it has one."""
    sampler, drawn = proposer.study.sampler, []
    if isinstance(sampler, GPSampler):  # slow, and it keeps nothing with its trials
        proposer.study.sampler = RandomSampler(seed=7)
    ask_and_tell(proposer, STARTUP_TRIALS * 2)
    proposer.study.sampler = sampler
    sample = sampler.sample_relative

    def watched(*arguments: object) -> dict[str, object]:
        drawn.append(sample(*arguments))  # type: ignore[arg-type]
        return drawn[-1]

    sampler.sample_relative = watched  # type: ignore[method-assign]
    proposer.ask()
    return set(drawn[0])


@pytest.mark.parametrize("space", LARGE)
@pytest.mark.parametrize("sampler", STATIC)
def test_samplers_of_fixed_spaces_model_all_that_they_can(
    tmp_path: Path, sampler: str, space: str
) -> None:
    kinds = (Float,) if sampler == "cmaes" else (Float, Choice)
    domains = SPACES[space].searched(SCALE_FREE_LOSS)
    proposer = make_proposer(tmp_path / "journal", sampler, space)
    assert modelled(proposer) == {d.name for d in domains if isinstance(d, kinds)}


@pytest.mark.parametrize("space", LARGE)
def test_tpe_models_the_branches_that_it_has_seen(tmp_path: Path, space: str) -> None:
    domains = SPACES[space].searched(SCALE_FREE_LOSS)
    proposer = make_proposer(tmp_path / "journal", "tpe", space)
    found = modelled(proposer)
    assert found == {name for trial in proposer.study.get_trials()[:-1] for name in trial.params}
    assert len(found) > 0.9 * len(domains)


@pytest.mark.parametrize("sampler", OPTUNA_SAMPLERS)
def test_a_later_attempt_repeats_no_point(tmp_path: Path, sampler: str) -> None:
    found = []
    for attempt in (1, 2, 3):
        proposer = make_proposer(tmp_path / "journal", sampler, "core", attempt)
        found += points(ask_and_tell(proposer, 5))
    assert len(set(found)) == 15


@pytest.mark.parametrize("sampler", [name for name, s in OPTUNA_SAMPLERS.items() if s.fresh_seed])
def test_a_later_attempt_draws_other_start_up_points(tmp_path: Path, sampler: str) -> None:
    first, second = (
        points(ask_and_tell(make_proposer(tmp_path / f"{attempt}", sampler, "core", attempt), 5))
        for attempt in (1, 2)
    )
    assert not set(first) & set(second)


def test_the_low_discrepancy_sequence_continues_over_attempts(tmp_path: Path) -> None:
    whole = points(ask_and_tell(make_proposer(tmp_path / "whole", "qmc", "full"), 16))
    parts: list[tuple[object, ...]] = []
    for attempt, trials in enumerate((3, 8, 5), 1):
        proposer = make_proposer(tmp_path / "parts", "qmc", "full", attempt)
        parts += points(ask_and_tell(proposer, trials))
    assert parts == whole


@pytest.mark.parametrize(("sampler", "more"), (("tpe", 4), ("cmaes", 30)))
def test_an_interrupted_draw_moves_no_result_to_the_parameters_of_another(
    tmp_path: Path, sampler: str, more: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: Any) -> None:
        draw(*arguments)
        raise KeyboardInterrupt  # in a notebook, whose study goes on

    journal = tmp_path / "journal"
    proposer = make_proposer(journal, sampler, "core")
    ask_and_tell(proposer, 2)
    with monkeypatch.context() as patched:
        patched.setattr("search.session.proposer.draw", interrupted)
        with pytest.raises(KeyboardInterrupt):
            proposer.ask()
    ask_and_tell(proposer, more)
    assert (sampler == "cmaes") is any(trial.drawn.told for trial in drawn_in(proposer))
    again = make_proposer(journal, sampler, "core", 2)
    proposer.catch_up()
    trials, known = (one.study.get_trials() for one in (proposer, again))
    assert [(t.number, t.params, t.values) for t in trials] == [
        (t.number, t.params, t.values) for t in known
    ]


def test_a_proposal_that_is_running_is_not_proposed_again(tmp_path: Path) -> None:
    for name in OPTUNA_SAMPLERS:
        proposer = make_proposer(tmp_path / name, name, "core")
        ask_and_tell(proposer, STARTUP_TRIALS + (1 if name == "gp" else 6))  # which is slow
        flying = [proposer.ask().strategy for _ in range(4)]
        assert len(set(flying)) == 4, name


def test_the_gaussian_process_asks_on_one_thread_and_gives_the_others_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def threads() -> set[int]:
        return {pool["num_threads"] for pool in threadpool_info()}

    monkeypatch.setattr(GPSampler, "sample_relative", lambda *_: {"threads": threads()})
    with threadpool_limits(2):
        before, sampler = threads(), OPTUNA_SAMPLERS["gp"].make(0)
        assert before == {2}
        study = optuna.create_study(sampler=sampler)
        trial = FrozenTrial(0, TrialState.RUNNING, None, None, None, {}, {}, {}, {}, {}, 0)
        assert sampler.sample_relative(study, trial, {}) == {"threads": {1}}
        assert threads() == before


def test_the_default_sampler_is_tpe_unless_all_is_full_length_and_unconditional() -> None:
    plain = (Float("exponent", 0.0, 1.0),)
    conditional = (Choice("bend", ("none", "split")), Float("nu", 0.1, 1.0, when=("bend", "split")))
    assert default_sampler("none", plain) == "gp"
    assert default_sampler("asha", plain) == "tpe"
    assert default_sampler("none", conditional) == "tpe"


def test_draws_that_the_guards_refuse_are_no_trials(tmp_path: Path) -> None:
    proposer = make_proposer(tmp_path / "journal", "qmc", "core")
    proposer.counts = [(100_000, 1000, 100, 10, 1)]  # steep exponents leave too few samples
    trials = [proposer.ask() for _ in range(TRIALS)]
    for row in trials:
        check_recipe(row.strategy.recipe(proposer.counts[0]))
    refused = [trial.refused for trial in proposer.record.trials[PROPOSALS] if trial.refused]
    assert refused
    assert all("; must be at" in reason for reason in refused)
    assert [row.key for row in proposer.record.rows()] == [row.key for row in trials]
