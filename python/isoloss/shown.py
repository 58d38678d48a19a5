"""How results show themselves: at a prompt and in a notebook as `print` shows them."""

from __future__ import annotations

from typing import Any

__all__ = ["Shown"]


class Shown:
    """A result whose text is short enough to be its `repr` too; the class has a `__str__` of its own."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        # IPython would otherwise print the fields of a dataclass one by one.
        printer.text(type(self).__name__ if cycle else str(self))
