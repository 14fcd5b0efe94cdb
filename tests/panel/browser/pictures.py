"""Takes the pictures of the page kept in docs/img: python -m tests.panel.browser.pictures [DIR]

Each state at 1280 pixels, light and dark, and at 390; the drawer and the tabs of a normal run.
"""

import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
from playwright.async_api import Browser, Page, async_playwright
from tests.panel.browser.visiting import MISSING, Visit, context_of, installed, launched

from livespot.testing import panel_states
from livespot.testing.panel_states import Scene, served

_LOOKS = ((1280, "light"), (1280, "dark"), (390, "light"))
_HEIGHTS = {1280: 1180, 390: 844}
_TABS = ("market", "risk", "gate", "selection", "trades", "run")
_GONE_MS = 15_000


async def take(directory: Path) -> None:
    chromium = installed()
    if chromium is None:
        raise SystemExit(MISSING)
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / "lived").mkdir()
        lived = await anyio.to_thread.run_sync(panel_states.lived, place / "lived")
        async with async_playwright() as playwright:
            browser = await launched(playwright, chromium)
            for state, scene in (await _scenes(place, lived)).items():
                await _state(browser, directory, state, scene)
            with_own = await panel_states.with_own(_copied(place, lived, "details"))
            await _details(browser, directory, with_own)
            later = await panel_states.trailed(_copied(place, lived, "trailed"))
            await _trailing(browser, directory, later)
            await _gone(browser, directory, _copied(place, lived, "gone"))
            await browser.close()


async def _scenes(place: Path, lived: Scene) -> dict[str, Scene]:
    (place / "first").mkdir()
    (place / "shadow").mkdir()
    return {
        "first-boot": panel_states.first_boot(place / "first"),
        "normal": _copied(place, lived, "normal"),
        "degrade": await panel_states.degraded(_copied(place, lived, "degrade")),
        "pause": await panel_states.unprotected(_copied(place, lived, "pause")),
        "shadow": await anyio.to_thread.run_sync(panel_states.watched, place / "shadow"),
    }


def _copied(place: Path, lived: Scene, name: str) -> Scene:
    directory = place / name
    directory.mkdir()
    return panel_states.copied(lived, directory)


async def _state(browser: Browser, directory: Path, state: str, scene: Scene) -> None:
    async with served(scene) as address:
        for width, scheme in _LOOKS:
            await _looked_at(browser, address, (width, scheme), _shot(directory, state))


def _shot(directory: Path, state: str) -> Callable[[Page, str], Awaitable[None]]:
    async def shot(page: Page, look: str) -> None:
        await page.screenshot(path=directory / f"panel-{state}-{look}.png")

    return shot


async def _details(browser: Browser, directory: Path, scene: Scene) -> None:
    async def shots(page: Page, look: str) -> None:
        for name in _TABS:
            await page.locator(f"#tab-{name}").click()
            await page.locator(".details").screenshot(path=directory / f"panel-tab-{name}.png")
        await page.locator("#standing button.open").click()
        await page.locator("#drawer .steps").wait_for()
        await page.screenshot(path=directory / f"panel-drawer-{look}.png")

    async with served(scene) as address:
        await _looked_at(browser, address, (1280, "light"), shots)


async def _trailing(browser: Browser, directory: Path, scene: Scene) -> None:
    async def shot(page: Page, look: str) -> None:
        await page.locator("#price").screenshot(path=directory / f"panel-price-{look}.png")

    async with served(scene) as address:
        await _looked_at(browser, address, (1280, "light"), shot)


async def _gone(browser: Browser, directory: Path, scene: Scene) -> None:
    pages: list[tuple[Page, str]] = []
    async with served(scene) as address:
        for width, scheme in _LOOKS:
            context = await context_of(browser, width=width, height=_HEIGHTS[width], scheme=scheme)
            page = await Visit(page=await context.new_page()).open(address)
            pages.append((page, f"{width}-{scheme}"))
    for page, look in pages:
        await page.locator("#lost.gone").wait_for(timeout=_GONE_MS)
        await _shot(directory, "gone")(page, look)
        await page.context.close()


async def _looked_at(
    browser: Browser,
    address: str,
    look: tuple[int, str],
    shots: Callable[[Page, str], Awaitable[None]],
) -> None:
    width, scheme = look
    context = await context_of(browser, width=width, height=_HEIGHTS[width], scheme=scheme)
    page = await Visit(page=await context.new_page()).open(address)
    await page.wait_for_timeout(600)
    await shots(page, f"{width}-{scheme}")
    await context.close()


if __name__ == "__main__":
    wanted = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/img")
    wanted.mkdir(parents=True, exist_ok=True)
    anyio.run(take, wanted)
