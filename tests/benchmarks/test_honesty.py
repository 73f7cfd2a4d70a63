"""The study of honest statements: its worlds, its ways of searching, and its figures."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from repository import REPOSITORY

from benchmarks.honesty import __main__ as honesty
from benchmarks.honesty.__main__ import Judged, judged, main, study, summarised
from benchmarks.honesty.searches import BUDGET, DEFAULT, MODEL
from benchmarks.honesty.ways import CONFIRMED, RERUN, SINGLE, Statement, confirm, plain_means
from benchmarks.honesty.world import DIGITS40, SETTINGS, Setting, World, noise
from benchmarks.recording.table import Table
from benchmarks.replay.surrogate import Replicates
from search.samplers.registry import KNOWLEDGE_GRADIENT
from search.stats.comparison import SeededRun
from search.stats.estimate import Estimate
from search.stats.priors import GUESS, KNOWN_RUNS, NoisePrior

SMALL = Setting("small", k=3, budget=18, trials=12)


def world(setting: Setting = SMALL, seed: int = 0) -> World:
    return World.of(setting, np.random.default_rng(seed))


def test_the_noise_has_mean_0_and_sd_1_and_a_heavy_lower_tail() -> None:
    drawn = noise(SMALL, (400_000,), np.random.default_rng(0))
    assert drawn.mean() == pytest.approx(0, abs=0.01)
    assert drawn.std() == pytest.approx(1, abs=0.01)
    assert np.mean(drawn < -2.5) > 4 * np.mean(drawn > 2.5)


def test_normal_noise_has_no_tail() -> None:
    plain = dataclasses.replace(SMALL, tail=False)
    drawn = noise(plain, (400_000,), np.random.default_rng(0))
    assert np.mean(drawn**3) == pytest.approx(0, abs=0.03)


def test_a_seed_shifts_all_weightings_alike() -> None:
    setting = dataclasses.replace(SMALL, seed_share=0.6, trials=400)
    made = world(setting)
    residual = made.fresh - made.truth[:, None]
    shared = residual.mean(axis=0).var()
    assert shared / residual.var() == pytest.approx(0.6, abs=0.15)
    assert np.std(made.search - made.truth) == pytest.approx(setting.noise_sd, abs=0.1)


def test_a_weighting_that_is_tried_again_is_the_same_one() -> None:
    made = world(dataclasses.replace(SMALL, replicates=1))
    assert made.truth[-1] == made.truth[4]
    assert made.fresh[-1].tolist() == made.fresh[4].tolist()


def test_the_world_of_digits40_is_what_was_recorded() -> None:
    table = Table.load(REPOSITORY / "benchmarks/tables/resnet8-digitslt40.npz")
    recorded = Replicates.of(table)
    of_means = (recorded.own_sd**2 / recorded.n).mean()
    spread = np.sqrt(recorded.means[:, -1].var(ddof=1) - of_means)
    assert pytest.approx(recorded.noise_sd, abs=0.05) == DIGITS40.noise_sd
    assert pytest.approx(spread, abs=0.05) == DIGITS40.spread
    share = (recorded.seed_sd / recorded.noise_sd) ** 2
    assert pytest.approx(share, abs=0.01) == DIGITS40.seed_share


def test_a_replay_is_a_function_of_its_seed() -> None:
    assert confirm(world(), SMALL) == confirm(world(), SMALL)


def test_a_confirmation_spends_its_budget_at_most() -> None:
    spent = [len(confirm(world(seed=i), SMALL)) for i in range(5)]
    assert all(15 <= runs <= 18 for runs in spent)


def test_plain_means_state_the_t_interval_of_the_pooled_variance() -> None:
    made = world()
    runs = [
        SeededRun("0", 0, 40.0),
        SeededRun("0", 1, 42.0),
        SeededRun(str(made.baseline()), 0, 39.0),
    ]
    found = plain_means(made, SMALL, runs)
    # One degree of freedom, variance 2: half width 12.706 * sqrt(2 / 2).
    assert found.chosen == 0
    assert found.accuracy.mean == pytest.approx(41.0)
    assert found.accuracy.high - 41.0 == pytest.approx(12.706, abs=1e-3)
    assert found.differences[0] is None


def test_statements_are_judged_by_the_truth() -> None:
    made = world()
    truth = float(made.truth[5])
    right = Statement(5, Estimate(truth + 0.5, truth - 1, truth + 1), (None, None), 30)
    found = judged(right, made.truths())
    assert found["covered"] == 1.0
    assert found["bias"] == pytest.approx(0.5)
    assert np.isnan(found["covered_uniform"])
    assert found["regret"] == pytest.approx(made.truth.max() - truth)
    wrong = dataclasses.replace(right, accuracy=Estimate(50.0, 49.0, 51.0))
    assert judged(wrong, made.truths())["covered"] == 0.0


def test_proportions_get_an_interval_within_0_and_1() -> None:
    found = summarised("covered", [1.0] * 50 + [float("nan")])
    assert found is not None
    assert found["mean"] == 1.0
    assert 0.9 < found["low"] < found["high"] <= 1.0


def test_what_no_way_states_has_no_figure() -> None:
    assert summarised("best_in_set", [float("nan")] * 3) is None


def test_a_single_run_flatters_more_than_a_confirmation() -> None:
    table = study(SETTINGS[0], replays=20, seed=0)
    biases = {way: (figures["bias"] or {})["mean"] for way, figures in table.items()}
    assert biases[SINGLE] > 0.4
    assert abs(biases[CONFIRMED]) < 0.2 < biases[SINGLE] - biases[CONFIRMED]
    assert biases[RERUN] < biases[SINGLE]


def test_the_command_writes_its_results_and_a_plot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "honesty.json"
    main(["--replays", "3", "--setting", "protocol", "--out", str(out)])
    content = json.loads(out.read_text())
    assert content["command"].startswith("python -m benchmarks.honesty --")
    assert content["versions"]["numpy"]
    assert content["results"]["protocol"][CONFIRMED]["runs"]["mean"] > 60
    assert out.with_suffix(".png").stat().st_size > 1000
    assert "protocol" in capsys.readouterr().out


def test_an_error_leaves_the_settings_and_replays_until_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def until_then(setting: Setting, *rest: int) -> Iterator[Judged]:
        yield from replayed(setting, 2, 0)
        if setting.name != "protocol":
            raise OSError(5, "gone")

    replayed = honesty.replayed
    monkeypatch.setattr(honesty, "replayed", until_then)
    out = tmp_path / "honesty.json"
    words = ["--setting", "protocol", "--setting", "noise .6", "--replays", "9"]
    assert main([*words, "--out", str(out)]) == 1
    assert json.loads(out.read_text())["replays"] == {"protocol": 2, "noise .6": 2}


@pytest.mark.slow
def test_whole_searches_are_judged_by_what_their_verdicts_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "honesty.json"
    options = ["--sampler", KNOWLEDGE_GRADIENT, "--setting", "mech", "--replays", "2"]
    assert main([*options, "--out", str(out)]) == 0
    content = json.loads(out.read_text())
    assert content["replays"] == {"mech": 2}
    for way in (DEFAULT, MODEL):
        figures = content["results"]["mech"][way]
        assert figures["runs"]["mean"] == BUDGET
        assert 0 <= figures["regret"]["mean"] < 1
        assert abs(figures["bias"]["mean"]) < 1
    assert "mech" in capsys.readouterr().out


@pytest.mark.parametrize("options", (["--setting", "mech"], ["--sampler", "knowledge-gradient"]))
def test_a_setting_that_is_not_known_is_refused(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([*options, "--setting", "protocl", "--out", str(tmp_path / "honesty.json")])
    assert "it must be one of" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "sentence"),
    (
        (["--seed", "-1"], "--seed is -1; it must be at least 0."),
        (["--out", "no/such/folder.json"], "it must be a file name in an existing folder."),
        (["--out", "found.png"], "where the plot goes; give the name of a JSON file."),
    ),
)
def test_what_would_end_a_study_is_refused_before_it_begins(
    options: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--out", str(tmp_path / "x.json"), "--replays", "2", *options]) == 2
    out, error = capsys.readouterr()
    assert (out, error.count("\n")) == ("", 1)
    assert error.endswith(f"{sentence}\n")


def test_replicates_repeat_the_weightings_of_earlier_trials() -> None:
    setting = dataclasses.replace(SMALL, replicates=2, noise_sd=1e-9)
    made = world(setting)
    assert list(setting.groups[-2:]) == [4, 5]
    assert made.search[-2:] == pytest.approx(made.search[4:6], abs=1e-6)
    assert len(np.unique(setting.groups)) == SMALL.trials - 2


def test_a_stated_noise_is_a_multiple_of_the_true_one() -> None:
    assert SMALL.prior == GUESS
    assert dataclasses.replace(SMALL, stated=1.5).prior == NoisePrior(1.5 * 0.7, KNOWN_RUNS)
