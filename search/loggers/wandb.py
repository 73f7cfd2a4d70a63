"""Logger for Weights & Biases: a run for each trial in the search's group, one for the verdict."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import wandb

from search.loggers.logger import LoggedTrial, Value, identity, metrics_of
from search.store.run_folder import RunFolder
from trainer.results import EpochResult

PROJECT = "class-weighting-search"


class WandbLogger:
    """Writes to the project of ``WANDB_PROJECT``; offline, into a folder beside the run's.

    It is not the run's, for W&B makes links, and a run folder with links is not used.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.place = folder.path.with_name(f"{folder.path.name}.wandb")
        self.place.mkdir(exist_ok=True)  # W&B would write elsewhere, and say nothing
        self.runs: dict[str, Any] = {}

    def _run(self, key: str, name: str, config: Mapping[str, Value]) -> Any:
        if key not in self.runs:
            whole = hashlib.sha256(f"{identity(self.folder)} {key}".encode()).hexdigest()[:16]
            self.runs[key] = wandb.init(
                project=None if wandb.Settings().project else PROJECT,
                id=whole,
                resume="allow",
                reinit="create_new",
                group=self.folder.path.name,
                name=name,
                config=dict(config),
                dir=str(self.place),
                settings=wandb.Settings(silent=True, console="off"),
            )
        return self.runs[key]

    def _trial(self, trial: LoggedTrial) -> Any:
        config = {"study": trial.study, **trial.parameters}
        return self._run(trial.key, f"{trial.label} {trial.key}", config)

    def epoch(self, trial: LoggedTrial, prefix: str, result: EpochResult) -> None:
        self._trial(trial).log({"epoch": result.epoch, **metrics_of(prefix, result)})

    def ended(self, trial: LoggedTrial, state: str, summary: Mapping[str, float]) -> None:
        run = self._trial(trial)
        run.summary.update({"end": state, **summary})
        run.finish(exit_code=int(state == "failed"))
        del self.runs[trial.key]

    def concluded(self, summary: Mapping[str, Value]) -> None:
        self._run("verdict", "verdict", {}).summary.update(dict(summary))

    def close(self) -> None:
        for run in self.runs.values():
            run.finish()
