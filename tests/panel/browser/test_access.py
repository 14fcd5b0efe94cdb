"""The page can be used by keyboard, by ear, and by eyes that see no colours."""

from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import Page, expect
from tests.panel.browser.visiting import Visiting

from livespot.testing import panel_states
from livespot.testing.panel_states import Scene, served

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]
_TABS = ("market", "risk", "gate", "selection", "trades", "run")
# Whatever can be operated and is on the page, without the name a screen reader would say.
_NAMELESS = """
() => [...document.querySelectorAll('a[href], button, input, select, summary, [tabindex], [role=tab]')]
  .filter((node) => node.offsetParent !== null)
  .filter((node) => {
    const labelled = (node.getAttribute("aria-labelledby") || "").split(" ")
      .map((id) => document.getElementById(id)?.textContent || "").join("");
    const own = node.matches("input, select") ? [...(node.labels || [])].map((l) => l.textContent).join("") : node.textContent;
    return !(node.getAttribute("aria-label") || labelled || own || "").trim();
  }).map((node) => node.outerHTML.slice(0, 120))
"""  # noqa: E501
_UNSOUND = """
() => {
  const found = [];
  const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) found.push(`id twice: ${id}`);
  for (const node of document.querySelectorAll("[aria-labelledby], [aria-controls]"))
    for (const id of (node.getAttribute("aria-labelledby") || node.getAttribute("aria-controls")).split(" "))
      if (!document.getElementById(id)) found.push(`names nothing: ${id}`);
  for (const node of document.querySelectorAll("img:not([alt]), svg:not([aria-hidden]):not([aria-label])"))
    found.push(`picture without words: ${node.outerHTML.slice(0, 80)}`);
  for (const node of document.querySelectorAll("[tabindex]"))
    if (node.tabIndex > 0) found.push(`jumps the order: ${node.outerHTML.slice(0, 80)}`);
  for (const table of document.querySelectorAll("table"))
    if (table.querySelector("th:not([scope])") || !table.querySelector("th")) found.push("table without scoped heads");
  if (!document.documentElement.lang || !document.querySelector("main") || document.querySelectorAll("h1").length !== 1)
    found.push("no language, no main part or not one heading");
  return found;
}
"""  # noqa: E501
# Text against the first background behind it, by the formula of WCAG 2.
_FAINT = """
() => {
  const rgb = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const over = (top, share, under) => top.slice(0, 3).map((v, i) => v * share + under[i] * (1 - share));
  const behind = (node) => {
    const layers = [];
    for (let at = node; at; at = at.parentElement) {
      const colour = rgb(getComputedStyle(at).backgroundColor);
      if (colour.length && colour[3] !== 0) layers.push(colour);
      if (colour.length === 3) break;
    }
    return layers.reduceRight((under, top) => over(top, top[3] ?? 1, under), [255, 255, 255]);
  };
  const shown = (node) => {
    let share = 1;
    for (let at = node; at; at = at.parentElement) share *= Number(getComputedStyle(at).opacity);
    return share;
  };
  const found = new Map();
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const node = walk.currentNode.parentElement;
    if (!walk.currentNode.textContent.trim() || !node.checkVisibility({ visibilityProperty: true }) || node.closest("option, title, desc, script, style, noscript")) continue;
    if (node.closest(".unseen, .skip:not(:focus)")) continue;
    const style = getComputedStyle(node);
    const under = behind(node);
    const ink = rgb(node instanceof SVGElement ? style.fill : style.color);
    const [a, b] = [light(over(ink, (ink[3] ?? 1) * shown(node), under)), light(under)].sort((x, y) => y - x);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.6 && Number(style.fontWeight) >= 700);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < (large ? 3 : 4.5)) found.set(`${node.tagName} ${node.getAttribute("class")} ${ink}`, `${ratio.toFixed(2)} ${walk.currentNode.textContent.slice(0, 40)}`);
  }
  return [...found].map((pair) => pair.join(": "));
}
"""  # noqa: E501


_IN_READING_ORDER = """
() => [...document.querySelectorAll(".fold > .card")].map((card) => [card.id, card.getBoundingClientRect()])
  .sort(([, a], [, b]) => (Math.abs(a.top - b.top) < 8 ? a.left - b.left : a.top - b.top)).map(([id]) => id)
"""  # noqa: E501
# A scheme is a media query and nothing else: the page changes in place when it does.
_SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
_CARD_OF_THE_FOCUS = "document.activeElement.closest('.fold > .card, [role=tabpanel]')?.id ?? ''"


async def _as_it_is(scene: Scene) -> Scene:
    return scene


_STATES = {
    "normal": _as_it_is,
    "degrade": panel_states.degraded,
    "pause": panel_states.unprotected,
    "trailed": panel_states.trailed,
    "own": panel_states.with_own,
}


async def _shown_in(page: Page, scheme: Literal["light", "dark"]) -> None:
    await page.emulate_media(color_scheme=scheme)
    assert await page.evaluate(f"matchMedia('(prefers-color-scheme: {scheme})').matches")


