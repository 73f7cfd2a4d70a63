"""What is said of a search whose process is ended from outside."""

import subprocess
import sys
from pathlib import Path

import pytest
from repository import REPOSITORY

from search.report.last_words import WORDS

PROGRAM = """
import os, signal, sys
from pathlib import Path
from search.report.last_words import last_words

with last_words(Path("log.txt"), "python run_search.py --runs caf\\udce9 --resume") as spare:
    if sys.argv[1] == "said":
        spare()
    if sys.argv[1] != "left":
        os.kill(os.getpid(), signal.SIGKILL)
"""


COMMAND = r"python run_search.py --runs caf\udce9 --resume"
"""As it is shown: the name of the folder is no UTF-8."""


@pytest.mark.parametrize(("end", "code"), (("killed", -9), ("said", -9), ("left", 0)))
def test_the_command_that_continues_is_said_of_a_killed_process_and_of_no_other(
    end: str, code: int, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, end],
        cwd=tmp_path,
        env={"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,  # until the speaker has closed it, too
        text=True,
        timeout=60,
        check=False,
    )
    told = f"{WORDS}\n  {COMMAND}\n" if end == "killed" else ""
    assert (done.returncode, done.stdout, done.stderr) == (code, "", told)
    log = tmp_path / "log.txt"
    logged = log.read_text("utf-8") if log.exists() else ""
    assert [line.partition("search: ")[2] for line in logged.splitlines()] == (
        [WORDS, COMMAND] if told else []
    )
