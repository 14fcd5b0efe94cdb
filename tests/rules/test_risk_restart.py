"""A restart forgets nothing: verdicts from stored rows equal those from memory."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from livespot.contracts.decision import Decision, RiskVerdict
from livespot.contracts.market import Snapshot
from livespot.contracts.settings import Settings
from livespot.contracts.vocabulary import IntentAction, IntentRole, Side
from livespot.rules import quarantine, reserves, risk_counters
from livespot.rules.pnl import booked_fee
from livespot.rules.quarantine import SymbolFaults
from livespot.rules.reserves import Reserve
from livespot.rules.risk import assess
from livespot.rules.risk_counters import DAY_MS, Counters
from livespot.testing.market_values import NOW_MS, a_snapshot, a_symbol
from livespot.testing.risk_values import TODAY, a_trade, a_view, an_entry

_SETTINGS = Settings()
_SYMBOLS = ("AAAUSDT", "BBBUSDT", "CCCUSDT")
_SEEN: dict[str, tuple[Snapshot, Decision]] = {}
for _name in _SYMBOLS:
    _snapshot = a_snapshot(symbol=_name)
    _SEEN[_name] = (_snapshot, an_entry(_snapshot))


@dataclass(kw_only=True)
class Memory:
    """What the risk actor keeps, moved by the rules it uses."""

    now_ms: int = NOW_MS
    counters: Counters = field(default_factory=lambda: Counters(day=TODAY))
    faults: dict[str, SymbolFaults] = field(default_factory=dict)
    book: Mapping[str, Reserve] = field(default_factory=dict)
    bids: dict[str, Decimal] = field(default_factory=dict)
    number: int = 0

    def act(self, what: str, symbol: str, amount: int) -> None:
        self.number += 1
        getattr(self, f"_{what}")(symbol, amount)
        self.counters = risk_counters.day_rolled(self.counters, self.bids, self.now_ms)
        self.counters, _ = risk_counters.marked(self.counters, self.bids, _SETTINGS.risk)
        for reserve in reserves.lapsed(self.book, self.now_ms):
            self.book = reserves.with_reserve(self.book, reserves.ended(reserve))

    def restarted(self) -> "Memory":
        """The same from its rows, before the market has spoken."""
        again = Memory(now_ms=self.now_ms, number=self.number)
        text = risk_counters.to_json(self.counters)
        again.counters = risk_counters.from_json(text)
        rows = [quarantine.row(faults, self.now_ms) for faults in self.faults.values()]
        again.faults = {row.symbol: quarantine.from_row(row) for row in rows}
        again.book = reserves.rebuilt(reserve.row(self.now_ms) for reserve in self.book.values())
        return again

    def verdicts(self) -> list[RiskVerdict]:
        found = []
        for symbol, (snapshot, decision) in _SEEN.items():
            fresh = msgspec.structs.replace(snapshot, local_received_ms=self.now_ms)
            asked = msgspec.structs.replace(decision, ts_ms=self.now_ms)
            view = a_view(
                now_ms=self.now_ms,
                counters=self.counters,
                book=self.book,
                bids=self.bids,
                faults=self.faults.get(symbol, SymbolFaults(symbol=symbol)),
                info=a_symbol(symbol),
            )
            found.append(assess(asked, fresh, view))
        return found

    def _wait(self, symbol: str, amount: int) -> None:
        self.now_ms += amount * 1000

    def _midnight(self, symbol: str, amount: int) -> None:
        self.now_ms = (self.now_ms // DAY_MS + 1) * DAY_MS - 1 + amount % 3

    def _bid(self, symbol: str, amount: int) -> None:
        self.bids[symbol] = Decimal(amount % 300 + 1)

    def _buy(self, symbol: str, amount: int) -> None:
        decision = f"dec_{symbol}_{self.number if self._lot(symbol) is None else 0}"
        self._fill(symbol, Side.BUY, IntentRole.ENTRY, decision, amount)

    def _stop(self, symbol: str, amount: int) -> None:
        if self._lot(symbol) is not None:
            self._fill(symbol, Side.SELL, IntentRole.SL, f"dec_{symbol}_0", amount)

    def _fill(self, symbol: str, side: Side, role: IntentRole, decision: str, amount: int) -> None:
        fill = a_trade(
            self.number,
            side,
            str(amount % 200 + 1),
            "1",
            symbol=symbol,
            commission=Decimal(0),
            exchange_time_ms=self.now_ms,
            local_received_ms=self.now_ms,
        )
        fee = booked_fee(fill, base_asset="X", fee_quote=Decimal(0), fee_unpriced=False)
        self.counters = risk_counters.filled(
            self.counters, fill, fee, decision_id=decision, role=role, settings=_SETTINGS.risk
        )

    def _exit(self, symbol: str, amount: int) -> None:
        held = self.counters.of(symbol).held
        if held is not None:
            self.counters = risk_counters.exited(
                self.counters,
                symbol,
                held.decision_id,
                Decimal(amount % 400 - 300),
                now_ms=self.now_ms,
                settings=_SETTINGS.risk,
            )

    def _mutate(self, symbol: str, amount: int) -> None:
        actions = (IntentAction.SUBMIT, IntentAction.CANCEL, IntentAction.CANCEL_REPLACE)
        self.counters = risk_counters.mutated(
            self.counters, symbol, actions[amount % 3], self.now_ms, _SETTINGS.churn
        )

    def _fault(self, symbol: str, amount: int) -> None:
        faults = self.faults.get(symbol, SymbolFaults(symbol=symbol))
        rules = _SETTINGS.quarantine
        self.faults[symbol] = (
            quarantine.filter_rejected(faults, self.now_ms, rules),
            quarantine.stream_dropped(faults, self.now_ms, rules),
            quarantine.submit_timed_out(faults, self.now_ms, rules),
            quarantine.submit_answered(faults),
        )[amount % 4]

    def _reserve(self, symbol: str, amount: int) -> None:
        made = reserves.reserved(
            f"dec_{symbol}", symbol, Decimal(amount), expires_at_ms=self.now_ms + 15_000
        )
        self.book = reserves.with_reserve(self.book, made)

    def _bind(self, symbol: str, amount: int) -> None:
        reserve = reserves.of_symbol(self.book, symbol)
        if reserve is not None:
            self.book = reserves.with_reserve(self.book, reserves.bound(reserve, "oi"))

    def _lot(self, symbol: str) -> object:
        return self.counters.of(symbol).held


_WHAT = st.sampled_from(
    ["wait", "midnight", "bid", "buy", "stop", "exit", "mutate", "fault", "reserve", "bind"]
)
_EVENTS = st.lists(
    st.tuples(_WHAT, st.sampled_from(_SYMBOLS), st.integers(0, 3600)), min_size=1, max_size=40
)


@settings(max_examples=150, deadline=None)
@given(_EVENTS, _EVENTS)
def test_after_a_restart_every_verdict_is_the_same(
    before: list[tuple[str, str, int]], after: list[tuple[str, str, int]]
) -> None:
    kept = Memory()
    for event in before:
        kept.act(*event)

    again = kept.restarted()

    assert again.verdicts() == kept.verdicts()
    # Once the market has spoken again both live on alike.
    again.bids.update(kept.bids)
    for event in after:
        kept.act(*event)
        again.act(*event)
        assert again.counters == kept.counters
        assert again.verdicts() == kept.verdicts()
