"""Records of a few trials."""

from typing import Any

from twin import STRATEGY

from search.store.facts import Drawn
from search.store.record import Record
from search.store.trials import Row

NAMES = ("uniform", "sqrt_inverse", "mlsbench_balanced_softmax")
SEED = 7
SUMMARY: dict[str, Any] = {
    "epochs": 10,
    "best_score": 50.0,
    "last_ten_score": 45.0,
    "shots": {"many": 60.0},
}
DRAWN = Drawn({"exponent": 0.5}, {"a": "b"}, {"position": 3})


def start_proposal(record: Record) -> Row:
    return record.start(STRATEGY, DRAWN)
