"""Parameters are read as the exchange reads them, and each fault has its own code."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livespot.exchange.model import Rejection
from livespot.exchange.read_params import (
    check_names,
    check_symbol_text,
    flag,
    read_form,
    read_limit,
    whole,
    within_time,
    without_signature,
)
from livespot.exchange.ws_requests import WsRequest, read_request

NOW_MS = 1_700_000_000_000


def test_the_query_wins_over_the_body() -> None:
    found = read_form(b"a=1&b=%C3%A9", b"a=2&c=x+y")

    assert found == {"a": "1", "b": "é", "c": "x y"}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        pytest.param(b"a=1&a=1", -1101, id="twice"),
        pytest.param(b"a=1&%61=2", -1101, id="twice-in-disguise"),
        pytest.param(b"a=%FF", -1100, id="no-text"),
    ],
)
def test_a_form_that_says_two_things_or_none_is_refused(query: bytes, code: int) -> None:
    with pytest.raises(Rejection) as caught:
        read_form(query, b"")

    assert caught.value.code == code


def test_a_stray_name_is_counted_and_an_empty_value_named() -> None:
    with pytest.raises(Rejection, match=r"read '1' parameter\(s\) but was sent '2'"):
        check_names({"symbol": "A", "cymbal": "B"}, frozenset({"symbol"}))
    with pytest.raises(Rejection, match="Parameter 'symbol' was empty"):
        check_names({"symbol": ""}, None)
    check_names({"symbol": "A", "timestamp": "1", "signature": ""}, frozenset({"symbol"}))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param("-1", -1100, id="negative"),
        pytest.param("1.0", -1100, id="decimal"),
        pytest.param("٣", -1100, id="foreign-digit"),
        pytest.param(str(2**63), -1108, id="overflow"),
        pytest.param("9" * 21, -1100, id="too-long"),
    ],
)
def test_a_number_that_is_none_is_refused(text: str, code: int) -> None:
    with pytest.raises(Rejection) as caught:
        whole({"fromId": text}, "fromId")

    assert caught.value.code == code


def test_a_limit_is_cut_and_zero_refused() -> None:
    assert read_limit({}, 100, 5000) == 100
    assert read_limit({"limit": "5001"}, 100, 5000) == 5000
    with pytest.raises(Rejection, match="-1100"):
        read_limit({"limit": "0"}, 100, 5000)
    with pytest.raises(Rejection, match="-1108"):
        read_limit({"limit": str(2**31)}, 100, 5000)


def test_spans_are_brought_to_ms_and_cut_to_what_can_be_known() -> None:
    asked = {"startTime": "1", "endTime": str((NOW_MS + 60_000) * 1000), "limit": "1"}

    assert within_time(asked, NOW_MS) == {
        "startTime": "1483228800000",
        "endTime": str(NOW_MS + 10_000),
        "limit": "1",
    }


def test_a_flag_is_true_or_false() -> None:
    assert flag({}, "x", default=True)
    assert flag({"x": "TRUE"}, "x", default=False)
    assert not flag({"x": "false"}, "x", default=True)
    with pytest.raises(Rejection, match="-1100"):
        flag({"x": "1"}, "x", default=True)


@pytest.mark.parametrize("name", ["BTCUSDT", "1INCHUSDT", "币安人生USDT", "A_B-C."])
def test_symbols_of_any_script_are_names(name: str) -> None:
    check_symbol_text("symbol", name)


@pytest.mark.parametrize("name", ["btcusdt", "BTC USDT", "A" * 51, "BTC/USDT", "A\n"])
def test_what_no_symbol_can_be_called_is_illegal(name: str) -> None:
    with pytest.raises(Rejection, match="-1100"):
        check_symbol_text("symbol", name)


@given(query=st.binary(max_size=60))
def test_any_bytes_make_a_form_or_a_refusal(query: bytes) -> None:
    try:
        code, found = 0, read_form(query, b"")
    except Rejection as error:
        code, found = error.code, {}

    assert code in (0, -1100, -1101)
    assert all(isinstance(text, str) for pair in found.items() for text in pair)


@given(
    before=st.lists(st.sampled_from([b"a=1", b"b=2", b"c="]), max_size=3),
    after=st.lists(st.sampled_from([b"d=1", b"e=2"]), max_size=3),
)
def test_the_signature_is_left_out_wherever_it_stands(
    before: list[bytes], after: list[bytes]
) -> None:
    signed = b"&".join([*before, b"signature=ab", *after])

    assert without_signature(signed) == b"&".join([*before, *after])


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        pytest.param("{", -1135, id="json"),
        pytest.param("[]", -1135, id="array"),
        pytest.param('{"id":1}', -1102, id="no-method"),
        pytest.param('{"id":1,"method":5}', -1102, id="method-number"),
        pytest.param('{"id":1,"method":"a b"}', -1100, id="method-blank"),
        pytest.param('{"id":1,"method":"ping","params":[]}', -1135, id="params-array"),
        pytest.param('{"id":1,"method":"ping","params":{"a":{}}}', -1135, id="nested"),
        pytest.param('{"id":1.5,"method":"ping"}', -1100, id="id-decimal"),
        pytest.param('{"id":true,"method":"ping"}', -1100, id="id-flag"),
        pytest.param('{"id":"' + "x" * 37 + '","method":"ping"}', -1100, id="id-long"),
        pytest.param('{"id":9223372036854775808,"method":"ping"}', -1100, id="id-overflow"),
    ],
)
def test_a_bad_frame_has_its_own_code(frame: str, code: int) -> None:
    with pytest.raises(Rejection) as caught:
        read_request(frame, WsRequest())

    assert caught.value.code == code


@pytest.mark.parametrize("number", [0, -5, 2**63 - 1, "x" * 36, None])
def test_an_id_is_echoed_and_parameters_keep_their_text(number: int | str | None) -> None:
    text = f'"{number}"' if isinstance(number, str) else "null" if number is None else number
    request = WsRequest()
    read_request(
        f'{{"id":{text},"method":"order.place","params":{{"price":0.10,"ok":true,"s":"é"}}}}',
        request,
    )

    assert request.id == number
    assert request.params == {"price": "0.10", "ok": "true", "s": "é"}
