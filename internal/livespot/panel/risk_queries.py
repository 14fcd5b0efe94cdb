"""Reads for the risk tab: limits and their use, what may be spent, the equity curve."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from livespot.contracts.amounts import ZERO, decimal_text
from livespot.contracts.settings import RiskSettings
from livespot.panel.codes import code_views
from livespot.panel.curve import curve_of
from livespot.panel.dashboard import PnlView, PositionLine
from livespot.panel.database import PanelDatabase
from livespot.panel.limits import Limits
from livespot.panel.tabs import BalanceView, GaugeView, HoldView, RiskTab, StreakView
from livespot.rules import risk_counters
from livespot.rules.risk_counters import Counters

_POINTS = 200
_LINES = 50
_PLACES = Decimal("0.00000001")
_COUNTERS = "SELECT counters_json, updated_at_ms FROM risk_counters"
_RESERVED = (
    "SELECT symbol, amount_quote FROM reserves WHERE state IN ('RESERVED', 'BOUND') LIMIT 1000"
)
_CASH = """
SELECT json_extract(data, '$.free_quote', '$.limits.free_quote', '$.free_at_ms'), ts_ms FROM
    (SELECT id, ts_ms, data FROM audit_events WHERE event_type = 'RISK_VERDICT'
     ORDER BY id DESC LIMIT 50)
WHERE json_type(data) = 'object'
  AND (json_type(data, '$.free_quote') = 'text' OR json_type(data, '$.limits.free_quote') = 'text')
ORDER BY id DESC LIMIT 1
"""
_VERDICT = "SELECT limits_json, at_ms FROM risk_verdicts ORDER BY id DESC LIMIT 1"
_LOCKED = f"""
SELECT price, orig_qty, executed_qty FROM orders
WHERE status IN ('NEW', 'PENDING_NEW', 'PARTIALLY_FILLED', 'UNKNOWN') AND side = 'BUY'
LIMIT {_LINES * 4}
"""  # noqa: S608
_CLOSED = f"""
SELECT closed_at_ms, realised_quote FROM positions WHERE closed_at_ms > 0
ORDER BY closed_at_ms DESC LIMIT {_POINTS}
"""  # noqa: S608
_QUARANTINED = f"""
SELECT symbol, quarantined_until_ms, cause FROM symbol_health WHERE quarantined_until_ms > ?
ORDER BY symbol LIMIT {_LINES}
"""  # noqa: S608
_NO_MEMORY = "risk has not recorded its counters yet"
_NO_VERDICT = "no proposal has reached risk yet"
_COUNT, _MS = "count", "ms"
_OF_CASH = ("free_quote", "free_at_ms")


async def risk(
    database: PanelDatabase,
    limits: Limits,
    positions: Sequence[PositionLine],
    pnl: PnlView,
    now_ms: int,
) -> RiskTab:
    """Return everything as of the newest records; each gauge states the time of its figure."""
    row = await database.first(_COUNTERS)
    counters = None if row is None else risk_counters.from_json(row[0])
    if counters is not None:
        counters = risk_counters.day_rolled(counters, {}, now_ms)
    reserved = [(symbol, Decimal(quote)) for symbol, quote in await database.rows(_RESERVED)]
    closed = [(at_ms, Decimal(quote)) for at_ms, quote in await database.rows(_CLOSED)]
    quarantined = await database.rows(_QUARANTINED, (now_ms,))
    gauges = [
        *_exposures(positions, reserved, limits.risk, limits.venue.quote_asset),
        *_day(counters, positions, limits, 0 if row is None else row[1]),
        *_judged(await database.first(_VERDICT), limits.risk),
    ]
    return RiskTab(
        gauges=tuple(gauges),
        balance=await _balance(database, reserved, limits.venue.quote_asset),
        curve=curve_of(closed[::-1], _open_result(positions, pnl), now_ms),
        holds=(*_quarantines(quarantined, now_ms), *_cooldowns(counters, now_ms)),
        streaks=tuple(_streaks(counters, limits.risk)),
        fired=() if counters is None else code_views(code.value for code in counters.fired),
        unknown={"streaks": _NO_MEMORY, "fired": _NO_MEMORY} if counters is None else {},
    )


def _exposures(
    positions: Sequence[PositionLine],
    reserved: Sequence[tuple[str, Decimal]],
    settings: RiskSettings,
    unit: str,
) -> Iterator[GaugeView]:
    """Yield what is held, at cost, and what is reserved, in total and by symbol."""
    held: dict[str, Decimal] = {}
    for symbol, quote in [*((p.symbol, Decimal(p.cost_quote)) for p in positions), *reserved]:
        held[symbol] = held.get(symbol, ZERO) + quote
    yield _gauge(
        "exposure_total",
        "Total exposure",
        unit,
        sum(held.values(), ZERO),
        settings.max_exposure_total,
    )
    for symbol in sorted(held):
        gauge = _gauge(
            "exposure_symbol",
            f"Exposure in {symbol}",
            unit,
            held[symbol],
            settings.max_exposure_symbol,
        )
        yield msgspec.structs.replace(gauge, symbol=symbol)


def _day(
    counters: Counters | None, positions: Sequence[PositionLine], limits: Limits, at_ms: int
) -> Iterator[GaugeView]:
    """Yield the day's loss, drawdown and trades against their limits, and what is left."""
    settings, unit = limits.risk, limits.venue.quote_asset
    marks = {p.symbol: Decimal(p.mark_price) for p in positions if p.mark_price}
    loss = drawdown = trades = None
    if counters is not None:
        equity = risk_counters.equity(counters, marks)
        loss, drawdown = max(ZERO, -equity), max(ZERO, counters.peak_equity - equity)
        trades = Decimal(counters.trades_today)
    for name, label, measure, value, limit in (
        ("daily_loss", "Loss today", unit, loss, -settings.max_daily_loss),
        ("drawdown", "Drawdown today", unit, drawdown, settings.max_drawdown),
        ("trades_today", "Trades today", _COUNT, trades, Decimal(settings.max_trades_per_day)),
    ):
        gauge = _gauge(name, label, measure, value, limit, unknown=_NO_MEMORY)
        yield msgspec.structs.replace(gauge, at_ms=at_ms or None)


