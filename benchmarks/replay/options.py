"""Options of ``benchmarks.replay``: what it compares."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from benchmarks.option_checks import check_choice, check_minimum, check_out
from benchmarks.recording.design import SHIFT_KEYS
from benchmarks.replay.arms import BLOCK, Arm, chosen
from benchmarks.replay.full_length.shares_search import BLOCK_RUNS
from benchmarks.replay.run import Setting
from benchmarks.replay.synthetic import SYNTHETIC
from spaces import BASELINES
from spaces.errors import UserError
from trainer.arguments import Parser


@dataclass(frozen=True)
class Plan:
    """What the command line asks for, checked.

    Attributes:
        table: a recorded table, else None; ``synthetic``: the kind of made-up benchmark, else None.
        epochs: of a table's trials, the last of which counts as their end; None for all.
        out: name of the .json and .png files, without the ending.
    """

    table: Path | None
    synthetic: str | None
    space: str
    epochs: int | None
    arms: tuple[Arm, ...]
    setting: Setting
    repetitions: int
    processes: int
    out: Path

    @property
    def name(self) -> str:
        """What is replayed."""
        return self.synthetic or (self.table.resolve().stem if self.table else "")


def parser() -> argparse.ArgumentParser:
    made = Parser(
        prog="python -m benchmarks.replay",
        description="Replay searches on a recorded table, or on made-up benchmarks.",
    )
    add = made.add_argument
    add(
        "--table",
        type=Path,
        help="a table of benchmarks.recording: its folder, or packed",
    )
    add("--synthetic", help=f"made-up benchmarks in place of a table: {', '.join(SYNTHETIC)}")
    add("--space", default="core", help=", ".join(SHIFT_KEYS))
    add("--epochs", type=int, help="take trials to end at this epoch of the table (its last)")
    add("--arms", help="patterns such as 'tpe+* single,random+none *' (all that are installed)")
    add("--repetitions", type=int, default=100)
    add("--workers", type=int, default=4, help="trials at a time, 1 to 1000")
    add("--budget-trials", type=int, default=64, help="full-length trials that an arm may pay for")
    add("--seed", type=int, default=0)
    add("--processes", type=int, default=1, help="repetitions at a time")
    add("--out", type=Path, help="name of the .json and .png to write (replay-NAME)")
    return made


def plan_of(options: argparse.Namespace) -> Plan:
    """Return what is asked for.

    Raises:
        UserError: an option is out of its range, or two do not go together.
    """
    if (options.table is None) == (options.synthetic is None):
        raise UserError("give either --table or --synthetic.")
    if options.synthetic is not None:
        check_choice("--synthetic", options.synthetic, SYNTHETIC)
    check_choice("--space", options.space, SHIFT_KEYS)
    check_minimum("--repetitions", options.repetitions, 2)
    check_minimum("--processes", options.processes, 1)
    check_minimum("--seed", options.seed, 0)
    if not 1 <= options.workers <= 1000:
        raise UserError(f"--workers is {options.workers}; it must be in 1..1000.")
    if options.epochs is not None:
        check_minimum("--epochs", options.epochs, 2)
        if options.synthetic is not None:
            raise UserError(
                "--epochs is for tables; made-up benchmarks have a length of their own."
            )
    arms = chosen(options.arms)
    for arm in arms:
        _check_budget(arm, options.budget_trials)
    name = options.synthetic or options.table.resolve().stem
    out = options.out or Path(f"replay-{name}")
    check_out(out, drawn=True)
    return Plan(
        table=options.table,
        synthetic=options.synthetic,
        space=options.space,
        epochs=options.epochs,
        arms=tuple(arms),
        setting=Setting(options.budget_trials, options.workers, options.seed),
        repetitions=options.repetitions,
        processes=options.processes,
        out=out,
    )


def _check_budget(arm: Arm, budget_trials: int) -> None:
    """Refuse a budget with no room for a proposal, or for one run of each confirmed weighting."""
    block = BLOCK_RUNS if arm.pick == BLOCK else 0
    search = int(arm.pick.search_share * budget_trials) - block
    least = arm.pick.k + 2 if arm.pick.k else block
    if search <= len(BASELINES) or budget_trials - search < least:
        raise UserError(
            f"--budget-trials is {budget_trials}, which arm {arm.label!r} divides into {search} "
            f"for the search and {budget_trials - search} for the confirmation; it needs more "
            f"than {len(BASELINES)} and at least {least}."
        )
