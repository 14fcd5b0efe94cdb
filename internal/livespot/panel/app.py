"""The panel's routes: fixed files, prepared snapshots, and bounded reads of the database."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.resources import files
from importlib.resources.abc import Traversable

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from livespot.contracts.base import Message
from livespot.contracts.ports import Clock
from livespot.panel.bundle import bundled
from livespot.panel.database import PanelUnreadable
from livespot.panel.hub import Hub
from livespot.panel.metrics import CONTENT_TYPE, metrics_text
from livespot.panel.pages import Pages

Endpoint = Callable[[Request], Awaitable[Response]]

_PING_SECONDS = 15
_PING = b"event: ping\ndata: {}\n\n"
STREAM = "/api/stream"
METRICS = "/metrics"
_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_PAGE = "dashboard.html"
_SCRIPT = "/static/panel.js"
_LIMIT, _MOST = 100, 500
_ID = r"[A-Za-z0-9_.-]{1,128}"
_NOT_YET = "no snapshot has been built yet"


def _page_files() -> dict[str, Traversable]:
    """Return every file of the page by its only address; the scripts are served as one."""
    found = {}
    for entry in (files("livespot.panel") / "static").iterdir():
        address = "/dashboard" if entry.name == _PAGE else f"/static/{entry.name}"
        if _kind(entry.name) and (address == _SCRIPT or not entry.name.endswith(".js")):
            found[address] = entry
    return found


def _kind(name: str) -> str:
    return _KINDS.get(f".{name.rpartition('.')[2]}", "")


def _script() -> bytes:
    """Join all scripts. Raises `ValueError` for one that cannot be joined."""
    folder = files("livespot.panel") / "static"
    scripts = {
        f"/static/{entry.name}": entry.read_text(encoding="utf-8")
        for entry in folder.iterdir()
        if entry.name.endswith(".js")
    }
    return bundled(scripts, _SCRIPT).encode()


# The only files served: no path of a request ever reaches the file system.
_FILES = _page_files()
ROUTES = frozenset(
    {*_FILES, "/api/dashboard", "/api/orders", "/api/alerts", STREAM, "/healthz", METRICS}
)
_BY_ID = {
    "/api/decisions/{id}": re.compile(rf"/api/decisions/{_ID}"),
    "/api/intents/{id}": re.compile(rf"/api/intents/{_ID}"),
}


class Complaint(Message, frozen=True):
    """Why a request of the page got no answer."""

    error: str


def template(path: str) -> str:
    """Return the route that an address belongs to, "" for none."""
    if path in ROUTES:
        return path
    return next((route for route, form in _BY_ID.items() if form.fullmatch(path)), "")


def is_open(route: str) -> bool:
    """Whether a route shows nothing but the empty page."""
    return route in _FILES


def panel_app(hub: Hub, wall: Clock, pages: Pages) -> Starlette:
    """Build the application, without its guard; `wall` times the pings."""
    routes = [
        _file_route(path, _script() if path == _SCRIPT else entry.read_bytes(), _kind(entry.name))
        for path, entry in _FILES.items()
    ]
    for path, serve in (
        ("/api/dashboard", _dashboard(hub)),
        ("/api/orders", _page(pages.orders)),
        ("/api/alerts", _page(pages.alerts)),
        ("/api/decisions/{id}", _trace(pages.decision)),
        ("/api/intents/{id}", _trace(pages.intent)),
        ("/healthz", _healthz(hub)),
        (METRICS, _metrics(hub)),
        (STREAM, _stream(hub, wall)),
    ):
        routes.append(Route(path, serve, methods=["GET"]))
    app = Starlette(debug=False, routes=routes)
    app.router.redirect_slashes = False
    return app


def _file_route(path: str, body: bytes, kind: str) -> Route:
    async def serve(_: Request) -> Response:
        return Response(body, headers={"content-type": kind})

    return Route(path, serve, methods=["GET"])


def _json(body: bytes, status: int = 200) -> Response:
    return Response(body, status, media_type="application/json")


def _complaint(status: int, error: str) -> Response:
    return _json(msgspec.json.encode(Complaint(error=error)), status)


def _dashboard(hub: Hub) -> Endpoint:
    async def serve(_: Request) -> Response:
        return _complaint(503, _NOT_YET) if hub.frame is None else _json(hub.frame.body)

    return serve


def _page(read: Callable[[int], Awaitable[bytes]]) -> Endpoint:
    async def serve(request: Request) -> Response:
        text = request.query_params.get("limit", str(_LIMIT))
        limit = int(text) if text.isascii() and text.isdigit() and len(text) <= len("500") else 0
        if not 1 <= limit <= _MOST:
            return _complaint(400, f"limit is a whole number from 1 to {_MOST}")
        try:
            return _json(await read(limit))
        except PanelUnreadable as error:
            return _complaint(503, str(error))

    return serve


def _trace(read: Callable[[str], Awaitable[bytes | None]]) -> Endpoint:
    async def serve(request: Request) -> Response:
        try:
            body = await read(request.path_params["id"])
        except PanelUnreadable as error:
            return _complaint(503, str(error))
        return _complaint(404, "this database does not hold it") if body is None else _json(body)

    return serve


def _healthz(hub: Hub) -> Endpoint:
    async def serve(_: Request) -> Response:
        status, body = hub.healthz()
        return _json(body, status)

    return serve


def _metrics(hub: Hub) -> Endpoint:
    async def serve(_: Request) -> Response:
        if hub.frame is None:
            return _complaint(503, _NOT_YET)
        return Response(metrics_text(hub.frame.dashboard), headers={"content-type": CONTENT_TYPE})

    return serve


def _stream(hub: Hub, wall: Clock) -> Endpoint:
    async def serve(request: Request) -> Response:
        if request.method == "HEAD":
            return Response(b"", media_type="text/event-stream")
        return StreamingResponse(_events(hub, wall), media_type="text/event-stream")

    return serve


async def _events(hub: Hub, wall: Clock) -> AsyncIterator[bytes]:
    """Yield each newer snapshot; a slow viewer skips those it missed."""
    seen, pinged = 0, wall.monotonic_ms()
    yield b"retry: 1000\n\n"
    while not hub.closing:
        due = _PING_SECONDS - (wall.monotonic_ms() - pinged) / 1000
        frame = await hub.changed(seen, max(0.0, due))
        if frame is not None:
            for alert in hub.alerts_after(seen) if seen else ():
                yield alert
            seen = frame.number
            yield frame.event
        if wall.monotonic_ms() - pinged >= _PING_SECONDS * 1000:
            pinged = wall.monotonic_ms()
            yield _PING
