"""Summary of the results: tables as the documents have them, with the source of each figure."""

import json
import statistics
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from benchmarks.gpu_check.made_up import TEST_IMAGES
from benchmarks.gpu_check.results import Row, label_of, told
from benchmarks.throughput.arms import Arm
from benchmarks.throughput.comparison import Spread
from benchmarks.throughput.floors import Ceilings, floor_of, work_of_trial
from benchmarks.throughput.views import ratio, short
from spaces import PUBLISHED_ON, STRATEGIES
from spaces.parts.words import number_of
from trainer.benchmarks import BENCHMARKS
from trainer.benchmarks.published import PUBLISHED, PUBLISHED_SEEDS

HEADER = (
    "| s per trial (min-max) | n | training images/s | times the plain script | share of the floor "
    "| host busy | GiB |\n|---|---|---|---|---|---|---|---|"
)
SEED = "seeds of the trials 0 to K-1, of the plain script 42"


@dataclass(frozen=True)
class Machine:
    """What figures are comparable on: one device, software and source tree."""

    hardware: str
    cpus: int
    versions: str
    revision: str | None
    tiny: bool

    @classmethod
    def of(cls, row: Row) -> "Machine":
        story = row["story"]
        versions = ", ".join(f"{name} {version}" for name, version in story["versions"].items())
        facts = (story["hardware"], story["cpus"], versions, story["revision"])
        return cls(*facts, bool(row.get("tiny")))

    def describe(self) -> str:
        rehearsal = " REHEARSAL: few images and a small network." if self.tiny else ""
        return (
            f"## {self.hardware}, {number_of(self.cpus, 'CPU')}\n\n{self.versions}; "
            f"revision {self.revision}."
            f"{rehearsal}"
        )


def summary(rows: list[Row]) -> str:
    """Return a section for each machine, Markdown, and what no machine is known of."""
    machines = by_machine(rows)
    parts = [section(machine, found) for machine, found in machines.items()]
    told = {id(row) for found in machines.values() for row in found}
    lost = Counter(row["stage"] for row in rows if id(row) not in told)
    parts += [
        f"Left out: {number_of(count, 'row')} of {stage}, for no row says on which machine."
        for stage, count in lost.items()
    ]
    return "\n\n".join(parts)


def by_machine(rows: Iterable[Row]) -> dict[Machine, list[Row]]:
    """Return the rows by where they come from, as the latest story of their stage has it."""
    found: dict[Machine, list[Row]] = {}
    latest: dict[str, Machine] = {}
    for row in rows:
        if "story" in row:
            latest[row["stage"]] = Machine.of(row)
        if row["stage"] in latest:
            found.setdefault(latest[row["stage"]], []).append(row)
    return found


def section(machine: Machine, rows: list[Row]) -> str:
    parts = [machine.describe()]
    found = [Ceilings(**row["ceilings"]) for row in rows if "ceilings" in row]
    ceilings = None if machine.tiny or not found else found[-1]
    timed = [row for row in rows if "seconds_per_trial" in row]
    for name in dict.fromkeys(row["benchmark"] for row in timed):
        mine = [row for row in timed if row["benchmark"] == name]
        parts.append(speed_table(name, mine, ceilings))
    parts += [
        steps(rows),
        accuracies(machine, rows),
        checks(rows),
        tests(rows),
        search(rows),
        trouble(rows),
    ]
    return "\n\n".join(filter(None, parts))


def speed_table(name: str, rows: list[Row], ceilings: Ceilings | None) -> str:
    """Return the arms of a benchmark, with ratios to the fastest plain script."""
    arms: dict[str, list[Row]] = {}
    for row in rows:
        arms.setdefault(label_of(row), []).append(row)
    plain = [median(arm) for arm in arms.values() if Arm(**arm[0]["arm"]).plain]
    reference = min(plain, default=None)
    lines = [speed_row(label, arm, reference, ceilings) for label, arm in arms.items()]
    epochs = BENCHMARKS[name].epochs
    note = (
        f"Seconds of a {epochs}-epoch trial, extrapolated from n segments of whole epochs on "
        f"made-up images, tests included, shared by the trials side by side; {SEED}."
    )
    return "\n".join([f"| `{name}` {HEADER}", *lines, "", note])


def median(rows: list[Row]) -> float:
    return float(statistics.median(row["seconds_per_trial"] for row in rows))


def speed_row(
    label: str, rows: list[Row], reference: float | None, ceilings: Ceilings | None
) -> str:
    spread = Spread.of([row["seconds_per_trial"] for row in rows])
    assert spread is not None
    images = statistics.median(row["images_per_second"] for row in rows)
    times = "-" if reference is None else ratio(reference / spread.median)
    busy = [row["host_share"] for row in rows if "host_share" in row]
    memory = max((row.get("peak_reserved", 0) for row in rows), default=0)
    columns = [
        label,
        f"{short(spread.median)} ({short(spread.low)}-{short(spread.high)})",
        str(spread.n),
        short(images),
        times,
        share_of_floor(rows[0], spread.median, ceilings),
        f"{100 * statistics.median(busy):.0f} %" if busy else "-",
        f"{memory / 2**30:.2f}" if memory else "-",
    ]
    return f"| {' | '.join(columns)} |"


