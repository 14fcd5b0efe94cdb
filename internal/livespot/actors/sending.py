"""Sending to an actor that may already be gone."""

from typing import TypeVar

from livespot.runtime.mailboxes import Mailbox, MailboxClosed

T = TypeVar("T")


async def tell(mailbox: Mailbox[T], message: T) -> None:
    """Send, waiting for room; a closed mailbox drops it, its owner will rebuild from the ledger."""
    try:
        await mailbox.send(message)
    except MailboxClosed:
        return
