"""Nothing is cut off or has to be pushed sideways, on a telephone or on a desk."""

import pytest
from playwright.async_api import expect
from tests.panel.browser.visiting import Visiting

from livespot.testing import panel_states
from livespot.testing.panel_states import Scene, served

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]
_TABS = ("market", "risk", "gate", "selection", "trades", "run")
_WIDTH = "document.documentElement.scrollWidth"


@pytest.mark.parametrize("width", [390, 768, 1280])
async def test_the_page_never_scrolls_sideways(visit: Visiting, scene: Scene, width: int) -> None:
    await panel_states.hostile(scene, "X" * 120)
    async with served(scene) as address:
        page = await (await visit(width=width)).open(address)
        await page.get_by_role("button", name="Acknowledge").first.click()

        for name in _TABS:
            await page.locator(f"#tab-{name}").click()
            assert await page.evaluate(_WIDTH) <= width, name
        await page.locator("#execution button.open").first.click()
        await expect(page.locator("#drawer .steps")).to_be_visible()
        assert await page.evaluate(_WIDTH) <= width
        box = await page.locator("#drawer").bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width


async def test_health_begins_on_the_first_screen(visit: Visiting, scene: Scene) -> None:
    async with served(scene) as address:
        page = await (await visit(width=1280, height=800)).open(address)

        box = await page.locator("#health .tile .v").first.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= 800


async def test_the_first_fold_of_trouble_fits_one_screen(visit: Visiting, scene: Scene) -> None:
    await panel_states.unprotected(scene)
    async with served(scene) as address:
        page = await (await visit(width=1280, height=900)).open(address)

        for part in ("#hero", "#alerts", "#standing"):
            box = await page.locator(part).bounding_box()
            assert box is not None
            assert box["y"] + box["height"] <= 900, part
