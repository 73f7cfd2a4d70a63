"""A snapshot of a search that runs."""

import json
from pathlib import Path

from confirming import PLAIN, WITH_HOLDOUT, drive, new_run, usual
from twin import JOINT, OBJECTIVE, attempt, results_of

from search.config.budget import FEWEST_TRIALS
from search.results.snapshot import Snapshots


def test_it_has_every_trial_with_its_state_and_is_json(tmp_path: Path) -> None:
    search = attempt(new_run(tmp_path / "run", JOINT), PLAIN, 8, objective=JOINT)
    snapshots = Snapshots(search)
    assert snapshots.take().best is None
    failing, running = search.next_trial(), search.next_trial()
    assert failing is not None
    assert running is not None
    search.fail(failing.row.key, "epoch 2: the training loss is nan")
    first, last = results_of(running.row.seed, 2)
    search.report(running.row.key, 0, first)
    search.report(running.row.key, 0, last)
    running.within = (1, 3, 12)
    content = json.loads(json.dumps(snapshots.take().to_dict()))
    assert content["benchmarks"] == ["small", "other"]
    assert content["budget"] == 8
    assert [(t["label"], t["state"], t["epochs"], t["length"]) for t in content["trials"]] == [
        ("uniform", "failed", 0, 10),
        ("sqrt_inverse", "running", 2, 10),
    ]
    assert content["trials"][1]["scores"] == [last.score]
    assert content["trials"][1]["best_scores"] == [last.best_score]
    assert content["trials"][1]["batches"] == [3, 12]


def test_what_has_ended_is_kept_and_the_best_is_named(tmp_path: Path) -> None:
    search = attempt(new_run(tmp_path / "run", OBJECTIVE), PLAIN, FEWEST_TRIALS, confirm=True)
    snapshots = Snapshots(search)
    drive(search, usual)
    first = snapshots.take()
    assert snapshots.take().ended == first.ended
    assert [trial.key for trial in first.ended] == [row.key for row in search.ended]
    assert any(trial.seed_index is not None for trial in first.ended)
    assert first.running == ()
    content = json.loads(json.dumps(first.to_dict()))
    best = search.standings.candidates(1, ())[0]
    assert content["best"]["label"] == best.label
    assert content["best"]["weighting"] == best.strategy.to_dict()


def test_the_runs_on_a_hold_out_count_also_where_a_confirmation_gets_more(tmp_path: Path) -> None:
    folder, runs = new_run(tmp_path / "run", WITH_HOLDOUT), FEWEST_TRIALS // 3
    search = attempt(folder, PLAIN, FEWEST_TRIALS, objective=WITH_HOLDOUT, confirm=True)
    assert Snapshots(search).take().trials == FEWEST_TRIALS + runs
    drive(search, usual)
    ended = len(search.ended)
    limits = {"confirm": True, "runs": runs + 6}
    again = attempt(folder, PLAIN, FEWEST_TRIALS + 6, objective=WITH_HOLDOUT, **limits)
    again.finished()  # chooses two arms more
    assert Snapshots(again).take().trials == ended + 2 * 6
