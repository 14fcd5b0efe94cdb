"""The panel's routes: fixed files and ready-made bytes, nothing that computes."""

from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.resources import files

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from livespot.contracts.ports import Clock
from livespot.panel.hub import Hub

Endpoint = Callable[[Request], Awaitable[Response]]

_PING_SECONDS = 15
_PING = b"event: ping\ndata: {}\n\n"
STREAM = "/api/stream"
_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_PAGE = "dashboard.html"


def _static_files() -> dict[str, tuple[str, str]]:
    """Name and content type of every file of the page, by the only address it answers to."""
    found = {}
    for entry in sorted((files("livespot.panel") / "static").iterdir(), key=lambda e: e.name):
        kind = _KINDS.get(f".{entry.name.rpartition('.')[2]}")
        if kind is not None:
            address = "/dashboard" if entry.name == _PAGE else f"/static/{entry.name}"
            found[address] = (entry.name, kind)
    return found


# The only files that exist, listed once: no path of a request ever reaches the file system.
_FILES = _static_files()
ROUTES = frozenset({*_FILES, "/api/dashboard", STREAM, "/healthz"})


def panel_app(hub: Hub, wall: Clock) -> Starlette:
    """The application without its guard; `wall` times the pings."""
    routes = [_file_route(path, name, kind) for path, (name, kind) in _FILES.items()]
    routes += [
        Route("/api/dashboard", _dashboard(hub), methods=["GET"]),
        Route("/healthz", _healthz(hub), methods=["GET"]),
        Route(STREAM, _stream(hub, wall), methods=["GET"]),
    ]
    app = Starlette(debug=False, routes=routes)
    app.router.redirect_slashes = False
    return app


def _file_route(path: str, name: str, kind: str) -> Route:
    body = (files("livespot.panel") / "static" / name).read_bytes()

    async def serve(_: Request) -> Response:
        return Response(body, headers={"content-type": kind})

    return Route(path, serve, methods=["GET"])


def _dashboard(hub: Hub) -> Endpoint:
    async def serve(_: Request) -> Response:
        if hub.frame is None:
            return Response(
                b'{"error":"no snapshot has been built yet"}', 503, media_type="application/json"
            )
        return Response(hub.frame.body, media_type="application/json")

    return serve


def _healthz(hub: Hub) -> Endpoint:
    async def serve(_: Request) -> Response:
        status, body = hub.healthz()
        return Response(body, status, media_type="application/json")

    return serve


def _stream(hub: Hub, wall: Clock) -> Endpoint:
    async def serve(request: Request) -> Response:
        if request.method == "HEAD":
            return Response(b"", media_type="text/event-stream")
        return StreamingResponse(_events(hub, wall), media_type="text/event-stream")

    return serve


async def _events(hub: Hub, wall: Clock) -> AsyncIterator[bytes]:
    """The newest snapshot whenever there is a newer one; a slow viewer skips what it missed."""
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
