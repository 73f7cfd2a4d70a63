"""Search over class weightings: Optuna proposes, Ray Tune schedules, a run folder keeps it all.

From Python, ``search.run`` begins a search, ``search.dry_run`` says what it would cost,
``search.load`` reads a run, and ``search.Study`` proposes to who trains elsewhere. They are loaded
when they are first asked for, so that importing this package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search.api.call import StoppedError
    from search.api.dry_run import DryRun
    from search.api.run import dry_run, run
    from search.api.run_class import Run, load
    from search.api.study import Study
    from search.api.told import Trial
    from spaces.errors import UserError

__all__ = [
    "DryRun",
    "Run",
    "StoppedError",
    "Study",
    "Trial",
    "UserError",
    "dry_run",
    "load",
    "run",
]

_HOMES = {
    **dict.fromkeys(("dry_run", "run"), "search.api.run"),
    **dict.fromkeys(("Run", "load"), "search.api.run_class"),
    "DryRun": "search.api.dry_run",
    "StoppedError": "search.api.call",
    "Study": "search.api.study",
    "Trial": "search.api.told",
    "UserError": "spaces.errors",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
