"""What a search is: the settings that never change in a run's life, and those that may."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from search.config.checks import check_choice, check_minimum
from search.samplers.registry import SAMPLERS
from search.stopping.rules import STOPPING_RULES
from spaces import NAMED, SPACES, present_name
from spaces.errors import FieldError, UserError
from trainer.runtime import PRECISIONS

LARGEST_SEED = 2**63 - 1
UNIFORM = "uniform"


@dataclass(frozen=True)
class Settings:
    """The identity of a search: resuming with other settings is refused.

    Attributes:
        benchmarks: fingerprints of the benchmarks, their shortening included.
        space: a key of ``spaces.SPACES``.
        sampler: a key of ``SAMPLERS``.
        early_stopping: a key of ``STOPPING_RULES``.
        grace_epochs: epochs before which no trial is stopped early.
        reduction_factor: a rung keeps the best 1/reduction_factor of the trials.
        seed: of the search; the sampler's and every trial's seed derive from it.
        precision: a key of ``trainer.runtime.PRECISIONS``.
        baselines: named weightings that run first, at full length, as controls, as far as they
            differ and can train on the counts (``search.config.controls``); former names are
            replaced.
        compiled: training and test run through ``torch.compile``, whose kernels round differently.
    """

    benchmarks: tuple[str, ...]
    space: str
    sampler: str
    early_stopping: str
    grace_epochs: int
    reduction_factor: int
    seed: int
    precision: str
    baselines: tuple[str, ...]
    compiled: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "baselines", tuple(map(present_name, self.baselines)))
        check_choice("space", self.space, SPACES)
        if len(self.benchmarks) > 1 and UNIFORM not in self.baselines:
            raise FieldError(
                f"baselines is {','.join(self.baselines) or 'none'}; a search over several "
                f"benchmarks is scored by the gain over uniform, so name {UNIFORM} among them."
            )
        check_choice("sampler", self.sampler, SAMPLERS)
        check_choice("early_stopping", self.early_stopping, STOPPING_RULES)
        check_choice("precision", self.precision, PRECISIONS)
        for name in self.baselines:
            check_choice("baselines", name, NAMED)
        if len(set(self.baselines)) < len(self.baselines):
            raise FieldError(f"baselines is {','.join(self.baselines)}; name each one once.")
        check_minimum("grace_epochs", self.grace_epochs, 1)
        check_minimum("reduction_factor", self.reduction_factor, 2)
        check_minimum("seed", self.seed, 0)
        if self.seed > LARGEST_SEED:
            raise FieldError(f"seed is {self.seed}; it must be at most {LARGEST_SEED}.")

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Settings":
        """Return the settings that ``to_dict`` gave, through JSON or not.

        Raises:
            UserError: a setting is missing, unknown, or out of its range.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        if data.keys() != names:
            raise UserError(
                f"the recorded settings are {', '.join(data)}; "
                f"they must be {', '.join(sorted(names))}."
            )
        lists = {name: tuple(data[name]) for name in ("benchmarks", "baselines")}
        return cls(**{**data, **lists})

    def fingerprint(self) -> str:
        """Return 16 hexadecimal digits over the settings and the space's declaration."""
        return fingerprint_of(self.to_dict())

    def differences(self, other: "Settings") -> list[str]:
        """Return one ``name: mine -> other's`` for every setting that differs."""
        mine, theirs = self.to_dict(), other.to_dict()
        return [f"{k}: {mine[k]} -> {theirs[k]}" for k in mine if mine[k] != theirs[k]]


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

    cpus: int
    gpu: bool
    slots: int | None
    concurrent: int | None
    address: str | None

    def __post_init__(self) -> None:
        check_minimum("cpus", self.cpus, 1)
        if self.slots is not None:
            check_minimum("slots", self.slots, 1)
            if not self.gpu:
                raise FieldError(
                    f"slots is {self.slots}, but trials train on the CPU, each in a process of "
                    "its own; leave it out, or train on GPUs."
                )
        if self.concurrent is not None:
            check_minimum("concurrent", self.concurrent, 1)
