"""The conclusion of a training of one's own: what it knows, and what it says it does not."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from concluded import CASES, conclusion_of, text_of
from confirming import OWN, OWN_CLASSES, recorded, results_worth
from twin import OBJECTIVE

from search.cli.commands import main
from search.loggers.logger import metrics_of
from search.report.page.write import report_html
from search.results.conclusion import Conclusion
from search.results.health import Health, checks
from search.store.manifest import RecordedBenchmark
from search.store.run_folder import RunFolder, part_key
from spaces.errors import UserError

SAME = "accuracy is of the same images that chose weighting and epochs"


@pytest.mark.parametrize("case", ("own accuracy", "own classes"))
def test_a_verdict_says_that_the_same_images_chose_and_judge(case: str, place: Path) -> None:
    found = conclusion_of(place / "run", *CASES[case])
    assert found.judgement is not None
    assert found.judgement.benchmarks[0].half_split is None
    assert SAME in " ".join(text_of(found).split())
    assert SAME in report_html(found)
    images = next(c for c in checks(found) if c.question.startswith("Are the images that judge"))
    assert images.health == Health.WARN
    assert "correct images by half would give" in images.answer


def test_an_accuracy_alone_knows_no_class(place: Path) -> None:
    found = conclusion_of(place / "run", *CASES["own accuracy"])
    story = json.loads(json.dumps(found.story()))
    (metrics,) = story["metrics"].values()
    assert metrics.pop("accuracy") == pytest.approx(65, abs=5)
    assert set(metrics.values()) == {None}
    assert list(story["class_accuracy"].values()) == [None]
    assert found.judgement is not None
    assert found.judgement.benchmarks[0].gains is None
    assert all(row.summaries[0].shots == {} for row in found.rows)
    assert "Do all classes count alike?" in {c.question for c in checks(found)}
    assert "evaluated accuracy" in text_of(found)
    assert "macro F1" not in text_of(found)


def test_correct_images_by_class_give_shots_gains_and_metrics(place: Path) -> None:
    found = conclusion_of(place / "run", *CASES["own classes"])
    assert found.judgement is not None
    on_own = found.judgement.benchmarks[0]
    assert on_own.gains is not None
    assert set(on_own.gains.shots) == {"many", "medium", "few"}
    reached = on_own.arms[found.judgement.verdict.winner]
    assert reached.metrics["balanced_accuracy"] == pytest.approx(reached.best)
    assert reached.metrics["macro_f1"] is None
    assert reached.half_b is None
    assert "balanced accuracy" in text_of(found)


@pytest.mark.parametrize("case", ("own accuracy, searched", "own classes"))
def test_a_run_is_read_from_its_folder_as_it_was_written(
    case: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = conclusion_of(place / "run", *CASES[case])
    found = Conclusion.of(RunFolder(place / "run"))
    own = OWN if case.startswith("own accuracy") else OWN_CLASSES
    assert found.manifest.benchmarks == (RecordedBenchmark.of_own(own),)
    assert found.story() == before.story()
    run = str(place / "run")
    for words in (["show", run], ["study", run, "--output", f"{run}.study"], ["list", str(place)]):
        assert main(words) == 0
    out = capsys.readouterr().out
    assert "my.train: own training of 6 epochs" in out
    assert (f"confirm {run} --trainable my:train' trains" in out) == case.endswith("searched")


def test_an_export_names_the_function(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.export.export.verify_export", lambda *_: None)
    conclusion_of(place / "run", *CASES["own classes"])
    assert main(["export", str(place / "run"), "--output", str(place)]) == 0
    best = json.loads((place / "best.json").read_text())
    assert best["benchmark"]["trainable"] == "my:train"
    assert "place" not in best["benchmark"]
    assert best["class_counts"] == list(OWN.train_counts)


@pytest.mark.parametrize(
    ("changes", "words"),
    (
        ({"own": OWN, "benchmark": None}, None),
        ({"own": None}, "is a benchmark, or a training of one's own"),
        ({"benchmark": recorded(OBJECTIVE.benchmarks[0]).benchmark}, "is a benchmark, or a"),
        ({"own": replace(OWN, epochs=7)}, "epochs of my.train is 7 and 6"),
    ),
)
def test_what_is_recorded_is_one_of_both_and_agrees(
    changes: dict[str, object], words: str | None
) -> None:
    known = RecordedBenchmark.of_own(OWN)
    if words is None:
        assert replace(known, **changes) == known
        return
    with pytest.raises(UserError, match=words):
        replace(known, **changes)


def test_loggers_are_told_the_numbers_that_a_function_reports() -> None:
    epoch = results_worth(60, RecordedBenchmark.of_own(OWN).objective)[-1]
    assert metrics_of("", epoch) == {"score": 60.0, "best_score": 60.0, "seconds": 0.5}


def test_epochs_with_images_are_no_epochs_of_an_accuracy_alone(place: Path) -> None:
    found = conclusion_of(place / "run", *CASES["own classes"])
    row = found.rows[0]
    alone = RecordedBenchmark.of_own(OWN).objective
    with pytest.raises(UserError, match="numbers of images where only scores are known"):
        found.folder.read_part(part_key(row.key, 0), alone)
