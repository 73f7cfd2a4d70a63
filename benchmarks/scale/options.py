"""Options of ``benchmarks.scale``: the searches on simulated clusters that it measures."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from benchmarks.option_checks import check_choice, check_positive, numbers
from benchmarks.overhead.options import add_common, check_common
from spaces.errors import UserError
from trainer.arguments import Parser

DEVICES = {"cuda": True, "cpu": False}
"""Value of --device -> whether slots train on while the driver is busy (``Training.ahead``)."""


@dataclass(frozen=True)
class ScaleCase:
    """A search on a simulated cluster.

    Attributes:
        seconds: of a full-length trial.
        ahead: as in ``Training``.
        table: a recorded table that the trials' accuracies come from; None for made-up ones.
        place: folder for the run folder, which is removed at the end.
    """

    slots: int
    trials: int
    seconds: float
    ahead: bool
    sampler: str
    seed: int
    table: Path | None = None
    place: Path | None = None


def parser() -> argparse.ArgumentParser:
    made = Parser(
        prog="python -m benchmarks.scale",
        description="Measure how many slots the driver of a simulated cluster can serve.",
    )
    add = made.add_argument
    add("--slots", default="10,100,1000", help="trials at a time, with commas between")
    add("--trials", default="2000", help="lengths of the searches")
    add("--trial-seconds", default="600", help="how long a full-length trial takes in its slot")
    add(
        "--device",
        default="cuda",
        help=f"{', '.join(DEVICES)}: engines train ahead of the driver, workers wait for it",
    )
    add("--table", type=Path, help="take accuracies from a recorded table (benchmarks/tables)")
    add("--ray-costs", action="store_true", help="print what Ray's calls cost here, and stop")
    add_common(made)
    add("--out", type=Path, default=Path("scale"), help="name of the .json and .png to write")
    return made


def cases(options: argparse.Namespace) -> list[ScaleCase]:
    """Return the searches on simulated clusters, the small ones first.

    Raises:
        UserError: an option is out of its range.
    """
    check_common(options)
    check_choice("--device", options.device, DEVICES)
    if options.table is not None and not options.table.exists():
        raise UserError(f"--table is {options.table}, which does not exist; see benchmarks/tables.")
    return [
        ScaleCase(
            slots=slots,
            trials=trials,
            seconds=seconds,
            ahead=DEVICES[options.device],
            sampler=options.sampler,
            seed=options.seed,
            table=options.table,
            place=options.place,
        )
        for trials in numbers("--trials", options.trials)
        for seconds in durations("--trial-seconds", options.trial_seconds)
        for slots in numbers("--slots", options.slots)
    ]


def durations(name: str, text: str) -> list[float]:
    """Return the seconds that an option lists, descending."""
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        raise UserError(f"{name} is {text!r}; write seconds such as 600,60.") from None
    for seconds in found:
        check_positive(name, seconds)
    return sorted(found, reverse=True)
