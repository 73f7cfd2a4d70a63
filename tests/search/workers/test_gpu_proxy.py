"""A proxy that meets trouble with its engine, without Ray."""

from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayActorError

from search.workers.gpu_proxy import ProxyTrainable


def engine_that(error: RayActorError | None) -> Any:
    """Return an engine in which a trial cannot begin for an error, or can without one."""
    return SimpleNamespace(begin=SimpleNamespace(remote=lambda config: error))


@pytest.mark.parametrize(
    ("error", "another"),
    ((ActorDiedError(), True), (ActorUnavailableError("no answer", None), False)),
)
def test_only_an_engine_that_is_dead_is_replaced_as_two_would_share_its_gpu(
    error: RayActorError, another: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(call: RayActorError | None) -> None:
        if call:
            raise call

    monkeypatch.setattr(ray, "get", answer)
    first, second = engine_that(error), engine_that(None)
    monkeypatch.setattr(ProxyTrainable, "find_engine", lambda self, lost: second)
    proxy = ProxyTrainable.__new__(ProxyTrainable)
    proxy.engine = first
    if another:
        proxy.enter({"key": "trial-1"})
    else:
        with pytest.raises(ActorUnavailableError):
            proxy.enter({"key": "trial-1"})
    assert proxy.engine is (second if another else first)
