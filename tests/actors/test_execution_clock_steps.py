"""A wall clock that is set neither lengthens nor cuts short what an entry may take."""

from pathlib import Path

from livespot.contracts.orders import CancelRequest
from livespot.testing.execution_bench import a_decision, bench
from livespot.testing.ledger_rows import fresh
from livespot.testing.scripted_venue import DROP_REQUEST

HOUR_MS = 3_600_000


async def test_a_clock_set_back_leaves_the_time_of_a_working_entry_as_it_was(
    tmp_path: Path,
) -> None:
    async with bench(fresh(tmp_path)) as b:
        await b.approve(a_decision())
        b.clock.wall_ms -= HOUR_MS

        await b.advance(30_200)

        assert isinstance(b.venue.sent[1], CancelRequest)


async def test_a_clock_set_ahead_does_not_end_a_working_entry(tmp_path: Path) -> None:
    async with bench(fresh(tmp_path)) as b:
        await b.approve(a_decision())
        b.clock.wall_ms += HOUR_MS

        await b.advance(5000)

        assert len(b.venue.sent) == 1
        assert len(b.venue.working_buys()) == 1


async def test_a_lost_cancel_is_repeated_in_time_though_the_clock_was_set_back(
    tmp_path: Path,
) -> None:
    async with bench(fresh(tmp_path)) as b:
        await b.approve(a_decision())
        b.venue.script = [DROP_REQUEST]
        await b.advance(30_200)
        b.clock.wall_ms -= HOUR_MS

        await b.advance(3000)

        assert len([r for r in b.venue.sent if isinstance(r, CancelRequest)]) == 2


async def test_a_protectable_part_loses_its_remainder_in_time_though_the_clock_was_set_back(
    tmp_path: Path,
) -> None:
    async with bench(fresh(tmp_path)) as b:
        await b.approve(a_decision())
        b.venue.fill(100, "1")
        await b.stream(100)
        b.clock.wall_ms -= HOUR_MS

        await b.advance(2000)

        assert isinstance(b.venue.sent[1], CancelRequest)
