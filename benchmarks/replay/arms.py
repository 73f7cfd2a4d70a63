"""Arms of a replay: the ways of searching and of choosing that are compared."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from fractions import Fraction

from benchmarks.replay.full_length.oracle import ORACLE
from benchmarks.replay.full_length.peers import PEERS
from search.samplers.registry import KNOWLEDGE_GRADIENT, OPTUNA_SAMPLERS
from search.stopping.rules import STOPPING_RULES
from spaces.errors import UserError

RAY = "ray"
"""Sampler and stopping rule of plain Ray Tune."""

STARTS = ("spread", ORACLE)
"""How ``knowledge-gradient`` begins: with spread candidates, as a search does; so does the oracle,
which knows what truths its world draws."""

SHARES = (Fraction(1, 2), Fraction(2, 3), Fraction(3, 4))
CANDIDATES = (3, 5, 8)
GRACE_SHARES, FACTORS = (Fraction(1, 8), Fraction(1, 4), Fraction(1, 2)), (2, 4)


@dataclass(frozen=True)
class Method:
    """How weightings are searched for.

    Attributes:
        sampler: name in ``SAMPLERS`` or ``PEERS``, or ``ray``.
        early_stopping: name in ``STOPPING_RULES``, or ``ray``.
        grace_share: the first rung as a share of the epochs.
        factor: a rung keeps one in so many.
        pooled: the sampler is shown posterior means over replicates, not raw values.
        start: of ``STARTS``, for ``knowledge-gradient``.
    """

    sampler: str
    early_stopping: str = "none"
    grace_share: Fraction = Fraction(1, 4)
    factor: int = 2
    pooled: bool = False
    start: str = STARTS[0]

    @property
    def label(self) -> str:
        if self.sampler == RAY:
            return "plain-ray-tune"
        if self.sampler in PEERS:
            return PEERS[self.sampler].label
        if self.sampler == KNOWLEDGE_GRADIENT:
            return f"{self.sampler}-{self.start}"
        rungs = "" if self.early_stopping == "none" else f"-{self.grace_share}x{self.factor}"
        return f"{self.sampler}{'-pooled' if self.pooled else ''}+{self.early_stopping}{rungs}"


@dataclass(frozen=True)
class Pick:
    """How the winner is named.

    Attributes:
        name: ``single`` (best single run), ``posterior`` (mean), ``confirm``, ``block`` (the
            posterior mean of ``knowledge-gradient`` after a last block of runs with fresh seeds),
            or ``own`` (as another library advises to).
        search_share: of the budget that goes to the search; the rest confirms.
        k: candidates of the confirmation; 0 without one.
    """

    name: str
    search_share: Fraction = Fraction(1)
    k: int = 0

    @property
    def label(self) -> str:
        return f"{self.name}-{self.search_share}-k{self.k}" if self.k else self.name


SINGLE, POSTERIOR, BLOCK, OWN = (Pick(name) for name in ("single", "posterior", "block", "own"))
CONFIRMATIONS = tuple(Pick("confirm", share, k) for share in SHARES for k in CANDIDATES)


@dataclass(frozen=True)
class Arm:
    """A way of searching and a way of choosing."""

    method: Method
    pick: Pick

    @property
    def label(self) -> str:
        return f"{self.method.label} {self.pick.label}"


def methods() -> list[Method]:
    """Return all ways of searching, plain Ray Tune first."""
    rungs = [(grace, factor) for grace in GRACE_SHARES for factor in FACTORS]
    stopping = [name for name in STOPPING_RULES if name != "none"]
    return [
        Method(RAY, RAY),
        *(Method(name) for name in sorted(OPTUNA_SAMPLERS, key=lambda name: name != "random")),
        *(Method("random", name) for name in stopping),
        *(Method("tpe", name, *rung) for name in stopping for rung in rungs),
        *(Method(name, pooled=True) for name in ("tpe", "gp", "cmaes")),
        Method("tpe", "auto", pooled=True),
        *(Method(KNOWLEDGE_GRADIENT, start=start) for start in STARTS),
        *(Method(name) for name in PEERS),
    ]


def grid() -> list[Arm]:
    """Return all arms; the first is the one that the others are compared with."""
    arms = []
    for method in methods():
        if method.sampler == KNOWLEDGE_GRADIENT:
            arms += [Arm(method, pick) for pick in (POSTERIOR, BLOCK)]
            continue
        if method.sampler in PEERS:
            arms.append(Arm(method, OWN))
            continue
        arms.append(Arm(method, SINGLE))
        if method.sampler != RAY:
            arms += [Arm(method, pick) for pick in (POSTERIOR, *CONFIRMATIONS)]
    return arms


def chosen(patterns: str | None) -> list[Arm]:
    """Return the arms whose labels fit one of the patterns, with commas between.

    None stands for all arms whose libraries are installed; the others are said to be left out.

    Raises:
        UserError: a pattern fits no arm, or one that does needs what is not installed.
    """
    missing = {name: peer for name, peer in PEERS.items() if not peer.installed}
    arms = grid()
    if patterns is None:
        for peer in missing.values():
            print(f"left out: {peer.remedy}")
        return [arm for arm in arms if arm.method.sampler not in missing]
    words = [word.strip() for word in patterns.split(",")]
    kept = [arm for arm in arms if any(fnmatch.fnmatchcase(arm.label, word) for word in words)]
    for word in words:
        if not any(fnmatch.fnmatchcase(arm.label, word) for arm in kept):
            examples = ", ".join(repr(arm.label) for arm in arms[:4])
            raise UserError(f"--arms has {word!r}, which fits no arm; arms are {examples} ...")
    for arm in kept:
        if arm.method.sampler in missing:
            remedy = missing[arm.method.sampler].remedy
            raise UserError(f"--arms is {patterns!r}, but {remedy}; or name other arms.")
    return kept
