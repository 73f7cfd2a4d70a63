"""Registry of the other libraries that search in a replay, by the name of their sampler."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

from benchmarks.replay.full_length.botorch_search import BotorchSearch
from benchmarks.replay.full_length.peer_search import PeerSearch
from benchmarks.replay.full_length.smac_search import SmacSearch


@dataclass(frozen=True)
class Peer:
    """A library's way of searching.

    Attributes:
        label: of its arm.
        module: that must be there.
        extra: of this project that installs it.
    """

    label: str
    search: type[PeerSearch]
    module: str
    extra: str

    @property
    def installed(self) -> bool:
        return importlib.util.find_spec(self.module) is not None

    @property
    def remedy(self) -> str:
        return f"{self.label} needs {self.module}: pip install -e '.[{self.extra}]'"


PEERS = {
    "botorch": Peer("botorch-qlognei", BotorchSearch, "botorch", "bench"),
    "smac": Peer("smac-forest", SmacSearch, "smac", "smac"),
}
