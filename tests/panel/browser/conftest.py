"""A real browser before a real panel: one browser for all tests, a fresh profile for each."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, async_playwright
from tests.panel.browser.visiting import (
    MISSING,
    Visit,
    Visiting,
    context_of,
    installed,
    launched,
)

from livespot.testing import panel_states
from livespot.testing.panel_states import Scene


@pytest.fixture(scope="session")
def chromium() -> str:
    """The installed browser; without one the tests are skipped, and fail where CI is set."""
    found = installed()
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    return found


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(chromium: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await launched(playwright, chromium)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def visit(browser: Browser) -> AsyncIterator[Visiting]:
    """Opens pages; at the end none may have complained, nor have asked another host."""
    contexts: list[BrowserContext] = []
    visits: list[Visit] = []

    async def visiting(width: int = 1280, height: int = 900, scheme: str = "light") -> Visit:
        context = await context_of(browser, width=width, height=height, scheme=scheme)
        contexts.append(context)
        made = Visit(page=await context.new_page())
        made.watch()
        visits.append(made)
        return made

    yield visiting
    for context in contexts:
        await context.close()
    assert [complaint for made in visits for complaint in made.complaints] == []
    hosts = {urlsplit(f"//{host}").hostname for made in visits for host in made.hosts}
    assert hosts <= {"127.0.0.1"}


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Five minutes of the whole runtime; lived through once for all tests of a worker."""
    return panel_states.lived(tmp_path_factory.mktemp("lived"))


@pytest.fixture
def scene(lived: Scene, tmp_path: Path) -> Scene:
    """The lived run in a file of its own."""
    return panel_states.copied(lived, tmp_path)
