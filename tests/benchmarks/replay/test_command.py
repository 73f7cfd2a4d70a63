"""The command line of the replay: where its results go, and what Ctrl-C leaves."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.replay import __main__ as replay
from benchmarks.replay.options import parser, plan_of


def test_results_go_to_the_current_folder_and_not_over_those_of_the_repository() -> None:
    assert plan_of(parser().parse_args(["--synthetic", "late"])).out == Path("replay-late")


def test_ctrl_c_in_the_second_repetition_leaves_an_earlier_result(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def one(_: object) -> Iterator[dict[str, object]]:
        yield {}
        raise KeyboardInterrupt

    world = SimpleNamespace(epochs=40)
    monkeypatch.setattr(replay, "Replay", lambda _: SimpleNamespace(world_of=lambda _: world))
    monkeypatch.setattr(replay, "known_truth", lambda _: {})
    monkeypatch.setattr(replay, "repetitions", one)
    (earlier := tmp_path / "found.json").write_text("earlier")
    assert replay.main(["--synthetic", "late", "--out", str(tmp_path / "found")]) == 130
    assert earlier.read_text() == "earlier"
