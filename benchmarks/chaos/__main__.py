"""Chaos benchmark: searches on a cluster that loses workers, machines and drivers, and its price.

Runs searches on a cluster that is up, first undisturbed ones, then some in which processes and
machines are killed at random moments; a killed driver is started again with --resume. For hosts
that a command HOSTS can break (``HOSTS kill I``: host I vanishes, ``HOSTS start I SHARED``: it is
back, ``HOSTS ssh I COMMAND``), 0 being the head:

    python -m benchmarks.chaos --hosts 'bash hosts' --shared /srv/shared --searches 20
"""

import argparse
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from benchmarks.chaos.result import Loss, Result, judge, table
from benchmarks.option_checks import check_minimum, check_out
from spaces.errors import UserError
from trainer.arguments import Parser
from trainer.entry_point import entry_point
from trainer.files import write_atomic
from trainer.provenance import provenance

KINDS = ("worker", "node", "driver")
TOLD = ("benchmark", "workers", "trials", "save_every", "searches", "kills", "seed")
"""Options that are written down with the results."""
QUIET_SEARCHES = 3
FIRST_SECONDS = 8.0
"""Nothing is killed before: until then a search starts."""
AWAY_SECONDS = 3.0
"""How long a machine that was killed stays away."""
LONGEST_SECONDS = 1200.0
PROGRAM = "[r]un_search.py"
"""Of the driver, in a form that does not find the command that looks for it."""


