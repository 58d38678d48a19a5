"""The registry of scaling laws: one module per family, and the laws a user adds.

``names()`` lists them, ``get(name)`` gives one, ``table()`` describes all. A law is built when it is first asked for,
so importing the registry parses nothing. A family is a module of this package that lists its laws as ``ENTRIES``.
"""

from __future__ import annotations

import dataclasses
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from isoloss._lawparts import Source
from isoloss.errors import LawError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from isoloss.law import Law

__all__ = ["get", "names", "register", "table"]

_FAMILIES = ("compute_optimal",)
_user: dict[str, Law] = {}


def __getattr__(name: str) -> ModuleType:
    if name in _FAMILIES:
        return import_module(f"isoloss.laws.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _builders() -> Iterator[tuple[str, Callable[[], Law]]]:
    for family in _FAMILIES:
        yield from import_module(f"isoloss.laws.{family}").ENTRIES.items()


@cache
def _built(name: str) -> Law:
    return dict(_builders())[name]()


def names() -> list[str]:
    """Names of all laws, the built-in ones first.

    Examples
    --------
    >>> import isoloss as iso
    >>> "chinchilla" in iso.laws.names()
    True
    """
    return [name for name, _ in _builders()] + list(_user)


def get(name: str) -> Law:
    """A law by name.

    Parameters
    ----------
    name : str

    Returns
    -------
    Law

    Raises
    ------
    LawError
        Code ``law-unknown``; the message holds the nearest names.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.laws.get("chinchilla").expr
    'E + A / N**alpha + B / D**beta'
    """
    if name in _user:
        return _user[name]
    known = names()
    if name not in known:
        message = f"unknown law {name!r}{did_you_mean(name, known)}; known: {', '.join(known)}"
        raise LawError(message, code="law-unknown", name=name)
    return _built(name)


def register(law: Law, *, name: str | None = None, cite: str | None = None, replace: bool = False) -> Law:
    """Add a law of your own to the registry of this process.

    Parameters
    ----------
    law : Law
    name : str, optional
        The law's own name if left out.
    cite : str, optional
        Where it comes from; ``arXiv:2203.15556`` is understood as an identifier.
    replace : bool
        Allow another law of yours with this name to be replaced. Built-in laws are never replaced.

    Returns
    -------
    Law
        The law under its name.

    Raises
    ------
    LawError
        Code ``law-name-taken``.

    Examples
    --------
    >>> import isoloss as iso
    >>> mine = iso.laws.register(iso.law("E + A / N**alpha"), name="size_only_example")
    >>> iso.laws.get("size_only_example") is mine
    True
    """
    named = _renamed(law, name or law.name, cite)
    if any(named.name == built_in for built_in, _ in _builders()):
        raise LawError(f"{named.name!r} is the name of a built-in law", code="law-name-taken", name=named.name)
    present = _user.get(named.name)
    if present is not None and present != named and not replace:
        message = f"a different law is already registered as {named.name!r}; pass replace=True to replace it"
        raise LawError(message, code="law-name-taken", name=named.name)
    _user[named.name] = named
    return named


def _renamed(law: Law, name: str, cite: str | None) -> Law:
    source = law.source
    if cite is not None:
        arxiv = cite.removeprefix("arXiv:") if cite.lower().startswith("arxiv:") else ""
        source = Source(paper="" if arxiv else cite, arxiv=arxiv)
    return dataclasses.replace(law, name=name, source=source)


def table() -> list[dict[str, Any]]:
    """One row per law, as plain data.

    Returns
    -------
    list of dict
        Keys ``name``, ``kind`` (law or rule), ``family``, ``paper`` (title), ``arxiv``, ``status`` (what was checked of
        its published coefficients), ``expr``, ``variables``, ``parameters``, ``published``.

    Examples
    --------
    >>> import isoloss as iso
    >>> next(row["arxiv"] for row in iso.laws.table() if row["name"] == "chinchilla")
    '2203.15556'
    """
    rows = []
    for name in names():
        law = get(name)
        rows.append(
            {
                "name": name,
                "kind": law.kind,
                "family": law.family,
                "paper": law.source.paper if law.source else "",
                "arxiv": law.source.arxiv if law.source else "",
                "status": law.status,
                "expr": law.expr,
                "variables": list(law.variables),
                "parameters": list(law.parameters),
                "published": list(law.published),
            }
        )
    return rows
