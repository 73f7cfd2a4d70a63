"""Pretrained weights: every fault of a file is named, and a network begins with what is in it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from spaces.errors import UserError
from spaces.validation import checked
from trainer.benchmarks import Benchmark, get_benchmark
from trainer.benchmarks.pretrained import Pretrained
from trainer.execution.learner import Learner
from trainer.models import build

TOML = """
name = "mine"
network = "resnet8"
pretrained = "weights.pth"
resolution = 8
[data]
root = "images"
"""
CPU = torch.device("cpu")


def without(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda state: {key: value for key, value in state.items() if key != name}


def also(**more: object) -> Callable[[dict[str, Any]], object]:
    return lambda state: state | more


@pytest.fixture
def place(tmp_path: Path, make_folder: Callable[..., Path]) -> Path:
    """A benchmark of three classes, and weights of its network with a head for seven."""
    make_folder(tmp_path / "images", (6, 4, 3))
    (tmp_path / "mine.toml").write_text(TOML)
    torch.save(build("resnet8", 3, 7, seed=9).state_dict(), tmp_path / "weights.pth")
    return tmp_path


def declared(place: Path) -> Benchmark:
    return get_benchmark(str(place / "mine.toml"), place)


def body(network: nn.Module) -> list[Tensor]:
    state = network.state_dict()
    return [x for name, x in state.items() if "linear" not in name and "tracked" not in name]


def test_a_network_begins_with_the_weights_of_the_file_and_a_head_of_its_seed(place: Path) -> None:
    benchmark = declared(place)
    learner = Learner(benchmark, 1, CPU)
    for seed in (1, 2):
        learner.begin(seed)
        pairs = zip(body(learner.network), body(build("resnet8", 3, 7, seed=9)), strict=True)
        assert all(map(torch.equal, *zip(*pairs, strict=True)))
        head = build("resnet8", 3, 3, seed).get_submodule("linear").state_dict()
        assert torch.equal(learner.classifier.weight, head["weight"])


def test_the_content_of_the_file_is_part_of_the_identity_and_its_place_is_not(place: Path) -> None:
    before = declared(place)
    (place / "weights.pth").rename(place / "moved.pth")
    (place / "mine.toml").write_text(TOML.replace("weights.pth", "moved.pth"))
    moved = declared(place)
    assert moved.fingerprint() == before.fingerprint()
    assert moved.data_fingerprint() == before.data_fingerprint()
    torch.save(build("resnet8", 3, 3, seed=8).state_dict(), place / "moved.pth")
    assert declared(place).fingerprint() != before.fingerprint()
    (place / "mine.toml").write_text(TOML.replace('pretrained = "weights.pth"', ""))
    assert declared(place).fingerprint() != before.fingerprint()
    recorded = checked(Benchmark, before.to_dict())
    assert before.pretrained is not None
    assert recorded.pretrained == Pretrained(digest=before.pretrained.digest), "without its place"
    assert recorded.fingerprint() == before.fingerprint()


@pytest.mark.parametrize(
    ("change", "sentence"),
    (
        (without("conv.weight"), "which lacks conv.weight, which resnet8 has"),
        (also(more=torch.ones(1)), "which has more, which resnet8 has not; give weights of this"),
        (also(**{"conv.weight": torch.ones(16, 1, 3, 3)}), r"conv.weight of shape \(16, 1, 3, 3\)"),
        (
            also(**{"bn.bias": torch.full((16,), torch.nan)}),
            "which has numbers in bn.bias that are not finite",
        ),
        (lambda state: {"state_dict": state}, r"other things than tensors by name \(state_dict\)"),
        (lambda state: list(state.values()), r"other things than tensors by name \(no names\)"),
        (lambda state: state["bn.bias"], r"other things than tensors by name \(no names\)"),
        (lambda state: {0: state["bn.bias"]}, r"other things than tensors by name \(0\)"),
        (lambda state: {}, "other things than tensors by name"),
        (lambda state: Path("code"), "which is no file that torch reads as data; write one"),
    ),
)
def test_a_file_that_does_not_fit_is_refused_when_the_benchmark_is_read(
    change: Callable[[dict[str, Any]], object], sentence: str, place: Path
) -> None:
    state = torch.load(place / "weights.pth", weights_only=True)
    torch.save(change(state), place / "weights.pth")
    with pytest.raises(UserError, match=sentence) as found:
        declared(place)
    assert "\n" not in str(found.value)


def test_head_and_counters_need_not_be_in_the_file(place: Path) -> None:
    state = torch.load(place / "weights.pth", weights_only=True)
    kept = {k: v for k, v in state.items() if not k.startswith("linear") and "tracked" not in k}
    torch.save(kept, place / "weights.pth")
    assert declared(place).pretrained is not None


def test_a_file_that_is_not_there_is_refused(place: Path) -> None:
    content = (place / "weights.pth").read_bytes()
    for damaged in (b"a text", content.replace(b"bn.bias", b"bn.\xffias")):
        (place / "weights.pth").write_bytes(damaged)
        with pytest.raises(UserError, match="no file that torch reads as data"):
            declared(place)
    (place / "weights.pth").unlink()
    with pytest.raises(UserError, match=r"no pretrained file .*: correct pretrained or"):
        declared(place)


def test_a_file_that_is_lost_or_changed_before_the_training_is_named(place: Path) -> None:
    benchmark = declared(place)
    torch.save(build("resnet8", 3, 3, seed=8).state_dict(), place / "weights.pth")
    with pytest.raises(UserError, match=r"weights.pth is not the file with which the search began"):
        Learner(benchmark, 1, CPU)
    (place / "weights.pth").unlink()
    with pytest.raises(UserError, match=r"cannot be read .*at the same path on all machines"):
        Learner(benchmark, 1, CPU)
