"""Two searches on one cluster at once: neither takes, stops or continues what is the other's."""

import signal
import subprocess
from pathlib import Path

import pytest
import searching
from clusters import ray_head, workers
from enduring import OPTIONS, check_equal_to_plain_training, check_whole, running

EPOCHS = 40


@pytest.mark.slow
@pytest.mark.long
def test_two_searches_share_a_cluster_and_one_that_stops_leaves_the_other_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    places = (tmp_path / "a", tmp_path / "b")
    processes: list[subprocess.Popen[str]] = []
    with ray_head() as (address, _):
        options = (*OPTIONS, "--epochs", str(EPOCHS), "--concurrent", "1", "--address", address)
        try:
            for place in places:
                place.mkdir()
                processes.append(searching.start(place, *options))
            for place, process in zip(places, processes, strict=True):
                searching.wait_for_epochs(place, 6, process)
                assert not workers(process), "they are the head's"
            assert all(process.poll() is None for process in processes)
            processes[0].send_signal(signal.SIGINT)
            stopped, _ = processes[0].communicate(timeout=searching.SOON_SECONDS)
            assert processes[0].returncode == 130, stopped
            refused = searching.search(places[1], *options, "--resume")
            assert refused.returncode == 2
            assert "is being searched by another process" in refused.stderr
            output, errors = processes[1].communicate(timeout=300)
            assert processes[1].returncode == 0, output + errors
            assert "lost its worker" not in output
            left = running(places[0])
            done = searching.search(places[0], *options, "--resume")
            assert done.returncode == 0, done.stdout + done.stderr
        finally:
            for process in processes:
                process.kill()
    for place in places:
        check_whole(place)
    check_equal_to_plain_training(places[0], left, EPOCHS)
