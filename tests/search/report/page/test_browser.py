"""The report in a browser: it opens from disk without complaints, tables sort, marks speak."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from concluded import CASES, conclusion_of
from confirming import PLAIN, drive, new_run, steady, train
from repository import REPOSITORY
from twin import OBJECTIVE, attempt

from search.report.page import write_report

api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here"),
]
LONGEST_SECONDS = 2.0


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with api.sync_playwright() as play:
        found = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def page_of_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    write_report(conclusion_of(folder / "run", *CASES["confirmed"]), folder / "page.html")
    return folder / "page.html"


def opened(browser: Any, path: Path, **options: Any) -> tuple[Any, list[str]]:
    """Return the page, and what the browser complains of."""
    page, complaints = browser.new_page(**options), []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda r: complaints.append(r.url) if r.url != path.as_uri() else None)
    page.goto(path.as_uri())
    return page, complaints


@pytest.mark.parametrize("scheme", ("light", "dark"))
def test_it_opens_without_complaints_and_loads_nothing_else(
    browser: Any, page_of_run: Path, scheme: str
) -> None:
    start = time.monotonic()
    page, complaints = opened(browser, page_of_run, color_scheme=scheme)
    assert time.monotonic() - start < 10 * LONGEST_SECONDS  # a hang, not a measurement
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(13, 17, 23)")
    assert page.locator("svg").count() > 3
    assert complaints == []


def test_a_table_sorts_by_the_column_that_is_pressed(browser: Any, page_of_run: Path) -> None:
    page, complaints = opened(browser, page_of_run)
    table = page.locator("figure:has(#arms) table")
    page.locator("figure:has(#arms) summary").click()
    header = table.locator("th", has_text="estimate")
    header.locator("button").click()
    column = [float(text) for text in table.locator("tbody tr td:nth-child(4)").all_text_contents()]
    assert column == sorted(column)
    assert header.get_attribute("aria-sort") == "ascending"
    header.locator("button").click()
    column = [float(text) for text in table.locator("tbody tr td:nth-child(4)").all_text_contents()]
    assert column == sorted(column, reverse=True)
    assert complaints == []


def test_a_mark_says_what_it_is_when_pointed_at(browser: Any, page_of_run: Path) -> None:
    page, _ = opened(browser, page_of_run)
    mark = page.locator("#arms circle").first
    mark.hover()
    tip = page.locator("#tip")
    assert tip.is_visible()
    assert tip.text_content() == mark.get_attribute("data-tip")
    page.locator("h1").hover()
    assert not tip.is_visible()


def test_nothing_but_charts_is_wider_than_a_phone(browser: Any, page_of_run: Path) -> None:
    page, _ = opened(browser, page_of_run, viewport={"width": 400, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 400


def test_a_live_page_moves_when_a_trial_ends_and_when_its_server_is_back(
    browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = new_run(tmp_path / "run", OBJECTIVE)
    search = attempt(folder, PLAIN, 6, objective=OBJECTIVE, confirm=False)
    folder.begin_attempt({"resources": {}, "device": "cpu"})
    page = browser.new_page()
    state = page.locator("#state")
    with served(folder.path, 0) as address:
        page.goto(address)
        api.expect(state).to_have_text("no trial has ended yet; nothing is running")
        trial = search.next_trial()
        assert trial
        with folder.locked():
            api.expect(state).to_have_text("no trial has ended yet; running: 1")
        api.expect(state).to_contain_text("; the search has stopped, unfinished: 1; the same com")
        api.expect(page.locator("#kind")).to_have_text("unfinished")
        train(search, trial, steady)
        api.expect(state).to_contain_text("1 complete")
        api.expect(page.locator("#history circle")).to_have_count(1, timeout=60_000)
    api.expect(state).to_contain_text("does not answer")
    drive(search, steady)
    with served(folder.path, urlsplit(address).port) as again:
        assert again == address
        api.expect(state).to_contain_text("6 complete", timeout=60_000)
        api.expect(page.locator("#history circle")).to_have_count(6, timeout=60_000)


@contextmanager
def served(run: Path, port: int | None) -> Iterator[str]:
    """Serve the live page of a run, at the address that the server prints, until Ctrl-C."""
    program = [sys.executable, str(REPOSITORY / "run_search.py"), "watch", str(run)]
    words = [*program, "--port", f"{port}"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        yield server.stdout.readline().strip()
        server.send_signal(signal.SIGINT)
        assert server.wait(30) == 0


def test_it_prints(browser: Any, page_of_run: Path) -> None:
    page, _ = opened(browser, page_of_run)
    assert page.pdf().startswith(b"%PDF")
