"""The ablation benchmark switches off each part of a strategy, and says what cannot train."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from training import digits_data

from benchmarks.ablation.__main__ import WHOLE, arms_of, main, prefix_of
from spaces import Curriculum, Strategy
from spaces.loss import Logits, Smoothing
from spaces.schedule import Ramp, Sampling, Schedule
from spaces.weighting.family import Weighting
from trainer.benchmarks import BENCHMARKS

COUNTS = (100, 30, 10)


def test_each_part_is_switched_off_by_itself_and_a_ramp_is_a_part() -> None:
    ramp = Ramp(0.2, 0.4)
    strategy = Strategy(
        weights=Schedule(Weighting(exponent=0.5), Ramp(0.8, 0.8)),
        sampling=Sampling(Weighting(exponent=0.3), ramp, "mixture", "cycled"),
        smoothing=Smoothing(head=0.2),
        focusing=1.0,
    )
    arms, refused = arms_of(strategy, COUNTS)
    assert not refused
    assert arms.pop(WHOLE) == strategy
    assert set(arms) == {
        *("without weights", "weights from the start", "without sampling"),
        *("sampling from the start", "without smoothing", "without focusing"),
    }
    assert arms["without weights"].weights == Schedule()
    assert arms["weights from the start"].weights == Schedule(Weighting(exponent=0.5))
    constant = Sampling(Weighting(exponent=0.3), draw="cycled")
    assert arms["sampling from the start"].sampling == constant
    assert all(arm.focusing == 1.0 for name, arm in arms.items() if name != "without focusing")


def test_the_control_of_an_order_is_a_random_one_at_the_same_pace_and_has_none_itself() -> None:
    hard = Curriculum("hard", "contrast", first=0.3, begin=0.1, full_at=0.7, power=2.0)
    arms, _ = arms_of(Strategy(curriculum=hard, focusing=1.0), COUNTS)
    order = "curriculum in a random order"
    assert set(arms) == {WHOLE, "without curriculum", order, "without focusing"}
    control = arms[order]
    assert control.curriculum.pacing == hard.pacing
    assert (control.curriculum.order, control.focusing) == ("random", 1.0)
    again, _ = arms_of(control, COUNTS)
    assert set(again) == {WHOLE, "without curriculum", "without focusing"}


def test_what_cannot_train_without_a_part_is_left_out_with_the_reason() -> None:
    follows = Strategy.from_dict(
        {"curriculum": {"order": "easy", "difficulty": "loss"}, "feedback": {"memory": 0.5}}
    )
    arms, refused = arms_of(follows, COUNTS)
    assert "without feedback" in arms
    control = Strategy(curriculum=Curriculum("random"))
    assert arms["curriculum in a random order"] == control, "at the same pace"
    (sentence,) = refused
    assert sentence.startswith("without curriculum: left out, because it cannot train (memory:")


def test_the_gain_is_traced_with_common_seeds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    strategy, out = Strategy(logits=Logits(additive=0.5)), tmp_path / "runs.json"
    found = tmp_path / "strategy.json"
    found.write_text(json.dumps(strategy.to_dict()))
    key = strategy.key(digits_data().counts)
    known = {}
    for arm, score in ((WHOLE, 93.0), ("without logits", 91.0), ("uniform", 91.0)):
        known |= {f"resnet8-digitslt/{key}/{arm}/{9000 + n}": score + n for n in range(2)}
    out.write_text(json.dumps(known))
    words = ["--benchmark", "resnet8-digitslt", "--seeds", "2", "--out", str(out)]
    assert main([*words, "--strategy", str(found), "--data-root", str(tmp_path)]) == 0
    heading, whole, without, uniform = capsys.readouterr().out.splitlines()
    assert "distance to whole" in heading
    assert whole.split()[1:3] == ["93.50", "+0.00"]
    assert without.split()[2:4] == ["91.50", "-2.00"]
    assert uniform.split()[1:3] == ["91.50", "-2.00"]


def test_runs_of_a_benchmark_whose_file_has_changed_are_others() -> None:
    digits = BENCHMARKS["resnet8-digitslt"]
    assert prefix_of(digits, "key") == "resnet8-digitslt/key"
    own, longer = (prefix_of(replace(digits, name="own", epochs=n), "key") for n in (3, 30))
    assert own.startswith("own-")
    assert own != longer


@pytest.mark.parametrize(
    ("words", "sentence"),
    (
        (["--strategy", "drww"], "strategy is 'drww' (did you mean 'drw'?)"),
        (["--strategy", "drw", "--controls", "unifrm"], "--controls is 'unifrm' (did you mean"),
        (["--strategy", "drw", "--seeds", "0"], "--seeds is 0; it must be at least 1"),
    ),
)
def test_options_that_make_no_sense_are_one_sentence(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {sentence}")
