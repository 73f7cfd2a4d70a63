"""Registry of the loggers: by name, what each needs, and how it is made."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass

from search.loggers.logger import Logger
from search.store.run_folder import RunFolder
from spaces.errors import UserError, did_you_mean


@dataclass(frozen=True)
class NamedLogger:
    """A logger under a name.

    Attributes:
        library: the module that it needs.
        where: the class, as module and name.
        summary: where it writes, in a line.
    """

    library: str
    where: tuple[str, str]
    summary: str

    def make(self, folder: RunFolder) -> Logger:
        """Return the logger of a run."""
        module, name = self.where
        made: Logger = getattr(importlib.import_module(module), name)(folder)
        return made


LOGGERS: dict[str, NamedLogger] = {
    "tensorboard": NamedLogger(
        "tensorboardX",
        ("search.loggers.tensorboard", "TensorBoardLogger"),
        "event files in RUN/tensorboard",
    ),
    "mlflow": NamedLogger(
        "mlflow",
        ("search.loggers.mlflow", "MlflowLogger"),
        "the tracking server of MLFLOW_TRACKING_URI",
    ),
    "wandb": NamedLogger(
        "wandb",
        ("search.loggers.wandb", "WandbLogger"),
        "your account there, or with WANDB_MODE=offline a folder beside the run's",
    ),
}


def chosen_loggers(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of loggers that are there, such as "tensorboard" and "mlflow".

    Raises:
        UserError: one is unknown, named twice, or its library is not installed.
    """
    for name in names:
        if name not in LOGGERS:
            meant = did_you_mean(name, LOGGERS)
            raise UserError(f"--log is {name!r}{meant}; it must be one of {', '.join(LOGGERS)}.")
        if names.count(name) > 1:
            raise UserError(f"--log is {','.join(names)}; name each logger once.")
        library = LOGGERS[name].library
        if importlib.util.find_spec(library) is None:
            raise UserError(
                f"--log {name} needs {library}, which is not installed: "
                f"in the project's folder, pip install -e '.[{name}]'."
            )
    return names
