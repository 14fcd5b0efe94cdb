"""The drawer tells the course of a decision that the runtime really took."""

import anyio
import pytest
from playwright.async_api import expect
from tests.panel.browser.visiting import Visiting

from livespot.testing import panel_states
from livespot.testing.panel_states import HELD, Scene, served

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]
_STEPS = (
    "What was seen",
    "Regime and microstructure",
    "Decision",
    "AI gate",
    "Risk",
    "Intents",
    "Orders",
    "Fills",
    "Protection",
    "Reconcile",
    "Result",
)


async def test_the_course_of_a_bought_decision_is_told_from_snapshot_to_result(
    visit: Visiting, scene: Scene
) -> None:
    async with served(scene) as address:
        page = await (await visit()).open(address)
        await page.locator("#standing button.open").click()
        drawer = page.get_by_role("dialog")

        await expect(drawer.locator(".verdict.good")).to_contain_text(f"{HELD} was proposed")
        titles = await drawer.locator(".steps h3").all_inner_texts()
        assert [title.splitlines()[0] for title in titles] == list(_STEPS)
        await expect(drawer.locator(".steps li.good")).not_to_have_count(0)
        await expect(drawer).to_contain_text(scene.decision_id)


async def test_an_id_is_copied_by_one_press(visit: Visiting, scene: Scene) -> None:
    async with served(scene) as address:
        page = await (await visit()).open(address)
        await page.locator("#standing button.open").click()
        # The page says so for a second and a half: looked for from within it, before the press.
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(page.wait_for_selector, "#drawer-sub button.copy[data-copied]")
            await page.locator("#drawer-sub button.copy").click()
        assert await page.evaluate("navigator.clipboard.readText()") == scene.decision_id


async def test_focus_stays_inside_and_escape_gives_it_back(visit: Visiting, scene: Scene) -> None:
    async with served(scene, interval_ms=250) as address:
        page = await (await visit()).open(address)
        opener = page.locator("#standing button.open")
        await opener.focus()
        await page.keyboard.press("Enter")
        await expect(page.locator("#drawer .verdict")).to_be_visible()
        await expect(page.locator("#drawer-close")).to_be_focused()

        inside = "document.getElementById('drawer').contains(document.activeElement)"
        for key in ["Shift+Tab"] + ["Tab"] * 30:
            await page.keyboard.press(key)
            assert await page.evaluate(inside), key
        await page.keyboard.press("Escape")

        await expect(page.get_by_role("dialog")).to_be_hidden()
        await expect(opener).to_be_focused()


async def test_an_intent_without_an_answer_is_told_as_not_known_yet(
    visit: Visiting, scene: Scene
) -> None:
    await panel_states.degraded(scene)
    async with served(scene) as address:
        page = await (await visit()).open(address)
        await page.locator("#execution tr.pin button.open").click()

        await expect(page.locator("#drawer-title")).to_have_text("MATICUSDT intent")
        await expect(page.locator("#drawer .steps li.warn")).not_to_have_count(0)
        await expect(page.locator("#drawer")).to_contain_text("not known yet")


async def test_an_id_the_database_does_not_hold_is_said_to_be_unknown(
    visit: Visiting, scene: Scene
) -> None:
    async with served(scene) as address:
        page = await (await visit()).open(address)
        opener = page.locator("#standing button.open")
        await opener.evaluate("node => node.dataset.id = 'dec_of_nobody'")
        await opener.click()

        await expect(page.locator("#drawer .empty")).to_contain_text("No record of it")
