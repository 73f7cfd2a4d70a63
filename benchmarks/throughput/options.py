"""Options of ``benchmarks.throughput``: what it measures."""

import argparse
import fnmatch
import math
from dataclasses import dataclass
from pathlib import Path

from benchmarks.option_checks import check_out, numbers
from benchmarks.throughput.arms import REFERENCE_PRECISION, Arm, grid
from spaces.errors import UserError
from spaces.parts.words import number_of
from trainer.arguments import Parser
from trainer.runtime import PRECISIONS, available_cpus, select_device


@dataclass(frozen=True)
class Plan:
    """What the command line asks for, checked.

    Attributes:
        batches: training batches of a segment's epoch; None for the whole data set.
        budget: seconds for everything; None for no limit.
    """

    benchmarks: tuple[str, ...]
    data_root: Path
    device: str
    arms: tuple[Arm, ...]
    rounds: int
    batches: int | None
    budget: float | None
    seed: int
    out: Path


def parser() -> argparse.ArgumentParser:
    made = Parser(
        prog="python -m benchmarks.throughput",
        description="Measure the seconds per trial of a plain script and of the engine.",
    )
    add = made.add_argument
    add("--data-root", type=Path, default=Path("data"), help="folder of the data sets")
    add(
        "--benchmarks",
        default="resnet32-cifar100lt,vgg16bn-cifar100lt",
        help="names, or TOML files",
    )
    add("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    add("--slots", help="trials side by side (GPU: 1,2,4,8; CPU: 1,2,4... up to its cores)")
    add("--precisions", help=f"{', '.join(PRECISIONS)} (GPU: tf32,bf16; CPU: fp32,bf16)")
    add("--workers", default="0,4", help="of the reference's data loaders")
    add("--compile", action="store_true", help="add each engine arm with torch.compile")
    add("--arms", default="*", help="engine arms to keep: patterns such as 'bf16 x?','tf32*'")
    add("--rounds", type=int, default=5, help="segments of each arm")
    add("--batches", help="training batches of a segment, or all (GPU: all; CPU: 20)")
    add("--budget-seconds", type=float, help="stop after the round in progress, to end by then")
    add("--seed", type=int, default=42, help="of the first trial and of the images that are kept")
    add("--out", type=Path, default=Path("throughput"), help="name of the .json and .png to write")
    return made


def chosen_slots(text: str | None, device: str) -> list[int]:
    cpus = available_cpus()
    if text is None:
        most = 8 if device == "cuda" else cpus
        return [2**i for i in range(most.bit_length())]
    slots = numbers("--slots", text)
    if device == "cpu" and slots[-1] > cpus:
        raise UserError(
            f"--slots is {text!r}, but trials on a CPU run in processes with a core or more each, "
            f"and this machine has {number_of(cpus, 'CPU')}; give at most as many."
        )
    return slots


def chosen_precisions(text: str | None, device: str) -> list[str]:
    names = (text or f"{REFERENCE_PRECISION[device]},bf16").split(",")
    for name in names:
        if name not in PRECISIONS:
            raise UserError(f"--precisions has {name!r}; choose from {', '.join(PRECISIONS)}.")
    if device == "cpu" and "tf32" in names:
        raise UserError("--precisions has 'tf32', which on a CPU is fp32; write fp32.")
    return names


def chosen_arms(options: argparse.Namespace, device: str) -> tuple[Arm, ...]:
    """Return the arms of the grid whose labels fit --arms, and all references."""
    arms = grid(
        device,
        chosen_precisions(options.precisions, device),
        chosen_slots(options.slots, device),
        numbers("--workers", options.workers, 0),
        options.compile,
    )
    labels = [arm.label for arm in arms if not arm.plain]
    kept: set[str] = set()
    for pattern in options.arms.split(","):
        fitting = fnmatch.filter(labels, pattern)
        if not fitting:
            raise UserError(f"--arms has {pattern!r}, which fits none of: {', '.join(labels)}.")
        kept.update(fitting)
    return tuple(arm for arm in arms if arm.plain or arm.label in kept)


def chosen_batches(text: str | None, device: str) -> int | None:
    text = text or ("all" if device == "cuda" else "20")
    if text == "all":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise UserError(f"--batches is {text!r}; it must be a whole number from 1, or all.")
    return int(text)


def plan_of(options: argparse.Namespace) -> Plan:
    """Return what is asked for.

    Raises:
        UserError: an option is out of its range, or there is no such device.
    """
    device = select_device(options.device)
    if options.rounds < 1:
        raise UserError(f"--rounds is {options.rounds}; it must be at least 1.")
    if not 0 <= options.seed < 2**32:
        raise UserError(f"--seed is {options.seed}; it must be in 0..2**32-1.")
    budget = options.budget_seconds
    if budget is not None and not 0 < budget < math.inf:
        raise UserError(f"--budget-seconds is {budget:g}; it must be above 0 and finite.")
    check_out(options.out)
    return Plan(
        benchmarks=tuple(options.benchmarks.split(",")),
        data_root=options.data_root,
        device=str(device),
        arms=chosen_arms(options, device.type),
        rounds=options.rounds,
        batches=chosen_batches(options.batches, device.type),
        budget=budget,
        seed=options.seed,
        out=options.out,
    )
