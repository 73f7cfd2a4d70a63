"""How many trials are begun: as many as fit, or may fit on the nodes that can be had."""

import pytest

from search.cluster.nodes import Nodes, NodeType
from search.tune import capacity
from search.tune.capacity import Capacity, possible_capacity, present_capacity
from spaces.errors import UserError

HEAD = {"CPU": 0.0, "memory": 8e9}
GPU_TYPE = NodeType({"CPU": 8, "GPU": 1}, 4)
HELD = {"cpu": 0.25, "gpu": 0.25}


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(capacity.time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


class Cluster:
    """A cluster whose nodes change under the search."""

    def __init__(self, *present: dict[str, float], types: tuple[NodeType, ...] = ()) -> None:
        self.nodes = Nodes(present, types, 4 if types else 0)
        self.told: list[str] = []
        self.free = {"CPU": 1e3, "GPU": 1e3}

    def become(self, *present: dict[str, float]) -> None:
        self.nodes = Nodes(present, self.nodes.types, self.nodes.most)

    def capacity(self, most: int | None = None, held: dict[str, float] = HELD) -> Capacity:
        return Capacity(held, most, False, self.told.append, lambda: self.nodes, lambda: self.free)


def test_trials_that_wait_for_the_work_of_others_are_told_at_the_start(clock: Clock) -> None:
    cluster = Cluster({"CPU": 4.0})
    cluster.free = {"CPU": 1.0}
    shared = cluster.capacity(held={"cpu": 1.0})
    shared.limit()
    held = "for what other work on the cluster holds now"
    assert cluster.told == [
        f"4 trials at a time, on 1 node with 4 CPUs and 0 GPUs; 3 of them wait {held}"
    ]
    cluster.become({"CPU": 5.0})  # of which this search holds some itself
    clock.now += 1
    shared.limit()
    assert cluster.told[1:] == ["5 trials at a time, on 1 node with 5 CPUs and 0 GPUs"]
    cluster.capacity(most=2, held={"cpu": 1.0}).limit()
    assert cluster.told[2].endswith(f"; 1 of them waits {held}")


def test_ray_on_this_machine_does_not_grow_where_it_is_the_head_of_a_cluster(clock: Clock) -> None:
    nodes = Nodes(({"CPU": 4.0},), (GPU_TYPE,), 4)
    local = Capacity({"cpu": 1.0}, None, True, lambda sentence: None, lambda: nodes)
    assert [local.limit(), local.limit()] == [4, 4]


def test_a_trial_must_fit_on_one_node() -> None:
    nodes = Nodes(({"CPU": 3.0}, {"CPU": 3.0}, HEAD))
    assert present_capacity(nodes, {"cpu": 2}) == 2
    assert present_capacity(nodes, {"cpu": 4}) == 0


def test_the_scarcer_resource_decides() -> None:
    assert present_capacity(Nodes(({"CPU": 4.0, "GPU": 8.0},)), {"cpu": 0.5, "gpu": 0.5}) == 8
    assert present_capacity(Nodes(({"CPU": 64.0, "GPU": 2.0},)), {"cpu": 0.5, "gpu": 0.5}) == 4


def test_what_may_come_is_bounded_by_each_type_and_by_all() -> None:
    big = NodeType({"CPU": 32, "GPU": 4}, 2)
    assert possible_capacity(Nodes((HEAD,), (GPU_TYPE,), 10), HELD) == 16
    assert possible_capacity(Nodes((HEAD,), (GPU_TYPE, big), 3), HELD) == 2 * 16 + 4
    assert possible_capacity(Nodes((HEAD,), (GPU_TYPE,), 10), {"cpu": 16}) == 0


def test_trials_are_begun_for_nodes_that_are_still_to_come(clock: Clock) -> None:
    cluster = Cluster(HEAD, types=(GPU_TYPE,))
    found = cluster.capacity()
    assert found.limit() == 16
    assert cluster.told == [
        "Waiting for a node with 0.25 CPU and 0.25 GPU for each trial: the cluster has 1 node with "
        "0 CPUs and 0 GPUs, and may start up to 4 workers; 'ray status' tells more, Ctrl-C stops"
    ]
    clock.now += 59
    found.limit()
    assert len(cluster.told) == 1
    clock.now += 2
    found.limit()
    assert len(cluster.told) == 2
    cluster.become(HEAD, GPU_TYPE.resources)
    clock.now += 2
    assert found.limit() == 16
    assert cluster.told[2:] == ["4 trials at a time, on 2 nodes with 8 CPUs and 1 GPU"]


def test_a_cluster_of_fixed_size_is_filled_and_followed(clock: Clock) -> None:
    cluster = Cluster({"CPU": 2.0}, {"CPU": 2.0})
    found = cluster.capacity(held={"cpu": 1})
    assert found.limit() == 4
    cluster.become({"CPU": 2.0})
    assert found.limit() == 4  # it is looked at once a second
    clock.now += 1
    assert found.limit() == 2
    cluster.become()
    clock.now += 1
    assert found.limit() == 0
    assert cluster.told[-1].startswith("Waiting for a node with 1 CPU")
    clock.now += 10_000  # nodes that were lost may be away for as long as they like
    assert found.limit() == 0
    cluster.become({"CPU": 2.0})
    clock.now += 1
    assert found.limit() == 2


def test_a_user_may_allow_fewer(clock: Clock) -> None:
    assert Cluster({"CPU": 8.0}).capacity(most=3, held={"cpu": 1}).limit() == 3
    assert Cluster(HEAD, types=(GPU_TYPE,)).capacity(most=3).limit() == 3


def test_a_cluster_to_which_no_fitting_node_comes_is_refused(clock: Clock) -> None:
    cluster = Cluster({"CPU": 2.0})
    found = cluster.capacity(held={"cpu": 4})
    assert found.limit() == 0
    clock.now += capacity.NODES_SECONDS + 1
    with pytest.raises(UserError, match="a trial needs 4 CPU on one node, but the cluster has 1 "):
        found.limit()


def test_where_nodes_may_come_they_are_waited_for(clock: Clock) -> None:
    found = Cluster(HEAD, types=(GPU_TYPE,)).capacity()
    found.limit()
    clock.now += 100 * capacity.NODES_SECONDS
    assert found.limit() == 16
