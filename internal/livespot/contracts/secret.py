"""A secret that cannot be printed, formatted, pickled, hashed or encoded by accident."""

from typing import NoReturn


class Secret:
    """Holds one secret text; only `reveal` gives it back.

    `str`, `repr` and every format show a mask; pickling raises `TypeError`; JSON encoders do not
    know the type and refuse it.
    """

    __slots__ = ("_text",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, text: str) -> None:
        object.__setattr__(self, "_text", text)

    def reveal(self) -> str:
        """The secret itself: for the line that signs or authorises, and nothing else."""
        text: str = object.__getattribute__(self, "_text")
        return text

    def __bool__(self) -> bool:
        return bool(self.reveal())

    def __repr__(self) -> str:
        return "Secret(***)"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.reveal() == other.reveal()

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a secret cannot be changed")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret cannot be pickled")

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, memo: object) -> "Secret":
        return self
