"""Each state the page is designed for says what is wrong, since when, what is done, what to do."""

import re
from pathlib import Path

import anyio
import pytest
from playwright.async_api import expect
from tests.panel.browser.visiting import Visiting

from livespot.testing import panel_states
from livespot.testing.panel_states import HELD, Scene, served

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]


async def test_a_first_boot_says_that_nothing_ran_and_how_to_start(
    visit: Visiting, tmp_path: Path
) -> None:
    async with served(panel_states.first_boot(tmp_path)) as address:
        page = await (await visit()).open(address)

        await expect(page.locator("#hero .word")).to_have_text("Not run yet")
        await expect(page.locator("#hero .what")).to_contain_text("livespot sim")
        await expect(page.locator("#alerts")).to_contain_text("All quiet")
        await expect(page.locator("#toasts .toast")).to_have_count(0)
        assert await page.title() == "NEVER_RAN · livespot"
        for name in ("market", "risk", "gate", "selection", "trades", "run"):
            await page.locator(f"#tab-{name}").click()
            await expect(page.locator(f"#pane-{name} .empty").first).to_be_visible()


async def test_a_normal_run_shows_its_protected_position_and_its_price(
    visit: Visiting, scene: Scene
) -> None:
    async with served(scene) as address:
        page = await (await visit()).open(address)

        await expect(page.locator("#hero .word")).to_have_text("NORMAL")
        await expect(page.locator("#hero .what")).to_have_text("Nothing to do.")
        await expect(page.locator("#standing")).to_contain_text(HELD)
        await expect(page.locator("#standing")).to_contain_text("protected on the exchange")
        await expect(page.locator("#health .spark path").first).to_be_visible()
        await expect(page.locator("#stages li")).to_have_count(20)
        await expect(page.locator("#stages li.now")).to_have_count(1)
        chart = page.get_by_role("img", name=re.compile(rf"Price of {HELD}: .* In force: stop"))
        await expect(chart.locator("path.line")).to_have_count(1)
        await expect(chart.locator("path.buy")).to_have_count(1)
        await expect(chart.locator("path.stop")).not_to_have_count(0)
        await expect(chart.locator("path.target")).not_to_have_count(0)


async def test_a_stop_that_moved_and_trails_is_drawn_with_the_sale(
    visit: Visiting, scene: Scene
) -> None:
    async with served(await panel_states.trailed(scene)) as address:
        page = await (await visit()).open(address)
        chart = page.get_by_role("img", name=re.compile(rf"Price of {HELD}"))

        await expect(chart.locator("path.sell")).to_have_count(1)
        await expect(chart.locator("path.buy")).to_have_count(1)
        await expect(chart.locator("path.trail-from")).to_have_count(1)
        # The stop, the riser to the one it was moved to, that one, and the course of the trail.
        await expect(chart.locator("path.stop")).to_have_count(4)
        course = await chart.locator("path.stop.trail").get_attribute("d")
        assert course is not None
        assert course.count("V") >= 2


async def test_a_run_that_only_watches_says_so_in_its_chip(visit: Visiting, tmp_path: Path) -> None:
    scene = await anyio.to_thread.run_sync(panel_states.watched, tmp_path)
    async with served(scene) as address:
        page = await (await visit()).open(address)

        chip = page.locator("#hero .chip").first
        await expect(chip).to_be_visible()
        await expect(chip).to_have_text("SHADOW: watches only, sends no order")
        await expect(page.locator("#hero .sub")).to_contain_text("nothing is sent")
        await expect(page.locator("#hero")).not_to_contain_text("allowed")
        await expect(page.locator("#hero .next")).to_contain_text("judged and recorded")
        await expect(page.locator("#standing")).to_contain_text("none")
        await expect(page.locator("#execution")).to_contain_text("No order yet")


async def test_what_the_operator_holds_by_hand_stands_in_the_fold_and_beside_the_limits(
    visit: Visiting, scene: Scene
) -> None:
    await panel_states.with_own(scene)
    async with served(scene) as address:
        page = await (await visit()).open(address)
        await page.locator("#tab-risk").click()

        await expect(page.locator("#standing")).to_contain_text("MATICUSDT BUY 250.5, XRPUSDT")
        rows = page.locator("#own tbody tr")
        await expect(rows).to_have_count(2)
        await expect(rows.first).to_contain_text("MATICUSDT")
        await expect(rows.first).to_contain_text("no entries")
        await expect(rows.first).to_contain_text("bought on the telephone")


