"""Sends a plan's orders over the WebSocket API, with the faults that waited for them by REST."""

from msgspec.structs import replace

from livespot.exchange.faults.plan import TARGETED, AcceptThen, Fault, Match, Verb
from livespot.testing.search.dice import Dice
from livespot.testing.search.fault_kinds import CANCELS, ORDERS
from livespot.testing.search.plan import RunPlan

# The product's own default is the socket; the faults of one request are easier to aim by REST.
_PERCENT = 40
PLACED = Match(method="order*.place*")
_METHODS = ((ORDERS, PLACED), (CANCELS, Match(method="order*.cancel*")))


def with_socket_orders(plan: RunPlan) -> RunPlan:
    """The plan as it is, or with its orders and their faults on the socket: the seed decides."""
    if not Dice(f"transport {plan.seed}").percent(_PERCENT):
        return plan
    settings = {"venue.order_transport": "WS_API", **plan.settings}
    faults = tuple(on_socket(fault) for fault in plan.faults)
    return replace(plan, settings=settings, faults=faults)


def on_socket(fault: Fault) -> Fault:
    """The fault as it meets the same order or cancel on the socket; any other stays as it is."""
    for match, methods in _METHODS:
        if fault.match == match:
            return replace(fault, what=_aimed(fault.what), match=methods)
    return fault


def _aimed(what: Verb) -> Verb:
    if isinstance(what, AcceptThen):
        return replace(what, then=replace(what.then, target="ws_api"))
    return replace(what, target="ws_api") if isinstance(what, TARGETED) else what
