"""Logger for MLflow: the search is a run, and every trial is a run below it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param

from search.loggers.logger import LoggedTrial, Value, identity, metrics_of
from search.store.run_folder import RunFolder
from trainer.results import EpochResult

EXPERIMENT = "class-weighting-search"
RUN_TAG, TRIAL_TAG = "class_weighting.run", "class_weighting.trial"
"""By which runs are found again when a search goes on."""
LONGEST = 500
"""Characters of a parameter that MLflow takes."""


class MlflowLogger:
    """Writes to the tracking server of ``MLFLOW_TRACKING_URI``."""

    def __init__(self, folder: RunFolder) -> None:
        self.client = MlflowClient()
        found = self.client.get_experiment_by_name(EXPERIMENT)
        self.experiment = (
            found.experiment_id if found else self.client.create_experiment(EXPERIMENT)
        )
        self.search = identity(folder).replace("'", "")
        self.runs: dict[str, str] = {}  # id by trial, of those that have not ended
        self.parent = self._run("", folder.path.name, {})

    def _run(self, key: str, name: str, tags: Mapping[str, str]) -> str:
        """Return the id of a run, of the trial ``key`` or of the search itself."""
        if key not in self.runs:
            query = f"tags.`{RUN_TAG}` = '{self.search}' and tags.`{TRIAL_TAG}` = '{key}'"
            known = self.client.search_runs([self.experiment], query, max_results=1)
            own = {RUN_TAG: self.search, TRIAL_TAG: key, **tags}
            run = (
                known[0]
                if known
                else self.client.create_run(self.experiment, run_name=name, tags=own)
            )
            if known:
                self.client.update_run(run.info.run_id, status="RUNNING")
            self.runs[key] = run.info.run_id
        return self.runs[key]

    def _trial(self, trial: LoggedTrial) -> str:
        tags = {"mlflow.parentRunId": self.parent, "study": trial.study}
        return self._run(trial.key, f"{trial.label} {trial.key}", tags)

    def epoch(self, trial: LoggedTrial, prefix: str, result: EpochResult) -> None:
        now = int(time.time() * 1000)
        metrics: list[Any] = [
            Metric(name, value, now, result.epoch)
            for name, value in metrics_of(prefix, result).items()
        ]
        self.client.log_batch(self._trial(trial), metrics=metrics)

    def ended(self, trial: LoggedTrial, state: str, summary: Mapping[str, float]) -> None:
        run, now = self._trial(trial), int(time.time() * 1000)
        params = [Param(name, str(value)[:LONGEST]) for name, value in trial.parameters.items()]
        metrics = [Metric(name, value, now, 0) for name, value in summary.items()]
        self.client.log_batch(run, metrics=metrics, params=params)
        self.client.set_tag(run, "end", state)
        self.client.set_terminated(run, "FAILED" if state == "failed" else "FINISHED")
        del self.runs[trial.key]

    def concluded(self, summary: Mapping[str, Value]) -> None:
        for name, value in summary.items():
            if isinstance(value, float | int):
                self.client.log_metric(self.parent, name, value)
            elif value is not None:
                self.client.set_tag(self.parent, name, value)

    def close(self) -> None:
        """End the runs of trials that have not ended, which go on with the search, as killed."""
        left = [run for key, run in self.runs.items() if key]
        for run in left:
            self.client.set_terminated(run, "KILLED")
        self.client.set_terminated(self.parent, "KILLED" if left else "FINISHED")