async def test_the_run_tab_tells_how_well_this_run_and_all_runs_survived(
    visit: Visiting, scene: Scene
) -> None:
    async with served(scene) as address:
        page = await (await visit()).open(address)
        await page.locator("#tab-run").click()
        rows = page.locator("#survival tbody tr")

        await expect(rows.filter(has_text="Uptime").first).to_contain_text("2 min")
        await expect(rows.filter(has_text="Internal failures")).to_contain_text("0")
        await expect(rows.filter(has_text="Uptime per failure")).to_contain_text(
            "nothing failed inside"
        )
        await expect(rows.filter(has_text="Time in NORMAL")).to_contain_text("%")
        await expect(page.locator("#survival")).to_contain_text("No decision reads these figures")


async def test_every_tab_of_a_normal_run_is_filled(visit: Visiting, scene: Scene) -> None:
    async with served(scene) as address:
        page = await (await visit()).open(address)
        said = {
            "risk": ("#equity svg.chart path.under", "#limits svg.bar"),
            "gate": ("#gate-calls tbody tr", "#gate-figures .numbers"),
            "selection": (
                "#correlation table.matrix td",
                "#choices tbody tr",
                "#deep th >> text=Figures",
            ),
            "trades": ("#held svg.ladder", "#fills tbody tr"),
            "run": ("#manifest dl.facts", "#config .section"),
        }

        for name, shown in said.items():
            await page.locator(f"#tab-{name}").click()
            for what in shown:
                await expect(page.locator(what).first).to_be_visible()
            await expect(page.get_by_text("cannot be shown")).to_have_count(0)


async def test_degrade_names_its_three_reasons_with_measure_deed_and_advice(
    visit: Visiting, scene: Scene
) -> None:
    await panel_states.degraded(scene)
    async with served(scene) as address:
        page = await (await visit()).open(address)

        await expect(page.locator("#hero .word")).to_have_text("DEGRADE")
        await expect(page.locator("#hero .sub")).to_contain_text("New entries are off")
        reasons = page.locator("#hero .reasons li")
        await expect(reasons).to_have_count(3)
        first = reasons.first
        await expect(first).to_contain_text("REST_STALE_DEGRADE")
        await expect(first).to_contain_text("41 870 ms, limit 10 000")
        await expect(first).to_contain_text(re.compile(r"for 4\d s, 3 times"))
        await expect(first).to_contain_text("Stops new entries and keeps asking.")
        await expect(first).to_contain_text("Check the network")
        await expect(page.locator("#alerts")).to_contain_text("3 warnings")
        pinned = page.locator("#execution tr.pin")
        await expect(pinned).to_have_count(1)
        await expect(pinned).to_contain_text("outcome unknown")
        assert await page.locator("#execution tbody tr").first.get_attribute("class") == "pin"


async def test_a_pause_with_a_bare_position_says_so_before_anything_else(
    visit: Visiting, scene: Scene
) -> None:
    await panel_states.unprotected(scene)
    async with served(scene) as address:
        page = await (await visit()).open(address)

        await expect(page.locator("#hero .word")).to_have_text("PAUSE")
        await expect(page.locator("#hero .next .label")).to_have_text("Do this now")
        await expect(page.locator("#hero .what")).to_contain_text(f"Place a stop for {HELD}")
        await expect(page.locator("#standing")).to_contain_text("NOT PROTECTED")
        await expect(page.locator("#standing")).to_contain_text(re.compile(r"for \d+ s"))
        toast = page.locator("#toasts .toast.CRIT")
        await expect(toast).to_contain_text("Critical")
        await expect(toast).to_contain_text(f"{HELD} has had no live stop")


async def test_a_process_that_is_gone_cannot_be_mistaken_for_a_quiet_one(
    visit: Visiting, scene: Scene
) -> None:
    async with served(scene) as address:
        page = await (await visit()).open(address)
        await expect(page.locator("#standing")).to_contain_text(HELD)

    banner = page.locator("#lost")
    await expect(banner).to_contain_text("process has ended", timeout=15_000)
    await expect(banner).to_contain_text(re.compile(r"No sign of life for 1\d s"))
    await expect(banner).to_contain_text("in NORMAL, SIM")
    await expect(banner).to_contain_text(re.compile(rf"{HELD} was protected: its stop at \d"))
    await expect(banner).to_contain_text(re.compile(r"livespot status --var \S"))
    await expect(banner).to_contain_text(re.compile(r"livespot sim --var \S+ --resume"))
    await expect(page.locator("#link")).to_have_text("process gone?")
    assert await page.title() == "GONE · livespot"
    advice = "getComputedStyle(document.querySelector('#hero .next .label'), '::after').content"
    assert "no longer valid" in await page.evaluate(advice)
    faded = await page.evaluate("getComputedStyle(document.querySelector('main')).filter")
    assert "grayscale" in faded
