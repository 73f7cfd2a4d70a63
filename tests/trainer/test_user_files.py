"""Files that people wrote with any program are read, or refused in a sentence."""

from pathlib import Path

import pytest

from spaces.errors import UserError
from trainer.user_files import expanded, read_text


@pytest.mark.parametrize("encoding", ("utf-8", "utf-8-sig", "utf-16"))
def test_a_text_of_any_program_is_read(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "text"
    path.write_bytes("K\u00e4fer\r\ntwo\rthree\n".encode(encoding))
    assert read_text(path) == "K\u00e4fer\ntwo\nthree\n"


@pytest.mark.parametrize("content", ("\u00e4".encode("latin-1"), "a\n".encode("utf-16-le")))
def test_a_text_whose_encoding_is_not_known_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "text"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"text is not text in UTF-8 \(.*\): save it as UTF-8"):
        read_text(path)


@pytest.mark.parametrize("name", ("", "$NOTHING"))
def test_an_empty_path_does_not_stand_for_this_folder(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTHING", "")
    with pytest.raises(UserError, match=r"is empty; give one, such as \. for this folder"):
        expanded(name)
