"""The page at `/`: what answers here, and that nothing of it is real."""

from html import escape

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from livespot.exchange.core import ExchangeCore
from livespot.exchange.limits import iso
from livespot.exchange.model import Json

_WHAT = (
    "An exchange that only pretends: it runs inside one program on this machine, its prices are "
    "replayed or invented, and its balances are numbers without value. No real money can be won, "
    "lost or moved here."
)
_DOCS = (
    "Requests, streams and error codes imitate a spot exchange; the exchange's own API "
    "documentation describes them."
)
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Vary": "Accept",
}
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}"
    "dt{font-weight:600}dd{margin:0 0 .5rem}code{overflow-wrap:anywhere}"
)


def home(core: ExchangeCore, request: Request) -> Response:
    """JSON for those who ask for it, else a page without any script or outside reference."""
    facts = _facts(core, request)
    accept = request.headers.get("Accept", "")
    if "application/json" in accept and "text/html" not in accept:
        return Response(msgspec.json.encode(facts), 200, _HEADERS, "application/json;charset=UTF-8")
    return Response(_page(facts), 200, _HEADERS, "text/html;charset=UTF-8")


def _facts(core: ExchangeCore, request: Request) -> Json:
    place = request.url.netloc
    secure = request.url.scheme == "https"
    web, socket = ("https", "wss") if secure else ("http", "ws")
    shared = core.settings.shared_clock
    now_ms = core.clock.now_ms()
    return {
        "about": _WHAT,
        "documentation": _DOCS,
        "rest": f"{web}://{place}/api/v3",
        "streams": f"{socket}://{place}/ws",
        "combinedStreams": f"{socket}://{place}/stream",
        "websocketApi": f"{socket}://{place}/ws-api/v3",
        "marketTime": iso(now_ms),
        "marketTimeMs": now_ms,
        "speed": shared.speed if shared is not None else 1,
        "symbols": sorted(core.tapes),
    }


def _page(facts: Json) -> str:
    rows = "".join(
        f"<dt>{label}</dt><dd>{_value(facts[name])}</dd>"
        for name, label in (
            ("rest", "REST API"),
            ("websocketApi", "WebSocket API"),
            ("streams", "Market streams"),
            ("combinedStreams", "Combined streams"),
            ("marketTime", "Market time"),
            ("speed", "Speed (market seconds per second)"),
            ("symbols", "Symbols"),
        )
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        "<title>A pretended exchange</title>"
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><h1>A pretended exchange</h1>"
        f"<p>{escape(facts['about'])}</p><p>{escape(facts['documentation'])}</p>"
        f"<dl>{rows}</dl></body></html>"
    )


def _value(value: object) -> str:
    text = ", ".join(value) if isinstance(value, list) else str(value)
    return f"<code>{escape(text)}</code>"
