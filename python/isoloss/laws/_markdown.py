"""The table of papers for the documentation: one row per paper, with its laws and rules and what works of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["markdown", "papers"]


def papers(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows of `isoloss.laws.table`, one per paper.

    Returns
    -------
    list of dict
        Keys ``paper``, ``arxiv``, ``laws`` and ``rules`` (names), ``sets`` (number of published sets of coefficients),
        ``status`` (the distinct ones), sorted by title; what comes from no paper is last.
    """
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        key = row["arxiv"] or row["paper"]
        paper = found.setdefault(
            key, {"paper": row["paper"], "arxiv": row["arxiv"], "laws": [], "rules": [], "sets": 0, "status": []}
        )
        paper[f"{row['kind']}s"].append(row["name"])
        paper["sets"] += len(row["published"])
        if row["status"] not in paper["status"]:
            paper["status"].append(row["status"])
    return sorted(found.values(), key=lambda paper: (not paper["paper"], paper["paper"].casefold()))


def markdown(rows: Iterable[Mapping[str, Any]]) -> str:
    """The table as Markdown.

    Parameters
    ----------
    rows : iterable of mapping
        Of `isoloss.laws.table`.

    Returns
    -------
    str
        Columns: paper, laws to fit, rules to calculate with, what works.

    Examples
    --------
    >>> import isoloss as iso
    >>> from isoloss.laws._markdown import markdown
    >>> print(markdown([row for row in iso.laws.table() if row["name"] == "compound_scaling"]).splitlines()[2])
    | Fast and Accurate Model Scaling ([2103.06877](https://arxiv.org/abs/2103.06877)) |  | `compound_scaling` | ...
    """
    lines = ["| paper | laws | rules | what works |", "|---|---|---|---|"]
    for paper in papers(rows):
        title = paper["paper"] or "standard forms, and ours"
        if paper["arxiv"]:
            title += f" ([{paper['arxiv']}](https://arxiv.org/abs/{paper['arxiv']}))"
        cells = [title, *(", ".join(f"`{name}`" for name in paper[kind]) for kind in ("laws", "rules")), _works(paper)]
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines)


def _works(paper: Mapping[str, Any]) -> str:
    sets = paper["sets"]
    parts = ["fits"] if paper["laws"] else []
    if paper["rules"]:
        parts.append("calculates")
    if sets:
        parts.append(f"{sets} published set{'s' if sets > 1 else ''}")
    return f"{', '.join(parts)}; {' / '.join(paper['status'])}"
