"""Accuracy by scenario: which runs and images count, what is said of it, and the page's figure."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from concluded import shown
from confirming import HELD, PLAIN, new_run, steady, train, whole_run
from twin import BENCHMARK, attempt, fast_folder

from search.config.objective import Objective
from search.report.page.scenarios import scenarios_figure
from search.report.page.write import report_html
from search.results.conclusion import Conclusion
from search.results.scenarios import ByScenario, by_scenario, difference, image_luck
from search.stats.estimate import Estimate
from trainer.diagnosis.records import Diagnosis, Examined
from trainer.diagnosis.scenarios import Scenario, check_correct
from trainer.results import EpochResult

HOSTILE = "</script><b title=\"x\" onclick='y'>"
SCENARIOS = (
    Scenario("night", 40, (50, 50)),
    Scenario("day", 900, (500, 500)),
    Scenario(HOSTILE, 2, (4, 1)),
    Scenario("none", 1, (0, 0)),
)


def run(*correct: tuple[int, int]) -> list[EpochResult]:
    """Return the epochs of a run, with its correct images by scenario and half."""
    found = Examined(2, (), (), scenarios=(*correct, (0, 0)) if correct else None)
    half = ((1,), (1,))
    return [EpochResult(2, 1, 1, 0.1, 1, 50, 50, half, half, None, Diagnosis(found, found))]


ARMS = {
    "best": {0: run((40, 30), (300, 300), (4, 1)), 1: run((42, 32), (300, 305), (4, 1)), 7: run()},
    "uniform": {0: run((20, 20), (310, 290), (0, 0)), 1: run((21, 22), (300, 306), (0, 0))},
    "sqrt": {1: run((50, 50), (500, 500), (4, 1)), 3: []},
    "other": {0: run()},
}


def found(held_out: bool = False) -> ByScenario:
    known = by_scenario(ARMS, SCENARIOS, (1,) if held_out else (0, 1))
    assert known is not None
    return known


def test_accuracies_are_means_over_the_diagnosed_runs_and_differences_within_seeds() -> None:
    known = found()
    assert known.images == (100, 1000, 5, 0)
    assert known.arms == {
        "best": (72.0, pytest.approx(60.25), 100.0, None),
        "uniform": (41.5, pytest.approx(60.3), 0.0, None),
        "sqrt": (100.0, 100.0, 100.0, None),
    }
    (gains,) = known.gains  # of sqrt a single seed is common
    assert (gains.control, gains.seeds) == ("uniform", 2)
    night, _, few, none = gains.points
    assert night is not None
    assert night.mean == 30.5
    assert few == Estimate(100.0, 80.0, 120.0), "an image either way"
    assert none is None
    assert found(held_out=True).images == (50, 500, 1, 0)
    assert found(held_out=True).arms["best"][0] == 62.0
    assert by_scenario({"best": {0: run()}}, SCENARIOS) is None


def test_few_images_and_many_scenarios_are_said_in_bounds() -> None:
    known = found()
    assert known.sentences() == [
        "On 'night' images (100) best gains 30.5 points (24.1 to 36.9) over uniform.",
        "best and uniform cannot be told apart on 'day' images.",
        f"Too few images, under 30, to say anything of: {HOSTILE!r} (5), 'none' (0).",
    ]
    many = replace(
        known,
        scenarios=(SCENARIOS[0],) * 64,
        images=(100,) * 64,
        gains=(replace(known.gains[0], points=(Estimate(-2.0, -3.0, -1.0),) * 64),),
    )
    said = many.sentences()
    assert said[0] == "On 'night' images (100) best loses 2.0 points (1.0 to 3.0) against uniform."
    assert said[5:] == ["best and uniform differ in 59 more scenarios."]


def test_intervals_hold_the_luck_of_seeds_and_of_images() -> None:
    wide = difference(np.array([1.0, 3.0]), 1000)
    assert wide is not None
    assert wide.high == pytest.approx(2 + 12.7062, abs=1e-3)  # t with a degree of freedom
    assert difference(np.array([2.0, 2.0]), 50) == Estimate(2.0, 0.0, 4.0)
    assert image_luck(50.0, 10**4) == pytest.approx(0.98, abs=0.001)
    assert image_luck(100.0, 5) == pytest.approx(27.2, abs=0.1)
    assert image_luck(None, 5) is image_luck(5.0, 0) is None


def test_the_figure_shows_gains_or_else_accuracies() -> None:
    figure = scenarios_figure("b", found())
    assert figure.chart.count('class="interval') == 2, "nothing of few images"
    assert HOSTILE not in figure.chart
    assert figure.finding == found().differences()[0]
    assert figure.note.startswith(" ".join(found().doubts()))
    few = scenarios_figure("b", replace(found(), images=(9, 29, 5, 0)))
    assert (few.chart, few.finding) == ("", "In no scenario best can be told from uniform.")
    assert figure.table.rows[1][:6] == ("night", 40, 100, 72.0, 41.5, 100.0)
    alone = by_scenario({"best": ARMS["best"]}, SCENARIOS)
    assert alone is not None
    figure = scenarios_figure("b", replace(alone, images=(100, 1000, 50, 30)))
    assert "accuracy, percent" in figure.chart
    assert figure.finding == (
        "best reaches 60.2 % on 'day' images (1,000) to 100.0 % on " + f"{HOSTILE!r} images (50)."
    )
    assert replace(alone, images=(1, 1, 1, 1)).spread() == "No scenario has 30 images."


@pytest.mark.parametrize(("held_out", "images"), ((False, 100), (True, 50)))
def test_the_best_of_a_search_is_shown_by_scenario_on_the_images_that_choose(
    held_out: bool, images: int
) -> None:
    tagged = replace(BENCHMARK, scenarios=SCENARIOS[:1], test_held_out=held_out)
    with fast_folder() as place:
        folder = whole_run(Path(place) / "run", steady, 8, None, Objective((tagged,)))
        page = report_html(Conclusion.of(folder))
    assert f"% on &#39;night&#39; images ({images})." in page
    assert "accuracy, percent of #2 by scenario" in page


def test_a_fresh_run_that_has_just_begun_does_not_take_the_place_of_that_of_the_search() -> None:
    objective = Objective((replace(BENCHMARK, scenarios=SCENARIOS[:1]),))
    with fast_folder() as place:
        folder = new_run(Path(place) / "run", objective)
        search = attempt(folder, PLAIN, 20, objective=objective, confirm=True, runs=12)
        while (trial := search.next_trial()) and (
            trial.row.in_search or trial.row.label != "uniform"
        ):
            train(search, trial, steady)
        folder.begin_attempt({"resources": {}, "device": "cpu"})
        page = report_html(Conclusion.of(folder))
    assert '<th scope="col">uniform, %</th>' in page


def test_a_run_with_scenarios_says_them_everywhere() -> None:
    tagged = (Scenario("night", 40, (50, 50)), *SCENARIOS[2:], Scenario("fog", 3, (1, 2)))
    held = replace(HELD, scenarios=tagged)
    objective = Objective((replace(BENCHMARK, scenarios=tagged),), held)
    with fast_folder() as place:
        folder = whole_run(Path(place) / "run", steady, 20, 12, objective)
        conclusion = Conclusion.of(folder)
        text, page = shown(folder), report_html(conclusion)
    assert conclusion.objective == objective, "read back from settings.json"
    assert "On 'night' images (100) #2 gains " in text
    assert "over uniform" in text
    gained = "On &#39;night&#39; images (100) #2 gains "
    assert gained in page
    assert f"Held out, on {held.name}: {gained}" in page
    assert HOSTILE not in page
    (said,) = conclusion.story()["verdict"]["benchmarks"]
    assert [s["name"] for s in said["scenarios"]["scenarios"]] == [s.name for s in tagged]
    assert said["scenarios"]["arms"].keys() == {"#2", "uniform", "sqrt_inverse"}


@pytest.mark.parametrize(
    ("correct", "words"), ((((51, 0),) * 4, r"got \(51, 0\) correct"), (((0, 0),), "got 1 of 4"))
)
def test_correct_images_that_cannot_be_are_refused(
    correct: tuple[tuple[int, int], ...], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        check_correct(correct, SCENARIOS)
    check_correct((), SCENARIOS)
    check_correct(((50, 50), *((0, 0),) * 3), SCENARIOS)
