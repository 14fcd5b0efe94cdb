"""Plain limit orders read at a glance: what the careful reader makes of them, or nothing."""

import hypothesis.strategies as st
from hypothesis import given

from livespot.exchange.model import Rejection, SymbolSpec
from livespot.exchange.params import OrderRequest, Params, read_order, read_response_type
from livespot.exchange.plain_order import read_plain
from livespot.exchange.specs import symbol_spec
from livespot.testing.spot_desk import BASIC_FILTERS, symbol_row

SPEC = symbol_spec(symbol_row(BASIC_FILTERS))
PLAIN = {
    "symbol": SPEC.symbol,
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.5",
    "price": "99.25",
    "newClientOrderId": "mine-1",
    "newOrderRespType": "RESULT",
    "timestamp": "1700000000000",
    "signature": "0",
}
AMOUNTS = st.sampled_from(
    (
        *("", "0", "0.0", "1", "0.50000000", "0.123456789", "0.100000000", "00012.5"),
        *("92233720368.6", "9999999999", "1e3", "-1", ".5", "5.", "1\n", "१"),
    )
)
VALUES: dict[str, st.SearchStrategy[str]] = {
    "side": st.sampled_from(["BUY", "SELL", "buy", ""]),
    "type": st.sampled_from(["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "", "limit"]),
    "timeInForce": st.sampled_from(["GTC", "IOC", "FOK", "GTX", ""]),
    "quantity": AMOUNTS,
    "price": AMOUNTS,
    "newClientOrderId": st.sampled_from(["a", "a" * 36, "a" * 37, "", "ä", "a b", "a\n"]),
    "newOrderRespType": st.sampled_from(["ACK", "RESULT", "FULL", "", "ALL"]),
    "icebergQty": AMOUNTS,
    "stopPrice": AMOUNTS,
    "strategyId": st.just("7"),
    "selfTradePreventionMode": st.sampled_from(["NONE", "EXPIRE_TAKER", ""]),
    "stray": st.just("1"),
    "recvWindow": st.just("5000"),
}


def carefully(raw: dict[str, str], spec: SymbolSpec) -> OrderRequest | None:
    """The request as the careful reader has it; None for one it refuses."""
    params = Params(raw)
    try:
        params.need("symbol")
        request = read_order(params, spec)
        read_response_type(params)
        params.finish()
    except Rejection:
        return None
    return request


@given(
    st.fixed_dictionaries({}, optional=VALUES), st.sets(st.sampled_from(sorted(PLAIN)), max_size=2)
)
def test_an_order_read_at_a_glance_is_the_one_read_with_care(
    changes: dict[str, str], left_out: set[str]
) -> None:
    raw = {name: text for name, text in (PLAIN | changes).items() if name not in left_out}
    raw["symbol"] = SPEC.symbol

    glanced = read_plain(raw, SPEC)

    if glanced is not None:
        assert glanced == carefully(raw, SPEC)


def test_the_usual_order_needs_no_second_look() -> None:
    glanced = read_plain(PLAIN, SPEC)

    assert glanced is not None
    assert glanced == carefully(PLAIN, SPEC)
    for name in ("timestamp", "signature", "newClientOrderId", "newOrderRespType"):
        assert read_plain({k: v for k, v in PLAIN.items() if k != name}, SPEC) is not None
