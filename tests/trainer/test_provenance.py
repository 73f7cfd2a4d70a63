"""Where numbers come from: the commit is of these sources, or there is none."""

import shutil
import subprocess
from pathlib import Path

import pytest

from trainer import provenance


def test_a_copy_inside_another_repository_has_no_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "provenance.py"
    shutil.copy(provenance.__file__, installed)
    monkeypatch.setattr(provenance, "__file__", str(installed))

    def git(*arguments: str) -> None:
        who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        subprocess.run(["git", *who, *arguments], cwd=tmp_path, check=True)

    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "theirs")
    assert provenance.git_revision() is None
    git("add", "provenance.py")
    git("commit", "-q", "-m", "ours")
    assert len(provenance.git_revision() or "") == 40
