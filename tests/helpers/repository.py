"""Where the repository is."""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
EARLIER_RUN = REPOSITORY / "tests" / "search" / "store" / "schema-2"
"""A whole run as schema version 2 wrote it, which is never recorded anew."""
