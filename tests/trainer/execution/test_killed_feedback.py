"""A training that follows its losses is killed: it goes on bit for bit from its checkpoint."""

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
like = digits_trial()
strategy = Strategy.from_dict(json.loads(sys.argv[2]))
trial = dataclasses.replace(like, recipe=strategy.recipe(like.benchmark.counts))
with threads(1):
    for result in train(trial, digits_task(), Path(sys.argv[1]), save_every=2):
        print(result.epoch, flush=True)
"""

FOLLOWING = {
    "draws and an order by loss": Strategy(
        curriculum=Curriculum("hard", "loss", full_at=0.9), feedback=Feedback("sampling", 2.0)
    ),
    "weights, spared and mixed images": Strategy(
        mixing=Mixing(0.5), feedback=Feedback("weights", spared=0.3, ramp=Ramp(0.1, 0.3))
    ),
}


@pytest.mark.parametrize("name", FOLLOWING)
def test_a_killed_training_with_feedback_continues_bit_for_bit(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots, like, strategy = last_slot(monkeypatch), digits_trial(), FOLLOWING[name]
    trial = dataclasses.replace(like, recipe=strategy.recipe(like.benchmark.counts))
    with threads(1):
        whole = list(train(trial, digits_task()))
        killed = subprocess.run(
            [
                *(sys.executable, "-c", KILLED_IN_EPOCH_3),
                *(str(tmp_path), json.dumps(strategy.to_dict())),
            ],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert saved_epochs(tmp_path) == [checkpoint_path(tmp_path, 2)]
        resumed = list(train(trial, digits_task(), tmp_path, save_every=2))
    assert without_seconds(resumed) == without_seconds(whole)
    first, second = (all_numbers(slot.network, slot.optimizer) for slot in slots)
    assert all_equal(first, second)
    one, other = (slot.inputs.memory for slot in slots)
    assert one is not None
    assert other is not None
    np.testing.assert_array_equal(one.by_class, other.by_class)
    np.testing.assert_array_equal(one.by_image, other.by_image)
