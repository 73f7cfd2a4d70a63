"""The runs that may be continued, and by which command."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from twin import Killed, Killer, make_settings, plan_in

from search.config.budget import Budget
from search.config.objective import BenchmarkObjective
from search.config.settings import Settings
from search.session.opening import check_budget, check_same, open_run
from search.session.plan import Plan, check_benchmarks
from search.store.manifest import Manifest, RecordedBenchmark
from search.store.stored_run import read_run
from spaces.errors import UserError
from trainer.benchmarks import BENCHMARKS, Benchmark, get_benchmark
from trainer.prepared import prepare

DIGITS, OTHER = BENCHMARKS["resnet8-digitslt"], BENCHMARKS["resnet8-digitslt40"]
SETTINGS = make_settings()


def entry(benchmark: Benchmark) -> RecordedBenchmark:
    counts = tuple(benchmark.counts.tolist())
    alike = {name: getattr(benchmark, name) for name in ("name", "epochs", "noise_sd", "metric")}
    objective = BenchmarkObjective(**alike, counts=counts, half_counts=(counts, counts))
    note, data = benchmark.protocol_note(), benchmark.data_fingerprint()
    return RecordedBenchmark(benchmark, note, None, data, objective)


def manifest(
    holdout: Benchmark | None, searched: Benchmark = DIGITS, settings: Settings = SETTINGS
) -> Manifest:
    return Manifest.of(settings, (entry(searched),), entry(holdout) if holdout else None)


def test_the_same_run_goes_on_and_a_holdout_may_be_added(tmp_path: Path) -> None:
    plan = plan_in(tmp_path)
    check_same(plan, manifest(None), manifest(None))
    check_same(plan, manifest(None), manifest(OTHER))
    check_same(plan, manifest(OTHER), manifest(OTHER))


@pytest.mark.parametrize("how", ("before", "torn", "after"))
@pytest.mark.parametrize("writes", (1, 2))
def test_a_run_whose_start_was_killed_is_started_again_or_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: int, how: str
) -> None:
    plan, killer = plan_in(tmp_path), Killer(monkeypatch)
    plan.folder.create()
    killer.arm(writes, how)
    with pytest.raises(Killed):
        open_run(replace(plan, resume=False), manifest(None))
    killer.disarm()
    resumed = plan.folder.exists()
    assert resumed == (writes == 2 and how != "before")
    record, attempt = open_run(replace(plan, resume=resumed), manifest(None))
    assert (record.rows(), attempt) == ([], 2 if resumed else 1)
    assert len(read_run(plan.folder).attempts) == attempt


def test_a_run_whose_images_changed_says_which(
    tmp_path: Path, make_folder: Callable[..., Path]
) -> None:
    root = make_folder(tmp_path / "pets", (6, 3))

    def now() -> tuple[Plan, Manifest]:
        benchmark = get_benchmark(str(root), tmp_path)
        prepare(benchmark, tmp_path)
        settings = make_settings(benchmarks=(benchmark.fingerprint(),))
        plan = replace(plan_in(tmp_path), benchmarks=(benchmark,), settings=settings)
        return plan, manifest(None, benchmark, settings)

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


@pytest.mark.parametrize(
    ("known", "wanted", "words"),
    (
        (manifest(OTHER), manifest(None), "holds out 'resnet8-digitslt40'; give it as --holdout"),
        (manifest(OTHER), manifest(OTHER.with_epochs(3)), "3 of 40 epochs"),
        (manifest(None, OTHER), manifest(None), "resnet8-digitslt40, full"),
        (
            manifest(OTHER),
            manifest(replace(OTHER, metric="macro_f1")),
            "holdout: .* by accuracy -> .* by macro F1",
        ),
        (replace(manifest(None), fingerprint="0" * 16), manifest(None), "the declaration of space"),
    ),
)
def test_another_run_is_refused(
    known: Manifest, wanted: Manifest, words: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=words):
        check_same(plan_in(tmp_path), known, wanted)


def test_a_benchmark_whose_noise_is_unknown_is_searched_on_alone(tmp_path: Path) -> None:
    unknown = replace(DIGITS, noise_sd=None)
    plan = replace(plan_in(tmp_path), benchmarks=(unknown,))
    check_benchmarks(plan)
    with pytest.raises(UserError, match="benchmark 'resnet8-digitslt' states no noise_sd, by"):
        check_benchmarks(replace(plan, benchmarks=(unknown, OTHER)))


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
