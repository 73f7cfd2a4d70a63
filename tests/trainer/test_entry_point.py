"""Entry points of programs end with a sentence and an exit code."""

import contextlib
import errno
import io
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from repository import REPOSITORY

from spaces import WeightingError
from spaces.errors import UserError
from trainer.entry_point import entry_point, leave, loading, told
from trainer.errors import CheckpointError

SPEAKS_FOR_ITSELF = {
    "benchmarks/gpu_check/stages/__main__.py",  # its traceback is read where there is no GPU
    "benchmarks/gpu_check/stages/suite/process.py",
    "benchmarks/throughput/worker.py",
    "search/cluster/environment_check.py",  # runs where nothing is installed yet
    "search/cluster/preemption.py",
    "search/cluster/watcher.py",
    "search/export/probe.py",
    "search/report/last_words.py",
}
"""Programs that others start, and read."""
TALKS = """
import sys
from trainer.entry_point import entry_point

@entry_point()
def main():
    print("much " * 3000)
    print("more")
    return 0

sys.exit(main())
"""


@pytest.mark.parametrize(
    ("error", "code", "said"),
    (
        (UserError("seed is 1"), 2, "error: seed is 1"),
        (WeightingError("p is nan"), 2, "error: p is nan"),
        (CheckpointError("a.ckpt is damaged"), 2, "error: a.ckpt is damaged"),
        (OSError(errno.EACCES, "Permission denied", "a"), 1, "error: a: Permission denied"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 1, "error: Broken pipe"),  # a worker's
        (KeyboardInterrupt(), 130, "interrupted"),
    ),
)
def test_what_ends_a_program_is_said_in_a_line(
    error: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    @entry_point()
    def main() -> int:
        raise error

    with contextlib.redirect_stdout(sys.__stdout__):  # one that a poll can look at
        assert main() == code
    assert capsys.readouterr().err == f"{said}\n"


def test_a_defect_of_the_program_is_not_hidden() -> None:
    @entry_point()
    def main() -> int:
        raise ValueError("a defect")

    with pytest.raises(ValueError, match="a defect"):
        main()


@pytest.mark.parametrize(
    ("output", "code", "said"),
    (
        ("| true", 1, ""),
        (">/dev/full", 1, "error: No space left on device\n"),
        (">&-", 0, ""),
    ),
)
def test_an_output_that_is_gone_full_or_closed_is_no_traceback(
    output: str, code: int, said: str
) -> None:
    command = f'"$0" -c "$1" {output}; exit ${{PIPESTATUS[0]}}'
    words = ["bash", "-c", command, sys.executable, TALKS]
    done = subprocess.run(words, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (code, said)


def test_bad_input_ends_with_its_code_where_stderr_is_closed_too() -> None:
    @entry_point()
    def main() -> int:
        raise UserError("seed is 1")

    with contextlib.redirect_stderr(None):
        assert main() == 2
        sys.stderr.close()


@pytest.mark.parametrize(
    ("encoding", "errors", "printed", "written"),
    (
        ("utf-8", "strict", "\udcff.json", b"\xff.json\n"),  # the name of a file that is no UTF-8
        ("latin-1", "strict", "ä 猫", b"\xe4 \\u732b\n"),
        ("ascii", "surrogateescape", "ä\udcff", b"\\xe4\\udcff\n"),  # Python's in the C locale
        ("ascii", "replace", "ä", b"?\n"),  # as PYTHONIOENCODING says
    ),
)
def test_what_the_encoding_of_the_output_lacks_is_written_as_it_is_or_escaped(
    encoding: str,
    errors: str,
    printed: str,
    written: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @entry_point()
    def main() -> int:
        print(printed)
        return 0

    with (tmp_path / "told").open("w", encoding=encoding, errors=errors) as output:
        monkeypatch.setattr(sys, "stdout", output)
        assert main() == 0
    assert (tmp_path / "told").read_bytes() == written


def test_ctrl_c_raises_within_main_and_ends_the_process_before_and_after_it() -> None:
    @entry_point()
    def main() -> int:
        signal.raise_signal(signal.SIGINT)
        return 0

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    hook = sys.excepthook
    try:
        loading()
        assert main() == 130
        assert signal.getsignal(signal.SIGINT) is leave
        assert signal.getsignal(signal.SIGTERM) is leave
    finally:
        sys.excepthook = hook
        for number, handler in before.items():
            signal.signal(number, handler)


def test_a_signal_while_the_program_loads_ends_it_on_a_closed_terminal_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.EIO, "closed")

    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)
    for terminal in (Closed(), None):
        with contextlib.redirect_stderr(terminal):
            leave(signal.SIGTERM, None)
    assert codes == [130, 130]


@pytest.mark.parametrize(
    "program",
    (
        ["run_search.py", "list"],
        ["-m", "trainer", "--help"],
        ["-m", "search.cluster.config_check", "cluster.yaml"],
    ),
)
def test_a_library_that_is_not_installed_is_told_in_a_sentence(program: list[str]) -> None:
    command = [sys.executable, "-S", *program]  # without what is installed
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert re.fullmatch(
        r"error: \w+ is not installed; README\.md says how to install\.\n", ended.stderr
    )


@pytest.mark.parametrize("name", ("fcntl", "xml.parsers"))
def test_a_module_of_python_itself_that_is_missing_is_said_to_be_the_systems(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)
    error = ModuleNotFoundError(f"No module named {name!r}", name=name)
    told(type(error), error, None)
    said = f"error: this Python has no module {name}, which is part of Python on Linux; on Windows"
    assert capsys.readouterr().err.startswith(said)
    assert codes == [2]


def test_a_module_of_the_project_that_is_missing_is_a_defect(
    capsys: pytest.CaptureFixture[str],
) -> None:
    error = ModuleNotFoundError("No module named 'search.lost'", name="search.lost")
    told(type(error), error, None)
    assert "ModuleNotFoundError: No module named 'search.lost'" in capsys.readouterr().err


def test_every_program_has_an_entry_point() -> None:
    paths = [
        p for top in ("search", "trainer", "benchmarks") for p in (REPOSITORY / top).rglob("*.py")
    ]
    programs = {
        path: text for path in paths if '__name__ == "__main__"' in (text := path.read_text())
    }
    without = set()
    for path, text in programs.items():
        imported = re.search(r"from (\S+) import main", text)
        module = REPOSITORY / Path(*imported[1].split(".")).with_suffix(".py") if imported else path
        if "@entry_point(" not in module.read_text():
            without.add(path.relative_to(REPOSITORY).as_posix())
    assert without == SPEAKS_FOR_ITSELF
