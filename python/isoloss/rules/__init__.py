"""The registry of rules: formulas of papers that are calculators rather than curves to fit.

``names()`` lists them, ``get(name)`` gives one. A family is a module of this package that lists its rules as
``ENTRIES``; it is imported when one of its rules is first asked for. `isoloss.laws.table` shows laws and rules
together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from isoloss.law.registry import Shelf
from isoloss.rules._rule import Quantity, Rule

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["Quantity", "Rule", "get", "names"]

_shelf: Shelf[Rule] = Shelf(__name__, __path__, "rule")


def __getattr__(name: str) -> ModuleType:
    return _shelf.module(name)


def names() -> list[str]:
    """Names of all rules.

    Examples
    --------
    >>> import isoloss as iso
    >>> "compound_scaling" in iso.rules.names()
    True
    """
    return _shelf.names()


def get(name: str) -> Rule:
    """A rule by name.

    Parameters
    ----------
    name : str

    Returns
    -------
    Rule

    Raises
    ------
    LawError
        Code ``rule-unknown``; the message holds the nearest names.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.rules.get("compound_scaling").source.arxiv
    '2103.06877'
    """
    return _shelf.get(name)
