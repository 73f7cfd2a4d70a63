"""The check on a GPU: its stages are cut, fail and end without harm, and its figures stay."""

import dataclasses
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from repository import REPOSITORY

from benchmarks.gpu_check import __main__ as command
from benchmarks.gpu_check import conductor
from benchmarks.gpu_check.conductor import Conductor
from benchmarks.gpu_check.plan import STAGES, Stage, chosen
from benchmarks.gpu_check.results import FILE, Reader, Results, rows_of
from benchmarks.gpu_check.summary import summary
from benchmarks.throughput.arms import Arm

WITHOUT = (
    *("ray", "optuna", "torchvision", "rich", "jsonschema", "filelock", "yaml", "cmaes"),
    *("greenlet", "matplotlib", "boto3", "pandas", "pyarrow", "pydantic", "pydantic_core"),
)
"""Packages that a machine lacks which has those of the test alone."""
BLOCKER = f"""
import sys
from importlib.machinery import PathFinder
class Finder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] not in {WITHOUT}:
            return super().find_spec(name, path, target)
sys.meta_path[:] = [Finder if finder is PathFinder else finder for finder in sys.meta_path]
"""

Conduct = Callable[..., Conductor]


@pytest.fixture
def conduct(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Conduct:
    """Run stages whose processes are shell scripts, $OUT being the file of the results."""
    monkeypatch.setattr(conductor, "LEAST_SECONDS", 0.1)
    monkeypatch.setattr(conductor, "RESERVE_SECONDS", 0.0)
    monkeypatch.setattr(conductor, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(conductor, "GRACE_SECONDS", 0.2)
    monkeypatch.setenv("OUT", str(tmp_path / FILE))
    logs = tmp_path / "logs"
    logs.mkdir()

    def run(scripts: dict[Stage, str], seconds: float = 20.0) -> Conductor:
        made = Conductor(tmp_path, logs, lambda stage, _: ["sh", "-c", scripts[stage]], seconds)
        made.run(list(scripts))
        return made

    return run


def a_row(stage: str, **fields: Any) -> str:
    """Return the shell command that writes a row."""
    return f"echo '{json.dumps({'stage': stage, **fields})}' >> $OUT"


def test_stages_that_hang_or_fail_cost_the_others_and_their_own_figures_nothing(
    conduct: Conduct, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = conduct(
        {
            Stage("hangs", 0.5): f"{a_row('hangs', figure=1)}; trap '' TERM; sleep 60 & wait",
            Stage("fails", 10): f"{a_row('fails', figure=2)}; echo why >&2; exit 3",
            Stage("works", 10): a_row("works", figure=3),
        }
    )
    assert made.failed == ["hangs", "fails"]
    rows = rows_of((tmp_path / FILE).read_bytes())
    assert [row["figure"] for row in rows] == [1, 2, 3]
    told = [line[10:] for line in (tmp_path / "summary.txt").read_text().splitlines()]
    assert [re.sub(r" after \d+ s$", "", line) for line in told] == [
        *("hangs: at most 0 s", "    figure 1", "hangs: cut"),
        *("fails: at most 10 s", "    figure 2", "fails: failed (exit code 3)"),
        *("    | why", "works: at most 10 s", "    figure 3", "works: done"),
    ]
    assert "fails: failed (exit code 3)" in capsys.readouterr().out
    assert "===== fails\nwhy\n" in (tmp_path / "logs.txt").read_text()


def test_the_helpers_of_a_stage_that_is_cut_end_with_it(conduct: Conduct, tmp_path: Path) -> None:
    conduct({Stage("hangs", 0.5): f"sleep 60 & echo $! > {tmp_path}/helper; wait"})
    helper = (tmp_path / "helper").read_text().strip()
    assert any(is_over(helper) or time.sleep(0.01) for _ in range(500))


def is_over(process: str) -> bool:
    state = Path(f"/proc/{process}/stat")
    return not state.exists() or state.read_text().split()[2] == "Z"


def test_the_time_for_everything_is_kept(conduct: Conduct, tmp_path: Path) -> None:
    made = conduct({Stage("long", 60): "sleep 60", Stage("late", 60): a_row("late")}, seconds=0.6)
    assert made.failed == ["long"]
    assert "late: not begun, the time is over" in (tmp_path / "summary.txt").read_text()


def test_nothing_is_timed_beside_the_compiler(conduct: Conduct, tmp_path: Path) -> None:
    begun, seen = tmp_path / "begun", tmp_path / "seen"
    compiler = f"until test -e {begun}; do sleep .01; done; sleep .3; touch {seen}"
    conduct(
        {
            Stage("warm-a", 10, background=True): compiler,
            Stage("facts", 10): f"test ! -e {seen} && touch {begun}",
            Stage("speed-a", 10): f"test -e {seen}",
        }
    )
    told = (tmp_path / "summary.txt").read_text()
    assert "facts: done" in told
    assert "speed-a: done" in told


def test_an_interruption_ends_the_stage_in_progress(
    conduct: Conduct, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(self: Conductor, stage: Stage) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(Conductor, "echo", interrupt)
    with pytest.raises(KeyboardInterrupt):
        conduct({Stage("long", 60): "echo begun; sleep 60"})
    assert "===== long" in (tmp_path / "logs.txt").read_text()


def test_a_figure_is_on_disk_before_the_stage_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / FILE
    synced = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(path.read_bytes()))
    Results(path, "a").put(figure=1.5)
    assert rows_of(synced[0])[0]["figure"] == 1.5


def test_a_row_that_is_being_written_is_read_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / FILE
    path.write_text('{"from": "an earlier call"}\n')
    reader = Reader(path)
    with path.open("a") as file:
        for text, rows in (('{"a": 1}\n{"b"', [{"a": 1}]), (": 2}\n", [{"b": 2}]), ("", [])):
            file.write(text)
            file.flush()
            assert reader.new_rows() == rows
    assert rows_of(b'{"torn\n{"a": 1}\n') == [{"a": 1}]


def test_stages_are_chosen_by_name_or_kind_in_the_order_given() -> None:
    assert [stage.name for stage in chosen("search,tests")] == ["search", "tests"]
    assert {stage.kind for stage in chosen("profile")} == {"warm", "profile"}
    assert [stage.name for stage in chosen("speed-tf32,speed-tf32")] == ["speed-tf32"]
    assert [stage.name for stage in chosen(None)] == list(STAGES)


def test_what_is_compiled_is_warmed_up_behind_the_facts_and_nothing_else() -> None:
    assert [stage.name for stage in chosen("speed-bf16-compiled,facts")] == [
        *("facts", "warm-bf16", "speed-bf16-compiled")
    ]
    assert [stage.name for stage in chosen("speed-bf16,facts")] == ["speed-bf16", "facts"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    (
        (["--only", "smok"], "--only names 'smok', and there is no such stage (did you mean 'smo"),
        (["--only", "search"], "search need real images; give --data-root."),
        (["--data-root", "nowhere"], "--data-root is nowhere, and there is no such folder."),
        (["--seconds", "0"], "--seconds is 0; it must be more than 0."),
        (["--device", "cuda:77"], "device is 'cuda:77', but torch sees "),
        (["--summary"], "there are no results in "),
    ),
)
def test_what_cannot_be_done_is_refused_in_a_sentence(
    options: list[str],
    sentence: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command.main(["out", "--device", "cpu", *options]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {sentence}")
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def story(hardware: str) -> dict[str, Any]:
    facts = {"hardware": hardware, "cpus": 4, "versions": {"torch": "2"}, "revision": "abc"}
    return {"story": facts, "tiny": False}


def speed(arm: Arm, seconds: float, variant: str = "none") -> dict[str, Any]:
    return {
        "benchmark": "resnet32-cifar100lt",
        "arm": dataclasses.asdict(arm),
        "variant": variant,
        "seconds_per_trial": seconds,
        "images_per_second": 1000 / seconds,
    }


def test_the_summary_gives_ratios_to_the_faster_plain_script_on_the_same_machine() -> None:
    here = [
        story("A"),
        *(speed(Arm("tf32", workers=n), 100.0 * n) for n in (4, 2)),
        *(speed(Arm("bf16", 8), seconds) for seconds in (9.0, 10.0, 14.0)),
        speed(Arm("bf16", 8), 20.0, "native-bn"),
    ]
    there = [story("B"), speed(Arm("bf16", 8), 5.0)]
    rows = [{"stage": "speed", **row} for row in here + there]
    text = summary([*rows, {"stage": "plain", **speed(Arm("tf32", workers=1), 1.0)}])
    assert "## A, 4 CPUs\n\ntorch 2; revision abc." in text
    assert "| bf16 x8 | 10 (9-14) | 3 | 100 | 20.0 | - | - | - |" in text
    assert "| bf16 x8 native-bn | 20 (20-20) | 1 | 50 | 10.0 |" in text
    assert "| plain, 4 workers | 400 (400-400) | 1 | 2.5 | 0.50 |" in text
    assert "| bf16 x8 | 5 (5-5) | 1 | 200 | - |" in text.partition("## B")[2]
    assert text.endswith("\n\nLeft out: 1 row of plain, for no row says on which machine.")


def test_the_summary_tells_accuracies_by_seed_and_what_went_wrong() -> None:
    trial = {"strategy": "uniform", "precision": "bf16", "epochs": 200, "last": 3, "last_mean": 2}
    trial["benchmark"] = "resnet32-cifar100lt"
    rows: list[dict[str, Any]] = [
        story("A"),
        *({**trial, "seed": seed, "best": 40.0 + seed} for seed in (1, 3, 1)),
        {"check": "fp32: a", "ok": True, "seconds": 1, "found": []},
        {"check": "fp32: b", "ok": False, "seconds": 1, "found": [1, 2]},
        {"test": "t[True]", "outcome": "failed", "seconds": 1},
        {"failed": "RuntimeError: no"},
        {"left_out": "ray is not installed."},
        {"export_exit_code": 0, "trials": {"COMPLETE": 3}},
    ]
    text = summary([{"stage": "s", **row} for row in rows])
    spread = "mean of the best 42.00, standard deviation 1.41, n 2"
    assert f"resnet32-cifar100lt, uniform, bf16: {spread}" in text
    assert "Checks: 1 of 2 hold.\n- FAILED fp32: b: [1, 2]" in text
    assert "Tests: 1 failed.\n- FAILED t[True]" in text
    assert "- s: failed: RuntimeError: no\n- s: left out: ray is not installed." in text
    assert '- export_exit_code 0, trials {"COMPLETE": 3}' in text


@pytest.mark.parametrize(
    ("benchmark", "strategy", "epochs", "published"),
    (
        ("resnet32-cifar100lt", "sqrt_inverse", 200, "35.55, mean of 3 seeds 37.76 (mlsbench_inv"),
        ("resnet32-cifar100lt-ldam", "drw", 200, "41.62 (BagofTricks-LT gallery) |"),
        ("resnet32-cifar100lt-ldam", "ldam", 200, "38.88 (BagofTricks-LT gallery; a cosine class"),
        ("resnet32-cifar100lt-ldam", "drw", 199, " |"),
        ("resnet32-cifar100lt", "drw", 200, " |"),  # there, the protocol is another
    ),
)
def test_published_figures_stand_beside_a_whole_protocol_that_is_theirs(
    benchmark: str, strategy: str, epochs: int, published: str
) -> None:
    trial = {"benchmark": benchmark, "strategy": strategy, "epochs": epochs, "seed": 42}
    row = {**trial, "precision": "bf16", "best": 1.0, "last": 1.0, "last_mean": 1.0, "stage": "s"}
    assert f"| 1.00 | 1.00 | 1.00 | {published}" in summary([{"stage": "s", **story("A")}, row])
    rehearsal = {"stage": "s", **story("A"), "tiny": True}
    assert "| 1.00 | 1.00 | 1.00 |  |" in summary([rehearsal, row])


def check_on_the_cpu(out: Path, *options: str, without: bool = False) -> list[dict[str, Any]]:
    """Rehearse stages and return their rows; ``without`` the packages that may be missing."""
    environment = dict(os.environ)
    if without:
        (out.parent / "sitecustomize.py").write_text(BLOCKER)
        environment["PYTHONPATH"] = str(out.parent)
    command = [sys.executable, "-m", "benchmarks.gpu_check", str(out), "--device", "cpu", "--tiny"]
    done = subprocess.run(
        [*command, *options], cwd=REPOSITORY, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return rows_of((out / FILE).read_bytes())


@pytest.mark.slow
def test_stages_run_with_torch_numpy_pillow_scikit_learn_and_annotated_types_alone(
    tmp_path: Path,
) -> None:
    only = "speed-bf16-streamed,plain-vgg,search"
    rows = check_on_the_cpu(
        tmp_path / "out", "--only", only, "--data-root", str(tmp_path), without=True
    )
    assert not [row for row in rows if "failed" in row]
    assert [row["left_out"] for row in rows if "left_out" in row] == ["optuna is not installed."]
    assert sum("seconds_per_trial" in row for row in rows) == 6


@pytest.mark.slow
@pytest.mark.long
def test_everything_is_rehearsed_on_the_cpu(shared_data: Path, tmp_path: Path) -> None:
    out, images = tmp_path / "out", ["--data-root", str(shared_data), "--seconds", "3000"]
    rows = check_on_the_cpu(out, *images)
    stages = {row["stage"] for row in rows}
    assert stages == set(STAGES)
    assert not [row for row in rows if "failed" in row or row.get("ok") is False]
    trials = [row for row in rows if "best" in row and "strategy" in row]
    assert len(trials) == sum(
        len(stage.strategies) * len(stage.seeds)
        for stage in STAGES.values()
        if stage.kind == "accuracy"
    )
    (exported,) = (row for row in rows if "export_exit_code" in row)
    assert exported["exported"] == ["best.json", "best_weighting.py"]
    assert "plain, 12 workers" in summary(rows)


def test_a_stage_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    stage = "import time; from benchmarks.gpu_check.stages import __main__ as m; "
    stage += "m.end_with_parent(); print('ready', flush=True); time.sleep(60); print('late')"
    words = [sys.executable, "-W", "ignore", "-c", stage]
    parent = "import subprocess, sys, time; "
    parent += "p = subprocess.Popen(sys.argv[1:], start_new_session=True, stdout=1); "
    parent += "time.sleep(60)"
    started = subprocess.Popen(
        [sys.executable, "-c", parent, *words], stdout=subprocess.PIPE, cwd=REPOSITORY, text=True
    )
    assert started.stdout is not None
    with started.stdout:
        assert started.stdout.readline() == "ready\n"
        started.kill()
        started.wait()
        assert started.stdout.read() == ""  # it comes to an end when the stage does
