"""Text files that people wrote, with whatever program they did."""

from pathlib import Path

from trainer.errors import UserError


def read_text(file: Path) -> str:
    """The text of a file in UTF-8, with or without a byte-order mark. Raises UserError."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror}): correct its path") from error
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in content[:4]:
        raise UserError(f"{file} is stored as UTF-16: save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is not text in UTF-8 ({error}): save it as UTF-8") from error
