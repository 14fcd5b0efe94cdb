"""A swap of a stop is rehearsed on a real exchange process, and only that proves it."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import anyio
import pytest

from livespot.contracts.errors import LocalRefusal
from livespot.contracts.orders import CancelReplaceAnswer, CancelReplaceRequest
from livespot.contracts.secret import Secret
from livespot.contracts.settings import ExitSettings, Settings
from livespot.exchange.service import serve_exchange
from livespot.exchange.settings import DEMO_KEY, DEMO_SECRET, ApiKey, ExchangeSettings
from livespot.exchange.state_file import ExchangeAddress
from livespot.runtime.clock import ClockAnchor, ScaledClock
from livespot.runtime.config import load_settings, rehashed
from livespot.runtime.swap_rehearsal import (
    EMBEDDED,
    Rehearsal,
    Stage,
    is_proven,
    keep,
    proven_only,
    read,
    rehearse,
)
from livespot.venue.caller import RestCaller
from livespot.venue.http_client import HttpxTransport
from livespot.venue.rest import BinanceRest
from livespot.venue.rest_orders import RestOrders
from livespot.venue.signing import load_signer

SYMBOL = "BTCUSDT"
_KEY = ApiKey(key=DEMO_KEY, account_id="demo", hmac_secret=DEMO_SECRET)


class SecondHalfRefused(RestOrders):
    """A venue that checks the new stop's balance before the cancel has freed it."""

    async def cancel_replace(self, request: CancelReplaceRequest) -> CancelReplaceAnswer:
        (cancelled, *others) = await self.cancel(request.cancel)
        return CancelReplaceAnswer(
            cancelled=cancelled,
            cancel_error=None,
            placed=None,
            place_error=(-2010, "Account has insufficient balance for requested action."),
            place_attempted=True,
            also_ended=tuple(others),
        )


@asynccontextmanager
async def stage(orders: type[RestOrders] = RestOrders) -> AsyncIterator[Stage]:
    now = time.time_ns() // 1_000_000
    clock = ScaledClock(ClockAnchor(wall_ms=now, market_ms=1_618_100_000_000, speed=5))
    settings = ExchangeSettings(symbols=frozenset({SYMBOL}), keys=(_KEY,))
    signer = load_signer(Secret(DEMO_KEY), Secret(DEMO_SECRET))
    async with anyio.create_task_group() as tasks, HttpxTransport(clock) as http:
        address: ExchangeAddress = await tasks.start(serve_exchange, settings, clock)
        caller = RestCaller(transport=http, base_url=address.rest_url, clock=clock, signer=signer)
        await caller.server_clock.resync()
        rest = BinanceRest(caller)
        yield Stage(
            venue=EMBEDDED,
            orders=orders(caller, timeout_seconds=30),
            account=rest,
            market=rest,
            clock=clock,
        )
        tasks.cancel_scope.cancel()


async def test_a_swap_on_the_exchange_is_proven_and_leaves_nothing_behind() -> None:
    async with stage() as place:
        before = (await place.account.account()).total("BTC")
        found = await rehearse(place, SYMBOL, ExitSettings())
        left = await place.account.open_orders(SYMBOL)
        after = (await place.account.account()).total("BTC")

    assert found.proven
    assert 0 <= found.gap_ms < 1000
    assert left == ()
    assert abs(after - before) < Decimal("0.0001")


async def test_a_venue_that_refuses_the_second_half_proves_nothing_and_is_left_clean() -> None:
    async with stage(SecondHalfRefused) as place:
        found = await rehearse(place, SYMBOL, ExitSettings())
        left = await place.account.open_orders(SYMBOL)

    assert not found.proven
    assert found.gap_ms == -1
    assert "insufficient balance" in found.detail
    assert left == ()


async def test_a_symbol_without_a_stop_to_swap_is_not_bought() -> None:
    async with stage() as place:
        with pytest.raises(LocalRefusal):
            await rehearse(place, SYMBOL, ExitSettings(stop_kind="STOP_LOSS"))


def _result(*, proven: bool, at_ms: int = 1, venue: str = EMBEDDED) -> Rehearsal:
    return Rehearsal(
        venue=venue, symbol=SYMBOL, at_ms=at_ms, proven=proven, gap_ms=3, detail="told"
    )


def test_the_newest_result_of_a_venue_counts_and_every_one_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "var" / "swap-rehearsals.json"
    keep(path, _result(proven=True))
    first = is_proven(path, EMBEDDED)
    keep(path, _result(proven=False, at_ms=2))

    assert first
    assert not is_proven(path, EMBEDDED)
    assert [r.at_ms for r in read(path)] == [1, 2]


def test_a_file_nobody_can_read_proves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "swap-rehearsals.json"
    path.write_text("{", encoding="utf-8")

    assert not is_proven(path, EMBEDDED)


@pytest.mark.parametrize(
    ("policy", "proven", "effective"),
    [
        pytest.param("VIRTUAL", False, "OFF", id="unproven"),
        pytest.param("VIRTUAL", True, "VIRTUAL", id="proven"),
        pytest.param("AUTO", False, "AUTO", id="another-policy"),
    ],
)
def test_swaps_stand_in_the_settings_only_where_they_are_proven(
    tmp_path: Path, policy: str, proven: bool, effective: str
) -> None:
    path = tmp_path / "swap-rehearsals.json"
    if proven:
        keep(path, _result(proven=True))
    keep(path, _result(proven=not proven, venue="elsewhere"))
    wanted = Settings(exit=ExitSettings(trailing_policy=policy))
    loaded = rehashed(load_settings(None, path=""), wanted)

    found = proven_only(loaded, EMBEDDED, path)

    assert found.settings.exit.trailing_policy == effective
    assert (found.config_hash == loaded.config_hash) == (effective == policy)
