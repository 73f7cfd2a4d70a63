"""The overhead benchmark: what Ray and Optuna cost per trial and per report, as a search grows.

Runs whole searches, with the real search layer, run folder and Ray Tune, of a trainer that costs
nothing. From the repository's root:

    python -m benchmarks.overhead --trials 100,1000

``benchmarks.scale`` simulates clusters that this machine has not.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.overhead.measurement import measure_apart, summarize
from benchmarks.overhead.options import cases, parser
from benchmarks.overhead.run import measure
from benchmarks.overhead.views import draw, table
from search.cluster.address import use_token
from search.session.interrupt import EXIT_CODE, Interrupt
from trainer.entry_point import entry_point
from trainer.files import write_atomic
from trainer.provenance import provenance
from trainer.runtime import available_cpus


def measure_all(options: argparse.Namespace, interrupt: Interrupt) -> Iterator[dict[str, Any]]:
    """Yield the summary of each case; after Ctrl-C, of what was begun."""
    with interrupt.caught():
        for repeats in cases(options):
            done = []
            for case in repeats:
                if interrupt.reason() is None:
                    done.append(measure_apart(measure, case))
            if done:
                yield summarize(done)


def write(out: Path, options: argparse.Namespace, summaries: list[dict[str, Any]]) -> None:
    """Write OUT.json and OUT.png."""
    setting = {name: getattr(options, name) for name in ("sampler", "slots", "repeats", "seed")}
    content = {"options": setting, "cpus": available_cpus(), **provenance(), "cases": summaries}
    write_atomic(out.with_name(f"{out.name}.json"), json.dumps(content, indent=1).encode())
    draw(summaries, out.with_name(f"{out.name}.png"))


def measure_and_write(options: argparse.Namespace) -> int:
    """Measure, print and write; return 0, or 130 after Ctrl-C with what was measured until then."""
    use_token(None)
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
