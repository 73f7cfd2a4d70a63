"""The ``prepare`` command: a look at a folder of images, and a benchmark's file for it."""

import json
import math
import shlex
import textwrap
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from rich.cells import cell_len, set_cell_size
from rich.console import Console

from search.config.program import PROGRAM
from search.config.request import Request
from search.report.terminal import print_command
from spaces.errors import UserError
from trainer.benchmarks import BENCHMARKS, Benchmark
from trainer.benchmarks.folder_defaults import RULE, FolderDefaults, folder_defaults
from trainer.benchmarks.metrics import METRICS
from trainer.benchmarks.registry import check_weights_act, folder_benchmark
from trainer.errors import BenchmarkError
from trainer.files import write_atomic
from trainer.prepared import prepare

WIDTH = 80
SHOWN = 20
"""Classes in a chart; of more, the commonest and the rarest."""
LOG_FROM = 10
"""Ratio of the largest count to the smallest from which bars are logarithmic."""
LONGEST_NAME = 28


def prepare_folder(options: Namespace, console: Console) -> None:
    """Describe a folder, decode its images once, and write its TOML file.

    Raises:
        UserError: the folder is no data set, an image is damaged, or the file exists.
    """
    root = options.folder.absolute()
    defaults = folder_defaults(root, BENCHMARKS)
    output = options.output or Path(f"{defaults.name}.toml")
    check_output(output, options.overwrite)
    benchmark = folder_benchmark(defaults, root)
    console.print("\n".join(benchmark.notes()))
    console.print("\n".join(chart(benchmark, console.encoding)), soft_wrap=True)
    try:
        check_weights_act(benchmark)
    except BenchmarkError as error:
        console.print(f"note: {error}")
    console.print("Decoding every image once ...")
    console.print(f"prepared {prepare(benchmark, options.data_root, console.print)}")
    text = toml_text(benchmark, defaults, root, output)
    try:
        write_atomic(output, text.encode())
    except OSError as error:
        raise UserError(
            f"{output} cannot be written ({error.strerror}); give another --output."
        ) from error
    console.print(f"wrote {output}; search with")
    words = ["--benchmark", str(output)]
    if options.data_root != Path(Request.data_root):
        words += ["--data-root", str(options.data_root)]
    print_command(f"{PROGRAM} {shlex.join(words)}", console)


def check_output(output: Path, overwrite: bool) -> None:
    """Raise UserError unless the file may be written."""
    if output.suffix != ".toml":
        raise UserError(f"--output is {output}; its name must end in .toml.")
    if output.exists() and not overwrite:
        raise UserError(f"{output} exists; add --overwrite, or give another --output.")
    if not output.absolute().parent.is_dir():
        raise UserError(f"--output is {output}; it must be in a folder that exists.")


def chart(benchmark: Benchmark, encoding: str) -> list[str]:
    """Return lines of at most ``WIDTH`` columns: a bar for each class, the commonest first."""
    assert benchmark.folder is not None
    counts, evaluated = benchmark.folder.train_counts, benchmark.folder.evaluated_counts
    names = benchmark.folder.class_names
    order = sorted(range(len(names)), key=lambda label: (-counts[label], label))
    head, tail = order, order[:0]
    if len(order) > SHOWN:
        head, tail = order[: SHOWN // 2], order[-SHOWN // 2 :]
    between = [counts[label] for label in order[len(head) : len(order) - len(tail)]]
    name_width = min(LONGEST_NAME, max(5, *(cell_len(names[i]) for i in (*head, *tail))))
    numbers = f"{'train':>9} {'evaluate':>9}  "
    bars = bar_lengths(counts, WIDTH - name_width - len(numbers))
    scale = ", log scale" if is_log(counts) else ""
    lines = [f"{'class':<{name_width}}{numbers}training images{scale}"]
    block = "█" if encoding.lower().startswith("utf") else "#"

    def line(label: int) -> str:
        name = names[label]
        if cell_len(name) > name_width:
            name = f"{set_cell_size(name, name_width - 3)}..."
        row = f"{counts[label]:>9,} {evaluated[label]:>9,}  "
        return f"{set_cell_size(name, name_width)}{row}{block * bars[label]}"

    lines += map(line, head)
    if between:
        lines.append(f"... {len(between):,} classes of {max(between):,} to {min(between):,} ...")
    return [*lines, *map(line, tail)]


def is_log(counts: Sequence[int]) -> bool:
    return max(counts) >= LOG_FROM * min(counts)


def bar_lengths(counts: Sequence[int], width: int) -> list[int]:
    """Return a bar's length for each count, 1 to ``width``; logarithmic for long tails."""
    most = max(counts)
    if is_log(counts):
        return [1 + round((width - 1) * math.log(n) / math.log(most)) for n in counts]
    return [max(1, round(width * n / most)) for n in counts]


def toml_text(benchmark: Benchmark, defaults: FolderDefaults, root: Path, output: Path) -> str:
    """Return the text of a benchmark's file, with what was found and chosen as comments."""
    found = "\n".join(map(comment, benchmark.notes()))
    splits = defaults.splits
    test = "# no test images" if splits.test is None else f"test = {quoted(splits.test)}"
    val = "# val = 0.2                   # sets them aside; default here: none"
    if splits.val is not None:
        val = f"val = {quoted(splits.val) if isinstance(splits.val, str) else splits.val}"
    return f"""\
# A benchmark of the images in a folder; examples/cifar10lt-folder.toml explains every key. Those
# that are commented out show their defaults.
#
#     {PROGRAM} --benchmark {shlex.quote(output.name)}
#
{found}

name = {quoted(benchmark.name)}
{comment(RULE)}
network = {quoted(benchmark.network)}
resolution = {benchmark.resolution}
batch_size = {benchmark.batch_size}
# epochs = {benchmark.epochs}
# learning_rate = {benchmark.learning_rate}
# padding = {benchmark.padding}
# flip = true
# metric = {quoted(benchmark.metric)}  # one of {", ".join(METRICS)}

[data]
root = {quoted(str(root))}
train = {quoted(splits.train)}
# Validation images choose weightings and epochs: a folder, or a share of the training images of
# each class. With them, test images are for the verdict alone.
{val}
{test}
# imbalance_ratio = 100        # imposes a long tail; default: the images as they are
"""


def comment(text: str) -> str:
    """Return a TOML comment of lines of at most 100 columns."""
    return textwrap.fill(text, 100, initial_indent="# ", subsequent_indent="#   ")


def quoted(text: str) -> str:
    """Return a TOML string."""
    return json.dumps(text, ensure_ascii=False)
