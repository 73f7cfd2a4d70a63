"""Copy of a run's trials for Optuna's tools."""

import json
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any
from wsgiref.simple_server import make_server
from wsgiref.util import setup_testing_defaults

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from repository import EARLIER_RUN

from search.cli.commands import main
from search.session.proposer import Proposer
from search.session.standings import Standings
from search.store.record import Record
from search.store.run_folder import RunFolder
from search.store.trials import PROPOSALS, STUDIES


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A finished run, with one more proposal that runs."""
    monkeypatch.chdir(tmp_path)
    folder = RunFolder(Path(shutil.copytree(EARLIER_RUN, tmp_path / "run")))
    manifest, record = folder.read_manifest(), Record.reopen(folder.record)
    Proposer(record, manifest.settings, 2, Standings.of(manifest.objective, record.rows())).ask()
    return folder


def copied(path: Path) -> dict[str, optuna.Study]:
    storage = JournalStorage(JournalFileBackend(str(path)))
    return {name: optuna.load_study(study_name=name, storage=storage) for name in STUDIES}


@pytest.mark.filterwarnings("ignore:Some regimes for parameter")
def test_the_copy_has_all_trials_as_the_record_has_them(
    run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    before = run.record.read_bytes()
    assert main(["study", str(run.path)]) == 0
    told = capsys.readouterr()
    assert told.out == "optuna-dashboard run.study.journal\n"
    assert told.err == ""
    assert run.record.read_bytes() == before
    studies = copied(Path("run.study.journal"))
    rows = Record(run.record).rows()
    trials = [(name, trial) for name, study in studies.items() for trial in study.trials]
    assert len(trials) == len(rows) == 15
    for row, (name, trial) in zip(rows, trials, strict=True):
        assert (name, trial.number, trial.state) == (row.study, row.number, row.state)
        assert trial.value == row.value
        assert trial.intermediate_values == row.rungs
        assert trial.user_attrs["name"] == row.label
        assert trial.user_attrs["weighting"] == row.strategy.describe()
        assert trial.user_attrs["device_hours"] == row.device_hours
        assert ("accuracy_half_b" in trial.user_attrs) == (row.state != TrialState.RUNNING)
    importances = optuna.importance.get_param_importances(studies["proposals"])
    drawn = (trial.params for trial in studies["proposals"].trials)
    assert importances.keys() == {name for params in drawn for name in params}


def test_the_accuracy_on_half_b_is_at_the_best_epoch_on_half_a(run: RunFolder) -> None:
    assert main(["study", str(run.path), "--output", "copy"]) == 0
    (benchmark,) = run.read_manifest().objective.benchmarks
    correct, images = (
        run.read_curve(Record(run.record).row("baselines-00000"), 0, benchmark).correct,
        [sum(half) for half in benchmark.half_counts],
    )
    halves = [(a.sum() / images[0], b.sum() / images[1]) for a, b in correct]
    expected = 100 * max(halves, key=lambda half: half[0])[1]
    found = copied(Path("copy"))["baselines"].trials[0].user_attrs["accuracy_half_b"]
    assert found == pytest.approx(expected)


def test_a_copy_is_written_again_and_nothing_else_is_written_over(
    run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["study", str(run.path), "--output", "copy"]) == 0
    assert main(["study", str(run.path), "--output", "copy"]) == 0
    assert [len(study.trials) for study in copied(Path("copy")).values()] == [2, 0, 4, 9, 0]
    Path("notes").write_text("mine")
    for output, words in (
        ("notes", "notes exists and is no journal of Optuna; give another"),
        (".", ". exists and is no journal of Optuna; give another"),
        (str(run.path / "copy"), "lies in a run's folder; give --output FILE elsewhere"),
        ("notes/copy", "cannot be written ("),
    ):
        assert main(["study", str(run.path), "--output", output]) == 2
        assert words in " ".join(capsys.readouterr().err.split())
    assert Path("notes").read_text() == "mine"


@pytest.fixture
def dashboard(run: RunFolder) -> Any:
    """The real dashboard of a copy, as an application of the web server's."""
    found = pytest.importorskip("optuna_dashboard")
    assert main(["study", str(run.path), "--output", "copy"]) == 0
    return found.wsgi(JournalStorage(JournalFileBackend("copy")))


@pytest.mark.filterwarnings("ignore:Some regimes for parameter")
def test_the_dashboard_has_the_studies_their_history_and_importances(
    run: RunFolder, dashboard: Any
) -> None:
    def answer(path: str, query: str = "") -> Any:
        environ = {"PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": "GET"}
        setup_testing_defaults(environ)
        status: list[str] = []
        body = b"".join(dashboard(environ, lambda line, *_: status.append(line)))
        assert status == ["200 OK"]
        return json.loads(body)

    rows = Record(run.record).rows()
    complete = [
        row for row in rows if row.study == "proposals" and row.state == TrialState.COMPLETE
    ]
    summaries = answer("/api/studies")["study_summaries"]
    assert [study["study_name"] for study in summaries] == list(STUDIES)
    proposals = answer("/api/studies/2", "after=0")
    values = [trial.get("values") for trial in proposals["trials"] if trial["state"] == "Complete"]
    assert values == [[row.value] for row in complete]
    (importances,) = answer("/api/studies/2/param_importances")["param_importances"]
    assert {found["name"] for found in importances} >= {"exponent", "bend"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Some regimes for parameter")
def test_a_browser_lists_the_studies_and_draws_history_and_importances(dashboard: Any) -> None:
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("there is no chromium here (Debian: apt-get install chromium)")
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000")

    def page(path: str) -> str:
        """Return what a page shows once its scripts have run."""
        url = f"http://127.0.0.1:{server.server_port}/dashboard{path}"
        command = [browser, *options, "--dump-dom", url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=True)
        return done.stdout

    with make_server("127.0.0.1", 0, dashboard) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            listed, drawn = page(""), page(f"/studies/{list(STUDIES).index(PROPOSALS)}")
        finally:
            server.shutdown()
            thread.join()
    assert all(name in listed for name in STUDIES)
    history, importances = drawn.split("Hyperparameter Importance", 1)
    assert 'class="point"' in history
    assert all(f">{name}</text>" in importances for name in ("exponent", "bend"))
