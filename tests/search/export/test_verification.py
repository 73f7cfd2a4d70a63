"""Verification of an exported module refuses what does not run or answers otherwise."""

from __future__ import annotations

import pytest

from search.export import verification
from search.export.verification import verification_counts, verify_export
from search.export.winner import ExportError
from spaces import (
    Weighting,
)


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
        verify_export(path, Weighting(), [[3, 1]])


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
        verify_export(path, Weighting(), [[3, 1]])


def test_verification_gives_up_on_a_module_that_hangs(tmp_path, monkeypatch):
    monkeypatch.setattr(verification, "_VERIFY_SECONDS", 0.2)
    path = tmp_path / "best_weighting.py"
    path.write_text("import time; time.sleep(30)")
    with pytest.raises(ExportError, match=r"gave no answer in 0\.2 seconds"):
        verify_export(path, Weighting(), [[3, 1]])
