"""The bounded way out to one WebSocket client: whoever reads too slowly is cut off."""

import anyio
import msgspec

_ENCODER = msgspec.json.Encoder()


def encode(body: object) -> str:
    """JSON text for a frame."""
    return _ENCODER.encode(body).decode()


class Outbound:
    """Frames for one client, in order. When the client lags `size` frames behind, it is lost."""

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self.lost = anyio.Event()
        self._sender, self.frames = anyio.create_memory_object_stream[str](size)

    def push(self, text: str) -> bool:
        """Queue a frame without waiting; false when the client is lost."""
        if self.lost.is_set():
            return False
        try:
            self._sender.send_nowait(text)
        except anyio.WouldBlock:
            self.lost.set()
            return False
        return True

    def close(self) -> None:
        """Nothing more will be sent."""
        self.lost.set()
        self._sender.close()
        self.frames.close()
