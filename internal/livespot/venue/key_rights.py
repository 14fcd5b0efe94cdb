"""Reads the rights of the API key, as the exchange states them."""

import msgspec

from livespot.contracts.base import Message
from livespot.venue.caller import Call, RestCaller
from livespot.venue.weights import Priority
from livespot.venue.wire import Wire, read


class KeyRights(Message, frozen=True):
    """The rights that matter here; `other` names further ones, which Spot trading does not need."""

    reads: bool
    trades_spot: bool
    withdraws: bool
    bound_to_address: bool
    other: tuple[str, ...] = ()


class _Rights(Wire, frozen=True):
    """A right missing from the answer counts as absent; the one for withdrawals must be present."""

    enable_withdrawals: bool
    ip_restrict: bool = False
    enable_reading: bool = False
    enable_spot_and_margin_trading: bool = False
    enable_internal_transfer: bool = False
    enable_margin: bool = False
    enable_futures: bool = False
    permits_universal_transfer: bool = False
    enable_vanilla_options: bool = False


_RIGHTS = msgspec.json.Decoder(_Rights)


async def read_key_rights(caller: RestCaller) -> KeyRights:
    """Ask for the calling key's own rights.

    Only the production exchange offers it. Raises `Transient`, `Refused` or `PayloadInvalid`.
    """
    call = Call(
        method="GET",
        path="/sapi/v1/account/apiRestrictions",
        params={},
        weight=1,
        priority=Priority.QUERY,
        signed=True,
    )
    wire = read(_RIGHTS, await caller.read(call), "rights of the key")
    further = {
        "internal transfers": wire.enable_internal_transfer,
        "margin": wire.enable_margin,
        "futures": wire.enable_futures,
        "universal transfers": wire.permits_universal_transfer,
        "options": wire.enable_vanilla_options,
    }
    return KeyRights(
        reads=wire.enable_reading,
        trades_spot=wire.enable_spot_and_margin_trading,
        withdraws=wire.enable_withdrawals,
        bound_to_address=wire.ip_restrict,
        other=tuple(name for name, given in further.items() if given),
    )
