"""What pages are made of: one HTML file without network or scripts, pictures inside it.

The same input gives the same bytes.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from isoloss.errors import Notice

__all__ = ["answer", "code", "items", "notices", "page", "picture", "section", "table", "text"]

_STYLE = """
:root{color-scheme:light}body{font:15px/1.5 system-ui,sans-serif;color:#1b1b1b;max-width:62rem;margin:2rem auto;
padding:0 1rem}h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem;border-bottom:1px solid #ddd}h3{font-size:1rem}
table{border-collapse:collapse;margin:.6rem 0}td,th{padding:.15rem .7rem .15rem 0;text-align:right;
font-variant-numeric:tabular-nums;white-space:nowrap}td:last-child{white-space:normal}
td:first-child,th:first-child{text-align:left}th{font-weight:600;
border-bottom:1px solid #bbb}img{max-width:100%;height:auto}pre{background:#f6f6f6;padding:.7rem;overflow-x:auto}
dt{font-weight:600;margin-top:.5rem}dd{margin:0 0 0 1.2rem;overflow-wrap:anywhere}
.answer{font-size:1.15rem;background:#eef5fb;padding:.6rem .9rem;border-radius:.4rem}.warning{color:#8a4b00}
.serious{color:#a40000;font-weight:600}.info,.open{color:#555}
"""


def page(title: str, parts: Iterable[str]) -> str:
    """A whole page of parts that are HTML already."""
    name = html.escape(title)
    body = "\n".join([f"<h1>{name}</h1>", *parts])
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{name}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>\n'
        f"<body>{body}</body></html>\n"
    )


def section(title: str, *, level: int = 2) -> str:
    """A heading."""
    return f"<h{level}>{html.escape(title)}</h{level}>"


def text(words: str) -> str:
    """A paragraph."""
    return f"<p>{html.escape(words)}</p>"


def answer(words: str) -> str:
    """What the reader came for."""
    return f'<p class="answer">{html.escape(words)}</p>'


def code(words: str) -> str:
    """Text whose columns stand below each other."""
    return f"<pre>{html.escape(words)}</pre>"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; the first column is aligned to the left."""
    top = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def items(rows: Iterable[tuple[str, str, str]]) -> str:
    """Terms with what is said of them, and the class of what is said."""
    listed = "".join(
        f'<dt>{html.escape(term)}</dt><dd class="{kind}">{html.escape(words)}</dd>' for term, words, kind in rows
    )
    return f"<dl>{listed}</dl>"


def notices(found: Iterable[Notice]) -> str:
    """Notices, each by its severity."""
    return "".join(
        f'<p class="{notice.severity}">{html.escape(notice.message)} <small>[{notice.code}]</small></p>'
        for notice in found
    )


def picture(figure: Figure, alt: str) -> str:
    """A figure as a picture inside the page."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    encoded = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f'<img alt="{html.escape(alt)}" src="data:image/png;base64,{encoded}">'
