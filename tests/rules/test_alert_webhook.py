"""What leaves for a webhook: each shape, what it may not hold, and how much of it."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livespot.contracts.codes import ReasonCode
from livespot.contracts.system import Alert
from livespot.contracts.vocabulary import Severity, WebhookShape
from livespot.rules.alert_webhook import (
    Allowance,
    Origin,
    address_problem,
    admitted,
    digest_due_ms,
    hidden_parts,
    is_heard,
    webhook_post,
)

_ORIGIN = Origin(run_id="run_1", mode="SIM")
_ALERT = Alert(
    severity=Severity.CRIT,
    code=ReasonCode.ENTER_PAUSE,
    reasons=(ReasonCode.DISK_LOW_PAUSE,),
    text="NORMAL -> PAUSE\n<b>&",
    symbol="SOLUSDT",
    at_ms=5,
)
_TELEGRAM = "https://api.telegram.org/bot123456:AAtoken/sendMessage?chat_id=-100"


def test_generic_json_holds_everything() -> None:
    post = webhook_post(
        WebhookShape.JSON, "https://a.example/x", _ALERT, origin=_ORIGIN, withheld=3
    )

    assert post.url == "https://a.example/x"
    assert msgspec.json.decode(post.body) == {
        "program": "livespot",
        "run_id": "run_1",
        "mode": "SIM",
        "severity": "CRIT",
        "code": "ENTER_PAUSE",
        "reasons": ["DISK_LOW_PAUSE"],
        "symbol": "SOLUSDT",
        "text": "NORMAL -> PAUSE <b>&",
        "at_ms": 5,
        "withheld": 3,
    }


def test_telegram_gets_its_chat_in_the_body_and_plain_text() -> None:
    post = webhook_post(WebhookShape.TELEGRAM, _TELEGRAM, _ALERT, origin=_ORIGIN, withheld=2)
    body = msgspec.json.decode(post.body)

    assert post.url == "https://api.telegram.org/bot123456:AAtoken/sendMessage"
    assert body["chat_id"] == "-100"
    assert "parse_mode" not in body
    assert body["text"] == (
        "livespot SIM CRIT ENTER_PAUSE SOLUSDT: NORMAL -> PAUSE <b>& (+2 withheld, see the panel)"
    )


def test_slack_gets_its_three_characters_escaped() -> None:
    post = webhook_post(
        WebhookShape.SLACK, "https://s.example/x", _ALERT, origin=_ORIGIN, withheld=0
    )

    assert msgspec.json.decode(post.body)["text"].endswith("NORMAL -&gt; PAUSE &lt;b&gt;&amp;")


def test_ntfy_gets_text_a_title_and_a_priority() -> None:
    post = webhook_post(
        WebhookShape.NTFY, "https://n.example/t", _ALERT, origin=_ORIGIN, withheld=0
    )

    assert post.headers["title"] == "livespot CRIT ENTER_PAUSE"
    assert post.headers["priority"] == "5"
    assert post.body == b"livespot SIM CRIT ENTER_PAUSE SOLUSDT: NORMAL -> PAUSE <b>&"


@given(st.text(max_size=3000), st.sampled_from(WebhookShape))
def test_whatever_the_text_the_post_stays_small_and_on_one_line(
    text: str, shape: WebhookShape
) -> None:
    alert = msgspec.structs.replace(_ALERT, text=text.encode("utf-8", "replace").decode())
    post = webhook_post(shape, _TELEGRAM, alert, origin=_ORIGIN, withheld=0)

    assert len(post.body) < 8192
    assert b"\n" not in post.body
    assert all(value.isascii() and value.isprintable() for value in post.headers.values())


@pytest.mark.parametrize(
    ("shape", "address"),
    [
        (WebhookShape.JSON, ""),
        (WebhookShape.JSON, "https://a.example/x\nhttps://b.example"),
        (WebhookShape.JSON, "https://a.example/x y"),
        (WebhookShape.JSON, "http://a.example/x"),
        (WebhookShape.JSON, "ftp://a.example/x"),
        (WebhookShape.JSON, "https:///x"),
        (WebhookShape.JSON, "https://a.example:99999/x"),
        (WebhookShape.JSON, "https://[::1/x"),
        (WebhookShape.TELEGRAM, "https://api.telegram.org/bot1:AA/sendMessage"),
    ],
)
def test_an_address_that_cannot_serve_is_refused_without_being_quoted(
    shape: WebhookShape, address: str
) -> None:
    problem = address_problem(shape, address)

    assert problem
    assert "example" not in problem
    assert "AA" not in problem


@pytest.mark.parametrize(
    ("shape", "address"),
    [
        (WebhookShape.JSON, "https://a.example:8443/x?y=1"),
        (WebhookShape.NTFY, "http://127.0.0.1:8080/topic"),
        (WebhookShape.NTFY, "http://[::1]:8080/topic"),
        (WebhookShape.TELEGRAM, _TELEGRAM),
    ],
)
def test_a_good_address_passes(shape: WebhookShape, address: str) -> None:
    assert address_problem(shape, address) == ""


def test_all_of_an_address_and_its_long_parts_are_hidden() -> None:
    address = "https://hooks.example/services/T0/XXXXXXXXXXXXXXXXXXXXXXXX?key=0123456789abcdef"

    assert set(hidden_parts(address)) == {address, "X" * 24, "0123456789abcdef"}


def test_only_what_is_loud_enough_is_heard() -> None:
    heard = [is_heard(severity, Severity.WARN) for severity in Severity]

    assert heard == [False, True, True]


def test_room_is_kept_for_the_worst_and_what_is_left_out_is_counted() -> None:
    allowance, went = Allowance(), []
    for severity in [Severity.WARN] * 5 + [Severity.CRIT] * 2:
        allowance, go = admitted(allowance, severity, 1000, 4)
        went.append(go)

    assert went == [True, True, True, False, False, True, False]
    assert allowance.withheld == 1


@given(
    st.lists(st.tuples(st.integers(0, 40_000), st.sampled_from(Severity)), max_size=60),
    st.integers(1, 20),
)
def test_no_minute_ever_carries_more_than_allowed(
    steps: list[tuple[int, Severity]], per_minute: int
) -> None:
    allowance, now_ms, sent = Allowance(), 0, []
    for step_ms, severity in steps:
        now_ms += step_ms
        allowance, go = admitted(allowance, severity, now_ms, per_minute)
        if go:
            sent.append(now_ms)

    assert all(
        sum(1 for at in sent if start <= at < start + 60_000) <= per_minute for start in sent
    )


def test_a_digest_is_due_when_the_oldest_leaves_its_minute() -> None:
    full = Allowance(sent_ms=(1000, 2000), withheld=4)

    assert digest_due_ms(full, 11_000) == 50_000
    assert digest_due_ms(full, 99_000) == 0
    assert digest_due_ms(Allowance(sent_ms=(1000,)), 2000) is None
