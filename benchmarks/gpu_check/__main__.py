"""Command that runs the stages of a check on a GPU, and prints what came of them.

    python -m benchmarks.gpu_check OUT --data-root data
    python -m benchmarks.gpu_check OUT --summary

Only the stages that train for accuracies and the search need real images; the others make up
images of the benchmark's sizes, on which speed does not depend. What is in OUT stays: later calls
add to it.
"""

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from benchmarks.gpu_check.conductor import Conductor
from benchmarks.gpu_check.plan import Stage, chosen
from benchmarks.gpu_check.results import FILE, rows_of
from benchmarks.gpu_check.summary import summary
from spaces.errors import UserError
from trainer.arguments import Parser
from trainer.entry_point import entry_point
from trainer.runtime import select_device

STRETCH = 6.0
"""How much more time a stage has in a rehearsal on a CPU."""


def parser() -> Parser:
    made = Parser(
        prog="python -m benchmarks.gpu_check",
        description="Check and measure the trainer on a GPU, in stages.",
    )
    add = made.add_argument
    add("out", type=Path, help="folder of the results; what is there stays")
    add("--data-root", type=Path, help="folder of the data sets, for accuracies and the search")
    add("--only", help="stages or kinds of stages, separated by commas, in this order (all)")
    add("--seconds", type=float, default=540.0, help="for everything")
    add("--device", default="cuda", help="cuda, cuda:N, or cpu for a rehearsal")
    add("--tiny", action="store_true", help="few images and a small network, to rehearse")
    add("--logs", type=Path, help="folder of running stages' output (a temporary one)")
    add("--summary", action="store_true", help="print what is in OUT, and run nothing")
    return made


def command_of(options: argparse.Namespace, scratch: Path, stage: Stage, limit: float) -> list[str]:
    words = [sys.executable, "-m", "benchmarks.gpu_check.stages", stage.name]
    words += ["--out", str(options.out.absolute()), "--scratch", str(scratch)]
    words += ["--seconds", f"{limit:.0f}", "--device", options.device]
    if options.data_root:
        words += ["--data-root", str(options.data_root.absolute())]
    return [*words, *["--tiny"] * options.tiny]


def stages_of(options: argparse.Namespace) -> list[Stage]:
    """Return the stages to run, and say which are left out.

    Raises:
        UserError: a name is unknown, or what the options ask for is not here.
    """
    if not options.seconds > 0:
        raise UserError(f"--seconds is {options.seconds:g}; it must be more than 0.")
    stages = chosen(options.only)
    select_device(options.device)
    if options.data_root is None:
        left_out = [stage.name for stage in stages if stage.needs_images]
        if left_out and options.only:
            raise UserError(f"{', '.join(left_out)} need real images; give --data-root.")
        if left_out:
            print(f"left out without --data-root, for want of real images: {', '.join(left_out)}")
        stages = [stage for stage in stages if not stage.needs_images]
    elif not options.data_root.is_dir():
        raise UserError(f"--data-root is {options.data_root}, and there is no such folder.")
    return stages


def run(options: argparse.Namespace) -> int:
    """Run the stages; return 0, 1 if one failed or was cut, or 130 after Ctrl-C or SIGTERM."""
    stages = stages_of(options)
    make_folder("the folder of the results", options.out, FILE)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        logs = options.logs or Path(folder)
        make_folder("--logs", logs, "")
        conductor = Conductor(
            options.out,
            logs,
            lambda stage, limit: command_of(options, Path(folder), stage, limit),
            options.seconds,
            STRETCH if options.tiny else 1.0,
        )
        code = 0
        try:
            conductor.run(stages)
        except KeyboardInterrupt:
            conductor.tell("interrupted")
            code = 130
    print("\n" + summary_of(options.out))
    return code or int(bool(conductor.failed))


def make_folder(name: str, path: Path, file: str) -> None:
    """Make a folder and, if it is named, a file in it; what is there stays."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        (path / file).touch()
    except OSError as error:
        raise UserError(
            f"{name}, {path}, cannot be written to ({error.strerror}); give another."
        ) from error


def summary_of(out: Path) -> str:
    path = out / FILE
    if not path.is_file():
        raise UserError(f"there are no results in {out}: {FILE} is missing.")
    return summary(rows_of(path.read_bytes()))


@entry_point()
def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    if options.summary:
        print(summary_of(options.out))
        return 0
    return run(options)


if __name__ == "__main__":
    sys.exit(main())
