"""What a service manager hears: the start, each mode, a beat while the loop runs, and the end."""

import re
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from livespot.contracts.errors import ExitCode
from livespot.contracts.vocabulary import SysMode
from livespot.runtime.environment import environment_of_a_child, take_notify_address
from livespot.runtime.send_gate import SendGate
from livespot.runtime.service_notice import ServiceNotice
from livespot.runtime.watchdog import Heartbeats, Watchdog
from livespot.testing.clock import ManualClock
from livespot.testing.workshop import AS_SHIPPED, until, workshop

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no such sockets there")


@contextmanager
def _manager(address: str) -> Iterator[socket.socket]:
    """The manager's end of the line."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(address)
        listening.settimeout(10)
        yield listening


def _waiting(manager: socket.socket) -> list[str]:
    """Everything that has arrived and was not read yet."""
    manager.setblocking(False)
    heard: list[str] = []
    while True:
        try:
            heard.append(manager.recv(4096).decode())
        except BlockingIOError:
            return heard


def test_the_manager_hears_each_word_as_one_datagram(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with _manager(address) as manager, ServiceNotice(address) as notice:
        notice.mode(SysMode.DEGRADE)
        notice.started()
        notice.alive()
        notice.mode(SysMode.NORMAL)
        notice.stopping()

        assert _waiting(manager) == [
            "STATUS=DEGRADE",
            "READY=1",
            "WATCHDOG=1",
            "STATUS=NORMAL",
            "STOPPING=1",
        ]


@pytest.mark.skipif(sys.platform != "linux", reason="abstract names exist on Linux only")
def test_a_leading_at_sign_names_an_abstract_socket(tmp_path: Path) -> None:
    name = f"livespot-{tmp_path.name}-{hash(tmp_path) & 0xFFFF}"
    with _manager(f"\0{name}") as manager, ServiceNotice(f"@{name}") as notice:
        notice.started()

        assert _waiting(manager) == ["READY=1"]


@pytest.mark.parametrize("there", [True, False])
def test_without_a_listening_manager_it_is_silent(*, there: bool, tmp_path: Path) -> None:
    with ServiceNotice(str(tmp_path / "nobody") if there else "") as notice:
        notice.started()
        notice.alive()
        notice.stopping()


def test_a_manager_that_does_not_read_holds_nobody_up(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with _manager(address) as manager, ServiceNotice(address) as notice:
        for _ in range(5_000):
            notice.alive()

        assert 0 < len(_waiting(manager)) < 5_000


def test_the_address_is_taken_out_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/notify")

    assert "NOTIFY_SOCKET" not in environment_of_a_child()
    assert take_notify_address() == "/run/notify"
    assert take_notify_address() == ""


def test_the_watchdog_says_alive_only_while_the_loop_is_in_time(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    clock = ManualClock()
    beats = Heartbeats(clock)
    beat = beats.beat_of("loop")
    with _manager(address) as manager, ServiceNotice(address) as notice:
        dog = Watchdog(
            heartbeats=beats,
            gate=SendGate(),
            pause_ms=1_000,
            kill_ms=60_000,
            note=tmp_path / "crash.log",
            alive=notice.alive,
        )
        dog.start()
        assert manager.recv(64) == b"WATCHDOG=1"
        clock.advance(2_000)
        # One more word may be on its way from before the clock moved.
        manager.settimeout(1.5)
        late = _heard_within(manager)
        silent = _heard_within(manager)
        beat()
        manager.settimeout(10)
        again = manager.recv(64)
        dog.stop()

    assert late in (None, b"WATCHDOG=1")
    assert silent is None
    assert again == b"WATCHDOG=1"


def _heard_within(manager: socket.socket) -> bytes | None:
    try:
        return manager.recv(64)
    except TimeoutError:
        return None


@pytest.mark.slow
async def test_a_run_tells_its_whole_life_to_the_manager(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    with _manager(address) as manager:
        async with workshop(tmp_path, AS_SHIPPED) as shop:
            run = shop.sim(span="60s")
            heard: list[str] = []

            def beaten() -> bool:
                heard.extend(_waiting(manager))
                return {"STATUS=NORMAL", "READY=1", "WATCHDOG=1"} <= set(heard)

            await until(beaten, 40, "a beat in NORMAL")
            run.signal(signal.SIGTERM)
            code = await run.ended()
            heard.extend(_waiting(manager))

    assert code == ExitCode.CLEAN
    assert heard.index("READY=1") < heard.index("WATCHDOG=1")
    assert [it for it in heard if it.startswith("STATUS=")] == [
        "STATUS=DEGRADE",
        "STATUS=NORMAL",
        "STATUS=EXIT",
    ]
    assert heard.count("READY=1") == heard.count("STOPPING=1") == 1
    assert heard.index("STATUS=EXIT") < heard.index("STOPPING=1")
    assert all(re.fullmatch(r"READY=1|STOPPING=1|WATCHDOG=1|STATUS=[A-Z]+", it) for it in heard)
