"""Recorded searches: real ones with all their epochs and decisions, to which later code is held.

``python tests/helpers/recorded_runs.py [NAME ...]`` records anew, all of RUNS or those that are
named, about four minutes on two cores; commit it only where the numbers are to change. Where they
did not, and on the same machine, it differs from what is there in its ``story`` alone.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from search.cli.commands import main
from search.session.running import Running
from search.session.search import Search
from search.store.record import Record
from search.store.run_folder import RunFolder
from search.store.trials import Row
from spaces import CLASS_WEIGHTS
from trainer.benchmarks.metrics import score
from trainer.provenance import processor
from trainer.results import EpochResult, half_counts, selection

RECORDED = Path(__file__).parents[1] / "recorded"
PROGRAM = Path(__file__).parents[2] / "run_search.py"
BENCHMARK = "resnet8-digitslt40"
SHORT = "--epochs 8 --no-confirm --baselines uniform,sqrt_inverse"
FULL_SPACE = "--space full --grace-epochs 2 --seed 7"
RUNS = {
    "default": "--trials 32",
    "random": f"--trials 14 {SHORT} --sampler random --early-stopping asha {FULL_SPACE}",
    "qmc": f"--trials 14 {SHORT} --sampler qmc {FULL_SPACE}",
    "gp": f"--trials 15 {SHORT} --sampler gp --early-stopping none",
    "cmaes": f"--trials 20 {SHORT} --sampler cmaes --early-stopping none",
}
"""Name -> options of the search, beside those of ``command``."""
LOSS_EPOCHS = 3
"""Of every trial, the losses of so many epochs are kept; of the others, the test images alone."""
LIBRARIES = ("torch", "numpy", "scipy", "optuna", "cmaes")
OF_ITS_DAY = ("device_hours", "saved_device_hours", "provenance", "resources")
"""Facts of a result that tell how long it took, and where."""


def command(name: str, folder: Path) -> list[str]:
    """Return the arguments of a run in ``folder``, one trial at a time, so that it is repeatable.

    The images are prepared in the folder, too, once for all of its runs.
    """
    where = ("--name", name, "--runs", str(folder / "runs"), "--data-root", str(folder / "data"))
    here = ("--device", "cpu", "--address", "local", "--concurrent", "1")
    return ["--benchmark", BENCHMARK, *RUNS[name].split(), *here, *where]


def read(name: str) -> dict[str, Any]:
    """Return the recording of a run of RUNS."""
    return dict(json.loads((RECORDED / f"{name}.json").read_text()))


def machine() -> dict[str, Any]:
    """Return what the last bits of a number may depend on: the CPU, and libraries' versions."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if sys.platform == "linux" else []
    pairs = [[part.strip() for part in line.split(":", 1)] for line in lines if ":" in line]
    kind = {name: text for name, text in pairs if name in ("cpu family", "model", "stepping")}
    vectors = torch.backends.cpu.get_cpu_capability()
    installed = {name: version(name) for name in LIBRARIES}
    return {"cpu": processor(), **kind, "vectors": vectors, **installed}


def outcome(folder: RunFolder) -> dict[str, Any]:
    """Return what a run's numbers are: its settings, trials in order, plan, and best.json."""
    content = folder.read_manifest().to_dict()
    (benchmark,) = content["benchmarks"]
    record = Record(folder.record)
    plan = record.plan()
    counts = benchmark["facts"]["counts"]
    return as_json(
        {
            "settings": content["settings"],
            "benchmark": {k: benchmark[k] for k in ("facts", "protocol", "data_fingerprint")},
            "trials": {row.key: trial_facts(row, counts) for row in record.rows()},
            "plan": plan and plan.to_dict(),
            "best": timeless(of_class_weights(json.loads((folder.path / "best.json").read_text()))),
        }
    )


def of_class_weights(best: dict[str, Any]) -> dict[str, Any]:
    """Return best.json of class weights as schema 1 has it, which the recordings are in."""
    earlier = {"strategy": "weighting", "strategy_key": "weighting_key"}
    assert (best["schema_version"], best.pop("kind")) == (2, CLASS_WEIGHTS)
    return {earlier.get(k, k): v for k, v in best.items()} | {"schema_version": 1}


