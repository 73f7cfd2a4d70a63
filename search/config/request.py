"""Request of a user: what is to be searched, on which benchmarks, for how long and where.

The command line and Python ask for the same: an option is the name of a field with dashes.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Literal, TypeAlias

from annotated_types import Ge

from search.samplers.registry import SAMPLERS
from spaces.validation import OneOf, Rule

AUTO = "auto"
"""As ``sampler``: that which suits the space and early stopping."""
DEFAULT_TRIALS = 64
SAVE_EVERY = {"cpu": 5, "cuda": 20}
"""Epochs between checkpoints."""
Device: TypeAlias = Literal["auto", "cpu", "cuda"]
Names: TypeAlias = str | Sequence[str]
"""One name, several, or several in a text with commas between."""
AnyPath: TypeAlias = str | os.PathLike[str]
GivenPath: TypeAlias = Annotated[str, Rule("a path that is not empty", bool)]

ARGUMENTS = {"runs": "confirm_runs", "cpus": "cpus_per_trial", "compiled": "compile"}
"""Field of `Settings`, `Budget` or `Resources` -> the field here that sets it, where it differs."""


@dataclass(frozen=True)
class Request:
    """What a user asks for; `Settings`, `Budget` and `Resources` have the ranges of their fields.

    Attributes:
        benchmark: names, TOML files or folders of images, on which is searched jointly; none where
            there is a trainable.
        trainable: MODULE:FUNCTION or FILE.py:FUNCTION of the user's own, which trains.
        class_counts: of its images: a file, or as JSON.
        holdout: benchmark on which the verdict's strategies are tried at the end; of a trainable,
            class counts of other data, as ``class_counts``.
        name: of the run folder; None for the benchmark's.
        runs: folder of all runs.
        data_root: folder of the data sets.
        resume: continue the run of this name.
        trials: in total, controls and confirmation included; None for ``DEFAULT_TRIALS`` unless
            hours are given.
        hours: wall-clock hours of this attempt; None for no limit.
        gpu_hours: of training, over all attempts; None for no limit.
        confirm: whether the best are trained again with fresh seeds.
        confirm_runs: at most; None for a third of the trials.
        interval: to how much the lead over uniform is to be known in the end, each way with 95 %,
            points; None for nine runs. For ``knowledge-gradient``.
        epochs: shorten the protocol to; None for the benchmark's. Of a trainable, its length.
        space: a key of ``spaces.SPACES``.
        baselines: names of the controls; None for those of the space.
        sampler: a key of ``SAMPLERS``, or ``AUTO``.
        prior: folders of earlier runs whose results the model of ``knowledge-gradient`` begins
            with.
        early_stopping: a key of ``STOPPING_RULES``.
        grace_epochs: never stop a trial before; None for a quarter of the epochs.
        reduction_factor: a rung keeps the best 1 in so many.
        seed: all seeds of trials derive from it.
        precision: a key of ``trainer.runtime.PRECISIONS``.
        compile: training and test through ``torch.compile``.
        device: where trials train; "auto" for GPUs if there are any.
        slots: trials that share a GPU; None to try it out.
        cpus_per_trial: or per GPU; and CPU threads.
        concurrent: trials at a time; None for as many as fit.
        address: of a Ray cluster, or "local"; None for that which this machine is part of, if any.
        save_every: epochs between checkpoints; None for ``SAVE_EVERY``.
        log: names of tools that are told of every epoch, too.
    """

    benchmark: tuple[str, ...] = ()
    trainable: str | None = None
    class_counts: GivenPath | None = None
    holdout: str | None = None
    name: str | None = None
    runs: GivenPath = "runs"
    data_root: GivenPath = "data"
    resume: bool = False
    trials: int | None = None
    hours: float | None = None
    gpu_hours: float | None = None
    confirm: bool = True
    confirm_runs: int | None = None
    interval: float | None = None
    epochs: int | None = None
    space: str = "core"
    baselines: tuple[str, ...] | None = None
    sampler: Annotated[str, OneOf((AUTO, *SAMPLERS))] = AUTO
    prior: tuple[GivenPath, ...] = ()
    early_stopping: str = "auto"
    grace_epochs: int | None = None
    reduction_factor: int = 2
    seed: int = 42
    precision: str = "tf32"
    compile: bool = False
    device: Device = "auto"
    slots: int | None = None
    cpus_per_trial: int = 1
    concurrent: int | None = None
    address: str | None = None
    save_every: Annotated[int, Ge(1)] | None = None
    log: tuple[str, ...] = ()


OPTIONS = {"confirm": "--no-confirm", "class_counts": "--counts"}
"""Field of `Request` -> the option that sets it, where that has another name."""


def option_of(argument: str) -> str:
    """Return the command line's option that sets a field of `Request`."""
    return OPTIONS.get(argument, f"--{argument.replace('_', '-')}")


def in_options(sentence: str) -> str:
    """Return the sentence of a FieldError with the option of a search in its field's place."""
    known = {field.name for field in fields(Request)}

    def option(field: re.Match[str]) -> str:
        return option_of(field[1]) if field[1] in known else field[0]

    found = re.sub(r"\A(\w+)(\[\d+\])?", option, sentence)
    return f"{found.rstrip('.')}."


def in_arguments(sentence: str, other: Mapping[str, str] | None = None) -> str:
    """Return a sentence with the arguments of Python in place of a search's options.

    ``other`` are options with another argument than that of ``search.run``.
    """
    words = {option_of(field.name): field.name for field in fields(Request)}
    words |= {"--resume": "resume=True", "--compile": "compile=True"}
    words |= {"--dry-run": "search.dry_run"}
    words |= {"--no-confirm": "confirm=False", **(other or {})}

    def argument(option: re.Match[str]) -> str:
        name = words.get(option[1])
        return option[0] if name is None else "=".join(filter(None, (name, option[2])))

    return re.sub(r"(--[a-z-]+)(?: (\d+))?", argument, sentence)
