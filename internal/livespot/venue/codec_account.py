"""The account: balances and commission rates."""

from decimal import Decimal

import msgspec

from livespot.contracts.amounts import ONE, ZERO
from livespot.contracts.errors import PayloadInvalid
from livespot.contracts.orders import AccountView, Balance, CommissionRates
from livespot.venue.wire import Wire, read


class _Balance(Wire, frozen=True):
    asset: str
    free: Decimal
    locked: Decimal


class _Account(Wire, frozen=True):
    balances: tuple[_Balance, ...]
    can_trade: bool
    update_time: int = 0


class _Rates(Wire, frozen=True):
    maker: Decimal = ZERO
    taker: Decimal = ZERO
    buyer: Decimal = ZERO
    seller: Decimal = ZERO


class _Discount(Wire, frozen=True):
    enabled_for_account: bool = False
    enabled_for_symbol: bool = False
    discount_asset: str | None = None
    discount: Decimal = ONE


class _Commission(Wire, frozen=True):
    symbol: str
    standard_commission: _Rates
    tax_commission: _Rates = _Rates()
    special_commission: _Rates = _Rates()
    discount: _Discount = _Discount()


_ACCOUNT = msgspec.json.Decoder(_Account)
_COMMISSION = msgspec.json.Decoder(_Commission)


def decode_account(body: bytes, received_ms: int) -> AccountView:
    """Return the balances that are not zero. Raises `PayloadInvalid` for an impossible amount."""
    account = read(_ACCOUNT, body, "account")
    balances = {
        row.asset: balance_of(row.asset, row.free, row.locked)
        for row in account.balances
        if row.free or row.locked
    }
    return AccountView(
        balances=balances,
        can_trade=account.can_trade,
        update_time_ms=account.update_time,
        local_received_ms=received_ms,
    )


def balance_of(asset: str, free: Decimal, locked: Decimal) -> Balance:
    """Raises `PayloadInvalid` for a negative or infinite amount."""
    if not all(amount.is_finite() and amount >= 0 for amount in (free, locked)):
        raise PayloadInvalid(f"the balance of {asset!r} is insane")
    return Balance(asset=asset, free=free, locked=locked)


def decode_commission(body: bytes) -> CommissionRates:
    """Return fee rates as fractions; a discount counts only where account and symbol enable it."""
    wire = read(_COMMISSION, body, "commission")
    standard, tax, special = (
        wire.standard_commission,
        wire.tax_commission,
        wire.special_commission,
    )
    for rates in (standard, tax, special):
        for rate in msgspec.structs.astuple(rates):
            if not (rate.is_finite() and 0 <= rate < 1):
                raise PayloadInvalid(f"a commission rate of {wire.symbol!r} is insane: {rate}")
    return CommissionRates(
        symbol=wire.symbol,
        maker=standard.maker,
        taker=standard.taker,
        buyer=standard.buyer,
        seller=standard.seller,
        tax_maker=tax.maker,
        tax_taker=tax.taker,
        tax_buyer=tax.buyer,
        tax_seller=tax.seller,
        special_maker=special.maker,
        special_taker=special.taker,
        special_buyer=special.buyer,
        special_seller=special.seller,
        discount_enabled=wire.discount.enabled_for_account and wire.discount.enabled_for_symbol,
        discount_asset=wire.discount.discount_asset or "",
        discount=wire.discount.discount,
    )
