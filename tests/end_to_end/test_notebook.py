"""The example notebook, executed as a person does."""

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from repository import REPOSITORY

NOTEBOOK = REPOSITORY / "examples" / "search.ipynb"


def executed(place: Path) -> list[str]:
    """Return what the notebook shows, a text for each of its cells of code."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(place)}})
    client.execute(env=os.environ | {"PYTHONPATH": path})
    nbformat.write(notebook, place / "executed.ipynb")
    return [shown(cell) for cell in notebook.cells if cell.cell_type == "code"]


def shown(cell: nbformat.NotebookNode) -> str:
    """Return what a cell shows, a value as HTML where it has that.

    What Ray and Optuna say on stderr as they are loaded, of widgets that they miss, is left out.
    """
    told = [output for output in cell.outputs if output.get("name") != "stderr"]
    values = [output.get("data", {}) for output in told]
    assert all(value.get("text/html") != "" for value in values)
    texts = [value.get("text/html", value.get("text/plain", "")) for value in values]
    return "".join([*texts, *(output.get("text", "") for output in told)])


@pytest.mark.slow
@pytest.mark.long
def test_the_example_notebook_runs_and_shows_what_it_found(tmp_path: Path) -> None:
    search, run, verdict, trials, weights, files = executed(tmp_path)
    assert "run folder" in search
    assert "\x1b" not in search
    assert run.startswith("<div>\n<p><strong>Use ")
    assert verdict.startswith("Use ")
    assert trials.count("<tr") == 11
    assert weights.startswith("tensor([")
    assert files == "best_weighting.py report.html\n"
    assert (tmp_path / "runs" / "notebook" / "report.html").is_file()


def test_the_example_notebook_is_kept_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.outputs for cell in code] == [[]] * len(code)
    assert [cell.execution_count for cell in code] == [None] * len(code)
