"""Every network of the registry: shapes, initialisation, and the smallest images it can take."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from trainer.benchmarks import get_benchmark
from trainer.errors import BenchmarkError
from trainer.models import NETWORKS, BasicBlock, build, initialise

every_network = pytest.mark.parametrize("name", NETWORKS)


def number_of_parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@every_network
def test_building_leaves_the_global_generator_untouched(name: str) -> None:
    before = torch.get_rng_state()
    build(name, 3, 10, seed=5)
    assert torch.equal(torch.get_rng_state(), before)


@every_network
def test_initialisation_reaches_every_parameter_and_buffer(name: str) -> None:
    network = NETWORKS[name].make(3, 10)
    for tensor in network.state_dict().values():
        tensor.fill_(torch.nan if tensor.is_floating_point() else -1)
    initialise(network, seed=0)
    for key, tensor in network.state_dict().items():
        assert torch.isfinite(tensor).all(), key
        assert not key.endswith("num_batches_tracked") or tensor == 0


@every_network
def test_convolutions_start_kaiming_normal_with_fan_out(name: str) -> None:
    for module in build(name, 3, 10, seed=0).modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 10_000:
            expected = (2 / (module.out_channels * math.prod(module.kernel_size))) ** 0.5
            weight = module.weight.detach()
            assert float(weight.std()) == pytest.approx(expected, rel=0.03)
            assert abs(float(weight.mean())) < expected / 20


@every_network
def test_every_parameter_gets_a_gradient(name: str) -> None:
    network = build(name, 3, 10, seed=0)
    side = NETWORKS[name].min_resolution
    network(torch.rand(4, 3, side, side)).sum().backward()
    assert [key for key, p in network.named_parameters() if p.grad is None] == []


@every_network
def test_smallest_resolution_trains_even_a_batch_of_one(name: str) -> None:
    side = NETWORKS[name].min_resolution
    network = build(name, 3, 10, seed=0).train()
    assert torch.isfinite(network(torch.rand(1, 3, side, side))).all()


@every_network
def test_smallest_resolution_is_the_smallest(name: str) -> None:
    side = NETWORKS[name].min_resolution - 1
    network = build(name, 3, 10, seed=0).train()
    with pytest.raises((RuntimeError, ValueError), match=r"too small|more than 1 value"):
        network(torch.rand(1, 3, side, side))


def test_resnet32_has_the_parameters_of_the_paper() -> None:
    assert number_of_parameters(build("resnet32", 3, 10, seed=0)) == 464_154


def test_resnet32_has_31_convolutions_and_one_linear_layer() -> None:
    modules = list(build("resnet32", 3, 10, seed=0).modules())
    assert sum(isinstance(m, nn.Conv2d) for m in modules) == 31
    assert sum(isinstance(m, nn.Linear) for m in modules) == 1


def test_vgg16bn_has_13_convolutions_with_batch_norm_and_one_linear_layer() -> None:
    modules = list(build("vgg16bn", 3, 100, seed=0).modules())
    assert sum(isinstance(m, nn.Conv2d) for m in modules) == 13
    assert sum(isinstance(m, nn.BatchNorm2d) for m in modules) == 13
    assert sum(isinstance(m, nn.Linear) for m in modules) == 1


def test_shortcut_subsamples_and_pads_channels_with_zeros() -> None:
    block = BasicBlock(16, 32, stride=2)
    x = torch.rand(2, 16, 8, 8)
    y = block.shortcut(x)
    assert y.shape == (2, 32, 4, 4)
    assert torch.equal(y[:, 8:24], x[:, :, ::2, ::2])
    assert not y[:, :8].any()
    assert not y[:, 24:].any()


def test_shortcut_has_no_parameters() -> None:
    block = BasicBlock(16, 32, stride=2)
    convolutions = 9 * (16 * 32 + 32 * 32)
    assert number_of_parameters(block) == convolutions + 2 * (32 + 32)


@every_network
def test_too_small_images_are_refused_when_the_benchmark_is_read(
    name: str, tmp_path: Path, make_folder: Callable[..., Path]
) -> None:
    make_folder(tmp_path / "images", (4, 3))
    smallest = NETWORKS[name].min_resolution
    toml = 'name = "mine"\nnetwork = "{}"\nresolution = {}\n[data]\nroot = "images"\n'
    file = tmp_path / "mine.toml"
    file.write_text(toml.format(name, smallest))
    assert get_benchmark(str(file), tmp_path).network == name
    file.write_text(toml.format(name, smallest - 1))
    rule = f"resolution is {smallest - 1}; it must be at least {smallest} for network '{name}'"
    with pytest.raises(BenchmarkError, match=rule):
        get_benchmark(str(file), tmp_path)
