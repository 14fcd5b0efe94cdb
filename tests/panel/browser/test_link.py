"""A lost connection shows at once, an old figure shows its age, a new process is picked up."""

import re
import time
from urllib.parse import urlsplit

import pytest
from playwright.async_api import expect
from tests.panel.browser.visiting import Visiting

from livespot.testing import panel_states
from livespot.testing.panel_states import Scene, served

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]


async def test_a_lost_connection_is_said_within_three_seconds(
    visit: Visiting, scene: Scene
) -> None:
    async with served(scene) as address:
        page = await (await visit()).open(address)
        stopping = time.monotonic()

    await expect(page.locator("#lost")).to_contain_text("Connection lost", timeout=10_000)
    assert time.monotonic() - stopping < 3
    await expect(page.locator("#link")).to_have_text("connection lost")
    assert await page.title() == "CONNECTION LOST · livespot"
    await expect(page.locator("#lost")).to_contain_text(re.compile(r"What you see is \d+ s old"))


async def test_a_restarted_process_is_picked_up_without_a_reload(
    visit: Visiting, scene: Scene
) -> None:
    async with served(scene) as address:
        page = await (await visit()).open(address)
        await page.evaluate("window.mark = 1")
    await expect(page.locator("#lost")).to_be_visible()
    await panel_states.degraded(scene)

    async with served(scene, port=urlsplit(address).port or 0):
        await expect(page.locator("#hero .word")).to_have_text("DEGRADE", timeout=15_000)
        await expect(page.locator("#lost")).to_be_hidden()
        await expect(page.locator("#link")).to_have_text("live")
        assert await page.evaluate("window.mark") == 1


async def test_old_figures_are_greyed_with_their_age(visit: Visiting, scene: Scene) -> None:
    later = panel_states.Scene(database=scene.database, now_ms=scene.now_ms + 3_600_000)
    async with served(later) as address:
        page = await (await visit()).open(address)

        for card in ("#health", "#price", "#execution"):
            note = page.locator(f"{card} .age-note").first
            await expect(note).to_have_text(re.compile(r"Stale: measured (1 h 0\d|6\d min) ago"))
            await expect(page.locator(f"{card} .aged").first).to_be_visible()


async def test_a_ninth_viewer_still_sees_the_truth(visit: Visiting, scene: Scene) -> None:
    async with served(scene) as address:
        first = await visit()
        page = await first.open(address)
        # Eight streams are all there are; a browser holds six to one host.
        await page.evaluate("for (let i = 0; i < 5; i += 1) new EventSource('/api/stream')")
        other = (await visit()).page
        await other.goto(address)
        await other.evaluate("for (let i = 0; i < 2; i += 1) new EventSource('/api/stream')")
        late = await visit()
        await late.page.goto(address)

        await expect(late.page.locator("#hero .word")).to_have_text("NORMAL")


async def test_a_token_is_sent_where_one_is_asked_for(visit: Visiting, scene: Scene) -> None:
    async with served(scene, token="AbC-123") as address:
        page = await (await visit()).open(address)
        await page.locator("#standing button.open").click()
        await expect(page.locator("#drawer .steps")).to_be_visible()

        stranger = await visit()
        await stranger.page.goto(address.partition("#")[0])
        await expect(stranger.page.locator("#lost")).to_contain_text("asks for its token")
        stranger.complaints[:] = [said for said in stranger.complaints if "403" not in said]


async def test_a_mode_that_changes_is_redrawn_and_spoken(visit: Visiting, scene: Scene) -> None:
    async with served(scene, interval_ms=250) as address:
        page = await (await visit()).open(address)
        await expect(page.locator("#spoken")).to_have_text("Mode NORMAL")
        await panel_states.degraded(scene)

        await expect(page.locator("#spoken")).to_have_text("Mode DEGRADE")
        await expect(page.locator("#toasts .toast")).to_have_count(3)
