"""Rounds of a measurement: every arm made ready, then a segment of each in every round."""

import math
import time

from benchmarks.throughput.arms import Job, jobs
from benchmarks.throughput.comparison import Comparison, Outcome, Segment
from benchmarks.throughput.options import Plan
from benchmarks.throughput.processes import RunningArm
from trainer.benchmarks import Benchmark
from trainer.runtime import available_cpus

SEGMENT_SECONDS = 1.0
"""A segment is as many epochs as take about so long, and at least one."""
SET_UP_SHARE = 0.6
"""Of a benchmark's part of the budget; what is not set up by then is left out."""


def set_up(arms: list[RunningArm], outcomes: list[Outcome], plan: Plan, end: float | None) -> None:
    """Make every arm ready by ``end``, and find out how many epochs its segments have.

    On a CPU each has the cores for itself. On a GPU those that time its algorithms have the GPU
    for themselves, but for others that compile; compiled arms come last, because they take long.
    """
    by_arm = {outcome.arm: outcome for outcome in outcomes}
    for running in arms:
        running.answers(end)  # the data are read
    at_once = [r for r in arms if plan.device != "cpu" and r.arm.reproducible]
    for running in at_once:
        running.tell("set up")
    for running in sorted(arms, key=lambda r: (r.arm.compiled, not r.arm.reproducible)):
        if running not in at_once:
            running.tell("set up")
        answers = running.answers(end) if running.failure is None else []
        if answers:
            longest = max(answer["seconds"] for answer in answers)
            by_arm[running.arm].epochs = max(1, math.ceil(SEGMENT_SECONDS / longest))
    note_failures(arms, outcomes)


def note_failures(arms: list[RunningArm], outcomes: list[Outcome]) -> None:
    for arm, outcome in zip(arms, outcomes, strict=True):
        if arm.failure and not outcome.failure:
            print(f"failed: {arm.arm.label}: {arm.failure}", flush=True)
        outcome.failure, outcome.warnings = arm.failure, arm.warnings


def run_round(
    number: int, arms: list[RunningArm], outcomes: list[Outcome], benchmark: Benchmark
) -> None:
    """Let every arm that has not failed do one segment, in reversed order every other round."""
    pairs = [(arm, o) for arm, o in zip(arms, outcomes, strict=True) if arm.failure is None]
    for arm, outcome in pairs[:: -1 if number % 2 else 1]:
        arm.tell(str(outcome.epochs))
        answers = arm.answers()
        if answers:
            outcome.segments[number] = Segment.of(answers, benchmark)
            peaks = {name: answers[0][name] for name in answers[0] if name.startswith("peak")}
            outcome.memory = peaks
    note_failures(arms, outcomes)


def compare(comparison: Comparison, name: str, plan: Plan, end: float | None) -> None:
    """Measure a benchmark's arms into ``comparison``, until ``end`` (of ``time.monotonic``)."""
    like = Job(name, str(plan.data_root), plan.device, 1, 1, plan.batches, plan.seed, plan.arms[0])
    start = time.monotonic()
    arms: list[RunningArm] = []
    try:
        for arm in plan.arms:
            arms.append(RunningArm(arm, jobs(arm, like, available_cpus())))
        ready_by = None if end is None else start + SET_UP_SHARE * (end - start)
        set_up(arms, comparison.outcomes, plan, ready_by)
        print(f"{name}: set up in {time.monotonic() - start:.0f} s", flush=True)
        longest = 0.0
        for number in range(plan.rounds):
            begin = time.monotonic()
            if number and end is not None and begin + longest > end:
                break
            run_round(number, arms, comparison.outcomes, comparison.benchmark)
            longest = max(longest, time.monotonic() - begin)
            print(f"{name}: round {number + 1} took {time.monotonic() - begin:.0f} s", flush=True)
    finally:
        for running in arms:
            running.end()
