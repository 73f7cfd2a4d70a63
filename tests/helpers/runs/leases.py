"""Leases of runs that another machine holds, as it leaves them on disk."""

import json
from pathlib import Path

OTHER = "0123456789abcdef"


def holder(folder: Path, **changes: object) -> None:
    """Leave the lease of a process on another machine."""
    facts = {
        "number": 7,
        "token": OTHER,
        "beat": 3,
        "host": "far",
        "pid": 12,
        "machine": "far 1",
    }
    (folder / "lease.json").write_text(json.dumps(facts | changes))
