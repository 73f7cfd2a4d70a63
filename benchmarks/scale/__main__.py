"""How many slots can the one driver of a search serve? The command ``overhead.py --cluster``."""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.overhead.apart import measure_apart
from benchmarks.scale import run, simulated_ray
from benchmarks.scale.options import cases, parser
from benchmarks.scale.ray_costs import MEASURED
from benchmarks.scale.simulated_trainable import SPEED_SPREAD
from benchmarks.scale.views import draw, table
from search.session.interrupt import Interrupt
from search.workers.reports import REPORT_SECONDS
from trainer.cpus import available_cpus
from trainer.files import write_atomic
from trainer.provenance import provenance

ASSUMPTIONS = {
    "ray_costs": asdict(MEASURED),
    "actor_start_seconds": simulated_ray.START_SECONDS,
    "node_slots": simulated_ray.NODE_SLOTS,
    "speed_spread": SPEED_SPREAD,
    "report_seconds": REPORT_SECONDS,
}
"""What a simulated cluster takes for given."""


def measure_all(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield the summary of each search; after Ctrl-C, of what was begun."""
    interrupt = Interrupt()
    with interrupt.caught():
        for case in cases(options):
            if interrupt.reason() is None:
                yield measure_apart(run.measure, case)


def write(out: Path, options: argparse.Namespace, summaries: list[dict[str, Any]]) -> None:
    """Write OUT.json and OUT.png."""
    setting = {name: getattr(options, name) for name in ("sampler", "device", "seed")}
    setting["table"] = str(options.table) if options.table else None
    story = {"options": setting, "assumptions": ASSUMPTIONS, "cpus": available_cpus()}
    content = {**story, **provenance(), "cases": summaries}
    write_atomic(out.with_suffix(".json"), json.dumps(content, indent=1).encode())
    draw(summaries, out.with_suffix(".png"))


def main(arguments: list[str]) -> None:
    """Measure, print and write.

    Raises:
        UserError: bad input.
    """
    options = parser().parse_args(arguments)
    summaries: list[dict[str, Any]] = []
    for summary in measure_all(options):
        summaries.append(summary)
        print(table(summaries), flush=True)
        write(options.out, options, summaries)  # after each, for the next may take hours
