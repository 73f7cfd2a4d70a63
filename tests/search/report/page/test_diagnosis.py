"""Figures of diagnoses: sums over runs, what is said of them, and their bounded size."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from search.config.objective import BenchmarkObjective
from search.report.page.diagnosis import confusion_figure, losses_figure, reliability_figure
from search.results.diagnoses import ArmDiagnosis, arm_diagnosis
from search.store.trials import TrialState
from trainer.diagnosis.records import BINS, ClassLosses, Diagnosis, Examined
from trainer.results import EpochResult

COUNTS = (5, 200, 50)
OBJECTIVE = BenchmarkObjective("three", 4, COUNTS, ((10,) * 3, (10,) * 3))
EMPTY = ((0, 0, 0),) * (BINS - 1)
GROUPS = tuple((*EMPTY, (20, hits, 20 << 20)) for hits in (20, 15, 10))


def epochs_of(confusion: Any, epochs: int = 4, trained: bool = True) -> list[EpochResult]:
    """Return epochs in which the losses of the classes fall by 1 each."""
    results = []
    for epoch in range(1, epochs + 1):
        train = (5.0 - epoch, 6.0 - epoch, 7.0 - epoch) if trained else None
        losses = ClassLosses((8.0 - epoch,) * 3, train)
        found = Examined(epoch, GROUPS, (1.0, 2.0, 3.0), confusion)
        last = Diagnosis(found, found) if epoch == epochs else None
        half = ((5, 5, 5), (5, 5, 5))
        results.append(EpochResult(epoch, 1, 1, 0.1, 1, 50, 50, half, half, None, last, losses))
    return results


def arm_of(runs: list[list[EpochResult]]) -> ArmDiagnosis | None:
    folder: Any = SimpleNamespace(read_part=lambda key, _: runs[int(key)])
    rows: Any = [SimpleNamespace(key=str(n), state=TrialState.COMPLETE) for n in range(len(runs))]
    return arm_diagnosis(folder, rows, 0, OBJECTIVE)


RIGHT = ((0, 0, 20), (1, 1, 20), (2, 2, 20))
WRONG = ((0, 1, 20), (1, 1, 20), (2, 2, 10), (2, 1, 10))


def known(*confusions: Any, trained: bool = True) -> ArmDiagnosis:
    return known_of([epochs_of(confusion, trained=trained) for confusion in confusions])


def known_of(runs: list[list[EpochResult]]) -> ArmDiagnosis:
    found = arm_of(runs)
    assert found is not None
    return found


def test_runs_of_an_arm_are_summed_and_those_without_a_diagnosis_left_out() -> None:
    both = known(RIGHT, WRONG, None)
    assert both.runs == 2
    assert both.confusion == ((0, 0, 20), (0, 1, 20), (1, 1, 40), (2, 1, 10), (2, 2, 30))
    assert [bins[-1] for bins in both.reliability] == [(40, n, 40 << 20) for n in (40, 30, 20)]
    assert both.progress is not None
    assert both.gaps is not None
    assert both.progress.tolist() == [1.0] * 3
    assert both.gaps.tolist() == [3.0, 2.0, 1.0]
    assert arm_of([epochs_of(None)]) is arm_of([]) is None


def test_the_figures_say_what_is_worst_before_and_after() -> None:
    arms = {"best": known(WRONG), "uniform": known(RIGHT)}
    confusion = confusion_figure(OBJECTIVE, ("cat", "dog", "owl"), arms)
    assert confusion.finding == (
        "Most often best takes cat for dog: 100 % of its images; with uniform 0 %."
    )
    assert confusion.table.rows[0][:6] == ("cat", 5, 0.0, None, "dog", 100.0)
    assert confusion.table.rows[0][6:] == (0.0, 100.0, 100.0, None, None)
    assert confusion.table.rows[2][:6] == ("dog", 200, 100.0, 40.0, None, None)
    assert confusion.table.rows[2][6:] == (None, 100.0, 100.0, None, None)
    assert "50 % of owl as dog" in confusion.chart
    assert confusion_figure(OBJECTIVE, None, {"best": known(RIGHT)}).finding.endswith("nothing.")
    sure = reliability_figure(OBJECTIVE, arms)
    assert sure.finding == "The expected calibration error is: best 25.0 %, uniform 25.0 %."
    assert sure.table.rows[1] == ("medium", "0.933", 20, 100.0, 75.0)


def test_an_error_that_is_gone_is_shown_with_what_came_in_its_place() -> None:
    before = ((0, 2, 16), (0, 0, 4), (1, 1, 20), (2, 2, 20))
    after = ((0, 1, 5), (0, 0, 15), (1, 1, 20), (2, 2, 20))
    figure = confusion_figure(
        OBJECTIVE, ("cat", "dog", "owl"), {"best": known(after), "uniform": known(before)}
    )
    found = dict(zip(figure.table.headers, figure.table.rows[0], strict=True))
    assert (found["taken for"], found["share, %"]) == ("dog", 25.0)
    assert found["that share with uniform, %"] == 0.0
    assert (found["uniform: taken for"], found["uniform: share, %"]) == ("owl", 80.0)
    assert (found["recall, %"], found["uniform: recall, %"]) == (75.0, 20.0)
    *_, owl = figure.table.rows
    assert (owl[0], owl[3], round(float(owl[8] or 0), 1)) == ("owl", 100.0, 55.6)


def test_a_class_that_an_epoch_did_not_show_has_the_training_loss_of_the_other_runs() -> None:
    runs = [epochs_of(RIGHT), epochs_of(RIGHT)]

    def hide(run: int, label: int) -> None:
        losses = runs[run][-1].class_losses
        assert losses is not None
        assert losses.train is not None
        train = tuple(None if c == label else x for c, x in enumerate(losses.train))
        runs[run][-1] = replace(runs[run][-1], class_losses=replace(losses, train=train))

    hide(0, 1)
    hide(0, 0)
    hide(1, 0)
    losses = losses_figure(OBJECTIVE, None, {"best": known_of(runs)})
    assert losses.table.rows == [
        ("class 1", 200, 4.0, 2.0, 2.0, 1.0),
        ("class 2", 50, 4.0, 3.0, 1.0, 1.0),
        ("class 0", 5, 4.0, None, None, None),
    ]


@pytest.mark.parametrize("images", ("test", "validation"))
def test_the_figures_say_on_which_images_they_are(images: str) -> None:
    held_out = images == "validation"
    objective = replace(OBJECTIVE, test_held_out=held_out, chosen_on=images)
    arms = {"best": known(WRONG)}
    losses = losses_figure(objective, None, arms)
    assert f"{images} loss" in losses.table.headers
    assert f"of {images} images, dashed" in losses.note
    assert f"Gap: {images} less training loss" in losses.note
    for figure in (confusion_figure(objective, None, arms), reliability_figure(objective, arms)):
        assert f"on the {images} images" in figure.note


@pytest.mark.parametrize(("trained", "columns"), ((True, 6), (False, 3)))
def test_the_losses_of_training_images_are_shown_where_they_are_kept(
    trained: bool, columns: int
) -> None:
    losses = losses_figure(OBJECTIVE, None, {"best": known(RIGHT, trained=trained)})
    assert len(losses.table.headers) == len(losses.table.rows[0]) == columns
    assert ("dashed" in losses.note) == trained
    assert losses.table.rows[0][:3] == ("class 1", 200, 4.0)


def test_losses_too_high_for_the_chart_are_told() -> None:
    test = np.ones((100, 3))
    test[0] = 1000
    collapsed = ArmDiagnosis(1, GROUPS, RIGHT, test, None)
    assert "at its edge" not in losses_figure(OBJECTIVE, None, {"best": known(RIGHT)}).note
    assert losses_figure(OBJECTIVE, None, {"best": collapsed}).note.endswith("at its edge: 3.")


def test_the_confusion_of_many_classes_draws_the_darkest_cells_alone() -> None:
    classes = 100
    cells = np.random.default_rng(0).integers(1, 9, (classes, classes))
    confusion = tuple((i, j, int(n)) for (i, j), n in np.ndenumerate(cells))
    many = ArmDiagnosis(1, GROUPS, confusion, np.ones((2, classes)), None)
    objective = BenchmarkObjective("many", 4, (9,) * classes, ((4,) * classes,) * 2)
    figure = confusion_figure(objective, None, {"best": many})
    assert 0 < figure.chart.count("<rect") <= 1200
    assert len(figure.chart) < 250_000
    assert figure.note.endswith("Shares below the 1,200 largest are not drawn.")
    assert "not drawn" not in confusion_figure(OBJECTIVE, None, {"best": known(WRONG)}).note
