"""No secret leaves: by name, by shape, by value in any usual encoding, and nothing too long."""

import base64
import pickle
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livespot.contracts.canonical import canonical_json
from livespot.contracts.redaction import MASK, Redactor, is_sensitive

CANARY = 'canary/Secret+"Value"=0123456789'
ENCODINGS = {
    "raw": CANARY,
    "url": quote(CANARY, safe=""),
    "hex": CANARY.encode().hex(),
    "hex-upper": CANARY.encode().hex().upper(),
    "json": canonical_json(CANARY).decode()[1:-1],
    "reversed": CANARY[::-1],
}
LONGEST_BARE_PIECE = 12


@pytest.mark.parametrize("name", ENCODINGS)
def test_a_live_value_is_masked_in_every_encoding(name: str) -> None:
    masked = Redactor([CANARY]).text(f"before {ENCODINGS[name]} after")

    assert ENCODINGS[name] not in masked
    assert masked == f"before {MASK} after"


@pytest.mark.parametrize("shift", [0, 1, 2])
@pytest.mark.parametrize("tail", ["", "z", "zz"])
def test_a_live_value_inside_base64_is_masked_at_every_alignment(shift: int, tail: str) -> None:
    encoded = base64.b64encode(b"x" * shift + CANARY.encode() + tail.encode()).decode()

    masked = Redactor([CANARY]).text(encoded)

    assert MASK in masked
    assert len(masked.replace(MASK, "")) <= LONGEST_BARE_PIECE


@pytest.mark.parametrize(
    "key",
    ["key", "apiKey", "api_key", "X-MBX-APIKEY", "secret", "clientSecret", "signature", "Cookie",
     "Authorization", "listenKey", "sessionToken", "private_key", "password", "prompt",
     "raw_answer", "environ", "username", "query"],
)  # fmt: skip
def test_the_name_alone_hides_a_value(key: str) -> None:
    assert Redactor().data({"deep": [{key: "anything"}]}) == {"deep": [{key: MASK}]}


@pytest.mark.parametrize(
    "key", ["prompt_hash", "raw_hash", "symbol", "monkey", "keys_seen", "side"]
)
def test_harmless_names_are_left_alone(key: str) -> None:
    assert not is_sensitive(key)


@pytest.mark.parametrize(
    "text",
    [
        "GET https://x.test/api/v3/order?symbol=A&timestamp=1&signature=abcdef0123",
        "symbol=A&recvWindow=5000&signature=abcdef0123",
        "Authorization: Bearer abcdef0123",
        "header X-MBX-APIKEY: abcdef0123",
        '{"listenKey": "abcdef0123"}',
        "-----BEGIN PRIVATE KEY-----\nabcdef0123\n-----END PRIVATE KEY-----",
        "Set-Cookie: session=abcdef0123; Path=/",
    ],
)
def test_the_shape_of_a_secret_is_enough(text: str) -> None:
    masked = Redactor().text(text)

    assert "abcdef0123" not in masked
    assert MASK in masked


def test_a_signed_query_disappears_whole() -> None:
    masked = Redactor().text("failed: /api/v3/order?symbol=BTCUSDT&signature=ab done")

    assert masked == f"failed: {MASK} done"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("no room: '/home/alice/livespot/var/x'", "no room: '/home/<USER>/livespot/var/x'"),
        ("/Users/Bob/var and /Users/eve", "/Users/<USER>/var and /Users/<USER>"),
        ("C:\\Users\\Carol\\var", "C:\\Users\\<USER>\\var"),
        ("C:\\\\Users\\\\Carol\\\\var", "C:\\\\Users\\\\<USER>\\\\var"),
        ("d:/users/dan/var: not found", "d:/users/<USER>/var: not found"),
        ("many users of /opt/home/x", "many users of /opt/home/<USER>"),
    ],
)
def test_whose_home_a_path_is_in_is_not_told(text: str, masked: str) -> None:
    assert Redactor().text(text) == masked
    assert Redactor().text(masked) == masked
    assert Redactor().data({"why": text}) == {"why": masked}


def test_ordinary_text_and_numbers_are_untouched() -> None:
    data = {"symbol": "BTCUSDT", "score": 5, "flags": [True, None], "text": "the key point"}

    assert Redactor([CANARY]).data(data) == data


def test_keys_are_masked_too() -> None:
    assert Redactor(["canary-0123456789"]).data({"of canary-0123456789": 1}) == {f"of {MASK}": 1}


def test_data_of_exactly_the_limit_is_kept_and_one_byte_more_is_not() -> None:
    at_limit = {"a": "x" * (4096 - len('{"a":""}'))}
    beyond = {"a": at_limit["a"] + "x"}

    assert Redactor().event_data(at_limit, 4096) == canonical_json(at_limit)
    assert Redactor().event_data(beyond, 4096) == b'"<TRUNCATED len_bytes=4097>"'


def test_short_values_do_not_shred_text() -> None:
    assert Redactor(["abc", ""]).text("abc abcabc") == "abc abcabc"


def test_a_redactor_shows_and_pickles_nothing() -> None:
    redactor = Redactor([CANARY])

    assert CANARY not in repr(redactor)
    with pytest.raises(TypeError):
        pickle.dumps(redactor)


@given(before=st.text(max_size=40), after=st.text(max_size=40))
def test_no_neighbourhood_protects_a_secret(before: str, after: str) -> None:
    redactor = Redactor([CANARY])

    assert CANARY not in redactor.text(before + CANARY + after)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
        ),
        max_leaves=12,
    )
)
def test_redacting_twice_changes_nothing_more(value: object) -> None:
    redactor = Redactor([CANARY])
    once = redactor.data(value)

    assert redactor.data(once) == once
