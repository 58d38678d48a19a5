"""The commands that show what there is: ``isoloss laws`` and ``isoloss config``."""

# No `from __future__ import annotations` here: cyclopts reads the annotations at run time.
from typing import Annotated

from cyclopts import Parameter

import isoloss as iso
from isoloss.cli import _render
from isoloss.cli._app import DONE, Json, app, print_json
from isoloss.cli._parse import UsageError
from isoloss.laws._markdown import markdown, papers

__all__ = ["config", "laws"]


@app.command
def laws(
    name: str | None = None,
    /,
    *,
    family: str | None = None,
    table: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    json: Json = False,
) -> int:
    """List the laws and rules of the registry by family, or describe one.

    Parameters
    ----------
    name
        A law or rule to describe, or a short name such as steplaw for all that a paper states.
    family
        List this family only.
    table
        Write the table of papers as Markdown: their laws and rules, and what works.
    json
        Print the result as JSON and nothing else.
    """
    if name is not None:
        if table or family is not None:
            raise UsageError("--table and --family list the registry; they take no name")
        entries = iso.laws.named(name)
        if json and len(entries) == 1:
            print_json({"command": "laws", entries[0].kind: entries[0].to_dict()})
        elif json:
            print_json({"command": "laws", "entries": [entry.to_dict() for entry in entries]})
        else:
            _render.line("\n\n".join(str(entry) for entry in entries))
        return DONE
    rows = iso.laws.table()
    if family is not None:
        known = sorted({row["family"] for row in rows})
        if family not in known:
            raise UsageError(f"no family {family!r}; families: {', '.join(known)}")
        rows = [row for row in rows if row["family"] == family]
    if json:
        listed = {"papers": papers(rows)} if table else {"laws": rows, "aliases": dict(iso.laws.ALIASES)}
        print_json({"command": "laws", **listed})
    elif table:
        _render.line(markdown(rows))
    else:
        _render.laws(rows, iso.laws.ALIASES if family is None else {})
    return DONE


@app.command
def config(*, json: Json = False) -> int:
    """Show version, build, SIMD level and threads.

    Parameters
    ----------
    json
        Print the result as JSON and nothing else.
    """
    described = iso.config.info()
    if json:
        print_json(described)
    else:
        _render.line(iso.config.as_text(described))
    return DONE
