"""Another account of this machine, nobody's, as which tests that root runs try things."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

NOBODY = 65534
BECOME = f"import os; os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\n"
ATTACK = (
    "import json, os, socket, sys\n"
    + BECOME
    + """
done = []
def tried(what, path, attempt):
    try:
        attempt()
    except OSError:
        return
    done.append(f"{what} {path}")
def connect(path):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
paths = json.load(sys.stdin)
for path in paths:
    tried("list", path, lambda: os.listdir(path))
    tried("make in", path, lambda: os.close(os.open(path + "/x", os.O_CREAT | os.O_WRONLY)))
    tried("read", path, lambda: os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK)))
    tried("write", path, lambda: os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK)))
    tried("connect to", path, lambda: connect(path))
for path in reversed(paths):
    tried("move", path, lambda: os.rename(path, path + "-moved"))
print(json.dumps(done))
"""
)


def require_another_account() -> None:
    """Skip the test where this process cannot become another account."""
    if os.getuid() != 0:
        pytest.skip("only root can act as another account")


def reached(folder: Path) -> list[str]:
    """Return what nobody's account can do with a folder, and with all in it by the full path.

    What it can do, it does: files are made and moved.
    """
    require_another_account()
    paths = [str(folder), *map(str, sorted(folder.rglob("*")))]
    done = subprocess.run(
        [sys.executable, "-c", ATTACK],
        cwd="/",
        input=json.dumps(paths),
        capture_output=True,
        text=True,
        check=True,
    )
    return list(json.loads(done.stdout))
