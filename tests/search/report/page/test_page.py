"""The report of a run: whole for every kind of run, self-contained, and safe with hostile names."""

import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
from concluded import CASES, conclusion_of
from recorded_runs import replay
from twin import OBJECTIVE

from search.cli.commands import main
from search.driver import ending
from search.export import export
from search.report.page.arms import differences_figure
from search.report.page.facts import expected, stopping_table
from search.report.page.write import report_html
from search.results.adjusted import Adjusted
from search.results.conclusion import Conclusion
from search.stats.estimate import Difference, Estimate
from search.stopping.report import RungReport, StoppingReport
from search.store.attempts import Cost
from search.store.run_folder import RunFolder
from spaces import CLASS_WEIGHTS, PostHoc

LARGEST = 500_000
"""Bytes of a page."""
VOID = {"meta", "br", "link", "img", "hr"}


class Reading(HTMLParser):
    """Reads a page: its elements must be closed in order; charts and what they are called."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.kinds: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.kinds.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> Reading:
    reading = Reading()
    reading.feed(page)
    reading.close()
    assert not reading.open
    return reading


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with a confirmation, whose results were recorded."""
    folder = tmp_path_factory.mktemp("recorded")
    with patch.object(export, "verify_export"):
        replay("default", folder)
    return folder / "runs" / "default"


