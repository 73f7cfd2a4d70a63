"""The server for Ray's clients, which no option of ``ray start`` leaves out."""

import time

import pytest
from clusters import below, ray_head


def has_client_server(head: int) -> bool:
    """Return whether ``ray start`` started one; it starts it before the raylet."""
    deadline = time.monotonic() + 120
    while not below(head, ".*/raylet/raylet"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return bool(below(head, ".*ray.util.client.server"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "hook",
    (pytest.param("", marks=pytest.mark.long), "search.cluster.start_hook.without_client_server"),
)
def test_the_hook_leaves_it_out(hook: str) -> None:
    with ray_head(env={"RAY_START_HOOK": hook} if hook else None) as (_, head):
        assert has_client_server(head) == (not hook)
