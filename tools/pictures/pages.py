"""Draws the status pages into docs/images: `make pictures`.

The end of the day that the dashboards show, served by the real site and looked at in Chromium, all on loopback.
"""

# ruff: noqa: INP001 - a tool is no package

import logging
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import structlog
from day import END, lived
from playwright.sync_api import ViewportSize, sync_playwright

from exporter import __version__
from exporter.lists import LISTS
from exporter.server import Server, bound
from exporter.site import Site
from exporter.web import Application

IMAGES: Final = Path(__file__).parent.parent.parent / "docs" / "images"
FLAGS: Final = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-lcd-text"]
DESK: Final[ViewportSize] = {"width": 1180, "height": 760}
PHONE: Final[ViewportSize] = {"width": 360, "height": 1100}


class Look(NamedTuple):
    """How the browser looks at a page."""

    scheme: str
    size: ViewportSize


LOOKS: Final = {"light": Look("light", DESK), "dark": Look("dark", DESK), "phone": Look("light", PHONE)}
PATHS: Final = {"page": "", "page-operation": "operations/andina-co"}


@contextmanager
def site(folder: Path) -> Iterator[str]:
    """The site at the end of the day: its URL."""
    with lived(folder) as stage:
        made = Site(
            page=lambda: None,
            state=lambda: stage.exporter.state,
            changes=stage.exporter.store.changes,
            is_alive=lambda: True,
            version=__version__,
            lists=LISTS,
            now=lambda: END,
            answers=stage.exporter.store.answers,
            reload=lambda: "",
        )
        server = Server(Application(made), bound([("127.0.0.1", 0)]))
        server.start()
        try:
            yield f"http://{server.addresses[0]}/"
        finally:
            server.quit()
            server.join()


def main() -> None:
    """All pictures."""
    chromium = shutil.which("chromium") or sys.exit("not installed: chromium")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with TemporaryDirectory() as folder, site(Path(folder)) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        for look, (scheme, size) in LOOKS.items():
            page = browser.new_page(color_scheme="dark" if scheme == "dark" else "light", viewport=size)
            for name, path in PATHS.items():
                page.goto(url + path)
                page.screenshot(path=IMAGES / f"{name}-{look}.png")
        browser.close()


if __name__ == "__main__":
    main()