@pytest.mark.parametrize("case", CASES)
def test_a_page_of_every_kind_of_run_is_whole_and_loads_nothing(case: str, tmp_path: Path) -> None:
    page = report_html(conclusion_of(tmp_path / "run", *CASES[case]))
    reading = read(page)
    charts = [attrs for kind, attrs in reading.kinds if kind == "svg"]
    assert charts
    assert all(attrs["aria-label"] and attrs["role"] == "img" for attrs in charts)
    ids = [attrs["id"] for _, attrs in reading.kinds if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert not re.search(r"""(src|href|action|style)\s*=|url\(|@import|https?://""", page)
    assert not re.search(r"\bnan\b", page, re.IGNORECASE)
    assert len(page.encode()) < LARGEST
    objective, holdout = CASES[case][2], CASES[case][2].holdout
    several = objective.joint or objective.benchmarks[0].test_held_out
    judged = [f"\nOn {b.name}: The " in reading.text for b in objective.benchmarks]
    assert "leads with" not in reading.text or not objective.joint
    assert (" noise SDs over uniform from 1 of them." in reading.text) is objective.joint
    assert all(judged) if several and "searched" not in case else not any(judged)
    assert page.count("Held out, on ") == (0 if holdout is None else 2)
    findings = re.findall(r"<figcaption>(.*?)</figcaption>", page)
    for word in ("the rarest class weighs", " gains on ", "At the last epoch"):
        told = [finding for finding in findings if word in finding and "Held out" not in finding]
        names = [f"On {b.name}: " for b in objective.benchmarks] if objective.joint else [""]
        assert not told or all(t.startswith(n) for t, n in zip(told, names, strict=True)), word


def test_a_page_of_weightings_that_reached_the_same_names_no_best_one(tmp_path: Path) -> None:
    same = conclusion_of(tmp_path / "run", lambda row, part: 50, None, OBJECTIVE)
    reading = read(report_html(same))
    assert "\nNothing was found so far: all 8 weightings reached the same.\n" in reading.text


@pytest.mark.parametrize(
    ("limits", "words"),
    (
        ({}, ""),
        ({"seconds": 7200.0}, "about 2.0 hours from the last start on, 16 trials at a time, if"),
        ({"seconds": 60.0, "gpu_hours": 0.125}, "about 60 s, 0.12 GPU-hours from the last start"),
    ),
)
def test_a_page_says_what_was_expected(limits: dict[str, float], words: str) -> None:
    said = expected(Cost((0.5,), 16, **limits))
    assert said.startswith(words)
    assert bool(said) == bool(words)


@pytest.mark.parametrize("gain", (Estimate(4.5, 1.0, 8.0), None))
def test_arms_are_shown_adjusted_after_training(gain: Estimate | None, tmp_path: Path) -> None:
    found = conclusion_of(tmp_path / "run", *CASES["confirmed"])
    judgement = found.judgement
    assert judgement is not None
    assert "adjusted" not in report_html(found)
    adjusted = Adjusted(PostHoc(adjustment=0.5), 3, 67.0, 66.0, 61.5, gain)
    (benchmark,) = judgement.benchmarks
    arms = dict.fromkeys(benchmark.arms, adjusted)
    *_, lucky = arms
    arms[lucky] = replace(adjusted, half_a=66.9, half_b=99.0)
    known = replace(judgement, benchmarks=(replace(benchmark, adjusted=arms),))
    reading = read(report_html(replace(found, judgement=known)))
    for label, arm in arms.items():
        row = f"\n{label}, adjusted3adjustment=0.5{arm.half_b:.2f}61.50"
        assert row in reading.text.replace("\n\n", "\n")
    chosen, *_ = arms
    said = f"{chosen}, adjusted by adjustment=0.5, is the best on half A; on half B it reaches"
    assert f"{said} 66.00 %, and 61.50 % as trained" in reading.text
    figures = [attrs.get("id") for kind, attrs in reading.kinds if kind == "figure"]
    assert all(figures), "by which a live page keeps tables open, also where there is no chart"
    assert ("a difference of +4.50 (+1.00 to +8.00) points." in reading.text) == bool(gain)
    assert "not comparable with the class-weight leaderboard" in reading.text


def test_a_winner_that_is_worse_than_a_control_says_by_how_much_without_a_sign(
    tmp_path: Path,
) -> None:
    judgement = conclusion_of(tmp_path / "run", *CASES["confirmed"]).judgement
    assert judgement is not None
    worse = Difference("uniform", Estimate(-2.0, -3.0, -1.0), 0.0)
    said = replace(judgement, verdict=replace(judgement.verdict, to_uniform=worse))
    figure = differences_figure(said)
    assert figure is not None
    assert figure.finding.startswith("It is worse than uniform by 2.00 (1.00 to 3.00) points.")


def test_rungs_of_several_kinds_are_told_apart() -> None:
    rung = RungReport(4, 9, 0.5, (0.1, 0.8), True, 2)
    whole = StoppingReport((rung, replace(rung, kind="sampling")), 4, 10, 0.1, 3, 0, 0, None)
    for rungs, first in ((1, [4]), (2, [CLASS_WEIGHTS, "sampling"])):
        known: Any = SimpleNamespace(stopping=replace(whole, rungs=whole.rungs[:rungs]))
        table = stopping_table(known)[1]
        assert table is not None
        assert [row[0] for row in table.rows] == first
        assert len(table.headers) == len(table.rows[0])


def test_the_search_writes_its_page_and_says_where(
    run: Path, capsys: pytest.CaptureFixture
) -> None:
    written = run / "report.html"
    first = written.read_text()
    assert main(["report", str(run)]) == 0
    assert capsys.readouterr().out == f"{written}\n"
    assert written.read_text() == first
    reading = read(first)
    assert "Use sqrt_inverse" in reading.text
    assert "94.72 % on average" in reading.text
    dots = [a["data-tip"] for kind, a in reading.kinds if kind == "circle" and a.get("data-tip")]
    assert sum("runs, the best with a probability of" in str(tip) for tip in dots) == 3


def test_the_policy_of_the_page_allows_its_own_script_and_style_alone(run: Path) -> None:
    page = (run / "report.html").read_text()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy.startswith("default-src &#39;none&#39;; style-src &#39;sha256-")
    assert "unsafe" not in policy
    assert page.count("<script>") == page.count("<style>") == 1


def test_names_in_a_run_appear_as_text(run: Path, tmp_path: Path) -> None:
    hostile = "</script><script>alert(1)</script>\"'&"
    copied = tmp_path / "run"
    shutil.copytree(run, copied)
    settings = copied / "settings.json"
    text = settings.read_text()
    (names,) = re.findall(r'"class_names": \[[^]]*\]', text)
    escaped = hostile.replace('"', '\\"')
    forged = re.sub(r'"9"', lambda _: f'"{escaped}"', names)
    settings.write_text(text.replace(names, forged))
    assert main(["report", str(copied)]) == 0
    page = (copied / "report.html").read_text()
    assert hostile in read(page).text
    assert page.count("<script") == 1


def test_a_page_that_cannot_be_written_is_one_sentence(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert main(["report", str(run), "--output", str(tmp_path / "none" / "page.html")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: the report cannot be written to")
    assert (
        f"{tmp_path / 'none' / 'page.html'} (No such file or directory); write it elsewhere" in line
    )


def test_a_page_that_fails_harms_no_search_and_says_so(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("a fault of the page")

    notes: list[str] = []
    monkeypatch.setattr(ending, "write_report", fails)
    ending.report(Conclusion.of(RunFolder(run)), notes.append)
    assert notes == ["the report failed (RuntimeError: a fault of the page); log.txt tells more."]


def test_a_page_is_the_same_whenever_it_is_made(run: Path) -> None:
    first, second = (report_html(Conclusion.of(RunFolder(run))) for _ in range(2))
    assert first == second
