"""How a run goes from its first second to its last: prepare, search on Ray, export, say what is."""

import contextlib
import logging
import os
import signal
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import ray
from ray import tune
from ray.tune.experiment import Trial
from rich.console import Console

from search.display import Display, best_text
from search.leaderboard import export_run
from search.record import Record
from search.runfolder import RunFolder
from search.search import Facts, Search
from search.settings import SCHEMA_VERSION, Budget, Resources, Settings
from search.trainable import TrialTrainable, WorkerSetup
from search.tune_bridge import StopSwitch, StudyCallback, StudyScheduler, StudySearcher
from spaces import SPACES
from trainer.benchmarks import Benchmark
from trainer.data import ImageData, load, prepare
from trainer.errors import UserError
from trainer.loop import SCALE_FREE_LOSS
from trainer.precision import available_cpus
from trainer.provenance import provenance

MAX_WORKER_LOSSES = 3
FINISHED, FAILED, INTERRUPTED = 0, 1, 130


@dataclass(frozen=True)
class Plan:
    """A search as the command line asked for it."""

    benchmark: Benchmark
    data_root: Path
    folder: RunFolder
    settings: Settings
    budget: Budget
    resources: Resources
    device: str
    save_every: int
    resume: bool
    resume_command: str


class Interrupt:
    """Ctrl-C or SIGTERM once: stop cleanly. Ctrl-C again: stop at once."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number

    @contextlib.contextmanager
    def caught(self) -> Iterator[None]:
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(number, self._handle) for number in numbers]
        try:
            yield
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)

    def reason(self) -> str | None:
        return None if self.signal is None else signal.Signals(self.signal).name


def run(plan: Plan, console: Console) -> int:
    """Run or continue the search and return the exit code: 0 when every trial has ended.

    Raises:
        UserError: the plan cannot be carried out.
    """
    if plan.folder.exists() and not plan.resume:
        raise UserError(
            f"run {plan.folder.path.name!r} exists; add --resume to continue it, "
            "or choose another --name."
        )
    if plan.resume and not plan.folder.exists():
        raise UserError(
            f"there is no run {plan.folder.path.name!r} to resume in {plan.folder.path.parent}; "
            "leave --resume out to start it."
        )
    console.print(f"Preparing the images of {plan.benchmark.name} ...", highlight=False)
    prepared = prepare(plan.benchmark, plan.data_root)
    data = load(prepared, plan.benchmark)
    plan.folder.create()
    with plan.folder.locked(), logging_to(plan.folder.log):
        record = open_record(plan, data)
        return search_and_export(plan, prepared, data, record, console)


def open_record(plan: Plan, data: ImageData) -> Record:
    """Make the run's settings and record, or open them after checking that they are the same.

    Raises:
        UserError: the run was started with other settings, or its files cannot be used.
    """
    folder = plan.folder
    if not plan.resume:
        folder.journal.unlink(missing_ok=True)  # left by a start that died before its settings
        record = Record.create(folder.journal, plan.settings.baselines, plan.settings.seed)
        folder.write_settings(settings_content(plan, data))
        return record
    content = folder.read_settings()
    if content.get("schema_version") != SCHEMA_VERSION:
        raise UserError(
            f"{folder.settings} has schema version {content.get('schema_version')}; this program "
            f"continues version {SCHEMA_VERSION} only. show and export still read the run."
        )
    differences = Settings.from_dict(content["settings"]).differences(plan.settings)
    if differences or content["fingerprint"] != plan.settings.fingerprint():
        what = "; ".join(differences) or f"the declaration of space {plan.settings.space!r}"
        raise UserError(
            f"run {folder.path.name!r} was started with other settings ({what}); "
            "resume with the same, or choose another --name."
        )
    return Record.reopen(folder.journal)


def settings_content(plan: Plan, data: ImageData) -> dict[str, Any]:
    """Return what settings.json holds: enough to read the run without its data."""
    return {
        "schema_version": SCHEMA_VERSION,
        "fingerprint": plan.settings.fingerprint(),
        "settings": plan.settings.to_dict(),
        "benchmark": plan.benchmark.to_dict(),
        "protocol": plan.benchmark.protocol_note(),
        "class_counts": data.counts.tolist(),
        "class_names": list(data.class_names),
        "test_counts": test_counts(data),
        "data_fingerprint": data.fingerprint,
    }


def test_counts(data: ImageData) -> list[int]:
    classes = range(len(data.class_names))
    return [int((data.test_labels == c).sum()) for c in classes]


def search_and_export(
    plan: Plan, prepared: Path, data: ImageData, record: Record, console: Console
) -> int:
    facts = Facts(plan.benchmark.epochs, tuple(data.counts.tolist()), tuple(test_counts(data)))
    attempt = plan.folder.begin_attempt(
        {
            "budget": asdict(plan.budget),
            "resources": asdict(plan.resources),
            "device": plan.device,
            **provenance(),
        }
    )
    search = Search(plan.settings, plan.budget, facts, plan.folder, record, attempt)
    interrupt = Interrupt()
    say_what(plan, search, console)
    if not search.finished():
        with interrupt.caught():
            search_on_ray(plan, prepared, search, attempt, interrupt, console)
    return conclude(plan, search, interrupt, console)


def say_what(plan: Plan, search: Search, console: Console) -> None:
    """Print what is about to be searched, and what is deliberately not."""
    settings, budget = plan.settings, plan.budget
    limit = [f"{budget.trials} trials"] if budget.trials else []
    limit += [f"{budget.hours:g} hours"] if budget.hours else []
    rungs = ", ".join(map(str, search.early_stopping.rungs))
    stopping = f"{settings.scheduler} at epochs {rungs}" if rungs else "no early stopping"
    lines = [
        f"{plan.benchmark.name}: {plan.benchmark.protocol_note()}, {settings.precision}",
        f"space {settings.space}, sampler {settings.sampler}, {stopping}; {' or '.join(limit)}",
    ]
    collapsed = SPACES[settings.space].collapsed(SCALE_FREE_LOSS)
    if collapsed:
        lines.append(
            f"not searched: {', '.join(collapsed)}, because the loss divides by the sum of the "
            "weights in a batch, so that their scale has no effect"
        )
    if search.ended or search.running:
        lines.append(
            f"resumed: {len(search.ended)} trials ended before, {len(search.adopted)} go on"
        )
    lines.append(f"run folder {plan.folder.path}")
    console.print("\n".join(lines), highlight=False, soft_wrap=True)


@contextlib.contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Send what the libraries log, and their warnings, to a file instead of the terminal."""
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root, ray_logger, optuna_logger = (logging.getLogger(n) for n in (None, "ray", "optuna"))
    ray_handlers, optuna_handlers = ray_logger.handlers[:], optuna_logger.handlers[:]
    root.addHandler(handler)
    ray_logger.handlers, optuna_logger.handlers = [], []
    propagated = (ray_logger.propagate, optuna_logger.propagate)
    ray_logger.propagate = optuna_logger.propagate = True
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        root.removeHandler(handler)
        handler.close()
        ray_logger.handlers, optuna_logger.handlers = ray_handlers, optuna_handlers
        ray_logger.propagate, optuna_logger.propagate = propagated


