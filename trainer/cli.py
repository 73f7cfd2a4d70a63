"""The trainer's command line trains one strategy with one seed, without a search."""

import argparse
import json
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any, NoReturn

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from spaces import NAMED, STRATEGIES, Strategy, in_words, legend, present_name, renamed
from spaces.errors import UserError, did_you_mean
from spaces.parts.words import number_of
from trainer import runtime
from trainer.arguments import Parser, given_path
from trainer.benchmarks import BENCHMARKS, Benchmark, get_benchmark
from trainer.benchmarks.metrics import METRICS, metric_sentence
from trainer.diagnosis.words import diagnosis_sentences
from trainer.entry_point import FAILED, deferring, entry_point
from trainer.execution.loop import TrainingError, save_position, train_by_batches
from trainer.execution.slot import Slot
from trainer.execution.task import Task
from trainer.execution.watchdog import watch
from trainer.files import write_atomic
from trainer.prepared import ImageData, load, prepare
from trainer.provenance import device_name, provenance
from trainer.results import EpochResult, selection, shot_groups, summary
from trainer.runtime import available_cpus
from trainer.trial import Trial
from trainer.user_files import expanded, read_text


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(
        prog="python -m trainer",
        description="Train one class weighting or training strategy under the fixed protocol.",
    )
    parser.add_argument(
        "--benchmark",
        required=True,
        help=f"{', '.join(BENCHMARKS)}, a TOML file, or a folder of images",
    )
    trained = parser.add_mutually_exclusive_group()
    trained.add_argument(
        "--weighting",
        default="uniform",
        help=f"{', '.join(NAMED)}, or a JSON file (best.json, or a point of the family)",
    )
    trained.add_argument(
        "--strategy",
        help=f"a weighting, {', '.join(name for name in STRATEGIES if name not in NAMED)}, or a "
        "JSON file (best.json, or a strategy)",
    )
    parser.add_argument("--seed", type=int, default=42, help="of this training run")
    parser.add_argument("--epochs", type=int, help="shorten the protocol; results say so")
    parser.add_argument(
        "--precision",
        default="tf32",
        choices=runtime.PRECISIONS,
        help="number format of the computation",
    )
    parser.add_argument(
        "--compile", action="store_true", help="training and test through torch.compile"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--threads", type=int, help="CPU threads (default: all CPUs)")
    parser.add_argument(
        "--data-root", type=given_path, default=Path("data"), help="folder of the data sets"
    )
    parser.add_argument(
        "--checkpoints", type=given_path, help="folder to save to and to resume from"
    )
    parser.add_argument("--save-every", type=int, default=10, help="epochs between checkpoints")
    parser.add_argument("--output", type=given_path, help="write every epoch and the story as JSON")
    return parser.parse_args(argv)


def chosen_strategy(options: argparse.Namespace) -> Strategy:
    """Return the strategy that ``--strategy`` or ``--weighting`` names, or has in a JSON file.

    Raises:
        UserError: neither a known name nor a readable file with one.
    """
    if options.strategy is not None:
        return read_strategy("strategy", options.strategy, STRATEGIES)
    strategy = read_strategy("weighting", options.weighting, NAMED)
    if not strategy.is_static:
        raise UserError(f"{options.weighting} holds {strategy.kind}; give it as --strategy.")
    return strategy


def read_strategy(option: str, name: str, known: Collection[str]) -> Strategy:
    """Return the strategy of a ``known`` name, or the one in a JSON file."""
    if present_name(name) in known:
        return STRATEGIES[present_name(name)].strategy
    path = expanded(name) if name else Path()
    if not path.is_file():
        raise UserError(
            f"{option} is {name!r}{did_you_mean(name, known)}; it must be a JSON file or one of "
            f"{', '.join(known)}."
        )
    text = read_text(path)
    try:
        content = json.loads(text)
        if isinstance(content, dict):  # best.json has a strategy; older ones have a weighting
            content = content.get("strategy", content.get("weighting", content))
        if not isinstance(content, dict):
            raise ValueError("it must be an object, in braces")
        return Strategy.from_dict(content)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} does not hold a {option}: {error}") from error


