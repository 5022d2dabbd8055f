"""The status pages in a real browser: fast, quiet, and usable by everybody."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import filled
import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from conftest import needs
from filled import crowd, served, troubled
from playwright.sync_api import Browser, Page, sync_playwright
from processes import program

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESK = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}
LOOKS = {
    "light": {"color_scheme": "light", "viewport": DESK},
    "dark": {"color_scheme": "dark", "viewport": DESK},
    "phone": {"color_scheme": "light", "viewport": PHONE},
    "dark phone": {"color_scheme": "dark", "viewport": PHONE},
}
PATHS = ["", "?q=telegram&show=problems", "operations/trouble", "operations/nobody"]
MOST_OF_ROW = 20  # elements

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    needs("chromium", "chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def thousand() -> Iterator[str]:
    """A site of a thousand operations with a hundred connectors each, in a process that nobody measures."""
    with program(
        sys.executable, str(Path(filled.__file__)), COVERAGE_PROCESS_CONFIG="", COVERAGE_PROCESS_START=""
    ) as started:
        yield f"http://{started.address}/"


@pytest.fixture(scope="module")
def few() -> Iterator[str]:
    """A site of a few operations, one with everything wrong and hostile names."""
    state = crowd(20)
    with served(replace(state, operations=(*state.operations, troubled()), storage_healthy=False)) as url:
        yield url


@contextmanager
def opened(browser: Browser, url: str, **context) -> Iterator[Page]:
    """A tab on that page in which nothing may go wrong."""
    made = browser.new_context(**context)
    page, faults = made.new_page(), []
    page.on("console", lambda line: faults.append(line.text) if line.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("dialog", lambda dialog: faults.append(dialog.message))
    page.goto(url)
    try:
        yield page
    finally:
        made.close()
    assert [fault for fault in faults if "404 (Not Found)" not in fault or "nobody" not in url] == []


def test_a_thousand_operations_come_in_one_request_and_are_little_to_lay_out(browser, thousand) -> None:
    """What a moment depends on; how long it is, the machine decides."""
    with opened(browser, thousand, viewport=DESK) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.reload()

        assert page.locator("tbody tr").count() == 1000
        assert page.evaluate("document.getElementsByTagName('*').length") < 1000 * MOST_OF_ROW
        assert asked == [thousand]


def test_the_filter_finds_by_operation_and_connector(browser, thousand) -> None:
    with opened(browser, thousand) as page:
        page.get_by_label("Operation, channel, connector's name or id").fill("operation-0123")
        page.get_by_role("button", name="Filter").click()
        assert page.locator("tbody tr").count() == 1

        page.goto(f"{thousand}?q=123045")
        page.locator("tbody a").click()
        assert page.url.endswith("operations/operation-0123?q=123045#connectors")
        assert page.locator(".connectors tbody tr").count() == 1


def test_the_summary_leads_to_what_it_counts(browser, thousand) -> None:
    with opened(browser, thousand) as page:
        tile = page.locator(".tiles a", has_text="misrouted")
        number = tile.locator("b").inner_text()
        tile.click()

        assert page.locator("tbody tr").count() == int(number) > 0


def test_it_works_without_javascript(browser, few) -> None:
    with opened(browser, few, java_script_enabled=False) as page:
        page.get_by_label("Show").select_option("misrouted")
        page.get_by_role("button", name="Filter").click()
        page.get_by_role("link", name="trouble", exact=True).click()
        page.get_by_label("Channel, id, name or routing point").fill("bookings")
        page.get_by_role("button", name="Search").click()
        page.get_by_text("Body of the answer").first.click()

        assert page.locator(".connectors tbody tr").count() == 1
        assert page.locator("pre").first.is_visible()


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("path", PATHS)
def test_nothing_keeps_anybody_out(browser, few, path, look) -> None:
    with opened(browser, few + path, **LOOKS[look]) as page:
        results = Axe().run(page)

        assert results.response["passes"]
        assert results.response["violations"] == [], results.generate_report()


@pytest.mark.parametrize("path", PATHS)
def test_a_phone_shows_the_page_without_scrolling_sideways(browser, few, path) -> None:
    with opened(browser, few + path, viewport=PHONE) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def focused(page: Page) -> str:
    """What has the focus: its id, or its text."""
    return str(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))


def test_a_keyboard_reaches_filter_and_links(browser, few) -> None:
    with opened(browser, few) as page:
        page.keyboard.press("Tab")
        assert focused(page) == "Skip to the content"
        page.keyboard.press("Enter")
        assert focused(page) == "main"
        reached: list[str] = []
        while "trouble" not in reached and len(reached) < 60:
            page.keyboard.press("Tab")
            reached.append(focused(page))
        page.keyboard.press("Enter")
        page.wait_for_url("**/operations/trouble")

    assert {"q", "show", "Filter", "operation-0000"} <= set(reached)


def test_focus_is_seen(browser, few) -> None:
    with opened(browser, few) as page:
        page.get_by_label("Show").focus()
        page.keyboard.press("Shift+Tab")

        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_the_form_for_a_poll_says_where_it_comes_from(browser, few) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(few + "operations/trouble")
        with page.expect_request("**/-/poll?operation=trouble") as asked:
            page.get_by_role("button", name="Poll at the next legal second").click()

        assert asked.value.method == "POST"
        assert asked.value.all_headers()["origin"] == few.rstrip("/")
