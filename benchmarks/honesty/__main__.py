"""Honesty study: how true the stated accuracies and intervals of a search are, with known truths.

    python -m benchmarks.honesty --replays 2000 --out honesty.json

A replay is a search of 60 single runs and what is made of it: naming the best single run; running
the best eight again with three seeds; and the confirmation of this project, of which its verdict
says more than the plain means of its runs would. The noise is
that of the protocol, with a heavy lower tail, and partly what a seed does to all weightings alike.
No network is trained. Beside FILE.json comes FILE.png.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import stats

from benchmarks.honesty.views import COLUMNS, GUIDE, Table, aligned, lines, plot
from benchmarks.honesty.ways import WAYS, Statement, statements
from benchmarks.honesty.world import SETTINGS, Setting, World
from search.stats.estimate import Estimate
from trainer.arguments import Parser

EPOCHS = 200


def covers(estimate: Estimate | None, truth: float) -> float:
    return np.nan if estimate is None else float(estimate.low <= truth <= estimate.high)


def judged(statement: Statement, world: World) -> dict[str, float]:
    """Compare what was said with the truth; nan where nothing was said."""
    truth, baseline = world.truth, world.baseline()
    true = truth[statement.chosen]
    to_uniform, to_baseline = statement.differences
    return {
        "covered": covers(statement.accuracy, true),
        "covered_uniform": covers(to_uniform, true - truth[0]),
        "covered_baseline": covers(to_baseline, true - truth[baseline]),
        "bias": statement.accuracy.mean - true,
        "worse_than_control": float(true < max(truth[0], truth[baseline])),
        "quality": true - 40,
        "regret": truth.max() - true,
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


def study(setting: Setting, replays: int, seed: int) -> Table:
    """Replay a setting; the same worlds for every way."""
    kept: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for replay in range(replays):
        world = World.of(setting, np.random.default_rng([seed, replay]))
        for way, statement in statements(world, setting).items():
            kept[way].append(judged(statement, world))
    return {
        way: {name: summarised(name, [row[name] for row in rows]) for name in rows[0]}
        for way, rows in kept.items()
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = Parser(
        prog="python -m benchmarks.honesty", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--replays", type=int, default=2000, help="of every setting")
    parser.add_argument("--seed", type=int, default=0)
    names = [setting.name for setting in SETTINGS]
    parser.add_argument("--setting", action="append", choices=names, help="only these; repeat it")
    parser.add_argument("--out", type=Path, required=True, help="JSON file; a PNG comes beside it")
    options = parser.parse_args(arguments)
    if options.replays < 2:
        parser.error(f"--replays is {options.replays}; it must be at least 2")
    print(GUIDE)
    print(" " * 17 + aligned([heading for _, heading, _ in COLUMNS]))
    tables: dict[str, Table] = {}
    start = time.monotonic()
    for setting in SETTINGS:
        if options.setting and setting.name not in options.setting:
            continue
        tables[setting.name] = study(setting, options.replays, options.seed)
        print("\n".join(lines(setting.name, tables[setting.name])), flush=True)
    content = {
        "replays": options.replays,
        "seed": options.seed,
        "epochs_per_run": EPOCHS,
        "seconds": time.monotonic() - start,
        "settings": [dataclasses.asdict(s) for s in SETTINGS if s.name in tables],
        "results": tables,
    }
    options.out.write_text(json.dumps(content, indent=1) + "\n")
    plot(tables, options.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
