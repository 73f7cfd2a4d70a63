"""Which runs may be continued by which command?"""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from twin import make_settings, plan_in

from search.config.budget import Budget
from search.session.opening import check_budget, check_same
from search.session.plan import Plan
from search.store.manifest import SCHEMA_VERSION
from spaces.errors import UserError
from trainer.benchmarks import BENCHMARKS, Benchmark, get_benchmark
from trainer.prepared import prepare

DIGITS, OTHER = BENCHMARKS["resnet8-digitslt"], BENCHMARKS["resnet8-digitslt40"]


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


def test_a_run_whose_images_changed_says_which(
    tmp_path: Path, make_folder: Callable[..., Path]
) -> None:
    root = make_folder(tmp_path / "pets", (6, 3))

    def now() -> tuple[Plan, dict[str, Any]]:
        benchmark = get_benchmark(str(root), tmp_path)
        prepare(benchmark, tmp_path)
        settings = make_settings(benchmarks=(benchmark.fingerprint(),))
        made = entry(benchmark) | {"data_fingerprint": benchmark.data_fingerprint()}
        plan = replace(plan_in(tmp_path), benchmarks=(benchmark,), settings=settings)
        whole = {"settings": settings.to_dict(), "fingerprint": settings.fingerprint()}
        return plan, content(None, benchmarks=[made], **whole)

    plan, known = now()
    os.utime(root / "train" / "class0" / "000.png", (1, 1))
    (root / "train" / "class0" / "001.png").rename(root / "train" / "class0" / "x.png")
    plan, wanted = now()
    check_same(plan, known, wanted)
    (root / "train" / "class0" / "x.png").unlink()
    plan, wanted = now()
    with pytest.raises(UserError, match=r"other images .*pets now: train/class0 .0 new, 1 gone."):
        check_same(plan, known, wanted)
    for path in (tmp_path / "prepared").iterdir():
        path.unlink()
    with pytest.raises(UserError, match=r"pets now: which ones is not on record any more"):
        check_same(plan, known, wanted)
    del known["benchmarks"][0]["benchmark"]["folder"]["val"]  # of a run that recorded file times
    with pytest.raises(UserError, match="other settings"):
        check_same(plan, known, wanted)


@pytest.mark.parametrize(
    ("known", "wanted", "words"),
    (
        (content(OTHER), content(None), "holds out 'resnet8-digitslt40'; give it as --holdout"),
        (content(OTHER), content(OTHER.with_epochs(3)), "3 of 40 epochs"),
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
