"""A shelf of the registry: the modules of a package, each a family, imported when an entry is first asked for.

A family is a module that lists its entries by name as ``ENTRIES``, each a function that builds one. Nothing is imported
and nothing is built before it is needed, so that ``import isoloss`` costs nothing for laws nobody uses.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Generic, TypeVar

from isoloss.errors import LawError, did_you_mean
from isoloss.law.aliases import ALIASES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import ModuleType

__all__ = ["FIRST", "Shelf"]

FIRST = ("compute_optimal",)
"""Families that come first in every list; the others follow by name."""

_CODES = {"law": "law-unknown", "rule": "rule-unknown"}

Entry = TypeVar("Entry")


class Shelf(Generic[Entry]):
    """The entries of one package.

    Parameters
    ----------
    package : str
    path : iterable of str
        Where its modules are.
    what : {"law", "rule"}
    """

    def __init__(self, package: str, path: Iterable[str], what: str) -> None:
        self.package = package
        self.path = list(path)
        self.what = what
        self._families: tuple[str, ...] = ()
        self._built: dict[str, Entry] = {}

    def __len__(self) -> int:
        """How many entries have been built."""
        return len(self._built)

    @property
    def families(self) -> tuple[str, ...]:
        """Names of the modules; nothing is imported."""
        if not self._families:
            found = sorted(m.name for m in iter_modules(self.path) if not m.name.startswith("_"))
            self._families = tuple(sorted(found, key=lambda name: name not in FIRST))
        return self._families

    def module(self, name: str) -> ModuleType:
        """A family's module, for attribute access on the package."""
        if not name.startswith("_") and name in self.families:
            return import_module(f"{self.package}.{name}")
        raise AttributeError(f"module {self.package!r} has no attribute {name!r}")

    def builders(self) -> Iterator[tuple[str, Callable[[], Entry]]]:
        """Name and builder of every entry; imports all families."""
        for family in self.families:
            yield from import_module(f"{self.package}.{family}").ENTRIES.items()

    def names(self) -> list[str]:
        """Names of all entries."""
        return [name for name, _ in self.builders()]

    def get(self, name: str, also: Iterable[str] = ()) -> Entry:
        """An entry, built once.

        Parameters
        ----------
        name : str
            Of the entry, or a short name that stands for it alone.
        also : iterable of str
            Other names to offer where this one is unknown.

        Raises
        ------
        LawError
            Code ``law-unknown`` or ``rule-unknown``, with the nearest names.
        """
        if name not in self._built:
            builders = dict(self.builders())
            if name not in builders:
                meant = [member for member in ALIASES.get(name, ()) if member in builders]
                if len(meant) != 1:
                    raise self.unknown(name, [*builders, *also], meant)
                return self.get(meant[0])
            self._built[name] = builders[name]()
        return self._built[name]

    def unknown(self, name: str, known: list[str], meant: list[str]) -> LawError:
        """The refusal of a name, which may stand for several entries."""
        other = "rule" if self.what == "law" else "law"
        others = import_module(f"isoloss.{other}s").names()
        if meant:
            message = f"{name!r} stands for {len(meant)} {self.what}s, take one of them: {', '.join(meant)}"
        elif name in others or name in ALIASES:
            message = f"{name!r} is a {other}: isoloss.{other}s.get({name!r})"
        else:
            near = did_you_mean(name, known) or did_you_mean(name, others)
            shown = f"; known: {', '.join(known)}" if not near else ""
            message = f"unknown {self.what} {name!r}{near}{shown}"
        return LawError(message, code=_CODES[self.what], name=name)
