"""The doctor in front of a real exchange on loopback, and in front of none."""

import dataclasses
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import anyio
import msgspec
import pytest

from livespot.contracts.orders import OrderRequest
from livespot.contracts.vocabulary import OrderType, Side, TimeInForce
from livespot.exchange.model_gate import ScriptedAnswer
from livespot.exchange.settings import DEMO_KEY, DEMO_SECRET, ApiKey, ExchangeSettings
from livespot.rules.doctor import Check, Outcome
from livespot.runtime.clock import ClockAnchor, ScaledClock
from livespot.runtime.doctor import examine
from livespot.runtime.doctor_checks_account import check_rights
from livespot.runtime.doctor_checks_venue import Venue
from livespot.runtime.doctor_plan import DoctorPlan, Need
from livespot.testing.doctor_plans import START_MS, doctor_at_exchange, doctor_plan, secrets_of
from livespot.testing.scripted_http import ScriptedHttp
from livespot.testing.scripted_http import answer as answered
from livespot.venue.caller import RestCaller
from livespot.venue.rest import BinanceRest
from livespot.venue.rest_orders import RestOrders

# The first frame of a market stream comes with the exchange's next second.
pytestmark = pytest.mark.slow

OUTSIDE = frozenset({Need.NETWORK, Need.ACCOUNT, Need.GATE})


async def rows_of(plan: DoctorPlan, needs: frozenset[Need] = OUTSIDE) -> dict[str, Check]:
    return {row.id: row for row in await examine(dataclasses.replace(plan, needs=needs))}


def failed(rows: dict[str, Check]) -> set[str]:
    return {name for name, row in rows.items() if row.outcome is Outcome.FAIL}


async def test_a_whole_installation_in_front_of_a_healthy_exchange_has_no_failure(
    tmp_path: Path,
) -> None:
    async with doctor_at_exchange(tmp_path / "var") as plan:
        rows = await rows_of(plan, frozenset(Need))

    assert failed(rows) == set()
    assert list(rows)[-14:] == [
        "rest",
        "clock",
        "market_stream",
        "ws_api",
        "filters",
        "edge_feasibility",
        "account",
        "key_rights",
        "account_events",
        "open_orders",
        "rate_limits",
        "ai_gate",
        "alerts",
        "next",
    ]
    assert rows["account"].measured == "can trade, 10000.00000000 USDT free"
    assert rows["key_rights"].outcome is Outcome.PASS
    assert rows["filters"].measured == "1 of 1 USDT symbols usable, 1 listed"
    assert rows["ai_gate"].measured.startswith("ALLOW")
    assert "SOLUSDT ATR" in rows["edge_feasibility"].measured


async def test_without_a_key_only_the_public_side_is_looked_at(tmp_path: Path) -> None:
    async with doctor_at_exchange(tmp_path / "var", secrets=secrets_of("", "")) as plan:
        rows = await rows_of(plan)

    assert failed(rows) == {"account", "key_rights", "account_events", "open_orders"}
    assert rows["account"].detail == "there is no usable API key"


async def test_a_wrong_key_fails_every_row_of_the_account_and_is_never_shown(
    tmp_path: Path,
) -> None:
    key, secret = "k" * 64, "s" * 64
    async with doctor_at_exchange(tmp_path / "var", secrets=secrets_of(key, secret)) as plan:
        rows = await rows_of(plan, frozenset(Need))

    assert failed(rows) == {"account", "key_rights", "account_events", "open_orders"}
    assert "-2015" in rows["account"].detail or "-2014" in rows["account"].detail
    assert rows["account"].next_command.endswith(".env)")
    shown = msgspec.json.encode(list(rows.values())).decode()
    assert key not in shown
    assert secret not in shown


async def test_a_key_that_may_not_trade_fails(tmp_path: Path) -> None:
    exchange = ExchangeSettings(
        keys=(ApiKey(key=DEMO_KEY, account_id="demo", hmac_secret=DEMO_SECRET, can_trade=False),)
    )
    async with doctor_at_exchange(tmp_path / "var", exchange=exchange) as plan:
        rows = await rows_of(plan, frozenset({Need.ACCOUNT}))

    assert failed(rows) == {"key_rights"}


