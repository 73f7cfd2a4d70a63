"""Throughput benchmark: seconds of a trial in a plain torchvision script, and in the engine.

Arms are measured in alternation on one device and the same images, each in processes of its own:
the reference (``benchmarks.throughput.plain``) with several numbers of loader workers, and the
engine with several trials side by side, in each precision, and as the options say. From the
repository's root:

    python -m benchmarks.throughput --data-root data

Waiting processes use no CPU, but on a CPU each trial's process keeps about 1 GB of memory.
"""

import dataclasses
import json
import math
import shlex
import signal
import subprocess
import sys
import time
from typing import Any

from benchmarks.endings import stoppable
from benchmarks.throughput.comparison import Comparison, Outcome
from benchmarks.throughput.floors import Ceilings, work_of_trial
from benchmarks.throughput.options import Plan, parser, plan_of
from benchmarks.throughput.processes import child_environment
from benchmarks.throughput.rounds import compare
from benchmarks.throughput.views import draw, table
from spaces.parts.words import number_of
from trainer.benchmarks import Benchmark, get_benchmark
from trainer.entry_point import entry_point
from trainer.files import write_atomic
from trainer.prepared import load, prepare
from trainer.provenance import device_name, provenance
from trainer.runtime import available_cpus, select_device

METHOD = """\
Seconds per trial are extrapolated from segments in steady state, tests after each epoch included,
and shared among the trials side by side. Starting a trial, checkpoints and the search are not
included. Accuracies are not measured here. The floor is that of benchmarks.throughput.floors; on a
CPU its memory term is loose, because caches are faster than copies."""


def measured_ceilings(device: str) -> Ceilings | None:
    """Measure the device's rates in a process that then leaves it alone; None if that fails."""
    command = [sys.executable, "-m", "benchmarks.throughput.floors", device]
    done = subprocess.run(
        command, env=child_environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        print(f"the device's rates could not be measured: {done.stderr.strip()[-300:]}")
        return None
    return Ceilings(**json.loads(done.stdout))


def note_of(benchmark: Benchmark, batches: int | None) -> str:
    """Say what one epoch of a segment holds."""
    wanted = math.inf if batches is None else batches * benchmark.batch_size
    if wanted >= benchmark.train_images:
        return "each segment: whole epochs, tests included"
    share = 100 * wanted / benchmark.train_images
    return (
        f"each segment: {batches} training batches of {benchmark.batch_size} and as great a share "
        f"of the tests ({share:.1f} % of an epoch)"
    )


def blank_comparison(name: str, plan: Plan, ceilings: Ceilings | None) -> Comparison:
    """Return a benchmark's comparison before anything is measured; its data are prepared."""
    benchmark = get_benchmark(name, plan.data_root)
    data = load(prepare(benchmark, plan.data_root), benchmark)
    work = work_of_trial(benchmark, len(data.test_labels))
    outcomes = [Outcome(arm) for arm in plan.arms]
    return Comparison(benchmark, note_of(benchmark, plan.batches), work, ceilings, outcomes)


def story(plan: Plan, command: list[str]) -> dict[str, Any]:
    """Return what the figures were measured with."""
    return {
        "command": shlex.join(["python", "-m", "benchmarks.throughput", *command]),
        "device": device_name(select_device(plan.device)),
        "cpus": available_cpus(),
        "seed": plan.seed,
        "rounds": plan.rounds,
        "method": METHOD.replace("\n", " "),
        **provenance(),
    }


def measure(plan: Plan, comparisons: list[Comparison]) -> None:
    """Measure all benchmarks into ``comparisons``, sharing the budget evenly."""
    start = time.monotonic()
    ceilings = measured_ceilings(plan.device)
    blanks = [blank_comparison(name, plan, ceilings) for name in plan.benchmarks]
    for number, (name, blank) in enumerate(zip(plan.benchmarks, blanks, strict=True)):
        comparisons.append(blank)
        now, end = time.monotonic(), None
        if plan.budget is not None:
            end = now + (start + plan.budget - now) / (len(blanks) - number)
        compare(blank, name, plan, end)
        print("\n" + table(blank) + "\n", flush=True)


def write(plan: Plan, comparisons: list[Comparison], content: dict[str, Any]) -> None:
    path = plan.out.with_name(plan.out.name + ".json")
    ceilings = comparisons[0].ceilings if comparisons else None
    content |= {
        "ceilings": dataclasses.asdict(ceilings) if ceilings else None,
        "benchmarks": [comparison.to_dict() for comparison in comparisons],
    }
    write_atomic(path, json.dumps(content, indent=1).encode())
    picture = plan.out.with_name(plan.out.name + ".png")
    drawn = draw(comparisons, picture)
    also = f" and {picture}" if drawn else "; there is no plot, because matplotlib is not installed"
    print(f"wrote {path}{also}")


def catch_interrupts() -> None:
    """Raise KeyboardInterrupt at Ctrl-C or SIGTERM, once: a second must not disturb the end."""
    waiting = [True]

    def interrupt(number: int, frame: object) -> None:
        if waiting:
            waiting.clear()
            raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)


def run(plan: Plan, command: list[str]) -> int:
    """Measure, show and write; return 0, 1 if an arm failed, or 130 after Ctrl-C or SIGTERM.

    Whatever ends it, what was measured until then is written.
    """
    content = story(plan, command)
    versions = ", ".join(f"{name} {version}" for name, version in content["versions"].items())
    print(
        f"{content['command']}\n{content['device']}, {number_of(content['cpus'], 'CPU')}; "
        f"{versions}"
    )
    print(f"revision {content['revision']}, seed {plan.seed}, {content['time']}\n{METHOD}\n")
    comparisons: list[Comparison] = []
    catch_interrupts()
    with stoppable() as ending:
        measure(plan, comparisons)
    content["interrupted"] = ending.early
    outcomes = [outcome for comparison in comparisons for outcome in comparison.outcomes]
    if not ending.early or any(outcome.segments for outcome in outcomes):
        write(plan, comparisons, content)
    if ending.interrupted:
        print("\ninterrupted; what was measured so far:")
        if comparisons:
            print(table(comparisons[-1]))
    return ending.code() or int(any(outcome.failure for outcome in outcomes))


@entry_point()
def main(command: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if command is None else command
    options = parser().parse_args(arguments)
    return run(plan_of(options), arguments)


if __name__ == "__main__":
    sys.exit(main())
