"""Which nodes a cluster has and may start, and whether they can run a search."""

from pathlib import Path

import pytest

from search.cluster import nodes
from search.cluster.nodes import Nodes, check_offer, gpus_for, node_types
from search.config.settings import Resources
from spaces.errors import UserError


@pytest.mark.parametrize(
    ("device", "address", "present", "gpu"),
    (("auto", None, 0, False), ("auto", None, 2, True), ("cpu", None, 2, False)),
)
def test_where_ray_is_started_here_the_gpus_here_decide(
    device: str, address: str | None, present: int, gpu: bool
) -> None:
    assert gpus_for(device, address, present) is gpu


def test_on_a_cluster_its_gpus_decide_not_those_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes, "finds_gpus", lambda: True)
    assert gpus_for("auto", "there:1", 0)
    monkeypatch.setattr(nodes, "finds_gpus", lambda: False)
    assert not gpus_for("auto", "there:1", 1)
    assert gpus_for("cuda", "there:1", 0)


def test_a_cluster_to_which_no_worker_comes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes.Nodes, "of_cluster", lambda: Nodes(({"CPU": 0.0},)))
    monkeypatch.setattr(nodes, "NODES_SECONDS", -1.0)
    with pytest.raises(UserError, match=r"the cluster has 1 node .* and no worker came within"):
        gpus_for("auto", "there:1", 0)


CONFIGURATION = """
max_workers: 6
head_node_type: head
available_node_types:
  head: {resources: {CPU: 0, GPU: 0}, max_workers: 0}
  one: {resources: {CPU: 8, GPU: 1}, min_workers: 0, max_workers: 4}
  many: {resources: {CPU: 32, GPU: 4}}
  hosts: {resources: {}, max_workers: 3}
"""


def test_what_may_come_is_read_from_what_ray_up_left(tmp_path: Path) -> None:
    path = tmp_path / "configuration.yaml"
    assert node_types(path) == ((), 0)
    path.write_text(CONFIGURATION)
    types, most = node_types(path)
    assert most == 6
    assert [(kind.resources, kind.most) for kind in types] == [
        ({"CPU": 8, "GPU": 1}, 4),
        ({"CPU": 32, "GPU": 4}, 6),
    ]
    assert Nodes(({"CPU": 0.0},), types, most).has_gpu
    assert not Nodes(({"CPU": 0.0},)).has_worker
    assert Nodes(({"CPU": 4.0},)).has_worker


@pytest.mark.parametrize(
    ("asked", "sentence"),
    (
        (Resources(5, False, None, None, None), "--cpus-per-trial is 5, but Ray offers 4 CPUs"),
        (Resources(1, True, None, None, None), "--device is cuda, but Ray offers no GPU"),
    ),
)
def test_a_machine_that_cannot_run_a_trial_is_refused(asked: Resources, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        check_offer(asked, Nodes(({"CPU": 4.0},)))
