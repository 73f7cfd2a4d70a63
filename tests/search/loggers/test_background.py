"""Loggers in the background: what they are told, and that nothing they do stops a search."""

import io
import logging
import os
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from concluded import CASES, conclusion_of
from confirming import PLAIN, drive, new_run, results_worth, steady
from rich.console import Console
from twin import JOINT, OBJECTIVE, attempt

from search.cli.commands import code_of
from search.driver.ending import Ending
from search.loggers import background
from search.loggers.background import Background, concluded, flat, logging_events
from search.loggers.logger import LoggedTrial
from search.loggers.registry import LOGGERS, NamedLogger, chosen_loggers
from search.session.events import Events
from search.store.files.containment import check_contained
from search.store.run_folder import RunFolder
from spaces.errors import UserError
from trainer.results import EpochResult

TRIALS = 4


class Kept:
    """A logger that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.closed = False

    def epoch(self, trial: LoggedTrial, prefix: str, result: EpochResult) -> None:
        self.told.append(("epoch", trial.key, prefix, result.epoch))

    def ended(self, trial: LoggedTrial, state: str, summary: Mapping[str, float]) -> None:
        self.told.append(("ended", trial.key, state, summary))

    def concluded(self, summary: Mapping[str, Any]) -> None:
        self.told.append(("concluded", dict(summary)))

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Kept:
    logger = Kept()
    named = NamedLogger("json", ("", ""), "in a list")
    monkeypatch.setattr(NamedLogger, "make", lambda self, folder: logger)
    monkeypatch.setitem(LOGGERS, "kept", named)
    return logger


@pytest.mark.parametrize(
    ("objective", "prefixes"), ((OBJECTIVE, {""}), (JOINT, {"small/", "other/"}))
)
def test_a_logger_is_told_of_every_epoch_and_end(
    tmp_path: Path, kept: Kept, objective: Any, prefixes: set[str]
) -> None:
    folder = new_run(tmp_path / "run", objective)
    search = attempt(folder, PLAIN, TRIALS, objective=objective, confirm=False)
    with logging_events(["kept"], folder, search.events, search.record.row, objective):
        drive(search, steady)
    epochs = [told for told in kept.told if told[0] == "epoch"]
    assert len(epochs) == TRIALS * sum(benchmark.epochs for benchmark in objective.benchmarks)
    assert {prefix for _, _, prefix, _ in epochs} == prefixes
    summaries = [told[-1] for told in kept.told if told[0] == "ended"]
    assert len(summaries) == TRIALS
    scores = {f"{prefix}{name}" for prefix in prefixes for name in ("best_score", "last_ten_score")}
    scores |= {"device_hours"} if len(prefixes) > 1 else {"device_hours", "value"}
    assert all(summary.keys() == scores for summary in summaries)
    assert kept.closed


def test_a_logger_that_fails_is_told_once_and_the_others_go_on(tmp_path: Path) -> None:
    notes: list[str] = []
    good = Kept()

    def fails() -> Any:
        raise RuntimeError("no route to host\nsecond line")

    bad = Background("bad", fails, notes.append)
    other = Background("good", lambda: good, notes.append)
    for _ in range(3):
        for one in (bad, other):
            one.call("concluded", {})
    for one in (bad, other):
        one.close()
    assert len(good.told) == 3
    assert (bad.done, other.done) == (False, True)
    (note,) = notes
    assert note == (
        "--log bad failed (RuntimeError: no route to host) and logs no more; the search goes on."
    )


def test_a_password_in_the_address_of_a_server_is_in_no_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fails() -> Any:
        raise RuntimeError("API request to https://me:secret@host/api failed with ...")

    caplog.set_level(logging.INFO, "search")
    one = Background("mlflow", fails, lambda note: None)
    one.close()
    text = logging.Formatter().format(caplog.records[-1])
    assert "RuntimeError: API request to https://***@host/api failed" in text
    assert "secret" not in text


@pytest.mark.parametrize("left", (False, True))
def test_a_library_that_wants_to_write_on_does_not_hold_the_end_of_the_command(
    left: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ends: list[int] = []
    ended = threading.Event()

    def end(code: int) -> None:
        ends.append(code)
        ended.set()

    monkeypatch.setattr("search.session.interrupt.LEAVE_SECONDS", 0.0)
    monkeypatch.setattr(os, "_exit", end)
    ending = Ending(RunFolder(tmp_path / "run"), 3, left=left)
    assert code_of(ending, Console(file=io.StringIO())) == 3
    assert ended.wait(10 if left else 0.1) is left
    assert ends == [3] * left


def test_a_logger_that_hangs_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "CLOSE_SECONDS", 0.05)
    monkeypatch.setattr(background, "SLOW_SECONDS", 0.01)
    monkeypatch.setattr(background, "MOST_WAITING", 2)
    notes: list[str] = []
    let_go = threading.Event()
    slow = Kept()
    slow.concluded = lambda summary: let_go.wait(30)  # type: ignore[assignment,method-assign,return-value]
    one = Background("slow", lambda: slow, notes.append)
    for _ in range(9):
        one.call("concluded", {})
    one.close()
    assert not one.done
    let_go.set()
    assert notes[0] == "Waiting for --log slow to write what is left, for at most 0.05 s ..."
    assert notes[1].startswith("--log slow did not end within")
    assert "reports are not logged" in notes[2]
    assert one.lost >= 6


def test_a_logger_that_catches_up_at_the_end_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "MOST_WAITING", 2)
    monkeypatch.setattr(background, "CLOSE_SECONDS", 0.05)
    notes: list[str] = []
    busy, let_go = threading.Event(), threading.Event()
    late = Kept()
    late.concluded = lambda summary: busy.set() or let_go.wait(30)  # type: ignore[assignment,method-assign,return-value]
    one = Background("late", lambda: late, notes.append)
    one.call("concluded", {})
    assert busy.wait(30)
    while not one.lost:
        one.call("concluded", {})
    threading.Timer(0.05, let_go.set).start()
    one.close()
    assert late.closed
    assert all("did not end" not in note for note in notes)


def test_a_run_on_a_hold_out_is_logged_under_its_name(tmp_path: Path, kept: Kept) -> None:
    objective = CASES["holdout"][2]
    folder = new_run(tmp_path / "run", objective)
    search = attempt(folder, PLAIN, 20, objective=objective, confirm=True, runs=12)
    with logging_events(["kept"], folder, search.events, search.record.row, objective):
        drive(search, steady)
    prefixes = {key.split("-")[0]: set() for _, key, *_ in kept.told}
    for _, key, prefix, *_ in (told for told in kept.told if told[0] == "epoch"):
        prefixes[key.split("-")[0]].add(prefix)
    assert prefixes["holdout"] == {"held/"}
    assert prefixes["proposals"] == {"small/", "other/"}


def test_a_run_that_is_gone_at_the_end_is_told_as_that(tmp_path: Path, kept: Kept) -> None:
    folder = RunFolder(tmp_path / "gone")
    with logging_events(["kept"], folder, Events(), lambda key: None, OBJECTIVE) as loggers:  # type: ignore[arg-type,return-value]
        loggers.conclude(folder)
    ((_, summary),) = kept.told
    assert summary.keys() == {"verdict"}
    assert summary["verdict"].startswith(f"there is no run at {folder.path}")


@pytest.mark.parametrize("case", CASES)
def test_what_a_run_concludes_is_names_and_plain_values(case: str, tmp_path: Path) -> None:
    told = concluded(conclusion_of(tmp_path / "run", *CASES[case]))
    assert told["winner"]
    assert told["verdict"]
    joint = CASES[case][2].joint  # whose scores are gains alone
    assert bool({"score", "estimate"} & {*told}) is not joint
    assert ("over_uniform" in told) or not joint
    assert all(isinstance(value, str | float) for value in told.values())


def test_parts_of_a_strategy_are_named_by_their_place() -> None:
    assert flat({"a": 1, "b": {"c": "x", "d": {"e": 2.0}}}) == {"a": 1, "b.c": "x", "b.d.e": 2.0}


@pytest.mark.parametrize(
    ("text", "sentence"),
    (
        ("tensorbord", "did you mean 'tensorboard'"),
        ("tensorboard,tensorboard", "name each logger once"),
        ("missing", "pip install -e '.\\[missing\\]'"),
    ),
)
def test_a_logger_that_cannot_be_had_is_one_sentence(
    text: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LOGGERS, "missing", NamedLogger("no_such_library", ("", ""), ""))
    with pytest.raises(UserError, match=sentence):
        chosen_loggers(tuple(text.split(",")))


def test_no_logger_is_chosen_unless_asked_for() -> None:
    assert chosen_loggers(()) == ()
    assert chosen_loggers(("tensorboard",)) == ("tensorboard",)


def test_tensorboard_files_hold_the_epochs_of_every_trial(tmp_path: Path) -> None:
    folder = driven(tmp_path, "tensorboard")
    files = list((folder.path / "tensorboard").rglob("events.out.*"))
    trials = {f"baselines-0000{n}" for n in range(TRIALS)}
    assert {file.parent.name for file in files} == trials | {"verdict"}
    (first,) = (file for file in files if file.parent.name == "baselines-00000")
    content = first.read_bytes()
    assert content.count(b"train_loss") == OBJECTIVE.epochs


def test_what_tensorboard_cannot_write_is_an_error_and_waits_for_nothing(tmp_path: Path) -> None:
    folder = new_run(tmp_path / "run", OBJECTIVE)
    logger, threads = LOGGERS["tensorboard"].make(folder), threading.active_count()
    trial, (result, *_) = LoggedTrial("proposals-99", "#99", "proposals", {}), results_worth(50)
    logger.epoch(trial, "", result)
    assert threading.active_count() == threads
    (file,) = (folder.path / "tensorboard").rglob("*tfevents*")
    file.unlink()
    file.mkdir()
    for _ in range(3):
        with pytest.raises(OSError, match="Is a directory"):
            logger.epoch(trial, "", result)
    shutil.rmtree(folder.path)
    with pytest.raises(OSError, match="No such file"):
        logger.concluded({"verdict": "late"})
    assert not folder.path.exists()
    logger.close()


def test_tensorboard_events_are_framed_as_by_its_library(tmp_path: Path) -> None:
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.record_writer import RecordWriter
    from tensorboardX.summary import scalar

    from search.loggers.tensorboard import framed

    event = Event(wall_time=1.5, step=7, summary=scalar("a/score", 61.5))
    writer = RecordWriter(str(tmp_path / "events"))
    writer.write(event.SerializeToString())
    writer.close()
    assert framed(event) == (tmp_path / "events").read_bytes()


@pytest.mark.slow
def test_mlflow_has_a_run_for_each_trial_below_that_of_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    driven(tmp_path, "mlflow")
    client = mlflow.MlflowClient()
    (experiment,) = (e for e in client.search_experiments() if e.name == "class-weighting-search")
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = (run for run in runs if "mlflow.parentRunId" not in run.data.tags)
    below = [run for run in runs if run is not parent]
    assert len(below) == TRIALS
    assert {run.data.tags["mlflow.parentRunId"] for run in below} == {parent.info.run_id}
    assert all(run.data.metrics["best_score"] > 0 for run in below)
    assert {run.info.status for run in runs} == {"FINISHED"}
    shutil.rmtree(tmp_path / "run")
    again = driven(tmp_path, "mlflow", "2026-01-02")
    assert len(client.search_runs([experiment.experiment_id])) == 2 * (TRIALS + 1)
    interrupted = LOGGERS["mlflow"].make(again)
    interrupted.epoch(LoggedTrial("proposals-99", "#99", "proposals", {}), "", results_worth(50)[0])
    interrupted.close()
    runs = client.search_runs([experiment.experiment_id], "attributes.status = 'KILLED'")
    assert {run.info.run_name for run in runs} == {"run", "#99 proposals-99"}


@pytest.mark.slow
def test_weights_and_biases_writes_offline_beside_the_run_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    folder = driven(tmp_path, "wandb")
    place = folder.path.with_name(f"{folder.path.name}.wandb")
    assert len(list((place / "wandb").glob("offline-run-*"))) == TRIALS + 1
    check_contained(folder.path)  # the run is still one that can be shown and resumed


def driven(tmp_path: Path, name: str, begun: str = "2026-01-01") -> RunFolder:
    """A run of which a logger was told, and its verdict."""
    folder = new_run(tmp_path / "run", OBJECTIVE)
    folder.begin_attempt({"time": begun})
    search = attempt(folder, PLAIN, TRIALS, objective=OBJECTIVE, confirm=False)
    folder.begin_attempt({"resources": {}, "device": "cpu"})
    notes: list[str] = []
    search.events.subscribe(lambda event: notes.append(getattr(event, "text", "")))
    with logging_events([name], folder, search.events, search.record.row, OBJECTIVE) as loggers:
        drive(search, steady)
        loggers.conclude(folder)
    said = [note for note in notes if "--log" in note]
    assert all(note.startswith("Waiting for") for note in said), said  # on a busy machine
    return folder
