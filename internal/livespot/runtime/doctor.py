"""The preflight: checks everything that a run needs and reports it row by row."""

from collections.abc import Iterable, Sequence
from typing import Any

import anyio
import msgspec

from livespot.contracts.errors import ConfigInvalid
from livespot.contracts.ports import Clock
from livespot.contracts.redaction import Redactor
from livespot.rules.doctor import Check, Outcome
from livespot.runtime.config import LoadedSettings
from livespot.runtime.disk import RealDisk
from livespot.runtime.doctor_ban import ban_left_ms
from livespot.runtime.doctor_checks_account import account_probes
from livespot.runtime.doctor_checks_gate import gate_probes
from livespot.runtime.doctor_checks_local import local_probes
from livespot.runtime.doctor_checks_operator import operator_probes
from livespot.runtime.doctor_checks_store import store_probes
from livespot.runtime.doctor_checks_venue import (
    Venue,
    check_limits,
    market_probes,
    open_venue,
    reaching_probes,
)
from livespot.runtime.doctor_plan import (
    EVERYTHING,
    DoctorPlan,
    Need,
    Probe,
    looked_at,
    not_looked_at,
)
from livespot.runtime.environment import Secrets
from livespot.runtime.paths import Paths
from livespot.venue.http_client import HttpxTransport
from livespot.venue.signing import Signer, load_signer
from livespot.venue.sockets import WebsocketsTransport

_ACCOUNT_ROWS = (
    ("account", "Account"),
    ("key_rights", "Rights of the key"),
    ("account_events", "Account events"),
    ("open_orders", "Open orders"),
)


async def examine(plan: DoctorPlan) -> tuple[Check, ...]:
    """Return the rows of the wanted groups in a fixed order; a failing check is a row, no error.

    ACCOUNT needs the exchange's clock, so NETWORK is checked first whenever ACCOUNT is wanted.
    Secret values are masked in every text.
    """
    rows: list[Check] = []
    if Need.LOCAL in plan.needs:
        for probe in (*local_probes(plan), *store_probes(plan)):
            rows.extend(await looked_at(probe, plan))
    rows.extend(await _outside(plan))
    if Need.LOCAL in plan.needs:
        for probe in operator_probes(plan):
            rows.extend(await looked_at(probe, plan))
    redactor = Redactor(secret.reveal() for secret in plan.secrets.all())
    return tuple(_masked(row, redactor) for row in rows)


async def examine_installation(
    paths: Paths,
    loaded: LoadedSettings,
    secrets: Secrets,
    *,
    clock: Clock,
    needs: frozenset[Need] = EVERYTHING,
) -> tuple[Check, ...]:
    """Like `examine`, over real connections that are opened for it."""
    return await _examine_connected(paths, loaded, secrets, clock, needs=needs)


async def examine_simulation(
    paths: Paths, loaded: LoadedSettings, secrets: Secrets, *, clock: Clock, speed: int
) -> tuple[Check, ...]:
    """Like `examine`, against an embedded exchange whose time may run faster.

    The panel's port is not checked: a taken port is reported by the panel, and nothing depends on
    it.
    """
    return await _examine_connected(
        paths,
        loaded,
        secrets,
        clock,
        check_port=False,
        check_live_lock=False,
        check_standing=False,
        speed=speed,
    )


async def _examine_connected(
    paths: Paths, loaded: LoadedSettings, secrets: Secrets, clock: Clock, **choices: Any
) -> tuple[Check, ...]:
    """`choices` are the fields of `DoctorPlan` in which callers differ."""
    async with HttpxTransport(clock) as http:
        plan = DoctorPlan(
            paths=paths,
            loaded=loaded,
            secrets=secrets,
            signer=signer_of(secrets),
            clock=clock,
            http=http,
            sockets=WebsocketsTransport(clock),
            disk=RealDisk(),
            **choices,
        )
        return await examine(plan)


def signer_of(secrets: Secrets) -> Signer | None:
    """Return None when there is no usable key; the row about the secrets says why."""
    try:
        return load_signer(secrets.binance_api_key, secrets.binance_api_secret)
    except ConfigInvalid:
        return None


async def _outside(plan: DoctorPlan) -> list[Check]:
    """Check exchange and gate concurrently, so that a slow one does not delay the other."""
    groups: list[list[Check]] = [[], []]

    async def exchange() -> None:
        groups[0] = await _exchange(plan)

    async def gate() -> None:
        groups[1] = await _together(gate_probes(plan), plan)

    async with anyio.create_task_group() as tasks:
        if plan.needs & {Need.NETWORK, Need.ACCOUNT}:
            tasks.start_soon(exchange)
        if Need.GATE in plan.needs:
            tasks.start_soon(gate)
    return [row for group in groups for row in group]


async def _exchange(plan: DoctorPlan) -> list[Check]:
    venue = open_venue(plan)
    reaching, market = list(reaching_probes(plan, venue)), list(market_probes(plan, venue))
    left_ms = await ban_left_ms(plan)
    if left_ms:
        why = f"the exchange has banned this address (418) for {left_ms // 1000 + 1} s more"
        return [
            *(not_looked_at(probe, why) for probe in (*reaching, *market)),
            *(_no_account(why) if Need.ACCOUNT in plan.needs else ()),
        ]
    rows = await _together(reaching, plan)
    answered = all(row.outcome is not Outcome.FAIL for row in rows if row.id == "rest")
    if not answered:
        why = "the exchange did not answer by REST"
        rows.extend(not_looked_at(probe, why) for probe in market)
        if Need.ACCOUNT in plan.needs:
            rows.extend(_no_account(why))
        return rows
    rows.extend(await _together(market, plan))
    if Need.ACCOUNT in plan.needs:
        rows.extend(await _account(plan, venue))
    rows.append(check_limits(venue))
    return rows


async def _account(plan: DoctorPlan, venue: Venue) -> Sequence[Check]:
    if plan.signer is None:
        return _no_account("there is no usable API key")
    return await _together(account_probes(plan, venue, plan.signer), plan)


def _no_account(why: str) -> list[Check]:
    return [
        Check(id=name, title=title, outcome=Outcome.FAIL, measured="not looked at", detail=why)
        for name, title in _ACCOUNT_ROWS
    ]


async def _together(probes: Iterable[Probe], plan: DoctorPlan) -> list[Check]:
    """Run all probes concurrently; their rows keep the order of the probes."""
    chosen = list(probes)
    found: list[tuple[Check, ...]] = [()] * len(chosen)

    async def look(place: int, probe: Probe) -> None:
        found[place] = await looked_at(probe, plan)

    async with anyio.create_task_group() as tasks:
        for place, probe in enumerate(chosen):
            tasks.start_soon(look, place, probe)
    return [row for rows in found for row in rows]


def _masked(row: Check, redactor: Redactor) -> Check:
    return msgspec.structs.replace(
        row,
        measured=redactor.values(row.measured),
        detail=redactor.values(row.detail),
        next_command=redactor.values(row.next_command),
    )
