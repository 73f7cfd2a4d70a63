"""The capacity of a cluster: how many trials fit on its nodes, and on those that may come."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from search.cluster.nodes import NODES_SECONDS, Nodes, free_resources
from search.config.settings import Resources
from spaces.errors import UserError
from spaces.parts.words import number_of

LOOK_SECONDS = 1.0
"""Between looks at the cluster's nodes."""
SAY_SECONDS = 60.0
"""Between two sentences about what is waited for."""


def fitting(resources: Mapping[str, float], held: Mapping[str, float]) -> int:
    """Return how many trials that hold so much fit on a node."""
    counts = [resources.get(name.upper(), 0) / share + 1e-9 for name, share in held.items()]
    return int(min(counts))


def present_capacity(nodes: Nodes, held: Mapping[str, float]) -> int:
    """Return how many trials fit on the nodes that are there."""
    return sum(fitting(resources, held) for resources in nodes.present)


def possible_capacity(nodes: Nodes, held: Mapping[str, float]) -> int:
    """Return how many trials fit on the cluster at its largest, 0 if it does not grow by itself."""
    left, trials = nodes.most, 0
    for each, most in sorted((fitting(k.resources, held), k.most) for k in nodes.types)[::-1]:
        trials += each * min(most, left)
        left -= min(most, left)
    return trials


@dataclass
class Capacity:
    """The capacity of the connected cluster for trials of a search, looked up once a second.

    On a cluster that starts nodes as they are asked for, trials are begun for all nodes that
    it may have: those that fit on none yet wait, and are what asks for more nodes. Once they end,
    or the driver does, nothing asks any more, and idle nodes go.

    Attributes:
        held: Ray resources of one trial.
        most: trials at a time that a user allows, None for as many as fit.
        local: this machine's own Ray, which never grows.
        say: tells a person a sentence.
        look: returns the cluster's nodes.
        free: returns what nobody holds on them.
    """

    held: Mapping[str, float]
    most: int | None
    local: bool
    say: Callable[[str], None]
    look: Callable[[], Nodes] = Nodes.of_cluster
    free: Callable[[], Mapping[str, float]] = free_resources
    present: int = field(init=False, default=-1)
    possible: int = field(init=False, default=0)
    looked: float = field(init=False, default=-LOOK_SECONDS)
    said: float = field(init=False, default=-SAY_SECONDS)
    began: float = field(init=False, default_factory=lambda: time.monotonic())

    def limit(self) -> int:
        """Return how many trials may be under way now.

        Raises:
            UserError: no node that could run a trial came within a minute of the start, on a
                cluster that does not grow by itself.
        """
        now = time.monotonic()
        if self.local and self.present > 0:
            return self.bounded(self.present)
        if now - self.looked >= LOOK_SECONDS:
            self.looked = now
            self.update(self.look(), now)
        return self.bounded(max(self.present, self.possible))

    def bounded(self, trials: int) -> int:
        return trials if self.most is None else min(trials, self.most)

    def update(self, nodes: Nodes, now: float) -> None:
        fit = present_capacity(nodes, self.held)
        self.possible = 0 if self.local else possible_capacity(nodes, self.held)
        before, self.present = self.present, fit
        if fit:
            if fit != before:
                taken = self.taken_text(self.bounded(fit)) if before < 0 else ""
                trials = number_of(self.bounded(fit), "trial")
                self.say(f"{trials} at a time, on {nodes.describe()}{taken}")
            self.began = float("inf")  # from here on, nodes may be away for as long as they like
            self.said = -SAY_SECONDS
        elif before > 0 or now - self.said >= SAY_SECONDS:
            self.said = now
            self.say(self.waiting_for(nodes))
        if not fit and not self.possible and now - self.began > NODES_SECONDS:
            raise UserError(
                f"a trial needs {self.needs()} on one node, but the cluster has "
                f"{nodes.describe()}, and no other node came within {NODES_SECONDS:g} s; add one, "
                "or ask for less."
            )

    def taken_text(self, trials: int) -> str:
        """Return how many of so many trials must wait, before any is begun, for others to end."""
        room = trials if self.local else fitting(self.free(), self.held)
        left = "1 of them waits" if trials - room == 1 else f"{trials - room} of them wait"
        return f"; {left} for what other work on the cluster holds now" if room < trials else ""

    def needs(self) -> str:
        return " and ".join(f"{share:g} {name.upper()}" for name, share in self.held.items())

    def waiting_for(self, nodes: Nodes) -> str:
        grows = f", and may start up to {number_of(nodes.most, 'worker')}" if self.possible else ""
        return (
            f"Waiting for a node with {self.needs()} for each trial: the cluster has "
            f"{nodes.describe()}{grows}; 'ray status' tells more, Ctrl-C stops"
        )


def capacity_of(
    held: Mapping[str, float], resources: Resources, say: Callable[[str], None]
) -> Capacity:
    """Return the capacity of the connected cluster for trials that hold so much."""
    return Capacity(held, resources.concurrent, resources.address is None, say)
