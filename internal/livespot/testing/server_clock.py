"""The exchange's time, as far off the local clock as a test wants."""

from livespot.contracts.ports import Clock


class FixedOffset:
    """`offset_ms` is added to the local clock; `moves` is what the next measurements find."""

    def __init__(self, clock: Clock, offset_ms: int = 0) -> None:
        self._clock = clock
        self.offset_ms = offset_ms
        self.synced = True
        self.moves: list[int] = []

    def server_now_ms(self) -> int:
        return self._clock.now_ms() + self.offset_ms

    def steady_now_ms(self) -> int:
        return self.server_now_ms()

    def certain_now_ms(self) -> int | None:
        return self.server_now_ms() if self.synced else None

    async def resync(self) -> int:
        return self.moves.pop(0) if self.moves else 0

    async def glance(self) -> int:
        return self.offset_ms + (self.moves[0] if self.moves else 0)
