"""Searches with and without a prior: pairs of worlds, outcomes, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.replay.full_length import prior_search, transfer_worlds
from benchmarks.replay.full_length.shares_search import model_of
from benchmarks.replay.full_length.transfer_worlds import BEFORE, KINDS, NOW, standard
from search.samplers import candidates
from spaces import Weighting, gradient_shares
from trainer.benchmarks import BENCHMARKS


def test_an_unknown_kind_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert prior_search.main(["--kinds", "smoth", "--out", str(tmp_path / "x.json")]) == 2
    assert "--kinds is 'smoth' (did you mean 'smooth'?)" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        prior_search.main(["--kind", "mech"])
    assert "there is no option --kind (did you mean '--kinds'?)" in capsys.readouterr().err


def test_a_place_that_is_none_is_refused_before_the_search(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prior_search, "repetition", None)
    assert prior_search.main(["--kinds", "mech", "--out", "no/such/folder.json"]) == 2
    assert "it must be a file name in an existing folder." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("whole", "end", "code"),
    ((1, KeyboardInterrupt(), 130), (2, KeyboardInterrupt(), 130), (2, OSError(5, "gone"), 1)),
)
def test_an_early_end_leaves_two_repetitions_that_say_so_or_the_earlier_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, whole: int, end: BaseException, code: int
) -> None:
    made = prior_search.Outcome((2.0, 1.0, 0.5, 0.5), 0.1, 1.0, 0.0, 1.0, np.nan)

    def until_then(kind: str, seed: int) -> dict[str, prior_search.Outcome]:
        if seed == whole:
            raise end
        return {prior_search.WITHOUT: made}

    monkeypatch.setattr(prior_search, "repetition", until_then)
    out = tmp_path / "found.json"
    out.write_text(earlier := '{"interrupted": false}')
    words = ["--kinds", "mech,mech", "--repetitions", "9", "--out", str(out)]
    assert prior_search.main(words) == code
    if whole == 1:
        assert out.read_text() == earlier
    else:
        found = json.loads(out.read_text())
        assert (found["interrupted"], found["repetitions"]) == (True, {"mech": 2})


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_truth_of_ten_and_a_hundred_classes_prefers_the_same(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(transfer_worlds, "WEIGHTINGS", 30)
    transfer_worlds.design_shares.cache_clear()
    truths = []
    for benchmark in (BEFORE, NOW):
        counts = np.array(BENCHMARKS[benchmark].counts)
        powers = [Weighting(exponent=p).weights(counts) for p in np.linspace(0, 1, 11)]
        shares = np.stack([gradient_shares(counts, weights) for weights in powers])
        truths.append(standard(kind, benchmark, [3, 0])(shares))
    assert np.corrcoef(*truths)[0, 1] > 0.7
    transfer_worlds.design_shares.cache_clear()


@pytest.mark.slow
def test_outcomes_are_compared_in_pairs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(candidates, "POINTS", 128)
    for name, value in (("TRIALS_BEFORE", 12), ("TRIALS", 20), ("LOOKS", (8, 20))):
        monkeypatch.setattr(prior_search, name, value)
    monkeypatch.setattr(prior_search, "RELATIONS", {"same": 1.0})
    model_of.cache_clear()
    out = tmp_path / "found.json"
    assert prior_search.main(["--kinds", "mech", "--repetitions", "2", "--out", str(out)]) == 0
    model_of.cache_clear()
    found = json.loads(out.read_text())["kinds"]["mech"]
    assert set(found) == {"none", "same"}
    assert found["none"]["kept"] is None
    assert found["none"]["against_none"]["8"]["mean"] == 0
    regrets = [found[name]["regret"]["20"]["mean"] for name in found]
    assert min(regrets) >= 0
    assert regrets[1] - regrets[0] == pytest.approx(found["same"]["against_none"]["20"]["mean"])
