"""A trial that finds no room on its GPU fails with that reason, is not repeated, and is alone."""

from pathlib import Path

import pytest
import torch
from engines import config, epochs_in, setup
from fault_table import Tell
from training import FOREVER

from search.workers.engine_actor import EngineActor
from trainer.execution.batch_steps import BatchSteps


def test_a_fault_of_the_gpus_memory_ends_one_trial_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Tell
) -> None:
    trains = BatchSteps.train_batch

    def full(self: BatchSteps, kind: str, size: int) -> None:
        if self.inputs.trial.seed == 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        trains(self, kind, size)

    monkeypatch.setattr(BatchSteps, "train_batch", full)
    engine = EngineActor(setup(tmp_path), gpu="", slots=2, deserted_seconds=FOREVER)
    for seed in (1, 2):
        engine.begin(config(engine.setup, seed))
    report = engine.report("trial-1")
    assert report["failure"] == "the GPU's memory is full; give fewer --slots"
    assert (report["done"], report["diverged"]) == (True, False)
    assert "Tried to allocate" in report["traceback"]
    assert len(epochs_in(engine.report("trial-2"))) == 2
    fault(
        "the GPU's memory is full",
        f"TRIAL: failed: {report['failure']} (simulated on the CPU)",
        "nothing: it would find as little room",
        "the trial's reason, and the trials beside it; three in a row stop the search",
    )
