"""The work of a training, counted, and the time that it takes at least."""

import torch
from torch import nn
from training import DIGITS, digits_data

from benchmarks.throughput.floors import Ceilings, Work, floor_of, work_of_batch, work_of_trial
from trainer.models import NETWORKS


def two_convolutions() -> nn.Module:
    with torch.device("meta"):
        return nn.Sequential(
            nn.Conv2d(1, 2, 3, padding=1, bias=False),
            nn.ReLU(),
            nn.Conv2d(2, 1, 3, padding=1, bias=False),
            nn.Flatten(),
        )


def test_the_work_of_a_test_batch_is_that_counted_by_hand() -> None:
    work = work_of_batch(two_convolutions(), torch.empty(5, 1, 4, 4, device="meta"), False)
    outputs, taps = 5 * 2 * 16, 9
    assert work.flops == 2 * outputs * taps + 2 * (outputs // 2) * (2 * taps)
    weight = 2 * 9
    assert work.elements == (80 + weight + 160) + (160 + weight + 80)


def test_the_work_of_a_training_batch_needs_no_gradient_of_the_images() -> None:
    inputs = torch.empty(5, 1, 4, 4, device="meta")
    forward = work_of_batch(two_convolutions(), inputs, False)
    work = work_of_batch(two_convolutions(), inputs, True)
    each = 2880  # both convolutions, and each gradient
    assert work.flops - forward.flops == 3 * each
    last = (80 + 160 + 18) + (160 + 18)  # read gradient, input, weight; write both gradients
    first = (160 + 80) + 18
    assert work.elements - forward.elements == last + first


def test_the_work_of_a_trial_is_that_of_all_its_images() -> None:
    test_images = len(digits_data().test_labels)
    with torch.device("meta"):
        network = NETWORKS[DIGITS.network].make(DIGITS.channels, DIGITS.num_classes)
        one = torch.empty(1, 1, 8, 8)
    training, testing = (work_of_batch(network, one, mode).flops for mode in (True, False))
    epoch = DIGITS.train_images * training + test_images * testing
    assert work_of_trial(DIGITS, test_images).flops == DIGITS.epochs * epoch


def test_the_floor_is_the_longer_of_arithmetic_and_memory() -> None:
    ceilings = Ceilings(bandwidth=8e9, rates={"fp32": 1e9, "bf16": 1e11})
    work = Work(flops=12 * 10**9, elements=3 * 10**9)
    slow, quick = floor_of(work, ceilings, "fp32"), floor_of(work, ceilings, "bf16")
    assert (slow.seconds, slow.binds, slow.memory) == (12.0, "arithmetic", 1.5)
    assert (quick.seconds, quick.binds, quick.arithmetic) == (0.75, "memory", 0.12)
