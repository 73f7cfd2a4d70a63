"""A run folder of somebody else, or a name that a user gives, touches nothing elsewhere."""

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from confirming import steady, whole_run
from twin import OBJECTIVE

import search.store.files.containment
from search.cli.commands import main
from search.config.redaction import redacted
from search.store.files.containment import check_contained
from search.store.run_folder import RunFolder, part_key
from search.store.trials import STUDIES, trial_key
from spaces.errors import UserError
from trainer.benchmarks import get_benchmark
from trainer.errors import BenchmarkError

SECRET = "nobody else's business"
Prepare = Callable[[Path, Path], None]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return whole_run(tmp_path_factory.mktemp("runs") / "run", steady, 20, 12, OBJECTIVE).path


@pytest.fixture
def folder(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "runs" / "run"))


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder of whoever looks at the run, with a file and a folder in it."""
    place = tmp_path / "elsewhere"
    (place / "folder").mkdir(parents=True)
    (place / "folder" / "kept").write_text(SECRET)
    (place / "file").write_text(SECRET)
    return place


def linked(name: str, to: str) -> Prepare:
    """Return what puts a link to something elsewhere in the place of a part of the folder."""

    def prepare(folder: Path, elsewhere: Path) -> None:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(elsewhere / to)

    return prepare


def through_a_link_inside(folder: Path, elsewhere: Path) -> None:
    (folder / "trials" / "a").symlink_to("b")
    (folder / "trials" / "b").symlink_to(elsewhere / "file")


def upwards(folder: Path, elsewhere: Path) -> None:
    (folder / "trials" / "a").symlink_to("../../../elsewhere/file")


def to_the_folder_of_runs(folder: Path, elsewhere: Path) -> None:
    (folder / "trials" / "a").symlink_to("../..")


def beside(folder: Path, elsewhere: Path) -> None:
    folder.with_name("run-2").mkdir()
    (folder / "trials" / "a").symlink_to(folder.with_name("run-2"))


LINKS: dict[str, Prepare] = {
    "settings": linked("settings.json", "file"),
    "attempts": linked("attempts.jsonl", "file"),
    "record": linked("record.jsonl", "file"),
    "epochs": linked("trials/proposals-00001.jsonl", "file"),
    "trials": linked("trials", "folder"),
    "checkpoints": linked("checkpoints", "folder"),
    "a trial's checkpoints": linked("checkpoints/baselines-00000", "folder"),
    "scratch": linked("ray", "folder"),
    "in the scratch": linked("ray/attempt-2", "folder"),
    "lock": linked("lock", "file"),
    "a file to be made": linked("log.txt", "not yet there"),
    "the export": linked("best.json", "file"),
    "through a link inside": through_a_link_inside,
    "upwards": upwards,
    "to the folder of runs": to_the_folder_of_runs,
    "beside": beside,
}


@pytest.mark.parametrize("command", ("show", "export", "confirm", "--resume"))
@pytest.mark.parametrize("prepare", LINKS.values(), ids=LINKS)
def test_a_run_that_leads_elsewhere_is_refused_and_touches_nothing(
    folder: Path,
    elsewhere: Path,
    prepare: Prepare,
    command: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    prepare(folder, elsewhere)
    before = sorted(os.walk(elsewhere))
    arguments = [command, str(folder)]
    if command == "--resume":
        where = ["--runs", str(folder.parent), "--name", folder.name, "--data-root", str(tmp_path)]
        arguments = ["--benchmark", "resnet8-digitslt", *where, "--address", "local", "--resume"]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert "cannot be used as a run folder" in error
    assert "is a link to" in error
    assert error.count("\n") == 1
    assert SECRET not in error
    assert sorted(os.walk(elsewhere)) == before
    assert (elsewhere / "file").read_text() == SECRET
    assert (elsewhere / "folder" / "kept").read_text() == SECRET


def test_a_run_that_lies_in_itself_is_contained(folder: Path, tmp_path: Path) -> None:
    check_contained(folder)
    (folder / "ray" / "again").symlink_to("../record.jsonl")
    (folder / "ray" / "round").symlink_to(folder)
    (folder / "ray" / "loop").symlink_to("loop")
    own = folder / "checkpoints" / "proposals-00002" / "own"
    own.mkdir(parents=True)
    (own / "last").symlink_to("epoch-3")  # as Lightning does
    check_contained(folder)
    (tmp_path / "way").symlink_to(folder)  # how a user gets there is the user's business
    check_contained(tmp_path / "way")


@pytest.mark.parametrize(
    ("name", "to"),
    (
        ("lock", "record.jsonl"),  # which would be emptied
        ("log.txt", "record.jsonl"),
        ("trials/proposals-00002.jsonl", "baselines-00000.jsonl"),
        ("checkpoints/proposals-00002", "../trials"),
        ("checkpoints/proposals-00002/own", "../../trials"),
        ("checkpoints/proposals-00002/own/last", "../../../record.jsonl"),
        ("checkpoints/proposals-00002/last", "own/epoch-3"),
        ("best.json", "best.json"),
    ),
)
def test_a_link_to_another_part_of_the_run_is_refused(folder: Path, name: str, to: str) -> None:
    (folder / name).unlink(missing_ok=True)
    (folder / name).parent.mkdir(exist_ok=True, parents=True)
    (folder / name).symlink_to(to)
    with pytest.raises(UserError, match=f"'{name}' is a link; take it away"):
        check_contained(folder)


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(path.parent)  # a socket's path must be short
        listener.bind(path.name)


@pytest.mark.parametrize("make", (a_pipe, a_socket))
def test_what_is_no_file_is_refused_and_not_waited_for(
    folder: Path, make: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    (folder / "attempts.jsonl").unlink()
    make(folder / "attempts.jsonl")
    with pytest.raises(UserError, match=r"'attempts.jsonl' is neither a file nor a folder"):
        RunFolder(folder).read_manifest()


def test_a_file_that_is_too_large_to_be_read_is_refused(folder: Path) -> None:
    powers = {"settings.json": 24, "attempts.jsonl": 28, "record.jsonl": 28, "log.txt": 32}
    for name, power in powers.items():
        size = 2**power
        before = (folder / name).stat().st_size if (folder / name).exists() else 0
        (folder / name).touch()
        os.truncate(folder / name, size + 1)  # takes no room: it is all hole
        with pytest.raises(UserError, match=f"'{name}' has {size + 1} bytes, and at most {size} "):
            RunFolder(folder).read_manifest()
        os.truncate(folder / name, before)


def test_what_a_function_prints_and_saves_may_be_large(folder: Path) -> None:
    own = "checkpoints/proposals-00002/own/model"
    for name, size in (("trials/proposals-00002.out.txt", 2**28), (own, 2**32)):
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).touch()
        os.truncate(folder / name, size + 1)
    check_contained(folder)


@pytest.mark.parametrize(
    "name", ("lock", "lease.json", "log.txt", "best_weighting.py", "trials/proposals-00001.jsonl")
)
def test_a_folder_in_the_place_of_a_file_is_refused(folder: Path, name: str) -> None:
    (folder / name).unlink(missing_ok=True)
    (folder / name).mkdir()
    with pytest.raises(UserError, match=f"'{name}' is a folder, not a file; take it away"):
        check_contained(folder)


def test_a_file_in_the_place_of_a_folder_is_refused(folder: Path) -> None:
    shutil.rmtree(folder / "ray")
    (folder / "ray").touch()
    with pytest.raises(UserError, match="'ray' is a file, not a folder"):
        check_contained(folder)


def test_a_file_that_may_not_be_read_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: not path.endswith("record.jsonl"))
    with pytest.raises(UserError, match=r"'record.jsonl' cannot be read, by its permissions"):
        check_contained(folder)


def test_more_files_than_a_run_has_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search.store.files.containment, "MOST_ENTRIES", 20)
    with pytest.raises(UserError, match="is one of more than 20 files"):
        check_contained(folder)


def test_names_in_an_error_cannot_steer_a_terminal(folder: Path) -> None:
    (folder / "trials" / "\x1b[2J").symlink_to("/\x1b[2J")
    with pytest.raises(UserError) as caught:
        check_contained(folder)
    assert "\x1b" not in str(caught.value)


def test_files_that_a_running_search_drops_meanwhile_are_no_fault(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = folder / "checkpoints" / "proposals-00009"
    checkpoints.mkdir()
    (checkpoints / "epoch-00005.ckpt").touch()
    seen = search.store.files.containment.entries

    def entries(place: Path):  # type: ignore[no-untyped-def]
        for entry in seen(place):
            if entry.name.startswith("epoch-"):
                shutil.rmtree(checkpoints)
            yield entry

    monkeypatch.setattr(search.store.files.containment, "entries", entries)
    check_contained(folder)
    assert not checkpoints.exists()


def test_a_folder_with_thousands_of_trials_costs_little(tmp_path: Path) -> None:
    """20,000 files are looked at without opening one."""
    (tmp_path / "trials").mkdir()
    for number in range(20_000):
        (tmp_path / "trials" / str(number)).touch()
    opened: list[object] = []
    with pytest.MonkeyPatch.context() as patch:
        for name in ("builtins.open", "io.open", "os.open"):
            patch.setattr(name, lambda *_: opened.append(_))
        check_contained(tmp_path)
    assert opened == []


@pytest.mark.parametrize("name", ("../x", "/etc/x", "..", ".x", "a/b", "a\\b", "a\0b", "x\n"))
def test_no_name_of_a_run_leads_out_of_the_folder_of_runs(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--benchmark", "resnet8-digitslt", "--runs", str(tmp_path / "runs")]
    assert main([*arguments, "--address", "local", "--name", name]) == 2
    assert "the run's name is" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "name", ("../x", "/etc/x", "..", ".x", "a/b", "a\\\\b", "a\\u0000b", "x\\n")
)
@pytest.mark.parametrize("option", ("--benchmark", "--holdout"))
def test_no_name_in_a_benchmark_file_leads_out_of_the_folder_of_prepared_files(
    tmp_path: Path,
    make_folder: Callable[..., Path],
    name: str,
    option: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_folder(tmp_path / "images", (9, 20, 9))
    file = tmp_path / "mine.toml"
    head = f'name = "{name}"\nnetwork = "resnet8"\nresolution = 8\n'
    file.write_text(head + '[data]\nroot = "images"\n')
    with pytest.raises(BenchmarkError, match="name is "):
        get_benchmark(str(file), tmp_path)
    others = ["--benchmark", "resnet8-digitslt"] if option == "--holdout" else []
    where = ["--data-root", str(tmp_path / "data"), "--runs", str(tmp_path / "runs")]
    assert main([*others, option, str(file), *where, "--address", "local"]) == 2
    assert "name is " in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("study", STUDIES)
def test_parts_of_trials_lie_in_the_run_folder(tmp_path: Path, study: str) -> None:
    run = RunFolder(tmp_path / "run")
    key = part_key(trial_key(study, 10**9), 7)
    for path in (run.checkpoint_folder(key), run.trials / f"{key}.jsonl"):
        assert path.parent in (run.trials, run.checkpoints)


@pytest.mark.parametrize(
    ("given", "kept"),
    (
        ("ray://me:pass@head:10001", "ray://***@head:10001"),
        ("https://pass@host/x?a=b", "https://***@host/x?a=b"),
        ("redis://:p@ss/word@host:1", "redis://***@host:1"),
        ("postgresql+psycopg://u:p@h/db see", "postgresql+psycopg://***@h/db see"),
        ("s3://bucket/x?access_key=AK&secret_key=SK&region=r", None),
        ("https://h/x?X-Amz-Signature=abc#f", "https://h/x?X-Amz-Signature=***#f"),
        ("head:6379", "head:6379"),
        ("/data/runs@home", "/data/runs@home"),
        ("a@b.c", "a@b.c"),
    ),
)
def test_passwords_in_addresses_are_left_out(given: str, kept: str | None) -> None:
    wanted = kept or "s3://bucket/x?access_key=***&secret_key=***&region=r"
    assert redacted(given) == wanted
    assert redacted({"a": [given, (given,)], "n": 1}) == {"a": [wanted, [wanted]], "n": 1}


def test_passwords_are_not_on_record(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    run.create()
    run.begin_attempt(
        {
            "arguments": ["--address", "ray://me:hunter2@head:1", "--seed", "1"],
            "resources": {"address": "ray://me:hunter2@head:1"},
        }
    )
    assert "hunter2" not in run.attempts.read_text()
    assert run.read_attempts()[0].arguments == ("--address", "ray://***@head:1", "--seed", "1")
