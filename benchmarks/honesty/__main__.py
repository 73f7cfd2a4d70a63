"""Honesty study: how true the stated accuracies and intervals of a search are, with known truths.

    python -m benchmarks.honesty --replays 2000 --out honesty.json

A replay is a search of 60 single runs and what is made of it: naming the best single run; running
the best eight again with three seeds; and the confirmation of this project, of which its verdict
says more than the plain means of its runs would. The noise is
that of the protocol, with a heavy lower tail, and partly what a seed does to all weightings alike.
No network is trained. Beside FILE.json comes FILE.png.

    python -m benchmarks.honesty --sampler knowledge-gradient --replays 200 --out honesty.json

With ``--sampler``, a replay is a whole search of 64 full-length trials' epochs on a made-up
benchmark of ``benchmarks.replay``, by the default and by the sampler, and its verdict.
"""

from __future__ import annotations

import dataclasses
import json
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from scipy import stats

from benchmarks.endings import stoppable
from benchmarks.honesty.searches import BUDGET, WORKERS, searched
from benchmarks.honesty.views import COLUMNS, GUIDE, Table, aligned, lines, plot
from benchmarks.honesty.ways import Statement, statements
from benchmarks.honesty.world import SETTINGS, Setting, Truths, World
from benchmarks.option_checks import check_minimum, check_out
from benchmarks.replay.synthetic import SYNTHETIC
from search.samplers.registry import KNOWLEDGE_GRADIENT
from search.stats.estimate import Estimate
from spaces.errors import UserError
from trainer.arguments import Parser
from trainer.entry_point import entry_point
from trainer.files import write_atomic
from trainer.provenance import provenance

EPOCHS = 200


def covers(estimate: Estimate | None, truth: float) -> float:
    return np.nan if estimate is None else float(estimate.low <= truth <= estimate.high)


def judged(statement: Statement, truths: Truths) -> dict[str, float]:
    """Compare what was said with the truth; nan where nothing was said."""
    arms, baseline = truths.arms, truths.baseline
    true = arms[statement.chosen]
    to_uniform, to_baseline = statement.differences
    return {
        "covered": covers(statement.accuracy, true),
        "covered_uniform": covers(to_uniform, true - arms[0]),
        "covered_baseline": covers(to_baseline, true - arms[baseline]),
        "bias": statement.accuracy.mean - true,
        "bias_uniform": np.nan if to_uniform is None else to_uniform.mean - (true - arms[0]),
        "worse_than_control": float(true < max(arms[0], arms[baseline])),
        "quality": true - truths.average,
        "regret": truths.best - true,
        "runs": float(statement.runs),
        "epochs": float(statement.runs * EPOCHS),
        "half_width": (statement.accuracy.high - statement.accuracy.low) / 2,
        "overstated_probability": statement.probability - statement.is_best,
        "best_in_set": statement.best_in_set,
        "is_best": statement.is_best,
    }


PROPORTIONS = (
    "covered",
    "covered_uniform",
    "covered_baseline",
    "worse_than_control",
    "best_in_set",
    "is_best",
)


def summarised(name: str, values: Sequence[float]) -> dict[str, float] | None:
    """Mean over the replays with its 95 % Monte Carlo interval (Wilson's for proportions)."""
    numbers = np.asarray(values)
    numbers = numbers[np.isfinite(numbers)]
    if not numbers.size:
        return None
    mean = float(numbers.mean())
    if name in PROPORTIONS:
        test = stats.binomtest(int(numbers.sum()), numbers.size)
        low, high = test.proportion_ci(method="wilson")
        return {"mean": mean, "low": float(low), "high": float(high)}
    half = 1.96 * float(numbers.std(ddof=1)) / numbers.size**0.5
    return {"mean": mean, "low": mean - half, "high": mean + half}


Judged = dict[str, dict[str, float]]
"""Way -> figure -> value, in one replay."""


