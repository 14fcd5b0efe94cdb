"""Checks of the account: rights of the key, balance, account events, open orders."""

from collections.abc import Iterator

from livespot.contracts.amounts import ZERO, decimal_text
from livespot.contracts.errors import KeyRefused, LivespotError
from livespot.contracts.ids import is_own_client_order_id
from livespot.contracts.orders import OrderView
from livespot.rules.doctor import Check, Outcome
from livespot.runtime.doctor_checks_venue import Venue
from livespot.runtime.doctor_plan import DoctorPlan, Probe, quoted
from livespot.store.queries import LedgerQueries
from livespot.store.reader import ReadOnlyDatabase
from livespot.venue.key_rights import KeyRights, read_key_rights
from livespot.venue.signing import Signer
from livespot.venue.ws_api import WsApiConnection

_LOOK_THERE = (
    "look at the key's restrictions on the exchange's API management page: reading and Spot "
    "trading on, withdrawals off, bound to this address"
)
_SHOWN = 5


def account_probes(plan: DoctorPlan, venue: Venue, signer: Signer) -> Iterator[Probe]:
    """Yield the probes in the order of their rows."""

    async def account() -> Check:
        return await check_account(plan, venue)

    async def rights() -> Check:
        return await check_rights(venue)

    async def events() -> Check:
        return await check_events(plan, venue, signer)

    async def orders() -> Check:
        return await check_orders(plan, venue)

    edit = f"(umask 077 && ${{EDITOR:-vi}} {quoted(plan.paths.dotenv)})"
    yield Probe(id="account", title="Account", look=account, remedy=edit)
    yield Probe(id="key_rights", title="Rights of the key", look=rights, remedy=edit)
    yield Probe(id="account_events", title="Account events", look=events, remedy=edit)
    yield Probe(id="open_orders", title="Open orders", look=orders, remedy=edit)


async def check_account(plan: DoctorPlan, venue: Venue) -> Check:
    view = await venue.reads.account()
    quote = plan.settings.venue.quote_asset
    balance = view.balances.get(quote)
    free = balance.free if balance is not None else ZERO
    outcome = Outcome.PASS if free > 0 else Outcome.WARN
    return Check(
        id="account",
        title="Account",
        outcome=outcome if view.can_trade else Outcome.FAIL,
        measured=f"{'can trade' if view.can_trade else 'may not trade'}, "
        f"{decimal_text(free)} {quote} free",
        limit="can trade",
        detail="" if view.can_trade else "the exchange has switched trading off for this account",
    )


async def check_rights(venue: Venue) -> Check:
    """Withdrawals must be off. Where the exchange cannot tell, the operator is asked to look."""
    try:
        rights = await read_key_rights(venue.caller)
    except KeyRefused:
        raise
    except LivespotError as error:
        return _rights(Outcome.WARN, "unknown", f"{error}; {_LOOK_THERE}")
    if rights.withdraws:
        return _rights(
            Outcome.FAIL,
            "may withdraw",
            "anybody who gets this key can empty the account: switch withdrawals off",
        )
    if not rights.trades_spot or not rights.reads:
        return _rights(Outcome.FAIL, "may not trade Spot or not read", _LOOK_THERE)
    loose = _looseness(rights)
    return _rights(Outcome.WARN if loose else Outcome.PASS, "no withdrawals", loose)


async def check_events(plan: DoctorPlan, venue: Venue, signer: Signer) -> Check:
    """The account's events can be subscribed to with this key."""
    before_ms = plan.clock.monotonic_ms()
    connection = WsApiConnection(
        transport=plan.sockets,
        url=plan.settings.venue.ws_api_url,
        clock=plan.clock,
        server_clock=venue.caller.server_clock,
        signer=signer,
        budget=venue.caller.budget,
    )
    async with connection.open():
        took_ms = (plan.clock.monotonic_ms() - before_ms) // plan.speed
    return Check(
        id="account_events",
        title="Account events",
        outcome=Outcome.PASS,
        measured=f"subscribed after {took_ms} ms",
        limit="subscribed",
    )


async def check_orders(plan: DoctorPlan, venue: Venue) -> Check:
    """Open orders that are not in our ledger are foreign."""
    orders = await venue.reads.open_orders(None)
    foreign = [order for order in orders if await _is_foreign(plan, order)]
    names = [f"{order.symbol} {order.order_id}" for order in foreign[:_SHOWN]]
    return Check(
        id="open_orders",
        title="Open orders",
        outcome=Outcome.WARN if foreign else Outcome.PASS,
        measured=f"{len(orders)} open, {len(foreign)} foreign",
        limit="none foreign",
        detail=f"not ours, and never touched by us: {', '.join(names)}" if foreign else "",
    )


async def _is_foreign(plan: DoctorPlan, order: OrderView) -> bool:
    if not is_own_client_order_id(order.client_order_id):
        return True
    ledger = LedgerQueries(ReadOnlyDatabase(plan.paths.database))
    return (
        not plan.disk.exists(plan.paths.database)
        or await ledger.alias(order.client_order_id) is None
    )


def _looseness(rights: KeyRights) -> str:
    """Return the rights that are not needed, in one sentence; empty when there are none."""
    loose = []
    if rights.other:
        loose.append(f"it may also do: {', '.join(rights.other)}")
    if not rights.bound_to_address:
        loose.append("it is not bound to an address; bind it to this machine's")
    return "; ".join(loose)


def _rights(outcome: Outcome, measured: str, detail: str) -> Check:
    return Check(
        id="key_rights",
        title="Rights of the key",
        outcome=outcome,
        measured=measured,
        limit="trade Spot, never withdraw",
        detail=detail,
    )
