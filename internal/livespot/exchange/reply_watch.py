"""Follows each reply on a WebSocket API connection until it has left or is lost."""

from livespot.exchange.journal import ReplyRow
from livespot.exchange.request_log import RequestLog


class WatchedReply(str):
    """A reply's text that knows which request it answers; on its way it is a text as any other."""

    __slots__ = ("queued_ms", "rid", "watch")

    rid: int
    queued_ms: int
    watch: "ReplyWatch"


class ReplyWatch:
    """One per connection. A reply that leaves in the instant it was queued in needs no row."""

    def __init__(self, log: RequestLog) -> None:
        self._log = log
        self._waiting: dict[int, WatchedReply] = {}

    def of(self, text: str, rid: int) -> WatchedReply:
        """The reply to request `rid`, to be queued now."""
        reply = WatchedReply(text)
        reply.rid, reply.queued_ms, reply.watch = rid, self._log.clock.now_ms(), self
        self._waiting[rid] = reply
        return reply

    def forget(self, rid: int) -> None:
        """Its row says already that it was not delivered."""
        self._waiting.pop(rid, None)

    def left(self, text: str) -> None:
        """A frame is out; it may be no reply."""
        if not isinstance(text, WatchedReply) or self._waiting.pop(text.rid, None) is None:
            return
        now_ms = self._log.clock.now_ms()
        if now_ms > text.queued_ms:
            self._write(text.rid, delivered=True)

    def lost(self, text: str) -> None:
        """A frame goes no further than here."""
        if isinstance(text, WatchedReply) and self._waiting.pop(text.rid, None) is not None:
            self._write(text.rid, delivered=False)

    def close(self) -> None:
        """The connection is over, and with it what still waited."""
        for rid in tuple(self._waiting):
            self._write(rid, delivered=False)
        self._waiting.clear()

    def _write(self, rid: int, *, delivered: bool) -> None:
        now_ms = self._log.clock.now_ms()
        self._log.journal.write(ReplyRow(rid=rid, t_ms=now_ms, delivered=delivered))


def lose(text: object) -> None:
    """Whoever carries frames drops this one."""
    if isinstance(text, WatchedReply):
        text.watch.lost(text)