def check_options(options: argparse.Namespace) -> None:
    """Refuse what would fail only later: after hours of training in the case of ``--output``."""
    for name in ("epochs", "threads", "save-every"):
        value = getattr(options, name.replace("-", "_"))
        if value is not None and value < 1:
            raise UserError(f"--{name} is {value}; it must be at least 1.")
    if (options.threads or 0) > available_cpus():
        here = number_of(available_cpus(), "CPU")
        raise UserError(f"--threads is {options.threads}; it must be at most the {here} here.")
    if not 0 <= options.seed < 2**63:
        raise UserError(f"--seed is {options.seed}; it must be in 0..2**63-1.")
    output = options.output
    if output and ((output.exists() and not output.is_file()) or not output.parent.is_dir()):
        raise UserError(f"--output is {output}; it must be a file in an existing folder.")
    if output:
        check_place("output", output, output.parent)
    if options.checkpoints and options.checkpoints.is_file():
        raise UserError(f"--checkpoints is {options.checkpoints}; it must be a folder, not a file.")
    if options.checkpoints:
        check_place("checkpoints", options.checkpoints, options.checkpoints)


def check_place(name: str, given: Path, folder: Path) -> None:
    """Make a folder if it is missing, and refuse one in which no file can be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise UserError(
            f"--{name} is {given}, which cannot be written to ({error.strerror}); give a place "
            "where you may write."
        ) from error


def story(
    options: argparse.Namespace, trial: Trial, strategy: Strategy, device: str
) -> dict[str, Any]:
    return {
        "benchmark": trial.benchmark.to_dict(),
        "protocol": trial.benchmark.protocol_note(),
        "strategy": strategy.to_dict(),
        "kind": strategy.kind,
        "weighting": strategy.weighting.to_dict(),
        "weights": list(trial.recipe.weights),
        "configuration": trial.fingerprint(),
        "seed": trial.seed,
        "precision": trial.precision,
        "compiled": trial.compiled,
        "device": device,
        "threads": options.threads,
        "provenance": provenance(),
    }


def show_training(
    trial: Trial, task: Task, options: argparse.Namespace, console: Console
) -> list[EpochResult]:
    """Train with a progress bar, or with a line an epoch where there is no terminal.

    Raises:
        KeyboardInterrupt: Ctrl-C or SIGTERM came; with ``--checkpoints``, nothing trained is lost.
    """
    results, split = [], trial.benchmark.chosen_on
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress, deferring() as is_interrupted:
        bar = progress.add_task("training", total=trial.benchmark.epochs)
        slot = Slot(trial, task)
        watch([slot.queue], device_name(task.device))
        for result in train_by_batches(slot, trial, options.checkpoints, options.save_every):
            if result is None:
                if is_interrupted():
                    leave(slot, options.checkpoints, console)
                continue
            results.append(result)
            text = f"loss {result.train_loss:.3f}  {split} {result.score:.2f} %"
            description = f"{text}  best {result.best_score:.2f} %"
            progress.update(bar, completed=result.epoch, description=description)
            if not console.is_terminal:
                console.print(f"epoch {result.epoch}: {description}  {result.seconds:.1f} s")
    return results


def leave(slot: Slot, folder: Path | None, console: Console) -> NoReturn:
    """Save where a training is, between two batches, if there is a folder for it, and end it."""
    if folder:
        save_position(slot, folder)
        console.print(f"saved in epoch {len(slot.history) + 1}; the same command goes on there")
    raise KeyboardInterrupt


def show_summary(
    results: list[EpochResult], data: ImageData, benchmark: Benchmark
) -> dict[str, Any]:
    """Print what the training amounts to, and return it as ``trainer.results.summary`` does."""
    facts = summary(results, data.counts.tolist(), data.half_counts, benchmark.test_held_out)
    shots = ", ".join(f"{name} {value:.2f}" for name, value in facts["shots"].items())
    others = ", ".join(
        f"{METRICS[name].words} {value:.2f} %"
        for name, value in facts["metrics"].items()
        if name != benchmark.metric
    )
    images = len(data.train_labels) * facts["epochs"] / facts["seconds"]
    if results[-1].diagnosis and (found := results[-1].diagnosis.best):
        scenarios = data.scenarios.counted(data.half_a) if data.scenarios else ()
        groups, names = list(shot_groups(data.counts.tolist())), data.class_names
        for said in diagnosis_sentences(found, groups, names, scenarios, benchmark.test_held_out):
            print(said)
    print(
        f"{benchmark.score_words}: best {facts['best_score']:.2f} % (epoch {facts['best_epoch']}), "
        f"last {facts['last_score']:.2f} %, last ten {facts['last_ten_score']:.2f} %"
    )
    print(f"at that epoch {others}; accuracy of classes in percent: {shots}")
    print(
        f"{number_of(facts['epochs'], 'epoch')} in {facts['seconds']:.1f} s, "
        f"{images:.0f} training images/s, evaluation included; {benchmark.protocol_note()}"
    )
    return facts


def show_trial(
    trial: Trial, strategy: Strategy, data: ImageData, threads: int, device: str
) -> None:
    """Print what is trained, in symbols and in words."""
    print(
        f"{trial.benchmark.name}, {strategy.describe()}, seed {trial.seed}, {trial.precision} on "
        f"{device}, {number_of(threads, 'thread')}"
    )
    symbols = (f"{known.symbol}: {known.word}" for known in legend([strategy.describe()]))
    print("; ".join([in_words(strategy, data.counts), *symbols]))
    scored = metric_sentence(
        trial.benchmark.metric,
        trial.benchmark.chosen_on,
        selection(data.half_counts, trial.benchmark.test_held_out).tolist(),
    )
    if scored:
        print(scored)


def run(options: argparse.Namespace) -> None:
    """Train one strategy, print its numbers and write them where that is asked for."""
    check_options(options)
    benchmark = get_benchmark(options.benchmark, options.data_root)
    benchmark = benchmark.with_epochs(options.epochs) if options.epochs else benchmark
    strategy = chosen_strategy(options)
    for sentence in renamed([options.strategy or options.weighting]):
        print(sentence)
    options.threads = options.threads or available_cpus()
    device = runtime.select_device(options.device)
    runtime.configure(options.precision, options.threads)
    for note in benchmark.notes():
        print(note)
    data = load(prepare(benchmark, options.data_root, print), benchmark)
    recipe = strategy.recipe(data.counts)
    trial = Trial(
        benchmark, recipe, options.seed, options.precision, options.compile, diagnosed=True
    )
    show_trial(trial, strategy, data, options.threads, device_name(device))
    task = Task(data, benchmark.padding, device)
    results = show_training(trial, task, options, Console())
    facts = show_summary(results, data, benchmark)
    if options.output:
        content = story(options, trial, strategy, device_name(device))
        content |= {"summary": facts, "epochs": [r.to_dict() for r in results]}
        if data.scenarios:
            content["scenarios"] = [vars(s) for s in data.scenarios.counted(data.half_a)]
        write_atomic(options.output, json.dumps(content, indent=1).encode())


@entry_point()
def main(argv: list[str] | None = None) -> int:
    """Run the command line; the exit code is 2 for what the user mends, 1 for a failed training."""
    options = arguments(argv)
    try:
        run(options)
    except (TrainingError, torch.OutOfMemoryError) as error:
        print(f"training failed: {error}", file=sys.stderr)
        return FAILED
    return 0
