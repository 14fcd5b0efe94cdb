"""Words of others stay words: no markup, no script, no request, whatever a name holds."""

import pytest
from playwright.async_api import expect
from tests.panel.browser.visiting import Visiting

from livespot.testing import panel_states
from livespot.testing.panel_states import Scene, served

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]
_HOSTILE = '"><img src=//evil.invalid/x onerror=document.title=1><script>document.title=1</script>'
_TABS = ("market", "risk", "gate", "selection", "trades", "run")


async def test_hostile_names_and_reasons_are_shown_as_they_are(
    visit: Visiting, scene: Scene
) -> None:
    await panel_states.hostile(scene, _HOSTILE)
    async with served(scene) as address:
        page = await (await visit()).open(address)

        for place in ("#hero .reasons", "#alerts li", "#execution tr.pin", "#toasts"):
            await expect(page.locator(place).first).to_contain_text(_HOSTILE)
        for name in _TABS:
            await page.locator(f"#tab-{name}").click()
        await page.locator("#tab-gate").click()
        await expect(page.locator("#gate-calls")).to_contain_text(_HOSTILE)
        await page.locator("#tab-market").click()
        await expect(page.locator("#decided")).to_contain_text(_HOSTILE)
        await page.locator("#execution tr.pin button.open").click()
        await expect(page.locator("#drawer .steps")).to_contain_text(_HOSTILE)
        await expect(page.locator("script, img")).to_have_count(2)
        assert await page.title() == "DEGRADE · livespot"


async def test_the_policy_of_the_page_forbids_what_the_page_does_not_do(
    visit: Visiting, scene: Scene
) -> None:
    async with served(scene) as address:
        visitor = await visit()
        page = await visitor.open(address)
        blocked = """() => new Promise((done) => {
            document.addEventListener("securitypolicyviolation", (event) => done(event.violatedDirective));
            const script = document.createElement("script");
            script.textContent = "document.title = 1";
            document.body.append(script);
        })"""  # noqa: E501

        assert await page.evaluate(blocked) == "script-src-elem"
        assert any("policy violation" in said for said in visitor.complaints)
        assert await page.title() == "NORMAL · livespot"
        visitor.complaints.clear()
