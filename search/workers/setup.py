"""The set-up that all workers of a search are sent; free of torch."""

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from search.workers.code_version import CodeVersion
from spaces import Variant
from spaces.errors import UserError
from trainer.benchmarks import Benchmark
from trainer.files import is_there, patiently
from trainer.own.training import OwnTraining
from trainer.prepared import ImageData
from trainer.user_files import working_folder

Images = Callable[[], ImageData]


def own_umask() -> int:
    """Return the umask of this process."""
    mask = os.umask(0o077)  # it cannot be asked for without being set
    os.umask(mask)
    return mask


@dataclass(frozen=True)
class WorkerSetup:
    """The set-up tells a worker what all trials share.

    Attributes:
        benchmarks: what the parts of a trial train; a trial need not have a part for each.
        images: return the benchmarks' images.
        run: the run folder.
        proof: a file that the driver made; a worker that does not see it has another run folder.
        code_version: of the driver.
        compiled: training and test run through ``torch.compile``.
        device: as ``trainer.runtime.select_device`` takes it.
        threads: CPU threads of a trial, or of the engine that trains it.
        save_every: epochs between checkpoints.
        variants: of the training step, that some strategy of the search may need.
        own: trainings of the user's own, which then take the place of the benchmarks.
        umask: of the driver, for what workers write into the run folder; Ray's is stricter.
        working_folder: of the driver, from which a user's own function has its relative paths.
    """

    benchmarks: tuple[Benchmark, ...]
    images: tuple[Images, ...]
    run: Path
    proof: Path
    code_version: CodeVersion
    precision: str
    compiled: bool
    device: str
    threads: int
    save_every: int
    variants: tuple[Variant, ...] = (Variant(),)
    own: tuple[OwnTraining, ...] = ()
    umask: int = field(default_factory=own_umask)
    working_folder: Path = field(default_factory=working_folder)

    def check_here(self) -> None:
        """Raise UserError if trials must not be trained on this machine."""
        differences = self.code_version.differences(CodeVersion.here())
        if differences:
            raise UserError(
                f"worker {platform.node()} has {' and '.join(differences)} as the driver has; "
                "install the same there (constraints.txt), and restart its Ray."
            )
        if not patiently(partial(is_there, self.proof), self.proof, "read"):
            raise UserError(
                f"worker {platform.node()} does not see the run folder {self.run} that the driver "
                "writes to; give --runs a folder that all machines of the cluster share."
            )
