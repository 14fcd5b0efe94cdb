"""A configuration that is edited while a run lasts is told of, and otherwise left alone."""

from collections.abc import Callable
from pathlib import Path

import anyio

from livespot.contracts.codes import ReasonCode
from livespot.contracts.system import Alert
from livespot.contracts.vocabulary import Severity
from livespot.runtime.config_watch import ConfigWatch
from livespot.testing.clock import ManualClock


class EditingClock(ManualClock):
    """While it sleeps, somebody makes the next edit; after the last one it sleeps on."""

    def __init__(self, *edits: Callable[[], object]) -> None:
        super().__init__()
        self.edits = list(edits)
        self.over = anyio.Event()

    async def sleep(self, seconds: float) -> None:
        if not self.edits:
            self.over.set()
            await anyio.sleep_forever()
        self.edits.pop(0)()


async def told_of(path: Path, *edits: Callable[[], object]) -> list[Alert]:
    told: list[Alert] = []
    clock = EditingClock(*edits)
    watch = ConfigWatch(
        path=path, config_hash="c0ffee" * 8, wall=clock, market=clock, tell=told.append
    )
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch.run)
            await clock.over.wait()
            tasks.cancel_scope.cancel()
    return told


async def test_an_edit_is_told_once_with_the_configuration_that_still_holds(
    tmp_path: Path,
) -> None:
    path = tmp_path / "livespot.toml"
    path.write_text("[risk]\n")

    (alert,) = await told_of(
        path,
        lambda: None,
        lambda: path.write_text("[risk]\ncooldown_seconds = 1\n"),
        lambda: None,
    )

    assert (alert.severity, alert.code) == (Severity.WARN, ReasonCode.STRAT_CONFIG_INVALID)
    assert "c0ffeec0ffee" in alert.text
    assert "cooldown_seconds" not in alert.text


async def test_a_file_that_appears_goes_and_comes_back_is_told_each_time(tmp_path: Path) -> None:
    path = tmp_path / "livespot.toml"

    alerts = await told_of(path, lambda: path.write_text("[risk]\n"), path.unlink)

    assert [a.severity for a in alerts] == [Severity.WARN, Severity.INFO]
