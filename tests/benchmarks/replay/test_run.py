"""Replayed searches: that they spend, stop, choose and repeat as they should."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
from replaying import COUNTS, EPOCHS, faithful, made_table, made_world, misleading

from benchmarks.replay import __main__ as replay
from benchmarks.replay.arms import (
    BLOCK,
    CONFIRMATIONS,
    POSTERIOR,
    RAY,
    SINGLE,
    Arm,
    Method,
    chosen,
    grid,
    methods,
)
from benchmarks.replay.choosing import Confirmed, Pool, best_single_run, full_length
from benchmarks.replay.full_length import oracle as oracles
from benchmarks.replay.full_length.oracle import ORACLE
from benchmarks.replay.run import Setting, repetition, searcher_of
from benchmarks.replay.searchers import Pooled
from benchmarks.replay.simulation import History, Simulation
from benchmarks.replay.surrogate import Surrogate
from benchmarks.replay.synthetic import (
    AVERAGE,
    SPREAD,
    SURFACES,
    SYNTHETIC,
    design_shares,
    made_up,
    synthetic_replicates,
)
from benchmarks.replay.world import World
from search.samplers.registry import KNOWLEDGE_GRADIENT
from search.stats.priors import NoisePrior
from search.stopping.rules import rank_correlation
from spaces import NAMED

RANDOM, TPE, SHARES = Method("random"), Method("tpe"), Method(KNOWLEDGE_GRADIENT)
SEEDS = (0, 0)


@pytest.fixture(scope="module")
def noisy() -> World:
    return made_world(made_table(noise=0.7))


@pytest.fixture(scope="module")
def exact() -> World:
    return made_world(made_table())


@pytest.fixture(scope="module")
def deceptive() -> World:
    return made_world(made_table(noise=0.05, curve=misleading))


def searched(method: Method, world: World, trials: int = 32, workers: int = 4) -> History:
    simulation = Simulation(searcher_of(method, world, SEEDS), world, method.sampler != RAY, SEEDS)
    return simulation.run(workers, trials * world.epochs)


@pytest.mark.parametrize("workers", (1, 3, 1000))
@pytest.mark.parametrize("method", (RANDOM, Method("random", "asha"), Method(RAY, RAY)))
def test_the_budget_is_spent_but_for_less_than_a_trial(
    noisy: World, method: Method, workers: int
) -> None:
    history = searched(method, noisy, workers=workers)
    assert 31 * EPOCHS < history.epochs <= 32 * EPOCHS
    assert history.time * workers >= history.epochs
    assert len(history.trials) > 32 if method != RANDOM else len(history.trials) == 32


def test_early_stopping_is_told_by_its_epochs(noisy: World) -> None:
    history = searched(Method("random", "asha"), noisy, workers=1)
    stopped = [trial for trial in history.trials if trial.stopped]
    assert stopped
    assert history.epochs == history.time == history.trials[-1].spent
    assert len(full_length(history)) == len(history.trials) - len(stopped)


def test_the_baselines_come_first_and_are_never_stopped(noisy: World) -> None:
    history = searched(Method("tpe", "asha", factor=4), noisy)
    first = {t.key: t for t in history.trials if t.key.startswith("baselines")}
    assert len(first) == len(noisy.controls)
    assert first.keys() == {trial.key for trial in history.trials[: len(first)]}
    assert not any(trial.stopped for trial in first.values())
    assert not any(t.key.startswith("baselines") for t in searched(Method(RAY, RAY), noisy).trials)


def test_immune_proposals_of_auto_are_never_stopped() -> None:
    world = made_world(made_table(noise=0.1))
    history = searched(Method("random", "auto"), world, trials=64)
    immune = [t for t in history.trials if t.key.startswith("prop") and t.key.endswith("9")]
    assert any(trial.stopped for trial in history.trials)
    assert len(immune) > 5
    assert not any(trial.stopped for trial in immune)


def test_without_noise_the_best_of_what_was_tried_is_chosen(exact: World) -> None:
    history = searched(RANDOM, exact)
    best = max(trial.candidate.truth for trial in history.trials)
    pool = Pool(full_length(history), exact)
    assert pool.posterior_mean().truth == pytest.approx(best, abs=0.1)
    assert best_single_run(history.trials).truth == pytest.approx(best, abs=0.1)
    assert Confirmed(20, 3, 4).choice(pool, exact, SEEDS).truth == pytest.approx(best, abs=0.1)


@pytest.mark.parametrize(("noise_sd", "runs"), ((1e-3, 15), (30.0, 40)))
def test_a_confirmation_decides_by_the_noise_that_its_benchmark_states(
    exact: World, noise_sd: float, runs: int
) -> None:
    told = copy.copy(exact)
    told.noise = NoisePrior(noise_sd, 100)
    pool = Pool(full_length(searched(RANDOM, exact)), told)
    assert len(Confirmed(40, 3, 1).fresh_runs(pool, told, SEEDS).runs) == runs


def test_a_misleading_rung_hurts_asha_and_earns_no_right_under_auto(deceptive: World) -> None:
    regret = {}
    for name in ("none", "asha", "auto"):
        arm = Arm(Method("random", name), POSTERIOR)
        found = [repetition(deceptive, [arm], Setting(32, 4, 0), n)[arm.label] for n in range(4)]
        regret[name] = np.mean([row.regret for row in found])
        if name == "asha":
            assert np.mean([row.best_stopped for row in found]) > 0.5
    assert regret["asha"] > regret["none"] + 0.1
    assert regret["auto"] == regret["none"]


def test_faithful_rungs_buy_more_trials(noisy: World) -> None:
    world = made_world(made_table(noise=0.05, curve=faithful))
    tried = {n: len(searched(Method("random", n), world).trials) for n in ("none", "asha", "auto")}
    assert tried["none"] < tried["auto"] < tried["asha"]


def test_plain_ray_tune_names_the_highest_report_and_believes_stopped_trials(noisy: World) -> None:
    history = searched(Method(RAY, RAY), noisy)
    assert any(trial.stopped for trial in history.trials)
    assert full_length(history) == history.trials
    assert best_single_run(history.trials).reported == max(t.value for t in history.trials)
    simulation = Simulation(searcher_of(Method(RAY, RAY), noisy, SEEDS), noisy, False, SEEDS)
    simulation.run(4, 20 * EPOCHS)
    told = simulation.searcher.search._ot_study.trials  # type: ignore[attr-defined]
    assert {trial.state.name for trial in told} == {"COMPLETE"}


def test_a_pooled_study_shows_the_posterior_mean_of_replicates(noisy: World) -> None:
    searcher = searcher_of(Method("random", pooled=True), noisy, SEEDS)
    study, pooled = searcher.study, searcher.study._storage  # type: ignore[attr-defined]
    assert isinstance(pooled, Pooled)
    weightings = [NAMED[name].weighting.weights(COUNTS) for name in ("uniform", "inverse")]
    for value, weights in ((60.0, weightings[0]), (62.0, weightings[0]), (50.0, weightings[1])):
        key, _ = searcher.ask()
        searcher.starts(key, weights)
        searcher.complete(key, value)
    shown = [trial.value for trial in study.get_trials()]
    assert shown[0] == shown[1]
    assert 60 < shown[0] < 62
    assert shown[2] > 50
    assert [pooled.get_trial(n).value for n in range(3)] == [60.0, 62.0, 50.0]


def test_arms_meet_the_same_noise(noisy: World) -> None:
    one, other = noisy.controls["uniform"], noisy.controls["sqrt_inverse"]
    for n in (0, 7):
        noise = [noisy.search_run(c, SEEDS, n) - c.curve for c in (one, other)]
        assert noise[0] == pytest.approx(noise[1])
    seeds = made_world(made_table(noise=0.01, seed_effects=(-1.0, 0.0, 1.0)))
    runs = [seeds.confirmation_run(one, SEEDS, arm, 0) for arm in range(5)]
    assert np.std(runs) < 0.2
    assert seeds.confirmation_run(one, SEEDS, 0, 1) != pytest.approx(runs[0], abs=0.05)


@pytest.mark.parametrize("pick", CONFIRMATIONS)
def test_search_and_confirmation_share_the_budget(noisy: World, pick: object) -> None:
    arm = Arm(RANDOM, pick)  # type: ignore[arg-type]
    found = repetition(noisy, [arm], Setting(64, 4, 0), 0)[arm.label]
    assert found.runs > 0
    assert found.epochs == (found.trials + found.runs) * EPOCHS <= 64 * EPOCHS
    assert found.regret == pytest.approx(noisy.best - found.true)
    assert found.curve[-1] == found.regret


def test_a_repetition_repeats_itself_and_no_other(noisy: World) -> None:
    arms = [
        *(Arm(TPE, SINGLE), Arm(Method("tpe", "auto"), POSTERIOR), Arm(Method(RAY, RAY), SINGLE)),
        Arm(SHARES, BLOCK),
    ]
    setting = Setting(14, 4, 0)
    assert repetition(noisy, arms, setting, 0) == repetition(noisy, arms, setting, 0)
    assert repetition(noisy, arms, setting, 0) != repetition(noisy, arms, setting, 1)


def test_knowledge_gradient_spends_the_budget_and_states_its_lead(noisy: World) -> None:
    knowing = Method(KNOWLEDGE_GRADIENT, start=ORACLE)
    methods_, picks = (SHARES, SHARES, knowing, RANDOM), (POSTERIOR, BLOCK, BLOCK, POSTERIOR)
    arms = [Arm(method, pick) for method, pick in zip(methods_, picks, strict=True)]
    found = [repetition(noisy, arms, Setting(24, 4, 0), n) for n in range(4)]
    model, block, oracle, drawn = ([row[arm.label] for row in found] for arm in arms)
    assert {(row.trials, row.runs) for row in block} == {(15, 9)}
    assert {row.epochs for row in (*model, *block, *oracle)} == {24 * EPOCHS}
    assert np.mean([row.regret for row in oracle]) < np.mean([row.regret for row in block]) + 0.1
    assert np.mean([row.regret for row in block]) < np.mean([row.regret for row in drawn]) + 0.2
    assert all(row.covered in (0, 1) and abs(row.lead_bias) < 3 for row in block)
    assert np.isnan([row.covered for row in drawn]).all()


@pytest.mark.parametrize("kind", SURFACES)
def test_an_oracle_knows_mean_and_covariance_of_what_its_world_draws(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(oracles, "DRAWS", 60)
    shares = design_shares()
    mean, covariance = oracles.moments(kind, shares[:40].tobytes(), (40, shares.shape[1]))
    worlds = [made_up(kind, shares, seed).finals(shares[:40]) for seed in range(60)]
    away = np.mean(worlds, axis=0) - AVERAGE[-1] - mean
    assert np.abs(away).mean() < 0.2
    spread = np.sqrt(np.diag(covariance)).mean() / np.std(worlds, axis=0).mean()
    assert 0.8 < spread < 1.25


def test_an_oracle_of_a_table_knows_how_its_surrogate_varies() -> None:
    surrogate = Surrogate(synthetic_replicates(0.2, design_shares(), 0))
    shares = design_shares()[:5]
    sds = np.sqrt(np.diag(surrogate.final_covariance(shares)))
    assert 0.3 * SPREAD < sds.min() <= sds.max() < 4 * SPREAD


def test_labels_tell_the_arms_apart_and_patterns_find_them() -> None:
    labels = [arm.label for arm in grid()]
    assert len(set(labels)) == len(labels)
    assert len(set(methods())) == len(methods())
    assert [arm.label for arm in chosen("random+none single, plain*")] == [
        "plain-ray-tune single",
        "random+none single",
    ]


@pytest.mark.parametrize(("kind", "low", "high"), (("early", 0.8, 1.0), ("late", 0.0, 0.7)))
def test_made_up_benchmarks_foretell_as_they_say(kind: str, low: float, high: float) -> None:
    shares = design_shares()
    correlations = []
    for seed in range(3):
        replicates = synthetic_replicates(SYNTHETIC[kind], shares, seed)
        assert replicates.means[:, -1].std() == pytest.approx(0.8)
        correlations.append(rank_correlation(replicates.means[:, 9], replicates.means[:, -1]))
    assert low < np.mean(correlations) < high  # type: ignore[arg-type]
    truth = Surrogate(replicates).finals(shares)
    assert truth == pytest.approx(replicates.means[:, -1], abs=0.05)


@pytest.mark.parametrize("kind", SURFACES)
def test_surfaces_have_the_spread_and_the_noise_of_the_protocol(kind: str) -> None:
    shares = design_shares()
    one, other = (made_up(kind, shares, seed) for seed in range(2))
    finals = one.finals(shares)
    assert finals.std() == pytest.approx(SPREAD)
    assert one.curves(shares)[:, -1] == pytest.approx(finals)
    assert made_up(kind, shares, 0).finals(shares) == pytest.approx(finals)
    assert np.corrcoef(finals, other.finals(shares))[0, 1] < 0.99
    ends = one.replicates.residuals[:, -1]
    assert ends.std() == pytest.approx(0.7, rel=0.15)
    assert np.mean((ends / ends.std()) ** 3) < -0.5


# The command line


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    path = tmp_path / "table.bin"
    path.write_bytes(made_table(noise=0.7).to_bytes())
    return path


def few(packed: Path, *more: str) -> list[str]:
    arms = ["--arms", "random+none *-1/2-k3,random+none single"]
    return ["--table", str(packed), "--repetitions", "2", "--budget-trials", "20", *arms, *more]


def test_the_command_line_writes_what_it_found_as_json_plot_and_table(
    packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replay.main(few(packed, "--out", str(tmp_path / "a"))) == 0
    content = json.loads((tmp_path / "a.json").read_text())
    assert (tmp_path / "a.png").stat().st_size > 10_000
    assert content["world"]["surrogate"]["weightings"] == 60
    assert (content["interrupted"], content["repetitions"]) == (False, 2)
    assert "random+none confirm-1/2-k3" in capsys.readouterr().out


@pytest.mark.slow
def test_processes_change_nothing(packed: Path, tmp_path: Path) -> None:
    for name in ("1", "2"):
        assert replay.main(few(packed, "--out", str(tmp_path / name), "--processes", name)) == 0
    one, two = (json.loads((tmp_path / f"{name}.json").read_text()) for name in "12")
    assert one["arms"] == two["arms"]


@pytest.mark.parametrize(
    ("options", "said"),
    (
        ([], "either --table or --synthetic"),
        (["--table", "t", "--synthetic", "late"], "either --table or --synthetic"),
        (["--table", "nowhere"], "nowhere"),
        (["--synthetic", "lat"], "late"),
        (["--synthetic", "late", "--space", "cor"], "core"),
        (["--synthetic", "late", "--arms", "random*,gpx*"], "'gpx*', which fits no arm"),
        (["--synthetic", "late", "--repetitions", "1"], "at least 2"),
        (["--synthetic", "late", "--workers", "0"], "1..1000"),
        (["--synthetic", "late", "--workers", "1001"], "1..1000"),
        (["--synthetic", "late", "--budget-trials", "12"], "for the confirmation"),
        (["--synthetic", "late", "--budget-trials", "12", "--arms", "*block"], "at least 9"),
        (["--table", "t", "--epochs", "1"], "--epochs"),
        (["--synthetic", "late", "--epochs", "9"], "--epochs is for tables"),
        (["--synthetic", "late", "--processes", "0"], "--processes"),
        (["--synthetic", "late", "--seed", "-1"], "--seed"),
        (["--synthetic", "late", "--out", "no/such/folder"], "existing folder"),
    ),
)
def test_a_wrong_option_ends_with_one_sentence(
    options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replay.main(options) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
