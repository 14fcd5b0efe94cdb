"""The sending end of a mailbox, for actors that need only that."""

from typing import Protocol, TypeVar

T_contra = TypeVar("T_contra", contravariant=True)


class Sink(Protocol[T_contra]):
    """A mailbox that takes this kind of message, among others."""

    async def send(self, message: T_contra, /) -> None:
        """Send, waiting for room; nothing is lost."""
        ...

    def offer(self, message: T_contra, /) -> bool:
        """Send without waiting; False when there was no room."""
        ...
