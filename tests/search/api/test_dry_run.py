"""A dry run says what a search would do and what it costs, and leaves nothing behind."""

import contextlib
import inspect
import os
import re
import signal
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest
from ray.exceptions import RayError
from twin import make_plan, make_settings

import search
from search.api import dry_run
from search.cli.commands import main
from search.config.budget import Budget
from search.results.forecast import Forecast
from search.session.events import Event, Events, Note
from search.store.run_folder import RunFolder
from trainer.own.training import OwnTraining

DIGITS = "resnet8-digitslt"
PLURAL_OF_ONE = re.compile(r"(?<![\d.,])1 (?:common )?\w*[^\Ws]s\b")


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for temporary files; an epoch takes .2 s."""
    place = tmp_path / "scratch"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    monkeypatch.setattr(dry_run, "forecast", lambda *_: Forecast((0.2,), 2))
    return place


def told(place: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    folders = ("--runs", str(place / "runs"), "--data-root", str(place / "data"))
    code = main(["--benchmark", DIGITS, "--dry-run", "--device", "cpu", *folders, *words])
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def test_the_plan_and_its_cost_are_told_and_nothing_is_left(
    tmp_path: Path, scratch: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        code, text = told(tmp_path, capsys, "--trials", "32")
        assert code == 0
        for words in (
            f"{DIGITS}: full protocol of 40 epochs, tf32\n",
            "space core, sampler tpe, early stopping auto at epochs 10, 20; 32 trials\n",
            "22 trials search, up to 10 confirm the best\n",
            "control uniform: 1 (plain cross-entropy); all classes weigh the same\n",
            f"run folder {tmp_path / 'runs' / DIGITS}\n",
            "about 2.1 minutes if no trial is stopped early (32 trials x 40 epochs x 0.2 s, 2 at a",
            "Nothing was begun; the same command without --dry-run searches.\n",
        ):
            assert words in text
    assert not list(scratch.iterdir())
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("number", (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
def test_signals_end_it_and_nothing_is_left(
    number: signal.Signals,
    tmp_path: Path,
    scratch: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(*_: object) -> NoReturn:
        assert list(scratch.iterdir())
        os.kill(os.getpid(), number)
        raise AssertionError("the signal came too late")

    def handler(*_: object) -> NoReturn:
        raise AssertionError("the program's own handler, which ends at once, is still there")

    monkeypatch.setattr(dry_run, "forecast", interrupted)
    before = signal.signal(number, handler)
    try:
        code, text = told(tmp_path, capsys)
        assert signal.getsignal(number) == handler
    finally:
        signal.signal(number, before)
    assert code == 130
    assert text.endswith("Stopped. Nothing was begun.\n")
    assert not list(scratch.iterdir())
    assert not (tmp_path / "runs").exists()


def test_under_nohup_a_closed_terminal_does_not_end_it() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with dry_run.ended_by_signals():
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(
    ("words", "sentence"),
    (
        (("--resume",), "error: --dry-run is for a search that has not begun; leave --resume"),
        (("--name", "there"), "error: run 'there' exists; add --resume to continue it"),
        (("--space", "cor"), "(did you mean 'core'?)"),
    ),
)
def test_what_a_search_would_refuse_is_refused(
    words: tuple[str, ...],
    sentence: str,
    tmp_path: Path,
    scratch: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = tmp_path / "runs" / "there"
    run.mkdir(parents=True)
    (run / "settings.json").touch()
    code, text = told(tmp_path, capsys, *words)
    assert code == 2
    assert sentence in text


@pytest.mark.parametrize(
    ("lost", "code", "words"),
    (
        (
            None,
            0,
            "about 2.4 minutes, 0.08 GPU-hours if no trial is stopped early (64 trials x",
        ),
        (
            RayError("The worker died.\nSee its log."),
            2,
            "error: measuring failed (RayError: The worker died. See its log); try again, or "
            "search without a dry run. Ray's logs are kept in there.\n",
        ),
    ),
)
def test_on_gpus_ray_is_started_and_the_gpu_hours_are_told_or_how_it_failed(
    lost: RayError | None,
    code: int,
    words: str,
    tmp_path: Path,
    scratch: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    running: list[str] = []

    @contextlib.contextmanager
    def local_ray() -> Iterator[None]:
        running.append("Ray")
        try:
            yield
        except RayError as error:
            error.add_note("Ray's logs are kept in there.")
            raise
        finally:
            running.clear()

    def measured(*_: object) -> Forecast:
        assert running
        if lost:
            raise lost
        return Forecast((0.9,), 16, slots=8)

    monkeypatch.setattr(dry_run, "forecast", lambda *_: None)
    monkeypatch.setattr(dry_run, "local_ray", local_ray)
    monkeypatch.setattr(dry_run.Nodes, "of_cluster", lambda: None)
    monkeypatch.setattr(dry_run, "check_offer", lambda *_: None)
    monkeypatch.setattr(dry_run, "measured_on_ray", measured)
    found, text = told(tmp_path, capsys, "--trials", "64")
    assert (found, running) == (code, [])
    assert words in text
    assert not list(scratch.iterdir())


OWN = """
def train(weights, seed, report, epochs):
    for epoch in range(1, epochs + 1):
        assert epoch < 4, "a dry run trains two epochs alone"
        report(epoch, accuracy=0.5)