@dataclass(frozen=True)
class Hosts:
    """The machines of the cluster.

    Attributes:
        command: breaks and mends them, and runs commands there.
        shared: folder that all of them see, this machine included.
        enter: shell words that lead to the repository and its environment.
        workers: hosts 1 to this number train.
    """

    command: str
    shared: Path
    enter: str
    workers: int

    def do(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command of HOSTS; a machine that is just gone may let it fail."""
        command = [*shlex.split(self.command), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def start_driver(self, name: str, options: list[str], log: IO[str]) -> subprocess.Popen[str]:
        words = ["--runs", str(self.shared / "runs"), "--data-root", str(self.shared / "data")]
        program = shlex.join(["python", "-u", "run_search.py", "--name", name, *words, *options])
        command = [*shlex.split(self.command), "ssh", "0", f"{self.enter}; {program}"]
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, text=True)

    def kill(self, kind: str, host: int) -> bool:
        """Kill a training worker on a host, the host, or the driver; return whether one was hit."""
        if kind == "node":
            self.do("kill", str(host))
            time.sleep(AWAY_SECONDS)
            self.do("start", str(host), str(self.shared))
            return True
        where, pattern = ("0", PROGRAM) if kind == "driver" else (str(host), "^[r]ay::.*Trainable")
        return self.do("ssh", where, f"pkill -KILL -f '{pattern}'").returncode == 0


@dataclass
class Run:
    """One search, from its first driver to its last."""

    hosts: Hosts
    name: str
    options: list[str]
    losses: list[Loss]
    logs: Path
    drivers: int = 0
    code: int | None = None
    hit: list[Loss] = field(default_factory=list)

    def watch(self) -> float:
        """Run it to its end, killing what is to be killed; return the seconds that it took."""
        begin = time.monotonic()
        waiting = sorted(self.losses, key=lambda loss: loss.seconds)
        driver = self.start()
        while self.code is None:
            now = time.monotonic() - begin
            if now > LONGEST_SECONDS:
                driver.kill()
                self.code = -1
            elif waiting and now >= waiting[0].seconds:
                loss = waiting.pop(0)
                if self.hosts.kill(loss.kind, loss.host):
                    self.hit.append(loss)
            elif driver.poll() is not None:
                if driver.returncode == 0 or self.drivers > len(self.losses) + 1:
                    self.code = driver.returncode
                else:
                    driver = self.start()
            else:
                time.sleep(0.2)
        return time.monotonic() - begin

    def start(self) -> subprocess.Popen[str]:
        self.drivers += 1
        again = (self.hosts.shared / "runs" / self.name / "settings.json").exists()
        with (self.logs / f"{self.name}.{self.drivers}.log").open("w") as log:
            options = [*self.options, *(["--resume"] if again else [])]
            return self.hosts.start_driver(self.name, options, log)

    def output(self) -> str:
        names = [f"{self.name}.{number + 1}.log" for number in range(self.drivers)]
        return "".join((self.logs / name).read_text() for name in names)


def losses_of(random: np.random.Generator, kills: int, workers: int, seconds: float) -> list[Loss]:
    """Return what is killed in a search that takes so long when nothing is."""
    return [
        Loss(
            seconds=round(float(random.uniform(FIRST_SECONDS, max(seconds, FIRST_SECONDS))), 1),
            kind=KINDS[random.integers(len(KINDS))],
            host=1 + int(random.integers(workers)),
        )
        for _ in range(kills)
    ]


def names_of(options: argparse.Namespace) -> list[str]:
    """Return the names of the runs, the quiet ones first."""
    return [f"{options.name}-{i:02d}" for i in range(QUIET_SEARCHES + options.searches)]


def check_new(options: argparse.Namespace) -> None:
    """Raise UserError if a run is there already: it would be resumed, and end at once."""
    for name in names_of(options):
        if (folder := options.shared / "runs" / name).exists():
            raise UserError(f"--name is {options.name}, but {folder} is there; give another name.")


def searches(options: argparse.Namespace) -> Iterator[Result]:
    """Run the quiet searches, then the disturbed ones, and yield what became of each."""
    hosts = Hosts(options.hosts, options.shared, options.enter, options.workers)
    words = ["--benchmark", options.benchmark, "--trials", str(options.trials), "--no-confirm"]
    words += ["--save-every", str(options.save_every)]
    random = np.random.default_rng(options.seed)
    options.logs.mkdir(parents=True, exist_ok=True)
    quiet: list[float] = []
    reference: dict[str, list[float]] = {}
    for number, name in enumerate(names_of(options)):
        disturbed = number >= QUIET_SEARCHES
        kills = options.kills if disturbed else 0
        losses = losses_of(random, kills, options.workers, float(np.median(quiet or [0.0])))
        run = Run(hosts, name, words, losses, options.logs)
        seconds = run.watch()
        if not disturbed:
            quiet.append(seconds)
        folder = options.shared / "runs" / name
        result = judge(folder, run.output(), options.trials, run.hit, seconds, reference)
        yield result.with_end(run.code, run.drivers, disturbed)


def parser() -> argparse.ArgumentParser:
    made = Parser(
        prog="python -m benchmarks.chaos",
        description="Search on a cluster whose workers, machines and drivers are killed.",
    )
    add = made.add_argument
    add("--hosts", required=True, help="command that knows kill I, start I SHARED, ssh I COMMAND")
    add("--shared", type=Path, required=True, help="folder that all hosts see, and this machine")
    add("--enter", default="cd ~/class-weighting-search", help="shell words before a command")
    add("--workers", type=int, default=2, help="hosts 1 to this number train")
    add("--benchmark", default="resnet8-digitslt", help="of the searches")
    add("--trials", type=int, default=24, help="of a search")
    add("--save-every", type=int, default=5, help="epochs between checkpoints")
    add("--searches", type=int, default=20, help=f"disturbed ones; {QUIET_SEARCHES} are quiet")
    add("--kills", type=int, default=3, help="in each of them")
    add("--seed", type=int, default=42, help="of the moments and kinds of the kills")
    add("--name", default="chaos", help="of the runs")
    add("--logs", type=Path, default=Path("chaos-logs"), help="folder for the drivers' output")
    add("--out", type=Path, default=Path("chaos.json"), help="file to write")
    return made


@entry_point()
def main(arguments: list[str] | None = None) -> int:
    """Run the searches, print and write what became of them; return the exit code."""
    options = parser().parse_args(arguments)
    results: list[Result] = []
    for name in ("workers", "trials", "searches", "save_every", "kills"):
        check_minimum(f"--{name.replace('_', '-')}", getattr(options, name), 1)
    check_minimum("--seed", options.seed, 0)
    check_new(options)
    check_out(options.out)
    for result in searches(options):
        results.append(result)
        asked: dict[str, Any] = {"options": {name: getattr(options, name) for name in TOLD}}
        content = asked | provenance() | {"searches": [asdict(r) for r in results]}
        write_atomic(options.out, json.dumps(content, indent=1).encode())
        print(table(results), flush=True)
    return 0 if all(result.is_whole for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
