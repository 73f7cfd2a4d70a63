"""Redaction of what a user gave: passwords in addresses are never written down."""

import re
from typing import Any

CREDENTIALS = re.compile(r"(?<=://)\S*@")
"""``USER:PASSWORD@`` of an address."""
SECRET_PARAMETER = re.compile(
    r"(?<=[?&])((?:[^=&#\s]*(?:secret|password|token|key|signature))=)[^&#\s]+", re.IGNORECASE
)
HIDDEN = "***"


def redacted(content: Any) -> Any:
    """Return JSON-able facts without passwords in any of their texts."""
    if isinstance(content, str):
        return SECRET_PARAMETER.sub(rf"\g<1>{HIDDEN}", CREDENTIALS.sub(f"{HIDDEN}@", content))
    if isinstance(content, dict):
        return {key: redacted(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [redacted(value) for value in content]
    return content
