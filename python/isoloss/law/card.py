"""How a law prints, and how it becomes plain data."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from math import isfinite
from typing import TYPE_CHECKING, Any

from isoloss.units import ROLES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from isoloss.law.object import Law
    from isoloss.law.parts import Published, Source

__all__ = ["PLAIN_FIELDS", "aligned", "card", "plain_law", "provenance", "wrapped"]

PLAIN_FIELDS = ("name", "family", "kind", "status", "target", "target_unit")
"""Fields of a law that are text as they stand."""

_WIDTH = 100


def plain_law(law: Law) -> dict[str, Any]:
    """The law as plain data; `isoloss.law.object.Law.from_dict` is the inverse."""
    return {
        "expr": law.expr,
        **{name: getattr(law, name) for name in PLAIN_FIELDS},
        "variables": list(law.variables),
        "parameters": [
            {
                "name": p.name,
                "positive": p.positive,
                "bounds": [b if isinstance(b, str) or isfinite(b) else None for b in p.bounds],
                "meaning": p.meaning,
            }
            for p in law.parameters.values()
        ],
        "constants": dict(law.constants),
        "pivots": dict(law.pivots),
        "starts": {k: list(v) for k, v in law.starts.items()}
        if isinstance(law.starts, Mapping)
        else (None if law.starts is None else [list(row) for row in law.starts]),
        "recipe": {"objective": law.recipe.objective.to_dict(), "notes": law.recipe.notes},
        "units": dict(law.units),
        "source": None
        if law.source is None
        else {f: getattr(law.source, f) for f in ("paper", "arxiv", "authors", "year")},
        "notes": list(law.notes),
        **({"tables": {name: table.to_dict() for name, table in law.tables.items()}} if law.tables else {}),
        "published": {
            key: {
                "params": dict(p.params),
                "source": p.source,
                "second_hand": p.second_hand,
                "note": p.note,
                "intervals": {k: list(v) for k, v in p.intervals.items()},
            }
            for key, p in law.published.items()
        },
    }


def card(law: Law) -> str:
    """The text a law prints: everything known about it."""
    lines = [law.name] if law.name != law.expr else []
    lines += wrapped(f"{law.target} = {law.expr}", 2, hang=4)
    if law.target_unit:
        lines.append(f"  {law.target} in {law.target_unit}")
    rows: list[tuple[str, str, str]] = []
    for name in law.variables:
        unit = law.units.get(name, "")
        rows.append((name, f"[{unit}]" if unit else "", ROLES[name].meaning if name in ROLES else ""))
    lines += ["  variables", *aligned(rows)]
    lines += [
        "  parameters",
        *aligned([(p.name, p.domain, p.meaning) for p in law.parameters.values()]),
    ]
    fixed = [(name, f"{value:g}", "constant") for name, value in law.constants.items()]
    fixed += [(name, rule, f"of {name[:-1]} in the fitted runs") for name, rule in law.pivots.items()]
    if fixed:
        lines += ["  constants", *aligned(fixed)]
    lines += wrapped(f"recipe: {law.recipe}", 2)
    return "\n".join(lines + provenance(law.source, law.published, law.notes))


def provenance(source: Source | None, sets: Mapping[str, Published], notes: Iterable[str]) -> list[str]:
    """The end of a card: source, published sets, notes."""
    lines = [] if source is None else wrapped(f"source: {source}", 2)
    if sets:
        lines.append("  published")
        for key, published in sets.items():
            first, *rest = str(published).splitlines()
            lines += wrapped(f"{key}: {first}", 4)
            for line in rest:
                lines += wrapped(line, 6, hang=0)
    for note in notes:
        lines += wrapped(f"note: {note}", 2)
    return lines


def wrapped(text: str, indent: int, hang: int = 2) -> list[str]:
    """Lines of a sentence; addresses and arXiv numbers stay whole."""
    first, more = " " * indent, " " * (indent + hang)
    return textwrap.wrap(
        text, _WIDTH, initial_indent=first, subsequent_indent=more, break_long_words=False, break_on_hyphens=False
    )


def aligned(rows: list[tuple[str, str, str]]) -> list[str]:
    """Three columns under each other."""
    widths = [max((len(row[i]) for row in rows), default=0) for i in (0, 1)]
    return [f"    {a:<{widths[0]}}  {b:<{widths[1]}}  {c}".rstrip() for a, b, c in rows]
