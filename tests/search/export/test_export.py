"""An export is two files that stand alone, and is refused before anything is written."""

from __future__ import annotations

import ast
import errno
import json
import os
import sys
from dataclasses import replace

import pytest
from exporting import BENCHMARK, BEST, COUNTS, EVERYTHING, NAMES, RESULT, RICH

import search.export.export as export_module
from search.export.export import export
from search.export.module_template import render_module
from search.export.winner import ExportError
from spaces import Strategy, canonical_weights, weighting_key


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return export(folder, BEST)


def test_the_module_imports_torch_and_the_standard_library_alone(exported):
    tree = ast.parse(exported.module.read_text(encoding="utf-8"))
    imported = [n for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom)]
    names = {getattr(node, "module", None) or node.names[0].name for node in imported}
    assert {name.split(".")[0] for name in names} <= {"torch", *sys.stdlib_module_names}


def test_the_module_tells_its_story(exported):
    docstring = ast.get_docstring(ast.parse(exported.module.read_text(encoding="utf-8")))
    assert RICH.describe() in " ".join(docstring.split())
    for name, value in (BENCHMARK | RESULT).items():
        told = f"    {name}: {json.dumps(value)}\n" in docstring
        assert told == isinstance(value, str | int | float)


def test_an_export_leaves_two_files_and_nothing_else(exported):
    folder = exported.record.parent
    assert sorted(path.name for path in folder.iterdir()) == ["best.json", "best_weighting.py"]


def test_the_record_holds_what_was_exported(exported):
    document = json.loads(exported.record.read_text(encoding="utf-8"))
    assert document["class_names"] == NAMES
    assert document["class_counts"] == COUNTS
    assert document["result"] == RESULT
    assert (document["schema_version"], document["kind"]) == (2, "class weights")
    assert Strategy.from_dict(document["strategy"]) == BEST.strategy
    assert document["weights"] == canonical_weights(RICH.weights(COUNTS)).tolist()
    assert document["strategy_key"] == weighting_key(RICH.weights(COUNTS))
    assert document["description"] == RICH.describe()


def test_a_strategy_is_exported_as_a_module_of_its_own(tmp_path):
    (tmp_path / "best_weighting.py").write_text(render_module(BEST.strategy, None, {}, {}, "key"))
    exported = export(tmp_path, replace(BEST, strategy=EVERYTHING))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.json", "best_strategy.py"]
    assert exported.module.name == "best_strategy.py"
    document = json.loads(exported.record.read_text(encoding="utf-8"))
    assert document["kind"] == EVERYTHING.kind
    assert Strategy.from_dict(document["strategy"]) == EVERYTHING
    assert document["strategy_key"] == EVERYTHING.key(COUNTS)
    assert document["weights"] == EVERYTHING.recipe(COUNTS).loss_weights(9, 9).tolist()
    assert document["images_per_epoch"] == pytest.approx([sum(COUNTS) / 100] * 100)


def test_a_module_that_was_not_exported_is_left_in_the_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(export_module, "verify_export", lambda *_: None)
    (tmp_path / "best_strategy.py").write_text("mine")
    export(tmp_path, BEST)
    assert (tmp_path / "best_strategy.py").read_text() == "mine"


def test_a_module_that_fails_verification_is_not_put_in_place(tmp_path, monkeypatch):
    monkeypatch.setattr(export_module, "render_module", lambda *_: "raise SystemExit('broken')")
    (tmp_path / "best_weighting.py").write_text("earlier")
    with pytest.raises(ExportError, match="broken"):
        export(tmp_path, BEST)
    assert [path.name for path in tmp_path.iterdir()] == ["best_weighting.py"]
    assert (tmp_path / "best_weighting.py").read_text() == "earlier"


@pytest.mark.parametrize(
    ("change", "sentence"),
    (
        ({"class_counts": [3, 0]}, r"class_counts\[1\]: got 0"),
        ({"class_names": ["one"]}, "class_names: got 1 names for 100 class counts"),
        ({"result": {"accuracy": float("nan")}}, "cannot be written as JSON"),
        ({"benchmark": {"path": object()}}, "cannot be written as JSON"),
    ),
)
def test_an_export_of_bad_facts_is_refused_before_anything_is_written(change, sentence, tmp_path):
    with pytest.raises(ExportError, match=sentence):
        export(tmp_path, replace(BEST, **change))
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_named_with_a_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(export_module, "verify_export", lambda *_: None)
    (tmp_path / "file").touch()
    with pytest.raises(ExportError, match=r"cannot be written to .*file \(.*--output FOLDER"):
        export(tmp_path / "file", BEST)
    assert export(tmp_path / "new" / "folder", BEST).record.is_file()


def test_a_disk_that_fills_between_the_two_files_leaves_both_as_they_were(tmp_path, monkeypatch):
    monkeypatch.setattr(export_module, "verify_export", lambda *_: None)
    export(tmp_path, BEST)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    synced = iter([True])

    def full_at_the_second(file):
        if not next(synced, False):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full_at_the_second)
    with pytest.raises(ExportError, match=r"No space left.*--output FOLDER"):
        export(tmp_path, replace(BEST, result={"accuracy": 1.5}))
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
