"""Whatever happens in whatever order: limits hold on the account's own books, nothing leaks.

For a longer search: `python tests/actors/test_risk_machine.py 5000`, with the number of histories.
"""

import sys
from dataclasses import dataclass, field
from decimal import Decimal

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from livespot.actors.mail import EntryEnded, EntryOpened, FillBooked, RecheckAsked
from livespot.contracts.decision import RiskVerdict
from livespot.contracts.vocabulary import IntentRole, PositionPhase, Side, Verdict
from livespot.rules.risk_counters import DAY_MS
from livespot.runtime.mailboxes import Reply
from livespot.testing.ledger_rows import position
from livespot.testing.risk_values import a_trade
from livespot.testing.risk_world import (
    LIMITS,
    SYMBOLS,
    Entry,
    House,
    account,
    asked_about,
    stored,
)

_ZERO = Decimal(0)
_WINDOW_MS = LIMITS.trades_window_seconds * 1000
_MAX_AGE_MS = 15_000


@dataclass
class Held:
    """A position from its fills."""

    decision_id: str
    qty: Decimal = _ZERO
    cost: Decimal = _ZERO


@dataclass
class Books:
    """What the account knows, whoever was told."""

    cash: Decimal
    held: dict[str, Held] = field(default_factory=dict)
    trades: list[tuple[str, int]] = field(default_factory=list)
    untold: list[FillBooked] = field(default_factory=list)


