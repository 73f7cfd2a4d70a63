"""A run that searched training strategies is read by every command, as a run of weights is."""

import json
import shutil
import zlib
from pathlib import Path

import pytest
from looking import make

from search.cli.commands import main
from search.store.trials import NAMED_FIRST


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make("strategies", tmp_path_factory.mktemp("strategies")).folder


@pytest.mark.parametrize("command", ("show", "report", "study"))
def test_it_is_read(
    run: Path, command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([command, str(run)]) == 0


def test_it_is_listed_and_compared(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copied = shutil.copytree(run, tmp_path / "copied")
    assert main(["list", str(run.parent)]) == 0
    assert f"{run.name}: " not in (told := capsys.readouterr().out)
    assert "confirmed" in told
    assert main(["compare", str(run), str(copied)]) == 0


def test_strategies_that_run_first_stand_in_their_order(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").mkdir()
    for file in run.iterdir():
        if file.is_file():
            (tmp_path / "run" / file.name).write_bytes(file.read_bytes())
    record = tmp_path / "run" / "record.jsonl"
    lines = record.read_bytes().splitlines()
    key = f"{NAMED_FIRST}-00000".encode()
    (place,) = (i for i, line in enumerate(lines) if b'"asked":{"trial":"' + key in line)
    content = json.loads(lines[place])
    del content["crc"]
    content["asked"]["name"] = "another"
    body = json.dumps(content, separators=(",", ":")).encode()[:-1]
    lines[place] = body + b',"crc":"%08x"}' % zlib.crc32(body)
    record.write_bytes(b"\n".join(lines) + b"\n")
    assert main(["show", str(tmp_path / "run")]) == 2
    assert "named-00000 is another, which is not the one" in capsys.readouterr().err
