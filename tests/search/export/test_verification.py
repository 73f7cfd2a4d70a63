"""Verification of an exported module refuses what does not run or answers otherwise."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from exporting import EVERYTHING, load
from training import threads

from search.export import probe, verification
from search.export.expected_answers import epochs_to_check
from search.export.verification import verification_counts, verify_export
from search.export.winner import ExportError
from spaces import STRATEGIES, Curriculum, Logits, Ramp, Sampling, Schedule, Strategy, Weighting


def test_verification_covers_order_length_equality_and_a_single_class():
    vectors = verification_counts([9, 3, 1])
    assert vectors[:2] == [[9, 3, 1], [1, 3, 9]]
    assert {len(vector) for vector in vectors} >= {1, 3, 4}
    assert any(len(set(vector)) == 1 < len(vector) for vector in vectors)


@pytest.mark.parametrize(
    ("text", "sentence"),
    (
        ("raise RuntimeError('no luck')", "fails in a fresh interpreter: RuntimeError: no luck"),
        ("import no_such_module", "No module named 'no_such_module'"),
        ("import sys; sys.exit(3)", "exit status 3"),
        ("", "has no attribute 'compute_class_weights'"),
    ),
)
def test_verification_refuses_a_module_that_does_not_run(text, sentence, tmp_path):
    path = tmp_path / "best_weighting.py"
    path.write_text(text)
    with pytest.raises(ExportError, match=sentence):
        verify_export(path, Strategy(), [[3, 1]])


FAKE = """
class Weights:
    dtype = {dtype!r}
    def tolist(self):
        return {weights}
def compute_class_weights(class_counts, num_classes, config):
    return Weights()
{extra}
"""


@pytest.mark.parametrize(
    ("dtype", "weights", "extra", "sentence"),
    (
        ("torch.float64", "[1.0, 1.0]", "", "does not give the weights of 'uniform' for 2 classes"),
        ("torch.float32", "[1.0, 1.00001]", "", "does not give the weights"),
        ("torch.float32", "[1.0]", "", "does not give the weights"),
        ("torch.float32", "[1.0, float('nan')]", "", "does not give the weights"),
        ("torch.float32", "[1.0, 1.0]", "print('hello')", "prints when it is imported"),
    ),
)
def test_verification_refuses_other_answers(dtype, weights, extra, sentence, tmp_path):
    path = tmp_path / "best_weighting.py"
    path.write_text(FAKE.format(dtype=dtype, weights=weights, extra=extra))
    with pytest.raises(ExportError, match=sentence):
        verify_export(path, Strategy(), [[3, 1]])


def test_verification_gives_up_on_a_module_that_hangs(tmp_path, monkeypatch):
    monkeypatch.setattr(verification, "_VERIFY_SECONDS", 0.2)
    path = tmp_path / "best_weighting.py"
    path.write_text("import time; time.sleep(30)")
    with pytest.raises(ExportError, match=r"gave no answer in 0\.2 seconds"):
        verify_export(path, Strategy(), [[3, 1]])


def answers_here(strategy):
    """What a strategy's module answers, in this process, as verification asks it."""
    module = SimpleNamespace(**load(strategy))

    def answers(path, vectors, epochs):
        return [
            {
                "dtype": "torch.float32",
                "weights": module.compute_class_weights(counts, len(counts)).tolist(),
                **probe.answers_of_strategy(module, counts, epochs),
            }
            for counts in vectors
        ]

    return answers


DYNAMIC = [named.strategy for named in STRATEGIES.values() if not named.strategy.is_static]
WITH_TIES = [[40, 9, 9, 2, 2], [7, 7, 7], [12], [900 - i for i in range(0, 800, 4)]]


@pytest.mark.filterwarnings("ignore:Training with these class weights")
@pytest.mark.parametrize("strategy", (EVERYTHING, *DYNAMIC), ids=Strategy.describe)
def test_the_module_of_every_strategy_is_what_is_searched(strategy, tmp_path, monkeypatch):
    monkeypatch.setattr(verification, "_answers", answers_here(strategy))
    with threads(1):
        verify_export(tmp_path / "best_strategy.py", strategy, WITH_TIES)


INVERSE = Weighting(exponent=1)
ALMOST = Weighting(exponent=0.999)


@pytest.mark.parametrize(
    ("exported", "searched", "wrong"),
    (
        (Strategy(focusing=1), Strategy(focusing=1.001), "losses by epoch"),
        (Strategy(adjustment=1), Strategy(adjustment=0.75), "adjusted logits"),
        (Strategy(tau_norm=1), Strategy(tau_norm=0.5), "adjusted logits"),
        (
            Strategy(sampling=Sampling(INVERSE)),
            Strategy(sampling=Sampling(ALMOST)),
            "draws by epoch",
        ),
        (
            Strategy(Schedule(INVERSE), logits=Logits(additive=1)),
            Strategy(Schedule(ALMOST), logits=Logits(additive=1)),
            "weights or the weights by epoch or the losses by epoch",
        ),
        (Strategy(adjustment=1), Strategy(adjustment=1, head="cosine"), "cosines"),
        (
            Strategy(curriculum=Curriculum("easy", first=0.5)),
            Strategy(curriculum=Curriculum("easy", first=0.45)),
            "open images by epoch",
        ),
        (
            Strategy(curriculum=Curriculum("easy")),
            Strategy(curriculum=Curriculum("easy", "contrast")),
            "difficulties",
        ),
        (
            Strategy(Schedule(INVERSE, Ramp(0.5, 0.7))),
            Strategy(Schedule(INVERSE, Ramp(0.5, 0.7, 1.01))),
            "weights by epoch or the losses by epoch",
        ),
    ),
)
def test_verification_refuses_another_strategy(exported, searched, wrong, tmp_path, monkeypatch):
    monkeypatch.setattr(verification, "_answers", answers_here(exported))
    with threads(1), pytest.raises(ExportError, match=f"does not give the {wrong} of '"):
        verify_export(tmp_path / "best_strategy.py", searched, [[40, 9, 9, 2, 2]])


def test_a_strategy_is_checked_in_the_first_and_last_epoch_and_around_its_ramps():
    late = Strategy(Schedule(INVERSE, Ramp(0.8, 0.8)), Sampling(INVERSE, Ramp(0.2, 0.6)))
    checked = epochs_to_check(late)
    assert checked[:2] == [(1, 1), (1, 101)]
    assert {epoch for epoch, _ in checked} >= {41, 60, 61, 80, 81, 101}
    taus = [ramp.at(*when) for ramp in (late.weights.ramp, late.sampling.ramp) for when in checked]
    assert len(set(taus)) >= 4
