"""Sending to an actor that may already be gone."""

from typing import TypeVar

from livespot.runtime.mailboxes import Mailbox, MailboxClosed

T = TypeVar("T")


async def tell(mailbox: Mailbox[T], message: T) -> None:
    """Send, waiting for room; a closed mailbox means its owner rebuilds from the ledger later."""
    try:
        await mailbox.send(message)
    except MailboxClosed:
        return
