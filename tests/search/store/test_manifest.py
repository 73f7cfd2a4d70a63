"""Runs of earlier schema versions: they are shown, exported and continued."""

import json
from pathlib import Path
from typing import Any

import pytest
from concluded import shown
from repository import EARLIER_RUN

from search.cli.commands import main
from search.config.settings import Settings
from search.store.manifest import SCHEMA_VERSION, migrated
from search.store.run_folder import RunFolder
from spaces.validation import checked


def test_a_run_of_schema_version_2_is_shown() -> None:
    text = shown(RunFolder(EARLIER_RUN))
    for label in ("#1", "uniform", "#0", "sqrt_inverse", "#2"):
        assert f"\n {label} " in text
    assert "44.67 (1)" in text
    assert "50.94" in text


def in_present_terms(exported: dict[str, Any]) -> dict[str, Any]:
    """Return what schema version 2 exported under the present names of settings."""
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
        json.loads((folder / "best.json").read_text()) for folder in (EARLIER_RUN, tmp_path)
    )
    assert now == in_present_terms(before)


def test_a_run_of_schema_version_2_has_the_settings_that_continue_it() -> None:
    manifest = RunFolder(EARLIER_RUN).read_manifest()
    assert manifest.settings.early_stopping == "auto"
    assert manifest.schema_version == SCHEMA_VERSION
    assert manifest.fingerprint == manifest.settings.fingerprint()


def test_a_fingerprint_of_schema_version_2_that_is_another_stays_another() -> None:
    content = json.loads((EARLIER_RUN / "settings.json").read_text()) | {"fingerprint": "0" * 16}
    assert migrated(content)["fingerprint"] == "0" * 16
