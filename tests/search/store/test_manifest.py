"""Runs of earlier schema versions stay readable."""

import json
from pathlib import Path

import pytest
from concluded import shown
from repository import EARLIER_RUN

from search.cli.commands import main
from search.store.run_folder import RunFolder


def test_a_run_of_schema_version_2_is_shown() -> None:
    text = shown(RunFolder(EARLIER_RUN))
    for label in ("#1", "uniform", "#0", "sqrt_inverse", "#2"):
        assert f"\n {label} " in text
    assert "44.67 (1)" in text
    assert "50.94" in text


def test_a_run_of_schema_version_2_is_exported_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.export.export.verify_export", lambda *_: None)
    assert main(["export", str(EARLIER_RUN), "--output", str(tmp_path)]) == 0
    assert json.loads((tmp_path / "best.json").read_text()) == json.loads(
        (EARLIER_RUN / "best.json").read_text()
    )
