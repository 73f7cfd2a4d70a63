"""Logger for TensorBoard: a folder of event files for each trial, in the run folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tensorboardX import SummaryWriter

from search.loggers.logger import LoggedTrial, Value, metrics_of
from search.store.run_folder import RunFolder
from trainer.results import EpochResult


class TensorBoardLogger:
    """Writes scalars by epoch under ``RUN/tensorboard/TRIAL``."""

    def __init__(self, folder: RunFolder) -> None:
        self.root: Path = folder.path / "tensorboard"
        self.writers: dict[str, SummaryWriter] = {}

    def _writer(self, key: str) -> SummaryWriter:
        if key not in self.writers:
            self.writers[key] = SummaryWriter(str(self.root / key))
        return self.writers[key]

    def epoch(self, trial: LoggedTrial, prefix: str, result: EpochResult) -> None:
        writer = self._writer(trial.key)
        for name, value in metrics_of(prefix, result).items():
            writer.add_scalar(name, value, result.epoch)

    def ended(self, trial: LoggedTrial, state: str, summary: Mapping[str, float]) -> None:
        said = {"label": trial.label, **trial.parameters, "end": state, **summary}
        writer = self._writer(trial.key)
        writer.add_text("trial", as_table(said))
        writer.close()
        del self.writers[trial.key]

    def concluded(self, summary: Mapping[str, Value]) -> None:
        writer = self._writer("verdict")
        writer.add_text("verdict", as_table(summary))

    def close(self) -> None:
        for writer in self.writers.values():
            writer.close()


def as_table(values: Mapping[str, Value]) -> str:
    """Return names and values as a table of Markdown."""
    rows = [f"| {name} | {str(value).replace('|', '/')} |" for name, value in values.items()]
    return "\n".join(["| | |", "|---|---|", *rows])
