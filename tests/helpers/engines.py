"""Worker setups and trial configs of the tests that talk to an engine without Ray."""

import json
from functools import partial
from pathlib import Path
from typing import Any

from searching import without_seconds
from training import DIGITS

from search.workers.code_version import CodeVersion
from search.workers.setup import WorkerSetup
from spaces import Recipe
from trainer.prepared import load, prepare
from trainer.results import EpochResult

EPOCHS = 4
BENCHMARK = DIGITS.with_epochs(EPOCHS)


def setup(place: Path, device: str = "cpu") -> WorkerSetup:
    (place / "run" / "checkpoints").mkdir(parents=True, exist_ok=True)
    return WorkerSetup(
        benchmarks=(BENCHMARK,),
        images=(partial(load, prepare(BENCHMARK, place / "data"), BENCHMARK),),
        run=place / "run",
        proof=place,
        code_version=CodeVersion.here(),
        precision="tf32",
        compiled=False,
        device=device,
        threads=1,
        save_every=1,
    )


def config(shared: WorkerSetup, seed: int, known: int = 0) -> dict[str, Any]:
    key = f"trial-{seed}"
    part = {
        "benchmark": 0,
        "recipe": Recipe((1,) * 10, weights_of(seed)).to_dict(),
        "checkpoints": str(shared.run / "checkpoints" / key),
        "known_epochs": known,
    }
    return {"key": key, "seed": seed, "parts": [part], "stages": [[2], [EPOCHS]]}


def weights_of(seed: int) -> tuple[float, ...]:
    return (1.0 + seed, *[1.0] * 9)


def epochs_in(report: dict[str, Any]) -> list[dict[str, object]]:
    results = [EpochResult.from_dict(row) for part, row in json.loads(report["epochs"])]
    return without_seconds(results)
