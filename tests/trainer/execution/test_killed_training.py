"""A killed training goes on bit for bit from its checkpoint, also where it follows losses."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from training import (
    all_equal,
    all_numbers,
    digits_task,
    digits_trial,
    last_slot,
    threads,
    without_seconds,
)

from spaces import Curriculum, Feedback, Mixing, Ramp, Strategy
from trainer.execution.checkpoint import checkpoint_path, saved_epochs
from trainer.execution.loop import train

KILLED_IN_EPOCH_3 = """
import dataclasses, json, os, signal, sys
from pathlib import Path
from training import digits_task, digits_trial, threads
from spaces import Strategy
from trainer.execution.loop import train
from trainer.execution.batch_steps import BatchSteps

steps_left = 2 * 13 + 6  # an epoch of 398 images has 13 steps of 32

class Killed(BatchSteps):
    def train_batch(self, kind, size):
        global steps_left
        steps_left -= 1
        if steps_left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        super().train_batch(kind, size)

import trainer.execution.slot
trainer.execution.slot.BatchSteps = Killed
trial = digits_trial()
if found := json.loads(sys.argv[2]):
    recipe = Strategy.from_dict(found).recipe(trial.benchmark.counts)
    trial = dataclasses.replace(trial, recipe=recipe)
with threads(1):
    for result in train(trial, digits_task(), Path(sys.argv[1]), save_every=2):
        print(result.epoch, flush=True)
"""

STRATEGIES: dict[str, Strategy | None] = {
    "class weights": None,
    "draws and an order by loss": Strategy(
        curriculum=Curriculum("hard", "loss", full_at=0.9), feedback=Feedback("sampling", 2.0)
    ),
    "weights, spared and mixed images": Strategy(
        mixing=Mixing(0.5), feedback=Feedback("weights", spared=0.3, ramp=Ramp(0.1, 0.3))
    ),
}


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_killed_training_continues_bit_for_bit(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots, trial, strategy = last_slot(monkeypatch), digits_trial(), STRATEGIES[name]
    if strategy:
        recipe = strategy.recipe(trial.benchmark.counts)
        trial = dataclasses.replace(trial, recipe=recipe)
    with threads(1):
        whole = list(train(trial, digits_task()))
        killed = subprocess.run(
            [
                *(sys.executable, "-c", KILLED_IN_EPOCH_3),
                *(str(tmp_path), json.dumps(strategy and strategy.to_dict())),
            ],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert killed.stdout.split() == ["1", "2"]
        assert saved_epochs(tmp_path) == [checkpoint_path(tmp_path, 2)]
        resumed = list(train(trial, digits_task(), tmp_path, save_every=2))
    assert without_seconds(resumed) == without_seconds(whole)
    first, second = (all_numbers(slot.network, slot.optimizer) for slot in slots)
    assert all_equal(first, second)
    one, other = (slot.inputs.memory for slot in slots)
    assert (one is None) == (other is None) == (strategy is None)
    if one is None or other is None:
        return
    np.testing.assert_array_equal(one.by_class, other.by_class)
    np.testing.assert_array_equal(one.by_image, other.by_image)
