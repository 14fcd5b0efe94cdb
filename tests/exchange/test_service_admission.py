"""Signatures are the documented ones; weight and bans follow the minute."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from livespot.exchange.limits import Meters, TooMuch, WeightMeter
from livespot.exchange.model import Rejection
from livespot.exchange.settings import ApiKey, RequestLimits
from livespot.exchange.signing import check_signature, check_time, may_log_on, signed_text

NOW_MS = 1_700_000_000_000
# The example key pair that the exchange's documentation prints.
EXAMPLE = ApiKey(
    key="vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A",
    account_id="a",
    hmac_secret="NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j",
)


def test_the_documented_example_signature_is_accepted() -> None:
    payload = (
        b"symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1"
        b"&recvWindow=5000&timestamp=1499827319559"
    )
    signature = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"

    check_signature(EXAMPLE, payload, signature)
    check_signature(EXAMPLE, payload, signature.upper())
    with pytest.raises(Rejection, match="-1022"):
        check_signature(EXAMPLE, payload + b"0", signature)


def test_an_rsa_key_signs_requests_but_opens_no_session() -> None:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    key = ApiKey(key="rsa", account_id="a", public_key_pem=pem.decode())
    signature = base64.b64encode(private.sign(b"timestamp=1", PKCS1v15(), SHA256())).decode()

    check_signature(key, b"timestamp=1", signature)

    assert not may_log_on(key)
    with pytest.raises(Rejection, match="-1022"):
        check_signature(key, b"timestamp=2", signature)


def test_websocket_parameters_are_signed_sorted_and_unescaped() -> None:
    params = {"timestamp": "1", "symbol": "A B", "apiKey": "k", "signature": "s"}

    assert signed_text(params) == b"apiKey=k&symbol=A B&timestamp=1"


@pytest.mark.parametrize(
    "params",
    [
        pytest.param({"timestamp": str(NOW_MS)}, id="now"),
        pytest.param({"timestamp": str(NOW_MS + 999)}, id="just-ahead"),
        pytest.param({"timestamp": str(NOW_MS - 5000)}, id="just-in-time"),
        pytest.param({"timestamp": str(NOW_MS * 1000)}, id="microseconds"),
        pytest.param({"timestamp": str(NOW_MS - 1), "recvWindow": "1.5"}, id="decimal-window"),
    ],
)
def test_a_timestamp_inside_the_window_passes(params: dict[str, str]) -> None:
    check_time(params, NOW_MS)


@pytest.mark.parametrize(
    ("params", "code"),
    [
        pytest.param({"timestamp": str(NOW_MS + 1000)}, -1021, id="ahead"),
        pytest.param({"timestamp": str(NOW_MS - 5001)}, -1021, id="old"),
        pytest.param({"timestamp": "yesterday"}, -1102, id="not-a-number"),
        pytest.param({"timestamp": str(NOW_MS), "recvWindow": "NaN"}, -1102, id="window"),
        pytest.param({"timestamp": str(NOW_MS), "recvWindow": "60001"}, -1131, id="long"),
        pytest.param({"timestamp": str(NOW_MS), "recvWindow": "5.0001"}, -1111, id="precise"),
        pytest.param({"timestamp": "9" * 5000}, -1102, id="endless"),
        pytest.param({"timestamp": "1483228799999"}, -1021, id="before-2017"),
    ],
)
def test_a_timestamp_outside_the_window_is_refused(params: dict[str, str], code: int) -> None:
    with pytest.raises(Rejection) as caught:
        check_time(params, NOW_MS)

    assert caught.value.code == code


def test_weight_is_forgotten_with_the_minute() -> None:
    meter = WeightMeter(RequestLimits(weight_per_minute=10))
    start_ms = NOW_MS // 60_000 * 60_000
    meter.charge(10, start_ms)

    with pytest.raises(TooMuch) as caught:
        meter.admit(start_ms + 59_999)

    assert caught.value.http_status == 429
    assert caught.value.retry_at_ms == start_ms + 60_000
    meter.admit(start_ms + 60_000)
    assert meter.used(start_ms + 60_000) == 0


def test_each_address_has_limits_of_its_own() -> None:
    meters = Meters(RequestLimits(weight_per_minute=1))
    meters.of("10.0.0.1").charge(1, NOW_MS)

    with pytest.raises(TooMuch):
        meters.of("10.0.0.1").admit(NOW_MS)
    meters.of("10.0.0.2").admit(NOW_MS)


def test_requests_are_counted_whatever_they_weigh() -> None:
    meter = WeightMeter(RequestLimits(raw_requests=2))
    start_ms = NOW_MS // 300_000 * 300_000
    meter.count_request(start_ms)
    meter.count_request(start_ms)

    with pytest.raises(TooMuch) as caught:
        meter.count_request(start_ms + 1)

    assert (caught.value.code, caught.value.http_status) == (-1003, 429)
    assert caught.value.retry_after(start_ms + 1) == 300
    meter.count_request(start_ms + 300_000)


def test_connection_attempts_are_counted_over_five_minutes() -> None:
    meter = WeightMeter(RequestLimits(connections=2))
    start_ms = NOW_MS // 300_000 * 300_000
    meter.connect(start_ms, 2)
    meter.connect(start_ms)

    with pytest.raises(TooMuch) as caught:
        meter.connect(start_ms)

    assert (caught.value.code, caught.value.http_status) == (-1034, 429)
    assert meter.used(start_ms) == 2
    assert meter.connections(start_ms) == 3
    meter.connect(start_ms + 300_000)


def test_a_banned_address_can_do_nothing_until_the_ban_ends() -> None:
    meter = WeightMeter(RequestLimits())
    meter.ban(NOW_MS, 5000)

    for refused in (meter.admit, meter.count_request, meter.connect):
        with pytest.raises(TooMuch) as caught:
            refused(NOW_MS + 4999)
        assert (caught.value.http_status, caught.value.retry_at_ms) == (418, NOW_MS + 5000)
    meter.admit(NOW_MS + 5000)


def test_a_shorter_ban_does_not_end_a_longer_one() -> None:
    meter = Meters(RequestLimits()).of("127.0.0.1")
    meter.ban(0, 30_000)
    meter.ban(1000, 5000)

    with pytest.raises(TooMuch) as refused:
        meter.admit(29_999)
    assert refused.value.retry_at_ms == 30_000
    meter.admit(30_000)


def test_bans_grow_up_to_the_longest() -> None:
    limits = RequestLimits(
        weight_per_minute=1, refusals_before_ban=0, first_ban_ms=100_000, longest_ban_ms=300_000
    )
    meter, now_ms, bans = WeightMeter(limits), NOW_MS, []
    for _ in range(4):
        meter.charge(1, now_ms)
        with pytest.raises(TooMuch) as caught:
            meter.admit(now_ms)
        assert caught.value.http_status == 418
        bans.append(caught.value.retry_at_ms - now_ms)
        now_ms = caught.value.retry_at_ms

    assert bans == [100_000, 200_000, 300_000, 300_000]