def share_of_floor(row: Row, seconds: float, ceilings: Ceilings | None) -> str:
    precision = row["arm"]["precision"]
    if ceilings is None or precision not in ceilings.rates:
        return "-"
    work = work_of_trial(BENCHMARKS[row["benchmark"]], TEST_IMAGES)
    return f"{100 * floor_of(work, ceilings, precision).seconds / seconds:.0f} %"


def steps(rows: list[Row]) -> str:
    """Return the milliseconds of a slot's steps alone, by stage."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if "milliseconds" in row:
            text = f"{row['step']} {row['milliseconds']:.3f}"
            found.setdefault(row["stage"], []).append(text)
    lines = [f"- {stage}: {', '.join(texts)}" for stage, texts in found.items()]
    return "\n".join(["Milliseconds of a step alone:", *lines]) if lines else ""


def accuracies(machine: Machine, rows: list[Row]) -> str:
    """Return each trial's accuracies in percent, then what several seeds amount to."""
    ended = [row for row in rows if "best" in row and "strategy" in row]
    if not ended:
        return ""
    lines = [
        "| benchmark | strategy | seed | precision | epochs | best | last | mean of the last ten | "
        "published |\n|---|---|---|---|---|---|---|---|---|"
    ]
    groups: dict[tuple[str, ...], dict[int, float]] = {}
    for row in ended:
        names = [row[name] for name in ("benchmark", "strategy", "precision")]
        groups.setdefault(tuple(names), {})[row["seed"]] = row["best"]  # a repetition is no more
        name, strategy, precision = names
        told = [f"{row[name]:.2f}" for name in ("best", "last", "last_mean")]
        words = [f"`{name}`", strategy, str(row["seed"]), precision, str(row["epochs"]), *told]
        lines.append(f"| {' | '.join([*words, '' if machine.tiny else published(row)])} |")
    lines += [
        f"\n{', '.join(names)}: mean of the best {statistics.mean(by_seed.values()):.2f}, "
        f"standard deviation {statistics.stdev(by_seed.values()):.2f}, n {len(by_seed)}"
        for names, by_seed in groups.items()
        if len(by_seed) > 1
    ]
    return "\n".join(lines)


def published(row: Row) -> str:
    """Return what was published of a strategy under the protocol of its benchmark, if whole."""
    name, member = row["benchmark"], STRATEGIES[row["strategy"]]
    if row["epochs"] != BENCHMARKS[name].epochs:
        return ""
    found = [
        f"{first:.2f}, mean of {len(PUBLISHED_SEEDS)} seeds {mean:.2f} ({known})"
        for known, (first, mean) in PUBLISHED.get(name, {}).items()
        if known in STRATEGIES and STRATEGIES[known].strategy == member.strategy
    ]
    if name == PUBLISHED_ON:  # elsewhere, strategies' figures are of another protocol
        found += [
            f"{report.accuracies[name]:.2f} ({words})"
            for report in member.published
            if name in report.accuracies
            for words in ["; ".join(filter(None, (report.source, report.differs)))]
        ]
    return "; ".join(found)


def checks(rows: list[Row]) -> str:
    found = [row for row in rows if "check" in row]
    failed = [
        f"- FAILED {row['check']}: {short_of(row['found'])}" for row in found if not row["ok"]
    ]
    held = f"Checks: {len(found) - len(failed)} of {len(found)} hold."
    return "\n".join([held, *failed]) if found else ""


def tests(rows: list[Row]) -> str:
    found = [row for row in rows if "test" in row]
    counts = {
        outcome: sum(row["outcome"] == outcome for row in found)
        for outcome in ("passed", "failed", "skipped")
    }
    text = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
    failed = [f"- FAILED {row['test']}" for row in found if row["outcome"] == "failed"]
    return "\n".join([f"Tests: {text}.", *failed]) if found else ""


def search(rows: list[Row]) -> str:
    names = ("killed_after_seconds", "resumed_exit_code", "export_exit_code")
    found = [row for row in rows if any(name in row for name in names)]
    hidden = ("stage", "time")
    lines = [
        "- " + ", ".join(f"{k} {told(v)}" for k, v in row.items() if k not in hidden)
        for row in found
    ]
    return "\n".join(["Search:", *lines]) if found else ""


def trouble(rows: list[Row]) -> str:
    """Return what failed, was left out, did not fit or was warned of."""
    names = ("failed", "left_out", "out_of_memory", "diverged", "warnings")
    lines = [
        f"- {row['stage']}: {name.replace('_', ' ')}: {short_of(row[name])}"
        for row in rows
        for name in names
        if name in row
    ]
    return "\n".join(lines)


def short_of(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 300 else text[:297] + "..."
