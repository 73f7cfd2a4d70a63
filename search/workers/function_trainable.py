"""The trainable on a Ray worker that runs a user's own training, one trial in its life."""

import contextlib
import logging
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from ray import tune

from search.workers.reports import Warnings, report
from search.workers.schedule import Batches, PartResult, interleave, legs_of
from search.workers.setup import WorkerSetup
from spaces import Recipe
from spaces.errors import UserError
from trainer import runtime
from trainer.own.function import code_of, load_function
from trainer.own.running import Running
from trainer.own.training import OwnTraining
from trainer.provenance import device_name
from trainer.results import EpochResult


class FunctionTrainable(tune.Trainable):
    """Trains the trial that its config describes, as ``workers.trainable.TrialTrainable`` does.

    Its process ends with the trial: what a function leaves in a process, such as memory, seeds
    and settings of its framework, does not reach another.
    """

    def setup(self, config: dict[str, Any], shared: WorkerSetup | None = None) -> None:
        assert shared is not None
        self.shared = shared
        self.hardware: str | None = None
        self.running: Running | None = None
        os.umask(shared.umask)
        if shared.device == "cpu":
            os.environ["CUDA_VISIBLE_DEVICES"] = ""  # Ray leaves them to who holds none
        self.warnings = Warnings()
        logging.getLogger("trainer").addHandler(self.warnings)
        self.legs = legs_of(config)
        self.results = self.begin(config)

    def begin(self, config: dict[str, Any]) -> Iterator[PartResult]:
        """Yield the trial's epochs that the driver does not know yet, and that it waits."""
        self.shared.check_here()
        with contextlib.suppress(OSError):  # another machine of a cluster may not have it
            os.chdir(self.shared.working_folder)  # Ray begins in scratch of its own
        torch.set_num_threads(self.shared.threads)
        [part] = config["parts"]
        training = self.shared.own[part["benchmark"]]
        function = function_here(training)  # first: its module may choose how CUDA starts
        self.hardware = device_name(runtime.select_device(self.shared.device))
        self.running = Running(
            training,
            function,
            Recipe.from_dict(part["recipe"]),
            config["seed"],
            Path(part["checkpoints"]),
            self.shared.threads,
            self.shared.device,
            self.shared.run / "trials" / f"{config['key']}.out.txt",
        )

        def train_part(_: int) -> Iterator[EpochResult | Batches]:
            assert self.running is not None
            return (item or Batches(0, 1) for item in self.running.results())

        yield from interleave(self.legs, [part["known_epochs"]], train_part)

    def step(self) -> dict[str, Any]:
        told = report(self.results, self.legs, lambda: self.hardware, self.warnings)
        return told | {"within": None}  # how far an epoch is, a function does not say

    def cleanup(self) -> None:
        if self.running:
            self.running.stop()


def function_here(training: OwnTraining) -> Any:
    """Return the function on this machine.

    Raises:
        UserError: it is not here, or not the one that the driver has.
    """
    where = f"worker {platform.node()}"
    try:
        function = load_function(training.trainable, training.place)
    except UserError as error:
        raise UserError(
            f"{where}: {error} On a cluster, every machine needs the module, installed or in "
            f"{training.place}."
        ) from error
    if code_of(training.trainable) != training.code:
        module = training.trainable.partition(":")[0]
        raise UserError(
            f"{where} has another file of module {module} than the driver had when it started; "
            "use the same on all machines, and start again with --resume after changing it."
        )
    return function