def replayed(setting: Setting, replays: int, seed: int) -> Iterator[Judged]:
    """Yield what becomes of each replay of a setting; the same worlds for every way."""
    for replay in range(replays):
        world = World.of(setting, np.random.default_rng([seed, replay]))
        truths, said = world.truths(), statements(world, setting)
        yield {way: judged(statement, truths) for way, statement in said.items()}


def replayed_searches(kind: str, replays: int, seed: int) -> Iterator[Judged]:
    """Yield what becomes of each search on made-up benchmarks of a kind, by every sampler."""
    for replay in range(replays):
        said = searched(kind, seed, replay)
        yield {way: judged(*found) for way, found in said.items()}


def summed_up(kept: Sequence[Judged]) -> Table:
    return {
        way: {name: summarised(name, [row[way][name] for row in kept]) for name in figures}
        for way, figures in kept[0].items()
    }


def study(setting: Setting, replays: int, seed: int) -> Table:
    """Replay a setting."""
    return summed_up(list(replayed(setting, replays, seed)))


def parser() -> Parser:
    made = Parser(prog="python -m benchmarks.honesty", description=(__doc__ or "").splitlines()[0])
    add = made.add_argument
    add("--replays", type=int, default=2000, help="of every setting")
    add("--seed", type=int, default=0)
    add(
        "--sampler",
        choices=[KNOWLEDGE_GRADIENT],
        help="whole searches by the default and by this sampler; settings are made-up benchmarks",
    )
    add("--setting", action="append", help="only these; repeat it")
    add("--out", type=Path, required=True, help="JSON file; a PNG comes beside it")
    return made


@entry_point()
def main(arguments: Sequence[str] | None = None) -> int:
    """Study what the command line asks for; return 0, or 130 after Ctrl-C or SIGTERM.

    Whatever ends it, what there is by then is written.
    """
    made = parser()
    words = sys.argv[1:] if arguments is None else arguments
    options = made.parse_args(words)
    if options.replays < 2:
        made.error(f"--replays is {options.replays}; it must be at least 2")
    check_minimum("--seed", options.seed, 0)
    check_out(options.out, drawn=True)
    if options.out.suffix == ".png":
        raise UserError(
            f"--out is {options.out}, where the plot goes; give the name of a JSON file."
        )
    settings = {setting.name: setting for setting in SETTINGS}
    known = list(SYNTHETIC if options.sampler else settings)
    for name in options.setting or ():
        if name not in known:
            made.error(f"--setting is {name!r}; it must be one of {', '.join(known)}")
    print(GUIDE)
    print(" " * 20 + aligned([heading for _, heading, _ in COLUMNS]))
    command = shlex.join(["python", "-m", "benchmarks.honesty", *words])
    content = {"command": command, **provenance(), "seed": options.seed, "epochs_per_run": EPOCHS}
    if options.sampler:
        content |= {"sampler": options.sampler, "budget_trials": BUDGET, "workers": WORKERS}
    found: dict[str, list[Judged]] = {}
    start = time.monotonic()
    with stoppable() as ending:
        for name in options.setting or known:
            kept: list[Judged] = []
            found[name] = kept
            if options.sampler:
                kept.extend(replayed_searches(name, options.replays, options.seed))
            else:
                kept.extend(replayed(settings[name], options.replays, options.seed))
            print("\n".join(lines(name, summed_up(kept))), flush=True)
    tables = {name: summed_up(kept) for name, kept in found.items() if len(kept) > 1}
    if not options.sampler:
        content["settings"] = [dataclasses.asdict(settings[name]) for name in tables]
    done = {name: len(found[name]) for name in tables}
    content |= {"replays": done, "seconds": time.monotonic() - start, "results": tables}
    if tables:
        write_atomic(options.out, (json.dumps(content, indent=1) + "\n").encode())
        plot(tables, options.out.with_suffix(".png"))
    if ending.interrupted and name in tables:
        print("\n".join(lines(name, tables[name])))
    return ending.code()


if __name__ == "__main__":
    sys.exit(main())
