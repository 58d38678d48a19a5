"""How laws and rules show themselves: a card in a terminal, and one with the formula typeset in a notebook."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["View", "html_card"]


class View:
    """Gives an entry of the registry its `str` and its notebook view, from three methods of its own."""

    def card(self) -> str:
        """Text of the card: everything known about the entry."""
        raise NotImplementedError

    def latex(self) -> str:
        """The formula in LaTeX, without delimiters; lines are parted by a double backslash."""
        raise NotImplementedError

    def __str__(self) -> str:
        return self.card()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self) if cycle else self.card())

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {aligned(self.latex())}$"

    def _repr_html_(self) -> str:
        return html_card(self.card().splitlines(), self.latex())

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        bundle = {
            "text/plain": self.card(),
            "text/latex": self._repr_latex_(),
            "text/html": self._repr_html_(),
        }
        wanted = set(bundle) if include is None else set(include)
        return {key: value for key, value in bundle.items() if key in wanted and key not in set(exclude or ())}


def aligned(latex: str) -> str:
    """Several lines under each other."""
    return latex if r"\\" not in latex or r"\begin" in latex else rf"\begin{{gathered}} {latex} \end{{gathered}}"


def html_card(lines: Sequence[str], latex: str) -> str:
    """The card as HTML: name, typeset formula, and the rest as it stands.

    Parameters
    ----------
    lines : sequence of str
        The text of the card; its first line is the name unless it is indented.
    latex : str

    Returns
    -------
    str
        Notebooks typeset what stands between double dollars.
    """
    title, rest = ("", list(lines)) if lines[0].startswith(" ") else (lines[0], list(lines[1:]))
    head = f"<strong>{escape(title)}</strong>" if title else ""
    body = escape("\n".join(rest))
    return f'<div class="isoloss-card">{head}$${escape(aligned(latex), quote=False)}$$<pre>{body}</pre></div>'
