"""Result of a search with kills: whether its record is whole, and what the kills cost."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from search.store.record import Record
from search.store.run_folder import RunFolder
from search.store.trials import Row, TrialState
from spaces.parts.words import number_of

REPEATED = re.compile(r"(\d+) epochs? (?:was|were) trained again")
LOST = re.compile(r"(?:lost its worker|was unfinished) after epoch")
WELL = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclass(frozen=True)
class Loss:
    """Something is killed.

    Attributes:
        seconds: after the search was begun.
        kind: worker, node or driver.
        host: where, for a worker or a node.
    """

    seconds: float
    kind: str
    host: int


@dataclass(frozen=True)
class Result:
    """What became of a search.

    Attributes:
        seconds: from the first start to the last end.
        losses: the kills that hit something.
        disturbed: whether kills were planned, though none may have hit.
        ended: trials that were stopped early or trained to their full length.
        wanted: trials of the budget.
        faults: what must not be; empty if the search is whole.
        interrupted: how often a trial lost its process, by a kill of it, its node or the driver.
        repeated: recorded epochs that were trained again.
        code: the last driver's exit code.
    """

    name: str
    seconds: float
    losses: tuple[Loss, ...]
    ended: int
    wanted: int
    faults: tuple[str, ...]
    interrupted: int
    repeated: int
    code: int | None = None
    drivers: int = 1
    disturbed: bool = False

    def with_end(self, code: int | None, drivers: int, disturbed: bool) -> "Result":
        return replace(self, code=code, drivers=drivers, disturbed=disturbed)

    @property
    def is_whole(self) -> bool:
        return self.code == 0 and not self.faults and self.ended == self.wanted


def faults_of(folder: RunFolder, rows: Sequence[Row], wanted: int) -> list[str]:
    """Return what is missing, double, or not as it must be after a search of so many trials."""
    found = []
    keys = [row.key for row in rows]
    if len(set(keys)) != len(keys) or len(keys) != wanted:
        found.append(f"{len(keys)} rows, {len(set(keys))} keys")
    found += [f"{row.key} is {row.state.name}" for row in rows if row.state not in WELL]
    for row in rows:
        epochs = len(folder.read_epochs(row.key))  # refuses gaps
        if row.state in WELL and epochs != row.epochs:
            found.append(f"{row.key} has {epochs} epochs on record, not {row.epochs}")
    if any(folder.checkpoints.iterdir()):
        found.append("checkpoints are left")
    return found


def judge(
    path: Path,
    output: str,
    wanted: int,
    losses: Sequence[Loss],
    seconds: float,
    reference: dict[str, list[float]],
) -> Result:
    """Return what became of the search in a run folder; ``output`` is what its drivers said.

    ``reference`` holds the test accuracies of trials that are the same in every search, the
    baselines, by key; the first search fills it in.
    """
    folder = RunFolder(path)
    rows = Record(folder.record).rows()
    faults = faults_of(folder, rows, wanted)
    for row in rows:
        if row.is_baseline:
            curve = [result.score for result in folder.read_epochs(row.key)]
            if reference.setdefault(row.key, curve) != curve:
                faults.append(f"{row.key} has other results than undisturbed")
    return Result(
        name=path.name,
        seconds=round(seconds, 1),
        losses=tuple(losses),
        ended=sum(row.state in WELL for row in rows),
        wanted=wanted,
        faults=tuple(faults),
        interrupted=len(LOST.findall(output)),
        repeated=sum(map(int, REPEATED.findall(output))),
    )


def table(results: Sequence[Result]) -> str:
    """Return a line for each search, and what the disturbed ones cost together."""
    quiet = float(np.median([r.seconds for r in results if not r.disturbed] or [np.nan]))
    lines = [
        f"{'search':12} {'seconds':>8} {'x quiet':>7} {'ended':>7} {'lost':>5} {'again':>6}  kills"
    ]
    for r in results:
        kills = ", ".join(f"{loss.kind} at {loss.seconds:.0f} s" for loss in r.losses)
        end = "" if r.is_whole else f"  NOT WHOLE: exit {r.code}, {'; '.join(r.faults)}"
        lines.append(
            f"{r.name:12} {r.seconds:8.1f} {r.seconds / quiet:7.2f} {r.ended:>3}/{r.wanted:<3} "
            f"{r.interrupted:5} {r.repeated:6}  {kills}{end}"
        )
    disturbed = [r for r in results if r.disturbed]
    if disturbed:
        ratios = [r.seconds / quiet for r in disturbed]
        lost, again = sum(r.interrupted for r in disturbed), sum(r.repeated for r in disturbed)
        lines.append(
            f"{sum(r.is_whole for r in disturbed)} of {len(disturbed)} disturbed searches are "
            f"whole; time {np.median(ratios):.2f} times a quiet search's ({min(ratios):.2f}-"
            f"{max(ratios):.2f}); "
            f"{number_of(sum(len(r.losses) for r in disturbed), 'kill')}, "
            f"{number_of(lost, 'trial')} interrupted, "
            f"{number_of(again, 'recorded epoch')} trained again ({again / max(lost, 1):.1f} each)"
        )
    return "\n".join(lines)
