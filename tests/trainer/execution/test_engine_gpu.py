"""Slots on a GPU: CUDA graphs, streams beside each other, memory; skipped where there is none."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from training import (
    CPU,
    all_equal,
    all_numbers,
    colour_task,
    digits_task,
    digits_trial,
    threads,
    train_epoch,
    without_seconds,
)

from spaces import STRATEGIES, Auxiliary, Logits, Ramp, Sampling, Schedule, Strategy
from trainer.execution.engine import Engine
from trainer.execution.loop import train
from trainer.execution.slot import Slot
from trainer.execution.task import Task
from trainer.results import EpochResult
from trainer.runtime import PRECISIONS, configure
from trainer.trial import Trial

EPOCHS = 3
CASES = [(p, compiled) for p in PRECISIONS for compiled in (False, True)]
pytestmark = [
    pytest.mark.gpu,
    # Inductor's advice, for the linear layers' float32, which the protocol has.
    pytest.mark.filterwarnings("ignore:TensorFloat32 tensor cores for float32 matrix mult"),
    # What torch 2.11's compiler does under Python 3.12.
    pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is deprecated"),
]


@pytest.fixture(autouse=True)
def settings_restored() -> Iterator[None]:
    with threads(1):
        yield
    configure("tf32", torch.get_num_threads())


RAMP = Ramp(0.0, 1.0)
WEIGHTING = STRATEGIES["inverse"].strategy.weighting
CHANGING = {
    "plain": Strategy(Schedule(WEIGHTING, RAMP), Sampling(WEIGHTING, RAMP, draw="cycled")),
    "general": Strategy(
        Schedule(WEIGHTING, RAMP),
        Sampling(WEIGHTING),
        Logits(additive=1.0, margin=0.3),
        focusing=0.5,
        adjustment=0.5,
    ),
    "general feedback": STRATEGIES["feedback_weights"].strategy,
    "general+cosine": STRATEGIES["ldam_drw"].strategy,
    "general+mixed": STRATEGIES["cmo"].strategy,
    "plain+regular": STRATEGIES["two_branch"].strategy,
    "plain+rotation+joint": Strategy(
        auxiliary=Auxiliary("rotation", alone_until=0.3, forwards="joint"), retrain_from=0.9
    ),
}
"""For each variant of a training step strategies, most of which change with the epoch."""


def colour_trial(seed: int, precision: str = "tf32", compiled: bool = False) -> Trial:
    benchmark, _ = colour_task(train=200, test=120)
    benchmark = dataclasses.replace(benchmark, network="resnet32", epochs=EPOCHS)
    weights = tuple(np.linspace(0.5, 1.5 + seed, benchmark.num_classes).tolist())
    return Trial.weighted(benchmark, weights, seed, precision, compiled)


def task_on(device: torch.device) -> Task:
    benchmark, data = colour_task(train=200, test=120)
    return Task(data, benchmark.padding, device)


def results_in(slot: Slot, trial: Trial) -> list[EpochResult]:
    return list(train(trial, slot.task, slot=slot))


def together(engine: Engine, trials: list[Trial]) -> dict[str, list[EpochResult]]:
    for trial in trials:
        engine.begin(str(trial.seed), trial, None, 1, EPOCHS)
    outcomes: dict[str, list[EpochResult]] = {}
    while engine.jobs:
        for key, outcome in engine.turn().outcomes:
            assert isinstance(outcome, EpochResult), outcome
            outcomes.setdefault(key, []).append(outcome)
    return outcomes


@pytest.mark.parametrize(("precision", "compiled"), CASES)
def test_graphs_equal_eager_bit_for_bit(precision: str, compiled: bool, gpu: torch.device) -> None:
    configure(precision, 1)
    trial, task = colour_trial(1, precision, compiled), task_on(gpu)
    graphs, eager = Slot(trial, task), Slot(trial, task, graphs=False)
    replayed, called = results_in(graphs, trial), results_in(eager, trial)
    assert without_seconds(replayed) == without_seconds(called)
    numbers = [all_numbers(slot.network, slot.optimizer) for slot in (graphs, eager)]
    assert all_equal(*numbers)


@pytest.mark.parametrize("compiled", (False, True))
def test_graphs_of_every_variant_equal_eager_bit_for_bit(compiled: bool, gpu: torch.device) -> None:
    """In slots that have all of them, one trial after the other."""
    configure("tf32", 1)
    static, task = colour_trial(1, "tf32", compiled), task_on(gpu)
    recipes = [strategy.recipe(static.benchmark.counts) for strategy in CHANGING.values()]
    assert [str(recipe.variant) for recipe in recipes] == [name.split()[0] for name in CHANGING]
    variants = list({variant for recipe in recipes for variant in recipe.variants})
    slots = [Slot(static, task, graphs, variants) for graphs in (True, False)]
    for recipe in recipes:
        trial = dataclasses.replace(static, recipe=recipe, diagnosed=True)
        replayed, called = (results_in(slot, trial) for slot in slots)
        assert without_seconds(replayed) == without_seconds(called)
        assert all_equal(*(all_numbers(slot.network, slot.optimizer) for slot in slots))


def test_steps_are_captured(gpu: torch.device, caplog: pytest.LogCaptureFixture) -> None:
    configure("tf32", 1)
    slot = Slot(colour_trial(1), task_on(gpu))
    assert all(isinstance(step.__self__, torch.cuda.CUDAGraph) for step in slot.steps.values())
    assert caplog.text == ""


@pytest.mark.parametrize(("precision", "compiled"), CASES)
def test_a_trial_alone_equals_the_trial_among_eight_bit_for_bit(
    precision: str, compiled: bool, gpu: torch.device
) -> None:
    configure(precision, 1)
    like, task = colour_trial(0, precision, compiled), task_on(gpu)
    engine = Engine(lambda: Slot(like, task), 8)
    trials = [colour_trial(seed, precision, compiled) for seed in range(8)]
    among = together(engine, trials)
    for seed in (0, 7):
        single = together(engine, [trials[seed]])
        assert without_seconds(single[str(seed)]) == without_seconds(among[str(seed)])


def test_a_state_is_of_when_it_was_asked_for_whatever_is_queued_behind_it(
    gpu: torch.device,
) -> None:
    configure("tf32", 1)
    trial = colour_trial(1)
    slot = Slot(trial, task_on(gpu))
    with slot.queue.here():
        slot.enter(trial)
        train_epoch(slot, 1)
        expected = [x.cpu() for x in slot.network.state_dict().values()]
        state = slot.state()
        train_epoch(slot, 2)
    saved = [state["network"][name] for name in slot.network.state_dict()]
    assert all(x.is_pinned() for x in saved)
    assert all_equal(saved, expected)


def test_memory_does_not_grow_over_fifty_trials(gpu: torch.device) -> None:
    configure("tf32", 1)
    trial = colour_trial(0)
    slot = Slot(trial, task_on(gpu))
    held = []
    for seed in range(50):
        results_in(slot, dataclasses.replace(trial, seed=seed))
        held.append(torch.cuda.memory_allocated(gpu))
    assert held[-1] == held[1]


def test_a_learnable_set_is_learned_as_well_as_on_the_cpu(gpu: torch.device) -> None:
    configure("tf32", 1)
    accuracy = {}
    for device in (gpu, CPU):
        runs = [list(train(digits_trial(20, seed), digits_task(device))) for seed in range(3)]
        accuracy[device] = [run[-1].best_score for run in runs]
    assert min(accuracy[gpu]) > 85
    # Three runs each; the standard deviation over seeds is about one point.
    assert abs(np.mean(accuracy[gpu]) - np.mean(accuracy[CPU])) < 3


def test_a_loss_on_the_gpu_is_that_of_the_cpu(gpu: torch.device) -> None:
    configure("fp32", 1)
    trial = colour_trial(1, "fp32")
    one_step = dataclasses.replace(trial.benchmark, batch_size=256)  # the loss is taken before it
    trial = dataclasses.replace(trial, benchmark=one_step)
    losses = [next(train(trial, task_on(device))).train_loss for device in (gpu, CPU)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
