"""Runs of earlier schema versions: they are shown, exported and continued."""

import json
import shutil
from pathlib import Path
from typing import Any

import optuna
import pytest
from concluded import shown
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from repository import EARLIER_RUN

from search.cli.commands import main
from search.config.settings import Settings
from search.session.proposer import Proposer
from search.session.standings import Standings
from search.store.earlier.journal import JOURNAL
from search.store.earlier.settings import migrated
from search.store.manifest import SCHEMA_VERSION
from search.store.record import Record
from search.store.run_folder import RunFolder
from spaces.errors import UserError
from spaces.validation import checked


def test_a_run_of_schema_version_2_is_shown() -> None:
    text = shown(RunFolder(EARLIER_RUN))
    for label in ("#1", "uniform", "#0", "sqrt_inverse", "#2"):
        assert f"\n {label} " in text
    assert "44.67 (1)" in text
    assert "50.94" in text


def in_present_terms(exported: dict[str, Any]) -> dict[str, Any]:
    """Return what schema version 2 exported under the present names."""
    exported |= {"schema_version": 2, "kind": "class weights"}
    exported["strategy"] = exported.pop("weighting")
    exported["strategy_key"] = exported.pop("weighting_key")
    search = exported["result"]["search"]
    search["early_stopping"] = search.pop("scheduler")
    exported["result"]["settings_fingerprint"] = checked(Settings, search).fingerprint()
    return exported


def test_a_run_of_schema_version_2_is_exported_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.export.export.verify_export", lambda *_: None)
    assert main(["export", str(EARLIER_RUN), "--output", str(tmp_path)]) == 0
    before, now = (
        json.loads((folder / "best.json").read_text(), parse_float=rounded)
        for folder in (EARLIER_RUN, tmp_path)
    )
    assert now == in_present_terms(before)


def rounded(number: str) -> float:
    """Read a number without its last digits, which processors do not share."""
    return float(f"{float(number):.12g}")


def test_a_run_that_optunas_journal_records_is_continued_and_the_journal_left_as_it_was(
    tmp_path: Path,
) -> None:
    folder = RunFolder(Path(shutil.copytree(EARLIER_RUN, tmp_path / "run")))
    journal = folder.path / JOURNAL
    before, rows = journal.read_bytes(), Record(folder.record).rows()
    assert not folder.record.exists()
    assert len(rows) == 14
    manifest = folder.read_manifest()
    standings = Standings.of(manifest.objective, rows)
    record = Record.reopen(folder.record)
    row = Proposer(record, manifest.settings, 2, standings).ask()
    assert row.key == "proposals-00003"
    known = {row.key: row for row in Record(folder.record).rows()}
    assert known == {row.key: row for row in (*rows, row)}
    assert journal.read_bytes() == before


def test_a_stop_that_an_earlier_version_decided_just_before_it_was_killed_stands(
    tmp_path: Path,
) -> None:
    folder = RunFolder(Path(shutil.copytree(EARLIER_RUN, tmp_path / "run")))
    storage = JournalStorage(JournalFileBackend(str(folder.path / JOURNAL)))
    trial = optuna.load_study(study_name="proposals", storage=storage).ask()
    for name, content in {"weighting": "{}", "seed": 7, "stop_epoch": 2}.items():
        trial.set_user_attr(name, content)
    trial.report(30.0, 1)
    record = Record.reopen(folder.record)
    row = record.rows()[-10]
    assert (row.rungs, row.stop_epoch) == ({1: 30.0}, 2)
    record.report(row.key, 2, 31.0)
    row = Record(folder.record).row(row.key)
    assert (row.rungs, row.stop_epoch) == ({1: 30.0, 2: 31.0}, 2)


def test_a_run_of_cma_es_that_optunas_journal_records_is_shown_and_not_continued(
    tmp_path: Path,
) -> None:
    folder = RunFolder(Path(shutil.copytree(EARLIER_RUN, tmp_path / "run")))
    content = folder.settings.read_text()
    folder.settings.write_text(content.replace('"sampler": "tpe"', '"sampler": "cmaes"'))
    assert Record(folder.record).rows()
    with pytest.raises(UserError, match="sampler cmaes, whose state this one does not read"):
        Record.reopen(folder.record)
    assert not folder.record.exists()


@pytest.mark.parametrize(
    "line",
    (
        "[" * 100_000,
        "{}",
        "7",
        '{"op_code": 0}',
        '{"op_code": 99, "worker_id": "x"}',
    ),
)
def test_a_line_that_optuna_did_not_write_is_refused(
    tmp_path: Path, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(EARLIER_RUN, tmp_path / "run"))
    journal = folder / JOURNAL
    journal.write_text(f"{line}\n{journal.read_text()}")
    assert main(["show", str(folder)]) == 2
    assert "study.journal cannot be read as the record of a search" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("before", "after", "words"),
    (
        ('"seed":1576890651', '"seed":-1', "asked.seed is -1; it must be at least 0"),
        ('"step":1,', '"step":-1,', "rung.epoch is -1; it must be at least 1"),
        ('"intermediate_value":26.5', '"intermediate_value":NaN', "not JSON compliant"),
        ('"weighting":"{}"', '"weighting":"{"', "JSONDecodeError"),
        ('"weighting":"{}"', '"weighting":"[]"', "weighting is []; it must be a table"),
        ('"name":"uniform"', '"name":"../x"', "name is '../x'; it must be #NUMBER"),
    ),
)
def test_a_trial_of_optunas_journal_that_breaks_a_rule_is_refused(
    tmp_path: Path, before: str, after: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(EARLIER_RUN, tmp_path / "run"))
    journal = folder / JOURNAL
    assert before in journal.read_text()
    journal.write_text(journal.read_text().replace(before, after, 1))
    assert main(["show", str(folder)]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert "study.journal" in error
    assert error.count("\n") == 1


def test_a_run_of_schema_version_2_has_the_settings_that_continue_it() -> None:
    manifest = RunFolder(EARLIER_RUN).read_manifest()
    assert manifest.settings.early_stopping == "auto"
    assert manifest.schema_version == SCHEMA_VERSION
    assert manifest.fingerprint == manifest.settings.fingerprint()


def test_a_fingerprint_of_schema_version_2_that_is_another_stays_another() -> None:
    content = json.loads((EARLIER_RUN / "settings.json").read_text()) | {"fingerprint": "0" * 16}
    assert migrated(content)["fingerprint"] == "0" * 16
