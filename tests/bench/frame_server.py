"""A market stream of its own process: it answers one subscription, then sends book tickers.

The path says what to send: `/<frames>/<burst>/<pause_us>/stream` sends so many frames, in writes of
`burst` frames each with a pause between them. The port is printed once the server listens.
"""

import asyncio
import random
import sys
from decimal import Decimal

import msgspec
from websockets.asyncio.server import ServerConnection, serve
from websockets.frames import Frame, Opcode

SYMBOLS = tuple(
    f"{base}USDT"
    for base in ("BTC", "ETH", "BNB", "SOL", "XRP", "ADA", "DOGE", "LTC", "LINK", "MATIC")
)
_FIRST_ID = 400_900_000
_PRICES = ("60123.45", "2250.10", "512.33", "151.07", "0.5512")


def last_ids(frames: int) -> dict[str, int]:
    """The update id of the last frame of each symbol."""
    return {symbol: _FIRST_ID + frames - len(SYMBOLS) + i for i, symbol in enumerate(SYMBOLS)}


def level_of(symbol: str) -> str:
    """The price around which a symbol's books walk."""
    return _PRICES[SYMBOLS.index(symbol) % len(_PRICES)]


def book_frame(number: int, chance: random.Random) -> bytes:
    """One combined frame as the exchange writes it: symbols in turn, prices on a small walk."""
    symbol = SYMBOLS[number % len(SYMBOLS)]
    bid = Decimal(_PRICES[number % len(_PRICES)]) * (10_000 + chance.randrange(-20, 20)) / 10_000
    data = {
        "u": _FIRST_ID + number,
        "s": symbol,
        "b": f"{bid:.8f}",
        "B": f"{chance.randrange(1, 90_000) / 1000:.8f}",
        "a": f"{bid * Decimal('1.0001'):.8f}",
        "A": f"{chance.randrange(1, 90_000) / 1000:.8f}",
    }
    return msgspec.json.encode({"stream": f"{symbol.lower()}@bookTicker", "data": data})


def _wire(frames: int) -> list[bytes]:
    """Frames with their WebSocket headers, made beforehand: sending must cost next to nothing."""
    chance = random.Random(7)  # noqa: S311
    return [
        Frame(Opcode.TEXT, book_frame(number, chance)).serialize(mask=False)
        for number in range(frames)
    ]


async def _serve(most_frames: int) -> None:
    wire = _wire(most_frames)

    async def send(connection: ServerConnection) -> None:
        request = connection.request
        if request is None:
            raise RuntimeError("a connection without a request")
        frames, burst, pause_us = (int(part) for part in request.path.split("/")[1:4])
        asked = msgspec.json.decode(await connection.recv())
        await connection.send(msgspec.json.encode({"result": None, "id": asked["id"]}).decode())
        for start in range(0, frames, burst):
            connection.transport.write(b"".join(wire[start : min(frames, start + burst)]))
            while connection.transport.get_write_buffer_size() > 2**18:  # noqa: ASYNC110
                await asyncio.sleep(0.0005)
            if pause_us:
                await asyncio.sleep(pause_us / 1_000_000)
        await connection.wait_closed()

    async with serve(
        send, "127.0.0.1", 0, compression=None, ping_interval=None, close_timeout=1
    ) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        sys.stdout.write(f"{port}\n")
        sys.stdout.flush()
        await server.wait_closed()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
