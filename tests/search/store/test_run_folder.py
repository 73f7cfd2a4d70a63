"""The files of a run, and the damage that they survive."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from confirming import WITH_HOLDOUT, manifest_of
from leases import holder
from repository import REPOSITORY
from twin import BENCHMARK, make_settings, results_of

from search.store.attempts import Attempt, Cost
from search.store.files.jsonl import append_line, cut_torn_line, read_lines
from search.store.lease import LeaseLostError
from search.store.run_folder import RunFolder, RunFolderGoneError, other_runs
from spaces.errors import UserError

KEY = "proposals-00000"


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = RunFolder(tmp_path / "run")
    made.create()
    return made


@pytest.mark.parametrize(
    "name",
    ("", ".", "..", ".hidden", "-x", "_x", "a/b", "../a", "/etc", "a\\b", "a b", "a\n", "ä", "a:b"),
)
def test_a_name_that_is_not_one_plain_file_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="use letters, digits"):
        RunFolder.named(tmp_path, name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ("a", "7", "resnet32-cifar10lt", "v1.2_final"))
def test_a_run_lies_directly_in_the_folder_of_runs(tmp_path: Path, name: str) -> None:
    assert RunFolder.named(tmp_path, name).path == tmp_path / name
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("path", "name"), (("runs/.hidden", ".hidden"), ("/", "/")))
def test_a_path_without_a_plain_last_part_is_refused(path: str, name: str) -> None:
    with pytest.raises(UserError, match=f"the run's name is '{name}'; use letters"):
        RunFolder(Path(path))


@pytest.mark.parametrize(("inside", "path"), ((".", "."), ("trials", ".."), ("trials", "../.")))
def test_a_run_has_its_name_from_inside_too(
    inside: str, path: str, folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.path / inside)
    assert RunFolder(Path(path)).path == folder.path


def test_paths_do_not_move_with_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = RunFolder(Path("runs/a"))
    monkeypatch.chdir("/")
    folder.create()
    assert (tmp_path / "runs" / "a" / "trials").is_dir()


def test_a_place_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "runs").touch()
    with pytest.raises(UserError, match="cannot be made"):
        RunFolder(tmp_path / "runs" / "a").create()


def test_a_run_held_by_another_process_is_refused_until_that_ends(folder: RunFolder) -> None:
    program = (
        "import sys; from pathlib import Path; from search.store.run_folder import RunFolder\n"
        f"with RunFolder(Path({str(folder.path)!r})).locked():\n"
        "    print('held', flush=True); sys.stdin.readline()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(UserError, match="is being searched by another process"):  # noqa: SIM117
            with folder.locked():
                pass
        other.kill()  # the lock goes with the process
        other.wait()
    with folder.locked():
        pass


def test_a_run_can_be_held_again_after_an_error(folder: RunFolder) -> None:
    with pytest.raises(ZeroDivisionError), folder.locked():
        _ = 1 / 0
    with folder.locked():
        pass


def test_settings_are_read_as_written(folder: RunFolder) -> None:
    assert not folder.exists()
    manifest = manifest_of(WITH_HOLDOUT, make_settings())
    folder.write_manifest(manifest)
    assert folder.exists()
    assert folder.read_manifest() == manifest


@pytest.mark.parametrize(
    ("content", "sentence"),
    (
        (None, r"there is no run at .*/run; give a run's own folder\.$"),
        (b'{"a": ', "settings.json is not JSON"),
        (b"\xff\xfe\xfd", "settings.json is not JSON"),
        (b"[1]", r"settings.json cannot be used: it is \[1\]; it must be a table of"),
        (
            b'{"settings": {}}',
            "cannot be used: schema_version is missing; restore the file",
        ),
    ),
)
def test_unusable_settings_are_refused(
    folder: RunFolder, content: bytes | None, sentence: str
) -> None:
    if content is not None:
        folder.settings.write_bytes(content)
    with pytest.raises(UserError, match=sentence):
        folder.read_manifest()


def test_a_record_without_settings_says_what_to_restore(folder: RunFolder) -> None:
    folder.record.write_bytes(b"")
    with pytest.raises(UserError, match=r"the record of a run but no settings.json; restore that"):
        folder.read_manifest()


def test_attempts_are_numbered_and_a_torn_one_is_not_counted(folder: RunFolder) -> None:
    assert [folder.begin_attempt({"device": "cpu"}) for _ in range(2)] == [1, 2]
    with folder.attempts.open("a") as file:
        file.write('{"attempt": 3, "dev')
    assert folder.begin_attempt({"device": "cuda"}) == 3
    rows = read_lines(folder.attempts)
    assert [(row["attempt"], row["device"]) for row in rows] == [
        (1, "cpu"),
        (2, "cpu"),
        (3, "cuda"),
    ]


def test_what_is_known_later_of_a_start_is_read_with_it(folder: RunFolder) -> None:
    each = tuple(range(101))  # of 100 benchmarks and a hold-out
    cost = Cost(epoch_seconds=each, concurrency=8, seconds=90.0, gpu_hours=0.1)
    for number in (1, 2):
        assert folder.begin_attempt({"device": "cuda"}) == number
        folder.add_to_attempt(number, {"cost": asdict(cost)})
    assert folder.begin_attempt({"device": "cuda"}) == 3
    assert folder.read_attempts() == [
        *(Attempt(n, "cuda", cost=cost) for n in (1, 2)),
        Attempt(3, "cuda"),
    ]


def test_epochs_are_read_as_written(folder: RunFolder) -> None:
    assert folder.read_epochs(KEY) == []
    results = results_of(0)
    for result in results:
        folder.append_epoch(KEY, result)
    assert folder.read_epochs(KEY) == results


def test_a_torn_last_epoch_is_cut_and_can_be_written_again(folder: RunFolder) -> None:
    results = results_of(0)
    for result in results[:3]:
        folder.append_epoch(KEY, result)
    path = folder.trials / f"{KEY}.jsonl"
    os.truncate(path, path.stat().st_size - 1)  # all but the newline is there
    assert folder.read_epochs(KEY) == results[:2]
    assert folder.reopen_epochs(KEY, BENCHMARK) == results[:2]
    folder.append_epoch(KEY, results[2])
    assert folder.read_epochs(KEY) == results[:3]


def drop_second(lines: list[bytes]) -> None:
    del lines[1]


def double_second(lines: list[bytes]) -> None:
    lines.insert(2, lines[1])


def garbage_second(lines: list[bytes]) -> None:
    lines[1] = b"what is this"


def bytes_second(lines: list[bytes]) -> None:
    lines[1] = b"\xff\xfe\xfd"


def blank_second(lines: list[bytes]) -> None:
    lines[1] = b""


def number_second(lines: list[bytes]) -> None:
    lines[1] = b"3"


def object_second(lines: list[bytes]) -> None:
    lines[1] = b'{"epoch": 2}'


def halves_second(lines: list[bytes]) -> None:
    lines[1] = json.dumps(json.loads(lines[1]) | {"correct": [[1]]}).encode()


@pytest.mark.parametrize(
    ("damage", "sentence"),
    (
        (drop_second, "line 2 of .*jsonl is epoch 3, not 2"),
        (double_second, "line 3 of .*jsonl is epoch 2, not 3"),
        (garbage_second, "line 2 of .*jsonl cannot be used: it is .*; it must be JSON without"),
        (bytes_second, "line 2 of .*jsonl cannot be used: it is .*; it must be JSON without"),
        (blank_second, "line 2 of .*jsonl cannot be used: it is .*; it must be JSON without"),
        (number_second, "line 2 of .*jsonl cannot be used: it is 3; it must be a table of"),
        (object_second, "line 2 of .*jsonl cannot be used: train_loss is missing"),
        (halves_second, r"line 2 of .*jsonl cannot be used: correct\[1\] is missing"),
    ),
)
def test_damaged_epochs_are_refused_with_their_line(
    folder: RunFolder, damage: Callable[[list[bytes]], None], sentence: str
) -> None:
    for result in results_of(0)[:4]:
        folder.append_epoch(KEY, result)
    path = folder.trials / f"{KEY}.jsonl"
    lines = path.read_bytes().split(b"\n")
    damage(lines)
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(UserError, match=sentence):
        folder.read_epochs(KEY)


def test_reading_lines_leaves_a_line_that_is_being_written_alone(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    append_line(path, {"a": 1})
    with path.open("a") as file:
        file.write('{"a":')
    before = path.read_bytes()
    assert read_lines(path) == [{"a": 1}]
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "left"), ((b"", b""), (b"ab", b""), (b"a\nb", b"a\n"), (b"a\n", b"a\n"))
)
def test_a_file_is_cut_back_to_its_last_newline(
    tmp_path: Path, content: bytes, left: bytes
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    cut_torn_line(path)
    assert path.read_bytes() == left


def test_cutting_a_missing_file_makes_none(tmp_path: Path) -> None:
    cut_torn_line(tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_errors_and_checkpoints_of_a_trial(folder: RunFolder) -> None:
    folder.write_error(KEY, "why\n\nwhere")
    assert (folder.trials / f"{KEY}.error.txt").read_text() == "why\n\nwhere"
    checkpoints = folder.checkpoint_folder(KEY)
    checkpoints.mkdir()
    (checkpoints / "epoch-00005.ckpt").touch()
    folder.drop_checkpoints(KEY)
    folder.drop_checkpoints(KEY)
    assert list(folder.checkpoints.iterdir()) == []


def test_a_folder_that_is_closed_to_this_account_is_told(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(path: Path) -> os.stat_result:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_file", os.path.isfile)  # as from Python 3.14 on
    monkeypatch.setattr(Path, "stat", denied)  # root enters all folders
    told = re.escape(f"the run folder {folder.path} is closed to this account (Permission denied);")
    with pytest.raises(UserError, match=told):
        folder.read_manifest()


def test_nothing_is_written_to_a_folder_that_is_not_where_it_was(folder: RunFolder) -> None:
    with folder.locked():
        elsewhere = folder.path.rename(folder.path.with_name("elsewhere"))
        folder.ray.mkdir(parents=True)  # as Ray Tune makes it anew
        told = re.escape(f"the run folder {folder.path} was deleted or moved while its search ran")
        for write in (folder.may_write, lambda: folder.append_epoch(KEY, results_of(1)[0])):
            with pytest.raises(RunFolderGoneError, match=told):
                write()
    assert list(folder.path.iterdir()) == [folder.ray]
    assert not (elsewhere / "trials" / f"{KEY}.jsonl").exists()


def test_nothing_is_written_to_or_deleted_from_a_run_that_another_machine_took_over(
    folder: RunFolder,
) -> None:
    proof = folder.make_proof(2)
    with folder.locked():
        assert folder.lease is not None
        holder(folder.path)
        folder.lease._look()
        for write in (folder.may_write, lambda: folder.write_error(KEY, "it failed")):
            with pytest.raises(LeaseLostError, match="was taken over by process 12 on far"):
                write()
        folder.drop_scratch()
    assert proof.exists()
    assert list(folder.trials.iterdir()) == []
    folder.drop_scratch()
    assert not folder.ray.exists()


def test_a_path_that_is_no_run_is_answered_with_the_runs_that_may_be_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("digits", "cifar"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "settings.json").touch()
    assert other_runs(Path("runs/digit")) == " (did you mean 'runs/digits'?)"
    assert other_runs(Path("digits")) == " (did you mean 'runs/digits'?)"
    assert other_runs(Path("runs")) == ", but there are some in it: cifar, digits"
    assert other_runs(Path("runs/cifar/best.json")) == " (did you mean 'runs/cifar'?)"
    assert other_runs(Path("elsewhere")) == "; give a run's own folder"
    assert other_runs(tmp_path.parent) == "; give a run's own folder", "runs lie two levels below"
