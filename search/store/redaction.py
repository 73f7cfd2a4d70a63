"""Redaction of what a user gave: passwords in addresses are never written down."""

import re
from typing import Any

CREDENTIALS = re.compile(r"(?<=://)\S*@")
"""``USER:PASSWORD@`` of an address."""
SECRET_PARAMETER = re.compile(
    r"(?<=[?&])((?:[^=&#\s]*(?:secret|password|token|key|signature))=)[^&#\s]+", re.IGNORECASE
)
HIDDEN = "***"


def redacted(objective: Any) -> Any:
    """Return JSON-able facts without passwords in any of their texts."""
    if isinstance(objective, str):
        return SECRET_PARAMETER.sub(rf"\g<1>{HIDDEN}", CREDENTIALS.sub(f"{HIDDEN}@", objective))
    if isinstance(objective, dict):
        return {key: redacted(value) for key, value in objective.items()}
    if isinstance(objective, list | tuple):
        return [redacted(value) for value in objective]
    return objective
