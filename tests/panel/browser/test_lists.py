"""Alerts and intents can be filtered, acknowledged and looked back on."""

import pytest
from playwright.async_api import expect
from tests.panel.browser.visiting import Visiting

from livespot.testing import panel_states
from livespot.testing.panel_states import HELD, Scene, served

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]


async def test_alerts_are_filtered_by_their_weight(visit: Visiting, scene: Scene) -> None:
    await panel_states.unprotected(scene)
    async with served(scene) as address:
        page = await (await visit()).open(address)
        listed = page.locator("#alerts li")
        everything = await listed.count()
        await page.get_by_label("Show").select_option("CRIT")

        await expect(listed).to_have_count(1)
        await page.get_by_label("Show").select_option("WARN")
        await expect(listed).to_have_count(2)
        assert everything > 2


async def test_an_acknowledged_alert_stays_away_in_this_browser_only(
    visit: Visiting, scene: Scene
) -> None:
    await panel_states.unprotected(scene)
    async with served(scene) as address:
        page = await (await visit()).open(address)
        await page.locator("#toasts .toast.CRIT button").click()
        await expect(page.locator("#toasts .toast.CRIT")).to_have_count(0)
        await page.reload()
        await expect(page.locator("#hero .word")).to_have_text("PAUSE")

        await expect(page.locator("#toasts .toast.CRIT")).to_have_count(0)
        await expect(page.locator("#alerts li")).not_to_have_count(0)
        other = await (await visit()).open(address)
        await expect(other.locator("#toasts .toast.CRIT")).to_have_count(1)


async def test_intents_are_found_by_state_and_by_words(visit: Visiting, scene: Scene) -> None:
    await panel_states.degraded(scene)
    async with served(scene, interval_ms=250) as address:
        page = await (await visit()).open(address)
        await page.locator("#tab-trades").click()
        lines = page.locator("#intents tbody tr")
        everything = await lines.count()
        await page.locator("#intents select").select_option("SENT_UNKNOWN")
        await expect(lines).to_have_count(1)
        await page.locator("#intents select").select_option("")
        await page.locator("#intents input").fill(HELD.lower())

        await expect(lines).to_have_count(everything - 1)
        await expect(page.locator("#intents")).to_contain_text(
            f"{everything - 1} of {everything} intents"
        )
        await page.locator("#intents input").fill("no such thing")
        await expect(page.locator("#intents .empty")).to_contain_text("Nothing matches")


async def test_a_longer_list_is_loaded_on_request_and_left_again(
    visit: Visiting, scene: Scene
) -> None:
    async with served(scene) as address:
        page = await (await visit()).open(address)
        await page.locator("#tab-trades").click()
        await page.get_by_role("button", name="Load the last 500").click()

        await expect(page.locator("#trades-note")).to_contain_text("as of 2021-04-22")
        await expect(page.locator("#closed tbody tr")).to_have_count(6)
        await page.get_by_role("button", name="Back to live").click()
        await expect(page.locator("#trades-note")).to_have_text("live")