@pytest.mark.parametrize(
    ("answer", "outcome", "said"),
    [
        pytest.param(
            '{"enableWithdrawals":true,"enableReading":true,"enableSpotAndMarginTrading":true}',
            Outcome.FAIL,
            "switch withdrawals off",
            id="withdraws",
        ),
        pytest.param(
            '{"enableWithdrawals":false,"enableReading":true,"enableSpotAndMarginTrading":true,'
            '"enableFutures":true}',
            Outcome.WARN,
            "futures; it is not bound to an address",
            id="loose",
        ),
        pytest.param('{"enableReading":true}', Outcome.WARN, "management page", id="unstated"),
    ],
)
async def test_what_the_key_may_do_beyond_trading_is_said(
    tmp_path: Path, answer: str, outcome: Outcome, said: str
) -> None:
    async with doctor_plan(tmp_path / "var") as plan:
        http = ScriptedHttp(answered(answer.encode()))
        caller = RestCaller(
            transport=http, base_url="http://127.0.0.1", clock=plan.clock, signer=plan.signer
        )
        row = await check_rights(Venue(caller=caller, reads=BinanceRest(caller)))

    assert row.outcome is outcome
    assert said in row.detail


async def test_an_order_that_is_not_ours_is_a_warning(tmp_path: Path) -> None:
    async with doctor_at_exchange(tmp_path / "var") as plan:
        caller = RestCaller(
            transport=plan.http,
            base_url=plan.settings.venue.rest_url,
            clock=plan.clock,
            signer=plan.signer,
        )
        await RestOrders(caller, timeout_seconds=5).place(a_foreign_order())
        rows = await rows_of(plan, frozenset({Need.ACCOUNT}))

    assert rows["open_orders"].outcome is Outcome.WARN
    assert rows["open_orders"].measured == "1 open, 1 foreign"


async def test_an_exchange_that_is_not_there_fails_without_raising(tmp_path: Path) -> None:
    async with doctor_plan(tmp_path / "var") as plan:
        rows = await rows_of(plan)

    assert all(row.outcome is Outcome.FAIL for row in rows.values())
    assert rows["rest"].next_command.startswith("curl -sS -m 5 http://127.0.0.1:9/")
    assert rows["account"].detail == "the exchange did not answer by REST"


async def test_a_server_that_never_answers_is_given_up_on(tmp_path: Path) -> None:
    # Six seconds of this clock are a fraction of one of ours.
    hasty = ScaledClock(ClockAnchor(wall_ms=0, market_ms=START_MS, speed=40))
    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listener.serve, say_nothing)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610  no Django
        place = f"127.0.0.1:{port}"
        async with doctor_plan(tmp_path / "var", place=place, more="timeout_ms = 2000") as plan:
            rows = await rows_of(dataclasses.replace(plan, clock=hasty))
        tasks.cancel_scope.cancel()

    assert all(row.outcome is Outcome.FAIL for row in rows.values())
    assert "within" in rows["rest"].detail


@pytest.mark.parametrize(
    ("more", "answer", "outcome", "said"),
    [
        ("", ScriptedAnswer(content="I would rather not."), Outcome.FAIL, "not one JSON object"),
        ("", ScriptedAnswer(status=500), Outcome.FAIL, "HTTP status 500"),
        ("ai_dec = 1", ScriptedAnswer(status=500), Outcome.WARN, "HTTP status 500"),
        ("ai_dec = 0", ScriptedAnswer(status=500), Outcome.PASS, ""),
    ],
)
async def test_a_gate_without_a_valid_answer_is_as_bad_as_its_level(
    tmp_path: Path, more: str, answer: ScriptedAnswer, outcome: Outcome, said: str
) -> None:
    exchange = ExchangeSettings(gate_answers=(answer,))
    async with doctor_at_exchange(tmp_path / "var", exchange=exchange, more=more) as plan:
        rows = await rows_of(plan, frozenset({Need.GATE}))

    assert rows["ai_gate"].outcome is outcome
    assert said in rows["ai_gate"].detail


async def say_nothing(stream: anyio.abc.SocketStream) -> None:
    async with stream:
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
            while True:
                await stream.receive()


def a_foreign_order() -> OrderRequest:
    return OrderRequest(
        symbol="SOLUSDT",
        side=Side.BUY,
        type=OrderType.LIMIT,
        qty=Decimal(10),
        price=Decimal(20),
        time_in_force=TimeInForce.GTC,
        client_order_id="by-hand-1",
        recv_window_ms=5000,
    )