def as_json(content: dict[str, Any]) -> dict[str, Any]:
    return dict(json.loads(json.dumps(content)))


def trial_facts(row: Row, counts: list[int]) -> dict[str, Any]:
    (summary,) = map(asdict, row.summaries)
    return {
        "label": row.label,
        "weighting": row.strategy.to_dict(),
        "weights": list(row.strategy.recipe(counts).weights),
        "seed": row.seed,
        "seed_index": row.seed_index,
        "state": row.state.name,
        "value": row.value,
        "rungs": row.rungs,
        "stop_epoch": row.stop_epoch,
        "summary": {k: v for k, v in summary.items() if k not in ("seconds", "class_accuracy")},
    }


def timeless(content: Any) -> Any:
    """Return JSON content without ``OF_ITS_DAY``."""
    if isinstance(content, dict):
        return {k: timeless(v) for k, v in content.items() if k not in OF_ITS_DAY}
    return list(map(timeless, content)) if isinstance(content, list) else content


def replay(name: str, folder: Path) -> dict[str, Any]:
    """Run the command of a recording, its trials fed with the recorded epochs; return its outcome.

    All but Ray and training is real. The trials must be asked for in the recorded order.
    """
    recording = read(name)
    asked: list[str] = []

    def feed(*arguments: object) -> None:
        (search,) = (a for a in arguments if isinstance(a, Search))
        while trial := search.next_trial():
            key = trial.row.key
            asked.append(key)
            assert key in recording["trials"], f"{key} is asked for, which was not recorded"
            for result in epochs_of(trial, recording["epochs"][key]):
                if search.report(key, 0, result):
                    break
            search.finish(key)

    with patch("search.driver.run.train", feed):
        assert main(command(name, folder)) == 0
    assert asked == list(recording["trials"])
    return outcome(RunFolder(folder / "runs" / name))


def epochs_of(trial: Running, images: list[list[list[list[int]]]]) -> Iterator[EpochResult]:
    """Yield a trial's epochs as training would, from the [correct, predicted] images of each.

    Times and losses decide nothing: they are made up.
    """
    (facts,) = trial.benchmarks
    best = 0.0
    for epoch, counts in enumerate(images, 1):
        halves = (*map(np.array, counts), np.array(facts.half_counts))
        percent = score(facts.metric, *(selection(n, facts.test_held_out) for n in halves))
        assert percent is not None
        best = max(best, float(percent))
        correct, predicted = map(half_counts, counts)
        yield EpochResult(epoch, 1.0, 1.0, 0.1, 1.0, float(percent), best, correct, predicted)


def record_run(name: str, folder: Path) -> dict[str, Any]:
    """Run a search of RUNS in ``folder`` and return its recording."""
    subprocess.run([sys.executable, PROGRAM, *command(name, folder)], check=True)
    run = RunFolder(folder / "runs" / name)
    (attempt,) = run.read_attempts()
    found = outcome(run)
    curves = {key: run.read_epochs(key) for key in found["trials"]}
    return {
        "story": {
            "command": f"{PROGRAM.name} --benchmark {BENCHMARK} {RUNS[name]}",
            "time": attempt.time,
            "revision": attempt.revision,
            "versions": attempt.versions,
            "machine": machine(),
        },
        **found,
        "losses": {
            key: [[e.train_loss, e.test_loss] for e in curve[:LOSS_EPOCHS]]
            for key, curve in curves.items()
        },
        "epochs": {key: [[e.correct, e.predicted] for e in curve] for key, curve in curves.items()},
    }


def layout(content: Any, levels: int) -> str:
    """Return content as JSON, of which so many outer levels have a line for each entry."""
    if levels == 0 or not content or not isinstance(content, dict | list):
        return json.dumps(content, separators=(",", ":"))
    if isinstance(content, list):
        return "[\n" + ",\n".join(layout(entry, levels - 1) for entry in content) + "\n]"
    pairs = (f"{json.dumps(k)}: {layout(v, levels - 1)}" for k, v in content.items())
    return "{\n" + ",\n".join(pairs) + "\n}"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        for chosen in sys.argv[1:] or RUNS:
            text = layout(record_run(chosen, Path(scratch)), levels=3) + "\n"
            RECORDED.mkdir(exist_ok=True)
            (RECORDED / f"{chosen}.json").write_text(text)