async def _in_tabs(page: Page, question: str) -> list[str]:
    """The question asked of the fold with each tab open."""
    found: list[str] = []
    for name in _TABS:
        await page.locator(f"#tab-{name}").click()
        found += await page.evaluate(question)
    return found


async def _everywhere(page: Page, question: str) -> list[str]:
    """The question asked of the fold with each tab open, and of the drawer."""
    found = await _in_tabs(page, question)
    await page.locator("#execution button.open").first.click()
    await expect(page.locator("#drawer .steps")).to_be_visible()
    found += await page.evaluate(question)
    await page.keyboard.press("Escape")
    return sorted(set(found))


async def test_the_tabs_are_one_stop_and_arrows_move_among_them(
    visit: Visiting, scene: Scene
) -> None:
    async with served(scene) as address:
        page = await (await visit()).open(address)
        await page.locator("#tab-market").focus()

        for key, name in (
            ("ArrowRight", "risk"),
            ("ArrowRight", "gate"),
            ("ArrowLeft", "risk"),
            ("End", "run"),
            ("ArrowRight", "market"),
            ("ArrowLeft", "run"),
            ("Home", "market"),
        ):
            await page.keyboard.press(key)
            tab = page.locator(f"#tab-{name}")
            await expect(tab).to_be_focused()
            await expect(tab).to_have_attribute("aria-selected", "true")
            await expect(page.locator(f"#pane-{name}")).to_be_visible()
            await expect(page.get_by_role("tabpanel")).to_have_count(1)
        await page.keyboard.press("Tab")
        await expect(page.locator("#pane-market")).to_be_focused()
        await page.keyboard.press("Shift+Tab")
        await expect(page.locator("#tab-market")).to_be_focused()


async def test_the_first_stop_leads_past_the_head_of_the_page(
    visit: Visiting, scene: Scene
) -> None:
    async with served(scene) as address:
        page = await (await visit()).open(address)
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
        await page.keyboard.press("Enter")

        await expect(page.locator("#main")).to_be_focused()


@pytest.mark.parametrize("width", [1280, 390])
async def test_the_keyboard_goes_through_the_page_as_the_eye_does(
    visit: Visiting, scene: Scene, width: int
) -> None:
    await panel_states.with_own(await panel_states.degraded(scene))
    async with served(scene) as address:
        page = await (await visit(width=width)).open(address)
        await page.get_by_role("button", name="Acknowledge all").click()
        await page.locator("#tab-risk").click()
        await page.locator("#main").focus()
        cards = await page.evaluate(_IN_READING_ORDER)
        stops = []
        for _ in range(60):
            await page.keyboard.press("Tab")
            stops.append(await page.evaluate(_CARD_OF_THE_FOCUS))
            if "pane-risk" in stops[-1]:
                break

    passed = list(dict.fromkeys(stop for stop in stops if stop in cards))
    assert passed == [card for card in cards if card in passed]
    assert {"hero", "alerts", "standing", "execution", "stages"} <= set(passed)
    assert stops[-1] == "pane-risk"


@pytest.mark.parametrize("width", [1280, 390])
async def test_everything_that_can_be_operated_has_a_name(
    visit: Visiting, scene: Scene, width: int
) -> None:
    await panel_states.with_own(await panel_states.degraded(scene))
    async with served(scene) as address:
        page = await (await visit(width=width)).open(address)
        await expect(page.locator("#toasts .toast")).not_to_have_count(0)

        assert await _everywhere(page, _NAMELESS) == []
        assert await _everywhere(page, _UNSOUND) == []


@pytest.mark.parametrize("state", list(_STATES))
async def test_every_text_stands_out_from_what_is_behind_it(
    visit: Visiting, scene: Scene, state: str
) -> None:
    async with served(await _STATES[state](scene)) as address:
        visitor = await visit()
        for width in (1280, 390):
            await visitor.page.set_viewport_size({"width": width, "height": 900})
            page = await visitor.open(address)
            for scheme in _SCHEMES:
                await _shown_in(page, scheme)
                assert await _everywhere(page, _FAINT) == [], (width, scheme)


@pytest.mark.parametrize("width", [1280, 390])
async def test_an_empty_page_and_a_lost_one_can_be_read_as_well(
    visit: Visiting, tmp_path: Path, width: int
) -> None:
    async with served(panel_states.first_boot(tmp_path)) as address:
        page = await (await visit(width=width)).open(address)
        for scheme in _SCHEMES:
            await _shown_in(page, scheme)
            assert await _in_tabs(page, _FAINT) == [], scheme
    await page.locator("#lost.gone").wait_for(timeout=15_000)

    for scheme in _SCHEMES:
        await _shown_in(page, scheme)
        assert await page.evaluate(_FAINT) == [], scheme


async def test_no_state_is_told_by_colour_alone(visit: Visiting, scene: Scene) -> None:
    await panel_states.degraded(scene)
    async with served(scene) as address:
        page = await (await visit()).open(address)
        badges = page.locator(".badge")

        for text in await badges.all_inner_texts():
            mark, _, word = text.strip().partition("\n")
            assert mark
            assert word or len(mark) > 1, text
        shapes = await page.locator("#hero .state svg > *").count()
        assert shapes == 2
