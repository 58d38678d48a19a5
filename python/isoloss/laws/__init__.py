"""The registry of scaling laws: one module per family, and the laws a user adds.

``names()`` lists them, ``get(name)`` gives one, ``table()`` describes all, the rules of `isoloss.rules` among them;
``ALIASES`` are the short names of the field, such as ``"tissue"``, and ``named(name)`` gives all that one stands for. A
family is a module of this package that lists its laws as ``ENTRIES``; it is imported, and a law built, when first asked
for.
"""

from __future__ import annotations

import dataclasses
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from isoloss.errors import LawError
from isoloss.law.aliases import ALIASES
from isoloss.law.parts import Source
from isoloss.law.registry import Shelf

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

    from isoloss.law.object import Law
    from isoloss.rules import Rule

__all__ = ["ALIASES", "STATUS", "get", "named", "names", "register", "table"]

STATUS: Mapping[str, str] = MappingProxyType(
    {
        "verified": "form and coefficients read in the authors' text or code, or reproduced from their data",
        "form verified": "form read in the authors' text or code; no coefficients of theirs could be read",
        "form verified, coefficients second hand": "coefficients from another's account of the paper",
        "second hand": "form and coefficients, if any, from another's account of the paper",
        "form only": "a standard form; no coefficients come with it",
        "derived": "our algebra on a form that is verified",
        "own": "ours: no paper states it",
        "user": "added by the user of this process",
    }
)
"""What the status of an entry means."""

_shelf: Shelf[Law] = Shelf(__name__, __path__, "law")
_user: dict[str, Law] = {}


def __getattr__(name: str) -> ModuleType:
    return _shelf.module(name)


def names() -> list[str]:
    """Names of all laws, the built-in ones first.

    Examples
    --------
    >>> import isoloss as iso
    >>> "chinchilla" in iso.laws.names()
    True
    """
    return _shelf.names() + list(_user)


def get(name: str) -> Law:
    """A law by name.

    Parameters
    ----------
    name : str
        Of the law, or a short name of `ALIASES` that stands for one law.

    Returns
    -------
    Law

    Raises
    ------
    LawError
        Code ``law-unknown``; the message holds the nearest names, or the laws that a short name stands for.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.laws.get("chinchilla").expr
    'E + A / N**alpha + B / D**beta'
    >>> iso.laws.get("tissue").name
    'annealing'
    """
    if name in _user:
        return _user[name]
    return _shelf.get(name, also=_user)


def named(name: str) -> tuple[Law | Rule, ...]:
    """The law or rule of a name, or all that a short name stands for.

    Parameters
    ----------
    name : str

    Returns
    -------
    tuple of Law or Rule
        At least one.

    Raises
    ------
    LawError
        Code ``law-unknown``.

    Examples
    --------
    >>> import isoloss as iso
    >>> [entry.name for entry in iso.laws.named("steplaw")]
    ['steplaw_lr', 'steplaw_batch']
    """
    from isoloss import rules

    shelves = dict.fromkeys(rules.names(), rules.get)
    if name not in names() and name not in shelves and name in ALIASES:
        return tuple(shelves.get(member, get)(member) for member in ALIASES[name])
    return (shelves.get(name, get)(name),)


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
    mine = _renamed(law, name or law.name, cite)
    if mine.name in _shelf.names() or mine.name in ALIASES:
        raise LawError(f"{mine.name!r} is the name of a built-in law", code="law-name-taken", name=mine.name)
    present = _user.get(mine.name)
    if present is not None and present != mine and not replace:
        message = f"a different law is already registered as {mine.name!r}; pass replace=True to replace it"
        raise LawError(message, code="law-name-taken", name=mine.name)
    _user[mine.name] = mine
    return mine


def _renamed(law: Law, name: str, cite: str | None) -> Law:
    source = law.source
    if cite is not None:
        arxiv = cite.removeprefix("arXiv:") if cite.lower().startswith("arxiv:") else ""
        source = Source(paper="" if arxiv else cite, arxiv=arxiv)
    return dataclasses.replace(law, name=name, source=source)


def table() -> list[dict[str, Any]]:
    """One row per law and per rule, as plain data.

    Returns
    -------
    list of dict
        Keys ``name``, ``kind`` (law or rule), ``family``, ``paper`` (title), ``arxiv``, ``status`` (what was checked, a
        key of `STATUS`), ``expr``, ``gives``, ``variables``, ``parameters``, ``published``.

    Examples
    --------
    >>> import isoloss as iso
    >>> next(row["arxiv"] for row in iso.laws.table() if row["name"] == "chinchilla")
    '2203.15556'
    """
    from isoloss import rules

    return [_row(get(name)) for name in names()] + [_row(rules.get(name)) for name in rules.names()]


def _row(entry: Law | Rule) -> dict[str, Any]:
    from isoloss.rules import Rule

    if isinstance(entry, Rule):
        expr, gives = "; ".join(entry.formula), entry.gives
    else:
        expr, gives = entry.expr, entry.target
    return {
        "name": entry.name,
        "kind": entry.kind,
        "family": entry.family,
        "paper": entry.source.paper if entry.source else "",
        "arxiv": entry.source.arxiv if entry.source else "",
        "status": entry.status,
        "expr": expr,
        "gives": gives,
        "variables": list(entry.variables),
        "parameters": list(entry.parameters),
        "published": list(entry.published),
    }
