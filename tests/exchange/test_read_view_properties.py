"""A lagging view answers every query as the engine answered it one lag before."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from livespot.exchange.engine import Engine
from livespot.exchange.model import Rejection
from livespot.exchange.read_view import ReadView
from livespot.testing.clock import ManualClock
from livespot.testing.spot_desk import SYMBOL, SpotDesk

LAG_STEPS = 3
STEP_MS = 100
BOTH = {"symbol": SYMBOL}
NAMES = ("a", "b", "c")
OCO = (
    "side=SELL quantity=1 aboveType=LIMIT_MAKER abovePrice=110 belowType=STOP_LOSS "
    "belowStopPrice=95 listClientOrderId={name} aboveClientOrderId={name}u "
    "belowClientOrderId={name}d"
)
ACTS = st.one_of(
    st.builds("order side=BUY type=LIMIT timeInForce=GTC quantity=1 price=9{}".format,
              st.integers(0, 9)),
    st.builds("named side=SELL type=LIMIT timeInForce=GTC quantity=2 price=103 newClientOrderId={}"
              .format, st.sampled_from(NAMES)),
    st.just("order side=BUY type=MARKET quantity=1.5"),
    st.builds("cancel origClientOrderId={}".format, st.sampled_from(NAMES)),
    st.builds("cancel origClientOrderId={} newClientOrderId=end".format, st.sampled_from(NAMES)),
    st.builds("amend origClientOrderId={} newQty=1".format, st.sampled_from(NAMES)),
    st.builds("list {}".format, st.sampled_from(["x", "y"])),
    st.builds("sell {}".format, st.integers(90, 100)),
    st.builds("buy {}".format, st.integers(101, 111)),
    st.just("wait"),
)  # fmt: skip


def act(desk: SpotDesk, text: str) -> None:
    """One thing that happens; what the engine refuses happens to nobody."""
    verb, _, rest = text.partition(" ")
    asked = f"symbol={SYMBOL} {rest}"
    try:
        if verb in ("order", "named"):
            desk.order(asked)
        elif verb == "cancel":
            desk.cancel(asked)
        elif verb == "amend":
            desk.amend(asked)
        elif verb == "list":
            desk.place_list("oco", f"symbol={SYMBOL} {OCO.format(name=rest)}")
        elif verb == "sell":
            desk.print_sell(rest)
        elif verb == "buy":
            desk.print_buy(rest)
    except Rejection:
        return


def answers(engine: Engine) -> dict[str, Any]:
    """What the queries say."""
    known = {row["orderId"] for row in engine.all_orders("alice", BOTH)}
    found: dict[str, Any] = {
        "orders": engine.all_orders("alice", BOTH),
        "open": engine.open_orders("alice", {}),
        "trades": engine.my_trades("alice", BOTH),
        "lists": engine.all_lists("alice", {}),
        "open lists": engine.open_lists("alice"),
        "account": engine.account_info("alice", {})["balances"],
    }
    for number in known:
        found[f"order {number}"] = query(engine, {"orderId": str(number)})
    for name in (*NAMES, "end", "xu", "yd"):
        found[name] = query(engine, {"origClientOrderId": name})
    return found


def query(engine: Engine, params: dict[str, str]) -> object:
    try:
        return engine.query_order("alice", {**BOTH, **params})
    except Rejection as refused:
        return refused.code


@settings(max_examples=60, deadline=None)
@given(st.lists(ACTS, max_size=25))
def test_every_query_is_answered_as_it_was_one_lag_before(acts: list[str]) -> None:
    desk, clock = SpotDesk(), ManualClock()
    desk.book()
    desk.engine.drain_events()
    view = ReadView(desk.engine, clock, LAG_STEPS * STEP_MS)
    past = [answers(desk.engine)] * LAG_STEPS

    for text in acts:
        act(desk, text)
        view.record(desk.engine.drain_events())
        past.append(answers(desk.engine))
        clock.advance(STEP_MS)
        assert answers(view.engine()) == past[-LAG_STEPS]
