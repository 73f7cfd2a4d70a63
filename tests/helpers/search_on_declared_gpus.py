"""A search that shares GPUs which Ray is told of, while its slots train on the CPU.

Arguments: PLACE ADDRESS TRIALS EPOCHS SLOTS, where EPOCHS has a number for each benchmark, with
commas between, and SLOTS may be ``auto``.
"""

import sys
from pathlib import Path

from rich.console import Console
from twin import make_settings

from search.cluster.connection import connected
from search.config.budget import Budget
from search.config.settings import Resources
from search.driver.run import run
from search.session.plan import Plan
from search.store.run_folder import RunFolder
from trainer.benchmarks import BENCHMARKS, Benchmark

NAMES = ("resnet8-digitslt", "resnet8-digitslt40")


def benchmarks_of(epochs: str) -> tuple[Benchmark, ...]:
    """Return the benchmarks of a search whose argument EPOCHS this is."""
    lengths = map(int, epochs.split(","))
    return tuple(BENCHMARKS[name].with_epochs(n) for name, n in zip(NAMES, lengths, strict=False))


def main(place: str, address: str, trials: str, epochs: str, slots: str) -> int:
    benchmarks = benchmarks_of(epochs)
    fingerprints = tuple(benchmark.fingerprint() for benchmark in benchmarks)
    folder = RunFolder.named(Path(place) / "runs", "declared")
    plan = Plan(
        benchmarks=benchmarks,
        holdout=None,
        data_root=Path(place) / "data",
        folder=folder,
        settings=make_settings(benchmarks=fingerprints, grace_epochs=3),
        budget=Budget(int(trials), None),
        resources=Resources(1, True, None if slots == "auto" else int(slots), None, address),
        device="cpu",
        save_every=2,
        resume=folder.exists(),
        resume_command="the same",
        arguments=(),
    )
    with connected(address):
        return run(plan, Console(file=sys.stdout)).code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