@contextlib.contextmanager
def ray_session(resources: Resources) -> Iterator[None]:
    """Connect to the cluster at ``resources.address``, or start Ray on this machine's CPUs.

    Raises:
        UserError: no cluster answers at the address.
    """
    quiet: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
    try:
        if resources.address:
            ray.init(address=resources.address, **quiet)
        else:
            ray.init(num_cpus=available_cpus(), include_dashboard=False, **quiet)
    except (ConnectionError, ValueError) as error:
        raise UserError(f"no Ray cluster answers at {resources.address!r}: {error}") from error
    try:
        yield
    finally:
        ray.shutdown()


def slots(resources: Resources) -> int:
    """Return how many trials fit on the connected cluster at a time.

    Raises:
        UserError: not even one does.
    """
    total = ray.cluster_resources()
    fitting = int(total.get("CPU", 0) // resources.cpus)
    if resources.gpus:
        fitting = min(fitting, int((total.get("GPU", 0) + 1e-9) // resources.gpus))
    if fitting < 1:
        raise UserError(
            f"a trial asks for {resources.cpus} CPUs and {resources.gpus:g} GPUs, and Ray offers "
            f"{total.get('CPU', 0):g} CPUs and {total.get('GPU', 0):g} GPUs; "
            "lower --cpus-per-trial or --gpus-per-trial."
        )
    return min(fitting, resources.concurrent or fitting)


def search_on_ray(
    plan: Plan,
    prepared: Path,
    search: Search,
    attempt: int,
    interrupt: Interrupt,
    console: Console,
) -> None:
    """Let Ray Tune run the search's trials until there are no more or something ends it."""
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"  # Interrupt handles it, and SIGTERM
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
    console.print("Starting Ray ...", highlight=False)
    with ray_session(plan.resources):
        concurrent = slots(plan.resources)
        console.print(f"{concurrent} trials at a time", highlight=False)
        with Display(search, console, title=plan.folder.path.name) as display:
            switch = StopSwitch(lambda: interrupt.reason() or search.must_stop())
            tuner = make_tuner(plan, prepared, search, attempt, concurrent, switch, display)
            tuner.fit()
    plan.folder.drop_scratch()


def make_tuner(
    plan: Plan,
    prepared: Path,
    search: Search,
    attempt: int,
    concurrent: int,
    switch: StopSwitch,
    display: Display,
) -> tune.Tuner:
    setup = WorkerSetup(
        benchmark=plan.benchmark,
        prepared=prepared.absolute(),
        run=plan.folder.path,
        precision=plan.settings.precision,
        device=plan.device,
        threads=plan.resources.cpus,
        save_every=plan.save_every,
    )
    trainable = tune.with_resources(
        tune.with_parameters(TrialTrainable, shared=setup),
        {"cpu": plan.resources.cpus, "gpu": plan.resources.gpus},
    )
    return tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=StudySearcher(search),
            scheduler=StudyScheduler(search),
            num_samples=-1,
            max_concurrent_trials=concurrent,
            reuse_actors=True,
            trial_name_creator=trial_name,
            trial_dirname_creator=trial_name,
        ),
        run_config=tune.RunConfig(
            name=f"attempt-{attempt}",
            storage_path=str(plan.folder.ray),
            stop=switch,
            callbacks=[StudyCallback(search, display.refresh)],
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            failure_config=tune.FailureConfig(max_failures=MAX_WORKER_LOSSES),
            verbose=0,
        ),
    )


def trial_name(trial: Trial) -> str:
    return str(trial.config["key"])


def conclude(plan: Plan, search: Search, interrupt: Interrupt, console: Console) -> int:
    """Export the best weighting so far, print where things stand, and return the exit code."""
    exported = export_run(plan.folder)
    console.print(best_text(search.ended), highlight=False, soft_wrap=True)
    if exported:
        console.print(f"exported {exported.module}", highlight=False, soft_wrap=True)
    if search.finished():
        return FINISHED if exported else FAILED
    why = interrupt.reason() or search.must_stop() or "Ray ended before all trials did"
    console.print(
        f"Stopped: {why}. {len(search.running)} trials are unfinished; continue with\n"
        f"  {plan.resume_command}",
        highlight=False,
        soft_wrap=True,
    )
    if interrupt.signal is not None:
        return INTERRUPTED
    return FINISHED if search.deadline and search.failures_in_a_row == 0 else FAILED
