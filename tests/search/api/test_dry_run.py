"""A dry run says what a search would do and what it costs, and leaves nothing behind."""

import contextlib
import os
import signal
import tempfile
from pathlib import Path
from typing import NoReturn

import pytest

from search.api import dry_run
from search.cli.commands import main
from search.results.forecast import Forecast

DIGITS = "resnet8-digitslt"


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


def test_on_gpus_ray_is_started_and_the_gpu_hours_are_told(
    tmp_path: Path,
    scratch: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dry_run, "forecast", lambda *_: None)
    monkeypatch.setattr(dry_run, "local_ray", contextlib.nullcontext)
    monkeypatch.setattr(dry_run.Nodes, "of_cluster", lambda: None)
    monkeypatch.setattr(dry_run, "check_offer", lambda *_: None)
    monkeypatch.setattr(dry_run, "measured_on_ray", lambda *_: Forecast((0.9,), 16, slots=8))
    code, text = told(tmp_path, capsys, "--trials", "64")
    assert code == 0
    assert "about 2.4 minutes, 0.08 GPU-hours if no trial is stopped early (64 trials x" in text
