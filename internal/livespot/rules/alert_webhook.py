"""What is posted to the operator's webhook: which alerts, in which format, how many withheld."""

import re
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec

from livespot.contracts.system import Alert
from livespot.contracts.vocabulary import Severity, WebhookShape

_WINDOW_MS = 60_000
_LONGEST_TEXT = 1000
_SHORTEST_HIDDEN = 16
_PRINTABLE = re.compile(r"[!-~]+\Z", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9.-]+\Z|[0-9a-f:]+\Z", re.ASCII)
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_RANK = {Severity.INFO: 0, Severity.WARN: 1, Severity.CRIT: 2}
_NTFY_PRIORITY = {Severity.INFO: "3", Severity.WARN: "4", Severity.CRIT: "5"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The run that an alert comes from."""

    run_id: str
    mode: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """One request. `url` may hold a secret."""

    url: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What was sent within the last minute, and how many alerts have been withheld since."""

    sent_ms: tuple[int, ...] = ()
    withheld: int = 0


def is_heard(severity: Severity, least: Severity) -> bool:
    """Whether an alert is severe enough for the webhook."""
    return _RANK[severity] >= _RANK[least]


def admitted(
    allowance: Allowance, severity: Severity, now_ms: int, per_minute: int
) -> tuple[Allowance, bool]:
    """Admit or withhold one alert. A quarter of the minute's allowance is kept for CRIT."""
    sent = _recent(allowance, now_ms)
    room = per_minute if severity is Severity.CRIT else per_minute - per_minute // 4
    if len(sent) >= room:
        return replace(allowance, sent_ms=sent, withheld=allowance.withheld + 1), False
    return Allowance(sent_ms=(*sent, now_ms)), True


def digest_due_ms(allowance: Allowance, now_ms: int) -> int | None:
    """How long until the count of withheld alerts can be sent; None when none were withheld."""
    if not allowance.withheld:
        return None
    sent = _recent(allowance, now_ms)
    return max(0, sent[0] + _WINDOW_MS - now_ms) if sent else 0


def _recent(allowance: Allowance, now_ms: int) -> tuple[int, ...]:
    return tuple(at for at in allowance.sent_ms if 0 <= now_ms - at < _WINDOW_MS)


def address_problem(shape: WebhookShape, address: str) -> str:
    """What is wrong with an address, without quoting any of it; empty when it is good."""
    if not address:
        return "is empty; it must hold the address on its first line"
    if _PRINTABLE.match(address) is None:
        return "must hold one address on one line, without blanks"
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return "holds no address that can be read"
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or _HOST.match(host) is None or port == 0:
        return "must hold an address that begins with https:// and names a host"
    if parts.scheme == "http" and host not in _LOOPBACK:
        return "must use https, or anybody on the way can read and send"
    if shape is WebhookShape.TELEGRAM and "chat_id" not in dict(parse_qsl(parts.query)):
        return "must end with ?chat_id= and the number of the chat"
    return ""


def hidden_parts(address: str) -> tuple[str, ...]:
    """What must be redacted of an address: all of it, and each part long enough to be a token."""
    parts = urlsplit(address)
    pieces = [*parts.path.split("/"), *dict(parse_qsl(parts.query)).values()]
    return (address, *(piece for piece in pieces if len(piece) >= _SHORTEST_HIDDEN))


def webhook_post(
    shape: WebhookShape, address: str, alert: Alert, *, origin: Origin, withheld: int
) -> Post:
    """One alert in the format of `shape`. The alert's text must have been redacted already."""
    line = _line(alert, origin, withheld)
    match shape:
        case WebhookShape.TELEGRAM:
            parts = urlsplit(address)
            query = dict(parse_qsl(parts.query))
            body = {"chat_id": query.pop("chat_id", ""), "text": line}
            bare = urlunsplit(parts._replace(query=urlencode(query)))
            return _json_post(bare, body | {"disable_web_page_preview": True})
        case WebhookShape.SLACK:
            safe = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
            return _json_post(address, {"text": safe})
        case WebhookShape.NTFY:
            headers = {
                "content-type": "text/plain; charset=utf-8",
                "title": f"livespot {alert.severity} {alert.code}",
                "priority": _NTFY_PRIORITY[alert.severity],
            }
            return Post(url=address, headers=headers, body=line.encode())
        case WebhookShape.JSON:
            told = {
                "program": "livespot",
                "run_id": origin.run_id,
                "mode": origin.mode,
                "severity": alert.severity,
                "code": alert.code,
                "reasons": alert.reasons,
                "symbol": alert.symbol,
                "text": _cut(alert.text),
                "at_ms": alert.at_ms,
                "withheld": withheld,
            }
            return _json_post(address, told)


def _json_post(url: str, body: dict[str, object]) -> Post:
    return Post(
        url=url, headers={"content-type": "application/json"}, body=msgspec.json.encode(body)
    )


def _line(alert: Alert, origin: Origin, withheld: int) -> str:
    symbol = f" {alert.symbol}" if alert.symbol else ""
    more = f" (+{withheld} withheld, see the panel)" if withheld else ""
    head = f"livespot {origin.mode} {alert.severity} {alert.code}{symbol}"
    return f"{head}: {_cut(alert.text)}{more}"


def _cut(text: str) -> str:
    shown = "".join(char if char.isprintable() else " " for char in text)
    return shown if len(shown) <= _LONGEST_TEXT else f"{shown[: _LONGEST_TEXT - 1]}…"
