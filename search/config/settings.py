"""Settings that identify a search and never change in a run's life, and resources, which may."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge, Le, MaxLen, MinLen

from search.config.fields import (
    LARGEST_COUNT,
    MOST_PRIORS,
    Count,
    Hex16,
    PriorName,
    Seed,
    Word,
)
from search.samplers.registry import KNOWLEDGE_GRADIENT, OPTUNA_SAMPLERS, SAMPLERS
from search.stopping.rules import STOPPING_RULES
from spaces import CLASS_WEIGHTS, SPACES, STRATEGIES, present_name
from spaces.errors import FieldError, did_you_mean
from spaces.validation import OneOf, shown
from trainer.runtime import PRECISIONS

UNIFORM = "uniform"
SHARE_STEPS = 10_000
"""Ray counts fractions of a resource in so many steps."""


@dataclass(frozen=True)
class Settings:
    """The identity of a search: resuming with other settings is refused.

    The types and ranges of the fields are read by ``spaces.validation.checked``. Raises FieldError
    for controls that are unknown, named twice, or lack uniform where it is needed.

    Attributes:
        benchmarks: fingerprints of the benchmarks, their shortening included.
        space: a key of ``spaces.SPACES``.
        sampler: a key of ``SAMPLERS``.
        early_stopping: a key of ``STOPPING_RULES``.
        grace_epochs: epochs before which no trial is stopped early.
        reduction_factor: a rung keeps the best 1/reduction_factor of the trials.
        seed: of the search; the sampler's and every trial's seed derive from it.
        precision: a key of ``trainer.runtime.PRECISIONS``.
        baselines: named strategies that run first, at full length, as controls, as far as they
            differ and can train on the counts (``search.config.controls``); former names are
            replaced.
        compiled: training and test run through ``torch.compile``, whose kernels round differently.
        prior: earlier runs whose results are the prior of this one's model, NAME:DIGEST each.
    """

    benchmarks: Annotated[tuple[Hex16, ...], MinLen(1), MaxLen(100)]
    space: Annotated[str, OneOf(SPACES)]
    sampler: Annotated[str, OneOf(SAMPLERS)]
    early_stopping: Annotated[str, OneOf(STOPPING_RULES)]
    grace_epochs: Count
    reduction_factor: Annotated[int, Ge(2), Le(LARGEST_COUNT)]
    seed: Seed
    precision: Annotated[str, OneOf(PRECISIONS)]
    baselines: Annotated[tuple[Word, ...], MaxLen(1000)]
    compiled: bool = False
    prior: Annotated[tuple[PriorName, ...], MaxLen(MOST_PRIORS)] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "baselines", tuple(map(present_name, self.baselines)))
        for name in self.baselines:
            if name not in STRATEGIES:
                meant = did_you_mean(name, STRATEGIES)
                known = ", ".join(STRATEGIES)
                raise FieldError(f"baselines is {shown(name)}{meant}; each must be one of {known}")
        if len(set(self.baselines)) < len(self.baselines):
            raise FieldError(f"baselines is {','.join(self.baselines)}; name each one once")
        if len(self.benchmarks) > 1 and UNIFORM not in self.baselines:
            raise FieldError(
                f"baselines is {','.join(self.baselines) or 'none'}; a search over several "
                f"benchmarks is scored by the gain over uniform, so name {UNIFORM} among them"
            )
        if self.sampler == KNOWLEDGE_GRADIENT:
            self._check_design()
        elif self.prior:
            raise FieldError(
                f"prior is {','.join(map(run_of_prior, self.prior))}, which is for sampler "
                f"{KNOWLEDGE_GRADIENT}, and sampler is {self.sampler}; take that one, or leave "
                "prior out"
            )

    def _check_design(self) -> None:
        """Refuse what the model of gradient shares does not know: it takes no guess for it."""
        kinds = {name: STRATEGIES[name].strategy.kind for name in self.baselines}
        others = [name for name, kind in kinds.items() if kind != CLASS_WEIGHTS]
        samplers = f"or take one of the samplers {', '.join(OPTUNA_SAMPLERS)}"
        if not SPACES[self.space].class_weights_alone:
            spaces = [name for name, space in SPACES.items() if space.class_weights_alone]
            raise FieldError(
                f"sampler is {self.sampler}, whose model knows class weights alone, and space "
                f"{self.space!r} has more; take space {' or '.join(spaces)}, {samplers}"
            )
        if others:
            raise FieldError(
                f"baselines is {','.join(self.baselines)}, and the model of sampler "
                f"{self.sampler} knows class weights alone; leave out {', '.join(others)}, "
                f"{samplers}"
            )
        if self.early_stopping != "none":
            raise FieldError(
                f"early_stopping is {self.early_stopping}, and the model of sampler "
                f"{self.sampler} learns from full-length trials alone; give auto, which is none "
                f"for it, {samplers}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, JSON-able; those of a search without a prior are as of old."""
        content = dataclasses.asdict(self)
        return content if self.prior else {k: v for k, v in content.items() if k != "prior"}

    def fingerprint(self) -> str:
        """Return 16 hexadecimal digits over the settings and the space's declaration."""
        return fingerprint_of(self.to_dict())

    def differences(self, other: "Settings") -> list[str]:
        """Return one ``name: mine -> other's`` for every setting that differs."""
        mine, theirs = vars(self), vars(other)
        return [f"{k}: {mine[k]} -> {theirs[k]}" for k in mine if mine[k] != theirs[k]]


def run_of_prior(prior: str) -> str:
    """Return the name of the run in an entry of ``Settings.prior``."""
    return prior.rpartition(":")[0]


def fingerprint_of(settings: Mapping[str, Any]) -> str:
    """Return the fingerprint of settings as ``Settings.to_dict`` gives them, here or long ago."""
    space = SPACES.get(str(settings.get("space")))
    facts = [settings, space and space.fingerprint()]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Resources:
    """What a trial holds while it runs, and where.

    Attributes:
        cpus: CPUs, and so CPU threads, of a trial, or of all trials that share a GPU.
        gpu: trials train on GPUs.
        slots: trials that share a GPU; None to find out by trying.
        concurrent: trials at a time; None for as many as fit.
        address: of a running Ray cluster; None starts Ray on this machine.
    """

    cpus: Annotated[int, Ge(1)]
    gpu: bool
    slots: Annotated[int, Ge(1), Le(SHARE_STEPS)] | None
    concurrent: Annotated[int, Ge(1)] | None
    address: str | None

    def __post_init__(self) -> None:
        if self.slots is not None and not self.gpu:
            raise FieldError(
                f"slots is {self.slots}, but trials train on the CPU, each in a process of its "
                "own; leave it out (confirm does with --device cpu), or train on GPUs"
            )