def _judged(row: tuple[Any, ...] | None, settings: RiskSettings) -> Iterator[GaugeView]:
    """Yield figures that only a risk verdict measures, as of the newest one."""
    judged = {} if row is None else msgspec.json.decode(row[0], type=dict[str, str])
    for name, label, unit, limit in (
        ("open_entries", "Entries under way", _COUNT, settings.max_open_orders_total),
        ("latency_p90_ms", "Market stream latency p90", _MS, settings.ws_latency_threshold_ms),
    ):
        text = judged.get(name)
        value = None if text is None else Decimal(text)
        gauge = _gauge(name, label, unit, value, Decimal(limit), unknown=_NO_VERDICT)
        yield msgspec.structs.replace(gauge, at_ms=None if row is None else row[1])


def _gauge(
    name: str, label: str, unit: str, value: Decimal | None, limit: Decimal, *, unknown: str = ""
) -> GaugeView:
    share = None if value is None or limit <= 0 else int(value * 10_000 / limit)
    return GaugeView(
        name=name,
        label=label,
        unit=unit,
        value=None if value is None else _money(value),
        limit=_money(limit),
        share_x10000=share,
        unknown=unknown if value is None else "",
    )


async def _balance(
    database: PanelDatabase, reserved: Sequence[tuple[str, Decimal]], asset: str
) -> BalanceView:
    """Return the free balance as risk last recorded it; locked is what our open buys hold."""
    row = await database.first(_CASH)
    free, of_verdict, seen_ms = (
        (None, None, None)
        if row is None
        else msgspec.json.decode(row[0], type=tuple[str | None, str | None, int | None])
    )
    known = free or of_verdict
    locked = sum(
        (
            Decimal(price) * (Decimal(wanted) - Decimal(done))
            for price, wanted, done in await database.rows(_LOCKED)
        ),
        ZERO,
    )
    return BalanceView(
        asset=asset,
        free_quote=_money(Decimal(known)) if known else None,
        free_at_ms=None if row is None else seen_ms or row[1],
        locked_quote=_money(locked),
        reserved_quote=_money(sum((quote for _, quote in reserved), ZERO)),
        unknown={} if known else dict.fromkeys(_OF_CASH, "risk has not seen the account yet"),
    )


def _open_result(positions: Sequence[PositionLine], pnl: PnlView) -> Decimal | None:
    """Return what open positions have realised and would bring; None if a price is missing."""
    if pnl.unrealised_quote is None:
        return None
    realised = sum((Decimal(p.realised_quote) for p in positions), ZERO)
    return realised + Decimal(pnl.unrealised_quote)


def _quarantines(rows: Sequence[tuple[Any, ...]], now_ms: int) -> Iterator[HoldView]:
    for symbol, until_ms, cause in rows:
        yield HoldView(
            symbol=symbol,
            kind="QUARANTINE",
            until_ms=until_ms,
            left_ms=until_ms - now_ms,
            cause=cause,
        )


def _cooldowns(counters: Counters | None, now_ms: int) -> Iterator[HoldView]:
    for symbol, mine in sorted(counters.symbols.items()) if counters is not None else ():
        for kind, until_ms, cause, codes in (
            ("COOLDOWN", mine.cooldown_until_ms, "a stop-loss fill", ()),
            ("STREAK", mine.streak_until_ms, "losing exits in a row", ()),
            ("CHURN", mine.churn_until_ms, "too many order changes", mine.churn_reasons),
        ):
            if until_ms > now_ms:
                yield HoldView(
                    symbol=symbol,
                    kind=kind,
                    until_ms=until_ms,
                    left_ms=until_ms - now_ms,
                    cause=cause,
                    reasons=code_views(code.value for code in codes),
                )


def _streaks(counters: Counters | None, settings: RiskSettings) -> Iterator[StreakView]:
    for symbol, mine in sorted(counters.symbols.items()) if counters is not None else ():
        if mine.losses_in_row:
            yield StreakView(
                symbol=symbol,
                losses_in_row=mine.losses_in_row,
                limit=settings.max_consecutive_losses,
            )


def _money(value: Decimal) -> str:
    return decimal_text(value.quantize(_PLACES).normalize() + ZERO)
