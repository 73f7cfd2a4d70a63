"""Which runs may be continued by which command?"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from twin import make_settings

from search.budget import Budget
from search.plan import Plan, check_budget, check_same
from search.runfolder import RunFolder
from search.settings import SCHEMA_VERSION, Resources
from trainer.benchmarks import BENCHMARKS, Benchmark
from trainer.errors import UserError

DIGITS, OTHER = BENCHMARKS["resnet8-digitslt"], BENCHMARKS["resnet8-digitslt40"]


def plan_in(place: Path) -> Plan:
    return Plan(
        benchmarks=(DIGITS,),
        holdout=None,
        data_root=place,
        folder=RunFolder(place / "run"),
        settings=make_settings(),
        budget=Budget(32, None),
        resources=Resources(1, gpu=False, slots=None, concurrent=None, address=None),
        device="cpu",
        save_every=1,
        resume=True,
        resume_command="",
        arguments=(),
    )


def entry(benchmark: Benchmark) -> dict[str, Any]:
    return {"benchmark": benchmark.to_dict(), "protocol": benchmark.protocol_note()}


def content(holdout: Benchmark | None, **changes: Any) -> dict[str, Any]:
    settings = make_settings()
    whole = {
        "schema_version": SCHEMA_VERSION,
        "fingerprint": settings.fingerprint(),
        "settings": settings.to_dict(),
        "benchmarks": [entry(DIGITS)],
        "holdout": entry(holdout) if holdout else None,
    }
    return whole | changes


def test_the_same_run_goes_on_and_a_holdout_may_be_added(tmp_path: Path) -> None:
    plan = plan_in(tmp_path)
    check_same(plan, content(None), content(None))
    check_same(plan, content(None), content(OTHER))
    check_same(plan, content(OTHER), content(OTHER))
    older = content(OTHER)  # of before benchmarks had these
    del older["holdout"]["benchmark"]["metric"], older["holdout"]["benchmark"]["test_held_out"]
    check_same(plan, older, content(OTHER))


@pytest.mark.parametrize(
    ("known", "wanted", "words"),
    (
        (content(OTHER), content(None), "holds out 'resnet8-digitslt40'; give it as --holdout"),
        (content(OTHER), content(OTHER.with_epochs(3)), "3 of 40 epochs"),
        (content(None, schema_version=1), content(None), "has schema version 1"),
        (content(None, benchmarks=[entry(OTHER)]), content(None), "resnet8-digitslt40, full"),
        (
            content(OTHER),
            content(replace(OTHER, metric="macro_f1")),
            "holdout: .* by accuracy -> .* by macro F1",
        ),
        (content(None, fingerprint="0" * 16), content(None), "the declaration of space"),
    ),
)
def test_another_run_is_refused(
    known: dict[str, Any], wanted: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=words):
        check_same(plan_in(tmp_path), known, wanted)


def test_a_budget_below_what_a_run_has_begun_is_refused(tmp_path: Path) -> None:
    plan = plan_in(tmp_path)
    assert plan.budget.search_trials == 22
    check_budget(plan, 22)
    with pytest.raises(UserError) as caught:
        check_budget(plan, 23)
    assert str(caught.value).startswith(
        "--trials is 32, which leaves 22 to the search, but run 'run' has begun 23 there; give at "
        "least 34 to go on"
    )
    check_budget(replace(plan, budget=Budget(34, None)), 23)
    check_budget(replace(plan, budget=Budget(None, 1.0)), 23)
