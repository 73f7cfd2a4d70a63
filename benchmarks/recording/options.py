"""Options of ``benchmarks.recording``: what it records or packs."""

import argparse
import re
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.recording.table_folder import Job
from spaces.errors import UserError
from spaces.parts.words import number_of
from trainer.arguments import Parser
from trainer.benchmarks import BENCHMARKS, Benchmark, get_benchmark
from trainer.benchmarks.benchmark import SAFE_NAME
from trainer.runtime import PRECISIONS, available_cpus, select_device


@dataclass(frozen=True)
class Plan:
    """What the command line asks to record, checked.

    Attributes:
        weightings: the first so many of the design.
        seeds: training seeds 1 to this, the same for all weightings.
        shard: which part of how many, from (1, 1).
        slots: trials at a time; None on a GPU finds out.
    """

    benchmark: Benchmark
    weightings: int
    seeds: int
    table: Path
    data_root: Path
    shard: tuple[int, int]
    device: torch.device
    slots: int | None
    precision: str

    def jobs(self) -> list[Job]:
        """Return the shard's trials in the order of recording, seed after seed.

        To which shard a trial belongs does not depend on how many trials are asked for.
        """
        part, parts = self.shard
        seeds = range(1, self.seeds + 1)
        jobs = (Job(number, seed) for seed in seeds for number in range(self.weightings))
        return [job for job in jobs if (job.number + job.seed) % parts == part - 1]


def parser() -> argparse.ArgumentParser:
    made = Parser(
        prog="python -m benchmarks.recording",
        description="Train a design of weightings and keep what every epoch counted.",
        epilog="python -m benchmarks.recording pack --help: one compact file of what is recorded.",
    )
    add = made.add_argument
    add("--benchmark", required=True, help=f"{', '.join(BENCHMARKS)}, or a TOML file")
    add("--weightings", type=int, default=200, help="the first so many of the design")
    add("--seeds", type=int, default=3, help="training seeds of each: 1 to this")
    add("--table", type=Path, required=True, help="folder of tables; each has its own in it")
    add("--data-root", type=Path, default=Path("data"), help="folder of the data sets")
    add("--shard", default="1/1", help="which part of how many to record, such as 1/4")
    add("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    add("--slots", type=int, help="trials at a time (CPU: its cores; GPU: found by a trial run)")
    add("--epochs", type=int, help="shorten the protocol; the table says so")
    add("--precision", default="tf32", help=", ".join(PRECISIONS))
    return made


def plan_of(options: argparse.Namespace) -> Plan:
    """Return what is asked for.

    Raises:
        UserError: an option is out of its range, or there is no such benchmark or device.
    """
    for name in ("weightings", "seeds", "epochs", "slots"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise UserError(f"--{name} is {value}; it must be at least 1.")
    if options.precision not in PRECISIONS:
        raise UserError(
            f"--precision is {options.precision!r}; choose from {', '.join(PRECISIONS)}."
        )
    device = select_device(options.device)
    benchmark = get_benchmark(options.benchmark, options.data_root)
    return Plan(
        benchmark=benchmark.with_epochs(options.epochs) if options.epochs else benchmark,
        weightings=options.weightings,
        seeds=options.seeds,
        table=options.table,
        data_root=options.data_root,
        shard=shard_of(options.shard),
        device=device,
        slots=slots_of(options.slots, device),
        precision=options.precision,
    )


def shard_of(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([1-9]\d*)/([1-9]\d*)", text, re.ASCII)
    if match is None or int(match[1]) > int(match[2]):
        raise UserError(f"--shard is {text!r}; write PART/PARTS with PART from 1, such as 1/4.")
    return int(match[1]), int(match[2])


def slots_of(wanted: int | None, device: torch.device) -> int | None:
    if device.type != "cpu":
        return wanted
    cpus = available_cpus()
    if wanted is not None and wanted > cpus:
        raise UserError(
            f"--slots is {wanted}, but on a CPU each trial has a core to itself, and there are "
            f"{number_of(cpus, 'CPU')} here; give at most as many."
        )
    return wanted or cpus


@dataclass(frozen=True)
class Packing:
    """What is packed: ``folder`` (TABLE/BENCHMARK) into the file ``out``."""

    folder: Path
    out: Path


def pack_parser() -> argparse.ArgumentParser:
    made = Parser(
        prog="python -m benchmarks.recording pack",
        description="Write all recorded trials of a benchmark into one compact file.",
    )
    made.add_argument("--table", type=Path, required=True, help="as it was given for the recording")
    made.add_argument("--benchmark", required=True, help="its name, as the folder in --table has")
    made.add_argument("--out", type=Path, required=True, help="the .npz file to write")
    return made


def packing_of(options: argparse.Namespace) -> Packing:
    """Return what is asked for.

    Raises:
        UserError: the benchmark's name or the output cannot be one.
    """
    if not SAFE_NAME.fullmatch(options.benchmark):
        raise UserError(
            f"--benchmark is {options.benchmark!r}; give the name of a folder in --table."
        )
    if options.out.suffix != ".npz" or not options.out.parent.is_dir():
        raise UserError(f"--out is {options.out}; it must be a .npz file in an existing folder.")
    return Packing(options.table / options.benchmark, options.out)
