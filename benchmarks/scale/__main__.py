"""The scale benchmark: how many slots the one driver of a search can serve.

Runs the real search layer and Ray Tune's controller against the clock of a simulated cluster
(``simulated_ray``), for which no Ray is started. From the repository's root:

    python -m benchmarks.scale --slots 10,100,1000 --trials 2000 --trial-seconds 600
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.overhead.measurement import measure_apart
from benchmarks.scale import ray_costs, run, simulated_ray
from benchmarks.scale.options import cases, parser
from benchmarks.scale.ray_costs import MEASURED
from benchmarks.scale.simulated_trainable import SPEED_SPREAD
from benchmarks.scale.views import draw, table
from search.cluster.address import use_token
from search.session.interrupt import EXIT_CODE, Interrupt
from search.workers.reports import REPORT_SECONDS
from trainer.entry_point import entry_point
from trainer.files import write_atomic
from trainer.provenance import provenance
from trainer.runtime import available_cpus

ASSUMPTIONS = {
    "ray_costs": asdict(MEASURED),
    "actor_start_seconds": simulated_ray.START_SECONDS,
    "node_slots": simulated_ray.NODE_SLOTS,
    "speed_spread": SPEED_SPREAD,
    "report_seconds": REPORT_SECONDS,
}
"""What a simulated cluster takes for given."""


def measure_all(options: argparse.Namespace, interrupt: Interrupt) -> Iterator[dict[str, Any]]:
    """Yield the summary of each search; after Ctrl-C, of what was begun."""
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
    write_atomic(out.with_name(f"{out.name}.json"), json.dumps(content, indent=1).encode())
    draw(summaries, out.with_name(f"{out.name}.png"))


def print_ray_costs() -> None:
    use_token(None)  # for the other process; this one has imported Ray
    for name, seconds in asdict(measure_apart(ray_costs.measure_here, 2)).items():
        print(f"{name:14} {1e6 * seconds:9.1f} us")


def measure_and_write(options: argparse.Namespace) -> int:
    """Measure, print and write; return 0, or 130 after Ctrl-C with what was measured until then."""
    simulated_ray.check_ray_version()
    if options.ray_costs:
        print_ray_costs()
        return 0
    interrupt = Interrupt()
    summaries: list[dict[str, Any]] = []
    for summary in measure_all(options, interrupt):
        summaries.append(summary)
        write(options.out, options, summaries)  # after each, for the next may take hours
        print(table(summaries), flush=True)
    return 0 if interrupt.reason() is None else EXIT_CODE


@entry_point()
def main(arguments: list[str] | None = None) -> int:
    """Return the exit code, 2 for bad input."""
    return measure_and_write(parser().parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
