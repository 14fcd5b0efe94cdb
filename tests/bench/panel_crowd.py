"""Eight viewers of a panel's stream and five hundred sockets that connect and never speak.

Arguments: the panel's port, viewers, silent sockets. Prints a line when all are there, and goes on
until it is ended: a silent socket that was closed comes back after five seconds.
"""

import sys
from functools import partial

import anyio

from livespot.runtime.loops import run_loop

_BACK_SECONDS = 5
_AGAIN_SECONDS = 1


class _Crowd:
    def __init__(self, port: int) -> None:
        self.port = port
        self.frames = 0

    async def view(self) -> None:
        """Like a browser: who loses the stream asks for it again after a second."""
        request = f"GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n\r\n"
        while True:
            try:
                async with await anyio.connect_tcp("127.0.0.1", self.port) as stream:
                    await stream.send(request.encode())
                    while True:
                        self.frames += (await stream.receive()).count(b"event: snapshot")
            except (OSError, anyio.EndOfStream, anyio.BrokenResourceError):
                await anyio.sleep(_AGAIN_SECONDS)

    async def be_silent(self) -> None:
        while True:
            try:
                async with await anyio.connect_tcp("127.0.0.1", self.port) as stream:
                    await stream.receive()
            except (OSError, anyio.EndOfStream, anyio.BrokenResourceError):
                await anyio.sleep(_BACK_SECONDS)


async def _gather(port: str, viewers: str, silent: str) -> None:
    crowd = _Crowd(int(port))
    async with anyio.create_task_group() as tasks:
        for _ in range(int(viewers)):
            tasks.start_soon(crowd.view)
        for _ in range(int(silent)):
            tasks.start_soon(crowd.be_silent)
        while crowd.frames < int(viewers):  # noqa: ASYNC110  counted by other tasks
            await anyio.sleep(0.1)
        sys.stdout.write("all are there\n")
        sys.stdout.flush()


if __name__ == "__main__":
    run_loop(partial(_gather, *sys.argv[1:4]))
