"""Arms of a throughput comparison, and their names."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from spaces.parts.words import number_of

REFERENCE_PRECISION = {"cuda": "tf32", "cpu": "fp32"}
"""What torch computes convolutions in when nobody says anything."""


@dataclass(frozen=True)
class Arm:
    """A way to train.

    Attributes:
        precision: a key of ``trainer.runtime.PRECISIONS``.
        together: trials side by side: slots of one process on a GPU, processes on the CPU.
        workers: of the plain reference's data loaders; None for the engine.
        compiled: through ``torch.compile``.
        reproducible: with cuDNN's deterministic algorithms, else with those that it timed fastest.
        graphs: CUDA graphs, else kernel by kernel.
    """

    precision: str
    together: int = 1
    workers: int | None = None
    compiled: bool = False
    reproducible: bool = True
    graphs: bool = True

    @property
    def plain(self) -> bool:
        return self.workers is not None

    @property
    def label(self) -> str:
        if self.plain:
            return f"plain, {number_of(self.workers or 0, 'worker')}"
        words = [f"{self.precision} x{self.together}"]
        words += ["compiled"] * self.compiled
        words += ["no graphs"] * (not self.graphs)
        words += ["fast"] * (not self.reproducible)
        return " ".join(words)

    def twin(self) -> "Arm":
        """Return the reproducible arm that is like this one otherwise."""
        return dataclasses.replace(self, reproducible=True)


def grid(
    device: str, precisions: list[str], together: list[int], workers: list[int], compiled: bool
) -> list[Arm]:
    """Return the reference's and the engine's arms for a ``device`` type, each once.

    On a GPU the fewest trials at a time also run without graphs, and the most also with cuDNN's
    fastest algorithms. On the CPU these make no difference.
    """
    arms = [Arm(REFERENCE_PRECISION[device], workers=n) for n in workers]
    ways = (False, True) if compiled else (False,)
    arms += [Arm(p, n, compiled=way) for p in precisions for way in ways for n in together]
    if device == "cuda":
        fewest, most = min(together), max(together)
        arms += [Arm(p, fewest, graphs=False) for p in precisions]
        arms += [Arm(p, most, compiled=w, reproducible=False) for p in precisions for w in ways]
    return list(dict.fromkeys(arms))


@dataclass(frozen=True)
class Job:
    """What one process of an arm is to do.

    Attributes:
        benchmark: a name or the path of a TOML file.
        device: as ``trainer.runtime.select_device`` takes it.
        threads: CPU threads of the process, in the reference as in the engine.
        slots: trials side by side in this process.
        batches: training batches of an epoch, the data set being cut to fit; None for all.
        seed: of the first trial and of the images that are kept.
    """

    benchmark: str
    data_root: str
    device: str
    threads: int
    slots: int
    batches: int | None
    seed: int
    arm: Arm

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "Job":
        return cls(**fields | {"arm": Arm(**fields["arm"])})


def jobs(arm: Arm, like: Job, cpus: int) -> list[Job]:
    """Return the jobs of an arm's processes; all but slots, threads and seed is as in ``like``."""
    if like.device != "cpu":
        return [dataclasses.replace(like, arm=arm, slots=arm.together, threads=cpus)]
    threads = cpus // arm.together
    return [
        dataclasses.replace(like, arm=arm, slots=1, threads=threads, seed=like.seed + i)
        for i in range(arm.together)
    ]