def fails(weights, seed, report):
    raise ValueError("no such file: photos")
"""


@pytest.mark.parametrize(
    ("function", "epochs", "code", "words"),
    (
        ("train", 12, 0, "(9 trials x 12 epochs x "),
        ("train", 1, 0, "(9 trials x 1 epoch x "),
        ("fails", 12, 2, "error: own_function:fails failed: ValueError: no such file: photos.\n"),
    ),
)
def test_a_function_of_ones_own_trains_two_epochs(
    function: str,
    epochs: int,
    code: int,
    words: str,
    tmp_path: Path,
    scratch: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "own_function", raising=False)  # each test has its own file
    (tmp_path / "own_function.py").write_text(OWN)
    (tmp_path / "counts.csv").write_text("500\n90\n7\n")
    own = ("--trainable", f"{tmp_path / 'own_function.py'}:{function}", "--epochs", str(epochs))
    counts = ("--counts", str(tmp_path / "counts.csv"), "--runs", str(tmp_path / "runs"))
    budget = ("--trials", "9", "--no-confirm", "--device", "cpu")
    assert main([*own, *counts, *budget, "--dry-run"]) == code
    captured = capsys.readouterr()
    assert words in captured.out + captured.err
    assert ("An epoch was timed alone just now: trials that share the CPUs" in captured.out) is (
        code == 0
    )
    assert not list(scratch.iterdir())
    assert not (tmp_path / "runs").exists()


def test_from_python_it_is_fields_a_text_and_a_table(
    tmp_path: Path, scratch: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = {"runs": tmp_path / "runs", "data_root": tmp_path / "data", "device": "cpu"}
    found = search.dry_run(DIGITS, 32, hours=1.5, quiet=True, **here)
    assert capsys.readouterr().out == ""
    assert (found.path, found.trials, found.concurrency) == (tmp_path / "runs" / DIGITS, 32, 2)
    assert found.epoch_seconds == (0.2,)
    assert found.seconds == pytest.approx(128)
    assert found.hours == pytest.approx(128 / 3600)
    assert found.gpu_hours is None
    assert str(found).splitlines() == [*found.plan, *found.cost]
    assert found.cost[0] in repr(found)
    assert f"<strong>{found.cost[0]}</strong>" in found._repr_html_()
    assert not (tmp_path / "runs").exists()
    with pytest.raises(search.UserError, match="dry_run is for a search that has not begun"):
        search.dry_run(DIGITS, resume=True, **here)


@pytest.mark.parametrize("limits", (("--trials", "1"), ("--hours", "1"), ("--hours", "0.0001")))
def test_one_of_a_kind_is_in_the_singular(
    limits: tuple[str, ...],
    tmp_path: Path,
    scratch: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, text = told(tmp_path, capsys, "--epochs", "1", *limits)
    assert code == 0
    assert "1 epoch" in text
    assert PLURAL_OF_ONE.findall(text) == []


def test_its_arguments_are_those_of_a_search() -> None:
    dry, real = inspect.signature(search.dry_run), inspect.signature(search.run)
    assert dry.parameters == real.parameters
    with pytest.raises(TypeError, match="typo"):
        search.dry_run(DIGITS, typo=1)  # type: ignore[call-arg]


def test_a_function_that_a_cluster_is_to_run_is_not_measured(tmp_path: Path) -> None:
    settings, folder = make_settings(), RunFolder(tmp_path / "run")
    plan = make_plan(folder, DIGITS, Budget(8, None, confirm=False), settings)
    own = OwnTraining("own", "own:train", 12, (500, 7))
    resources = replace(plan.resources, address="head:6379")
    plan = replace(plan, benchmarks=(own,), resources=resources)
    told: list[Event] = []
    events = Events()
    events.subscribe(told.append)
    assert dry_run.own_measured(plan, events) is None
    (note,) = told
    assert isinstance(note, Note)
    assert note.text.startswith("Not measured: own:train trains on the machines of the cluster.")
