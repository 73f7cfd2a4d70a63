"""Tune's workers without a trial are kept where a phase of the search ends."""

from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.execution.tune_controller import TuneController
from ray.tune.utils.object_cache import _ObjectCache

from search.tune.bridge import StudyScheduler


@pytest.mark.parametrize("keeps", (True, False))
def test_workers_that_wait_where_a_phase_ends_are_kept_for_the_next(keeps: bool) -> None:
    cache: Any = _ObjectCache()  # Tune's, of workers without a trial
    controller = SimpleNamespace(_tune_controller=SimpleNamespace(_actor_cache=cache))
    search: Any = None
    scheduler = StudyScheduler(search, lambda: None, keeps)
    for key in "ab":
        added: Any = SimpleNamespace(config={"key": key}, placement_group_factory="a CPU")
        scheduler.on_trial_add(controller, added)
    cached = [cache.cache_object("a CPU", worker) for worker in ("first", "second")]
    assert cached == [True, keeps]
    assert list(cache.flush_cached_objects()) == []
    left = ["first", "second"] if keeps else ["first"]
    assert list(cache.flush_cached_objects(force_all=True)) == left  # at the end of the search


def test_tune_has_the_cache_of_workers_whose_size_is_set() -> None:
    assert "_actor_cache" in TuneController.__init__.__code__.co_names
