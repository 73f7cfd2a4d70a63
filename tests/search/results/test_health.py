"""Health of a run: what each point says of runs that deserve it and of runs that do not."""

from dataclasses import replace

import pytest
from concluded import CASES, conclusion_of

from search.results.conclusion import Conclusion
from search.results.health import Health, checks
from search.store.trials import TrialState
from spaces import Strategy, Weighting

CONFIRMED = "Was the winner trained again with fresh seeds?"
IMAGES = "Are the images that judge other ones than those that choose?"
WHOLE = "Was the whole protocol trained?"
TRAINABLE = "Can its weights be trained with?"
INSIDE = "Does the winner lie inside of the space?"
FAILED = "Did trials fail?"


def found(conclusion: Conclusion) -> dict[str, Health]:
    return {check.question: check.health for check in checks(conclusion)}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Conclusion]:
    folder = tmp_path_factory.mktemp("runs")
    kinds = ("searched", "confirmed", "held out")
    return {kind: conclusion_of(folder / kind.replace(" ", "-"), *CASES[kind]) for kind in kinds}


def test_a_run_without_a_confirmation_fails_that_point(runs: dict[str, Conclusion]) -> None:
    assert found(runs["searched"])[CONFIRMED] == Health.FAIL
    assert found(runs["confirmed"])[CONFIRMED] in (Health.PASS, Health.WARN)


def test_images_that_choose_and_judge_are_doubtful_and_held_out_ones_are_not(
    runs: dict[str, Conclusion],
) -> None:
    assert found(runs["confirmed"])[IMAGES] == Health.WARN
    assert found(runs["held out"])[IMAGES] == Health.PASS


def test_a_shortened_protocol_fails(runs: dict[str, Conclusion]) -> None:
    whole = runs["confirmed"]
    (recorded,) = whole.manifest.benchmarks
    short = replace(recorded, benchmark=replace(recorded.benchmark, shortened_from=200))
    shortened = replace(whole, manifest=replace(whole.manifest, benchmarks=(short,)))
    assert found(whole)[WHOLE] == Health.PASS
    assert found(shortened)[WHOLE] == Health.FAIL


@pytest.mark.parametrize(("study", "health"), (("baselines", "warn"), ("proposals", "pass")))
def test_a_failed_control_is_doubtful_where_another_failed_trial_is_not(
    runs: dict[str, Conclusion], study: str, health: str
) -> None:
    whole = runs["confirmed"]
    lost = next(row for row in whole.rows if row.study == study)
    rows = [replace(row, state=TrialState.FAIL) if row is lost else row for row in whole.rows]
    (check,) = (c for c in checks(replace(whole, rows=tuple(rows))) if c.question == FAILED)
    assert check.health == health
    assert (f"was not compared with {lost.label}." in check.answer) is (study == "baselines")


def named(conclusion: Conclusion, label: str, weighting: Weighting) -> Conclusion:
    """The same run, had it named another weighting."""

    class Moved(Conclusion):
        @property
        def winner(self) -> tuple[str, Strategy]:
            return label, Strategy.of(weighting)

    return Moved(**{field: getattr(conclusion, field) for field in Conclusion.__dataclass_fields__})


@pytest.mark.parametrize(("exponent", "health"), ((30.0, Health.FAIL), (0.5, Health.PASS)))
def test_weights_that_cannot_train_fail(
    runs: dict[str, Conclusion], exponent: float, health: Health
) -> None:
    steep = named(runs["searched"], "uniform", Weighting(exponent=exponent))
    assert found(steep)[TRAINABLE] == health


@pytest.mark.parametrize(
    ("params", "health"),
    (
        ({"exponent": 1.25}, Health.WARN),
        ({"exponent": 0.6}, Health.PASS),
        ({"exponent": 0.6, "bend": "effective", "nu": 0.2}, Health.PASS),  # .26 of .05 to 10
        ({"exponent": 0.6, "bend": "effective", "nu": 0.055}, Health.WARN),
        ({"exponent": 0.6, "bend": "effective", "nu": -1.0}, Health.WARN),
    ),
)
def test_a_winner_at_the_edge_of_the_space_is_doubtful(
    runs: dict[str, Conclusion], params: dict[str, float | str], health: Health
) -> None:
    moved = named(runs["searched"], "#3", Weighting(exponent=0.6))
    drawn = {"proposals-00003": {"bend": "none"} | params}
    assert found(replace(moved, drawn=drawn))[INSIDE] == health
