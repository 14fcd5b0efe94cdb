"""Everything a risk verdict looked at, in a form that is stored and can be judged again.

Not in here: the proposal and its snapshot, which have rows of their own, and the settings, which
the run keeps under their hash.
"""

from decimal import Decimal

import msgspec

from livespot.contracts.base import Message
from livespot.contracts.decision import Decision
from livespot.contracts.market import Returns, SymbolInfo
from livespot.contracts.settings import Settings
from livespot.contracts.vocabulary import SysMode
from livespot.rules.quarantine import SymbolFaults
from livespot.rules.reserves import Reserve
from livespot.rules.risk import RiskView
from livespot.rules.risk_counters import Counters, SymbolCounters


class AccountSeen(Message, frozen=True):
    """What could be spent and what was promised; `bids` mark what is held."""

    free_quote: Decimal
    seen_at_ms: int
    reserves: tuple[Reserve, ...]
    bids: dict[str, Decimal]
    order_cap: Decimal | None


class Circumstances(Message, frozen=True):
    """The rest. `decision` is set on a recheck: the attempt as it was asked about.

    `exchange_ms` is None in rows of versions that compared everything with `now_ms`.
    """

    sysmode: SysMode
    now_ms: int
    faults: SymbolFaults
    info: SymbolInfo | None
    latency_p90_ms: int
    unfilled_orders_pct: int
    returns: dict[str, Returns]
    recheck: bool
    snapshot_id: str
    decision: Decision | None
    manual_exposure: bool = False
    before_gate: bool = False
    exchange_ms: int | None = None


class VerdictInputs(Message, frozen=True):
    """The three columns of a verdict's row."""

    account: AccountSeen
    counters: Counters
    circumstances: Circumstances


def inputs_of(view: RiskView, decision: Decision, *, seen_at_ms: int) -> VerdictInputs:
    """What to store of a view; `seen_at_ms` is when the free balance was true."""
    marked = {decision.symbol, *view.counters.lots}
    return VerdictInputs(
        account=AccountSeen(
            free_quote=view.free_quote,
            seen_at_ms=seen_at_ms,
            reserves=tuple(view.book.values()),
            bids={symbol: bid for symbol, bid in view.bids.items() if symbol in marked},
            order_cap=view.order_cap,
        ),
        counters=_looked_at(view.counters, decision.symbol),
        circumstances=Circumstances(
            sysmode=view.sysmode,
            now_ms=view.now_ms,
            faults=view.faults,
            info=view.info,
            latency_p90_ms=view.latency_p90_ms,
            unfilled_orders_pct=view.unfilled_orders_pct,
            returns=dict(view.returns),
            recheck=view.recheck,
            snapshot_id=decision.snapshot_id,
            decision=decision if view.recheck else None,
            manual_exposure=view.manual_exposure,
            before_gate=view.before_gate,
            exchange_ms=view.exchange_ms,
        ),
    )


def view_of(inputs: VerdictInputs, settings: Settings) -> RiskView:
    """The view again, under the settings it was judged by."""
    account, case = inputs.account, inputs.circumstances
    return RiskView(
        settings=settings,
        sysmode=case.sysmode,
        now_ms=case.now_ms,
        exchange_ms=case.now_ms if case.exchange_ms is None else case.exchange_ms,
        counters=inputs.counters,
        book={reserve.decision_id: reserve for reserve in account.reserves},
        free_quote=account.free_quote,
        bids=account.bids,
        faults=case.faults,
        info=case.info,
        latency_p90_ms=case.latency_p90_ms,
        unfilled_orders_pct=case.unfilled_orders_pct,
        returns=case.returns,
        recheck=case.recheck,
        order_cap=account.order_cap,
        manual_exposure=case.manual_exposure,
        before_gate=case.before_gate,
    )


def read_inputs(account_json: str, counters_json: str, inputs_json: str) -> VerdictInputs:
    """From the three columns of a row. Raises `msgspec.ValidationError` when one holds less."""
    return VerdictInputs(
        account=msgspec.json.decode(account_json, type=AccountSeen),
        counters=msgspec.json.decode(counters_json, type=Counters),
        circumstances=msgspec.json.decode(inputs_json, type=Circumstances),
    )


def _looked_at(counters: Counters, symbol: str) -> Counters:
    """The memory without what no verdict asks for: trade ids, and other symbols' histories."""
    symbols = {
        name: SymbolCounters(held=mine.held)
        for name, mine in counters.symbols.items()
        if name != symbol and mine.held is not None
    }
    if symbol in counters.symbols:
        symbols[symbol] = msgspec.structs.replace(counters.of(symbol), trade_ids=())
    return msgspec.structs.replace(counters, symbols=symbols)
