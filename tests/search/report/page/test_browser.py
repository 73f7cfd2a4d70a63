"""The report in a browser: it opens from disk without complaints, tables sort, marks speak."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from concluded import CASES, conclusion_of

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


def test_it_prints(browser: Any, page_of_run: Path) -> None:
    page, _ = opened(browser, page_of_run)
    assert page.pdf().startswith(b"%PDF")