class RiskMachine(RuleBasedStateMachine):
    house: House
    books: Books
    trade_id = 0

    @initialize(cash=st.sampled_from([Decimal(150), Decimal(420), Decimal(5000)]))
    def begin(self, cash: Decimal) -> None:
        self.house, self.books = House(), Books(cash=cash)
        self.house.boot(cash)

    # ---- what the account knows

    def _living(self) -> list[Entry]:
        return [entry for entry in self.house.ledger.entries if self._may_buy(entry)]

    def _may_buy(self, entry: Entry) -> bool:
        """Execution sends nothing on a verdict that is older than its life."""
        fresh = entry.opened or self._now() - entry.approved_ms <= _MAX_AGE_MS
        return fresh and not entry.over

    def _open(self) -> list[Entry]:
        return [entry for entry in self._living() if entry.opened]

    def _now(self) -> int:
        return self.house.clock.now_ms()

    # ---- what happens

    @rule(symbols=st.lists(st.sampled_from(SYMBOLS), min_size=1, max_size=3))
    def propose(self, symbols: list[str]) -> None:
        self.house.propose(*symbols)

    @precondition(lambda self: any(not e.opened for e in self._living()))
    @rule(unknown=st.booleans())
    def send(self, unknown: bool) -> None:
        """Execution takes up the oldest approval."""
        entry = next(e for e in self._living() if not e.opened)
        entry.opened, entry.unknown = True, unknown
        opened = EntryOpened(decision=entry.decision, order_intent_id="oi", at_ms=self._now())
        self.house.say(opened)

    @precondition(lambda self: self._open())
    @rule(which=st.integers(0, 2), percent=st.integers(1, 100), told=st.booleans())
    def fill(self, which: int, percent: int, told: bool) -> None:
        # Within one ms nobody can tell whether a balance was read before the fill or after.
        self.house.clock.advance(1)
        entry = self._open()[which % len(self._open())]
        qty = (entry.left * percent / 100).quantize(Decimal("0.001"))
        if not qty:
            return
        if entry.symbol not in self.books.held:
            self.books.trades.append((entry.symbol, self._now()))
            self.books.held[entry.symbol] = Held(entry.decision.decision_id)
        lot, quote = self.books.held[entry.symbol], qty * entry.price
        lot.qty, lot.cost = lot.qty + qty, lot.cost + quote
        entry.left, entry.bought = entry.left - qty, entry.bought + qty
        entry.spent, self.books.cash = entry.spent + quote, self.books.cash - quote
        booked = self._booked(entry, Side.BUY, entry.price, qty, IntentRole.ENTRY)
        self.books.untold.append(booked)
        if told:
            self.tell()

    def _booked(
        self, entry: Entry, side: Side, price: Decimal, qty: Decimal, role: IntentRole
    ) -> FillBooked:
        self.trade_id += 1
        fill = a_trade(
            self.trade_id,
            side,
            str(price),
            str(qty),
            symbol=entry.symbol,
            commission=_ZERO,
            exchange_time_ms=self._now(),
            local_received_ms=self._now(),
        )
        decision_id = entry.decision.decision_id
        self.house.ledger.fills.append(stored(fill, decision_id))
        return FillBooked(
            fill=fill,
            order_intent_id="oi",
            decision_id=decision_id,
            role=role,
            fee_quote=_ZERO,
            fee_unpriced=False,
        )

    @precondition(lambda self: self.books.untold)
    @rule()
    def tell(self) -> None:
        """Fills arrive, once more than needed."""
        told, self.books.untold = self.books.untold, []
        self.house.say(*told, told[0])

    @precondition(lambda self: self._open())
    @rule(which=st.integers(0, 2))
    def cancel(self, which: int) -> None:
        """Cancelled, refused or proven absent: with what it had bought."""
        self._end(self._open()[which % len(self._open())])

    def _end(self, entry: Entry) -> None:
        entry.over, entry.unknown = True, False
        self.house.say(
            EntryEnded(
                decision_id=entry.decision.decision_id,
                symbol=entry.symbol,
                order_intent_id="oi",
                filled_qty=entry.bought,
                filled_quote=entry.spent,
                attached_list_id=-1,
                tp_client_id="",
                sl_client_id="",
                reasons=(),
                at_ms=self._now(),
            )
        )

    @precondition(lambda self: any(not e.bought and not e.unknown for e in self._open()))
    @rule(percent=st.integers(1, 150))
    def reprice(self, percent: int) -> None:
        """An attempt was cancelled unfilled; another is asked about and takes its place."""
        entry = next(e for e in self._open() if not e.bought and not e.unknown)
        snapshot, decision = asked_about(entry.symbol, self._now())
        assert decision.entry_plan is not None
        wanted = (entry.left * percent / 100).quantize(Decimal("0.001")) or Decimal("0.001")
        plan = msgspec.structs.replace(decision.entry_plan, qty=wanted)
        again = msgspec.structs.replace(
            decision, decision_id=entry.decision.decision_id, entry_plan=plan
        )
        reply: Reply[RiskVerdict] = Reply()
        self.house.say(RecheckAsked(decision=again, snapshot=snapshot, reply=reply))
        verdict = self.house.loop.run_until_complete(reply.wait())
        if verdict.verdict is Verdict.BLOCK:
            self._end(entry)
            return
        assert verdict.approved_qty <= wanted
        entry.left = min(entry.left, verdict.approved_qty)

    @precondition(lambda self: self.books.held)
    @rule(
        which=st.integers(0, 3),
        price=st.sampled_from(["60", "95", "99.69", "110"]),
        role=st.sampled_from([IntentRole.TP, IntentRole.SL, IntentRole.CLOSE]),
    )
    def sell(self, which: int, price: str, role: IntentRole) -> None:
        """A position ends, once its entry is over and all its fills are known."""
        symbol = list(self.books.held)[which % len(self.books.held)]
        entry = next(
            e for e in reversed(self.house.ledger.entries) if e.bought and e.symbol == symbol
        )
        if not entry.over or self.books.untold:
            return
        lot = self.books.held.pop(symbol)
        got = lot.qty * Decimal(price)
        self.books.cash += got
        booked = self._booked(entry, Side.SELL, Decimal(price), lot.qty, role)
        flat = msgspec.structs.replace(
            position(phase=PositionPhase.FLAT).position,
            symbol=symbol,
            decision_id=lot.decision_id,
            realised_quote=got - lot.cost,
        )
        self.house.say(booked, flat)

    @rule(ms=st.sampled_from([1, 999, 5000, 15_000, 61_000, 1_900_000, 3_600_000, 40_000_000]))
    def wait(self, ms: int) -> None:
        self.house.clock.advance(ms)
        self.house.say()

    @rule(behind_ms=st.sampled_from([0, 0, 500]))
    def read_balances(self, behind_ms: int) -> None:
        """The account's free quote: what no open order has locked."""
        locked = sum((e.worst_quote for e in self._open()), _ZERO)
        now = self._now()
        self.house.say(account(self.books.cash - locked, now, changed_ms=now - behind_ms))

    @rule(killed=st.booleans())
    def restart(self, killed: bool) -> None:
        """Approvals nobody had taken up die with the process; all else is found again."""
        self.house.end_life(killed=killed)
        for entry in self.house.ledger.entries:
            entry.over = entry.over or not entry.opened
        self.house.boot(self.books.cash - sum((e.worst_quote for e in self._open()), _ZERO))

    # ---- what must hold

    @invariant()
    def exposure_fits(self) -> None:
        exposure = {symbol: lot.cost for symbol, lot in self.books.held.items()}
        for entry in self._living():
            exposure[entry.symbol] = exposure.get(entry.symbol, _ZERO) + entry.worst_quote
        assert all(quote <= LIMITS.max_exposure_symbol for quote in exposure.values())
        assert sum(exposure.values()) <= LIMITS.max_exposure_total

    @invariant()
    def nothing_is_spent_twice(self) -> None:
        assert self.books.cash - sum((e.worst_quote for e in self._living()), _ZERO) >= 0

    @invariant()
    def orders_fit(self) -> None:
        living = [entry.symbol for entry in self._living()]
        assert len(living) <= LIMITS.max_open_orders_total
        assert len(living) == len(set(living))

    @invariant()
    def trades_fit(self) -> None:
        now = self._now()
        today = [s for s, at in self.books.trades if at // DAY_MS == now // DAY_MS]
        waiting = [e for e in self._living() if not e.bought]
        assert len(today) + len(waiting) <= LIMITS.max_trades_per_day
        for symbol in SYMBOLS:
            recent = [s for s, at in self.books.trades if s == symbol and now - at < _WINDOW_MS]
            assert len(recent) <= LIMITS.max_trades_per_window

    @invariant()
    def reserves_cover_what_may_still_be_spent(self) -> None:
        kept = self.house.ledger.kept
        for entry in self._open():
            row = kept[entry.decision.decision_id]
            assert row.state == "BOUND"
            assert row.amount_quote >= entry.worst_quote
        assert all(row.amount_quote >= 0 for row in kept.values())

    def teardown(self) -> None:
        """At rest nothing is reserved."""
        try:
            for entry in self.house.ledger.entries:
                if not entry.over:
                    self._end(entry)
            if self.books.untold:
                self.tell()
            # What nobody took up before a restart lapses.
            self.wait(_MAX_AGE_MS + 1)
        finally:
            self.house.close()
        rows = self.house.ledger.kept.values()
        assert all(row.amount_quote == 0 for row in rows)
        assert all(row.state in ("CONVERTED", "RELEASED") for row in rows)


_STEPS = 50


def _search(histories: int, *phases: Phase) -> settings:
    return settings(
        max_examples=histories,
        stateful_step_count=_STEPS,
        suppress_health_check=list(HealthCheck),
        deadline=None,
        phases=phases,
    )


@pytest.mark.slow
def test_no_history_exceeds_a_limit_or_leaks_a_reserve() -> None:
    # Explaining a failure takes longer than the search; the longer search does that.
    found = _search(300, Phase.explicit, Phase.generate)
    run_state_machine_as_test(RiskMachine, settings=found)


if __name__ == "__main__":
    run_state_machine_as_test(RiskMachine, settings=_search(int(sys.argv[1]), *Phase))
