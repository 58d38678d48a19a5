"""Directives of the pages of laws: an entry of the registry with its picture, and the table of papers.

``{isoloss-law} NAME`` shows formula, picture and card of a law; its options say what to draw::

    :x: D                      the variable along the axis
    :range: 1e9 1e13           from and to
    :lines: N = 1e8, 1e9       a second variable, one line a value
    :at: P = 1, M = 20         values of what is left
    :sets: key, other          published sets; the first by default
    :params: a = 1, b = 2      coefficients to show the shape with, where none are published
    :xscale: linear            log by default
    :yscale: log               linear by default
    :along: constant, cosine   of a law of loss curves: the schedules to draw it along

``{isoloss-rule} NAME`` shows formula and card of a rule; ``{isoloss-papers}`` the table that ``isoloss laws --table``
writes.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from curve_pictures import CurvePicture, prediction_figure
from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from law_pictures import Picture
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import isoloss as iso
from isoloss.law.view import aligned
from isoloss.laws._markdown import markdown
from isoloss.units import parse_number

FOLDER = "_build/pictures"


def _pair(text: str) -> tuple[float, float]:
    low, high = (parse_number(word) for word in text.split())
    return low, high


def _values(text: str) -> dict[str, float]:
    return {name.strip(): parse_number(value) for name, _, value in (item.partition("=") for item in text.split(","))}


def _lines(text: str) -> tuple[str, tuple[float, ...]]:
    name, _, values = text.partition("=")
    return name.strip(), tuple(parse_number(value) for value in values.split(","))


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(","))


class Entry(SphinxDirective):
    """Formula and card; a class below adds the picture."""

    required_arguments = 1

    def shown(self, entry: "iso.Law | iso.rules.Rule") -> list[nodes.Node]:
        latex = aligned(entry.latex())
        formula = nodes.math_block(latex, latex, nowrap=False, number=None, label=None)
        card = str(entry)
        return [formula, nodes.literal_block(card, card, language="text")]


class LawDirective(Entry):
    """A law with its picture."""

    option_spec: ClassVar[dict[str, Callable[[str], Any]]] = {
        "x": directives.unchanged_required,
        "range": _pair,
        "lines": _lines,
        "at": _values,
        "sets": _words,
        "params": _values,
        "xscale": directives.unchanged_required,
        "yscale": directives.unchanged_required,
        "along": _words,
    }

    def run(self) -> list[nodes.Node]:
        law = iso.laws.get(self.arguments[0])
        options = self.options
        chosen = {name: options[name] for name in ("at", "sets", "params") if name in options}
        picture = (
            CurvePicture(law, options["along"], **chosen)
            if "along" in options
            else Picture(
                law,
                x=options.get("x", ""),
                span=options.get("range"),
                lines=options.get("lines"),
                at=options.get("at", {}),
                sets=options.get("sets", ()),
                params=options.get("params", {}),
                x_scale=options.get("xscale", "log"),
                y_scale=options.get("yscale", "linear"),
            )
        )
        name = f"{FOLDER}/{law.name}-{self.env.new_serialno(law.name)}.svg"
        path = Path(self.env.srcdir) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.draw(path)
        figure = nodes.figure("", nodes.image(uri=f"/{name}", alt=f"{law.name} as a curve", candidates={"*": name}))
        figure += nodes.caption("", picture.caption)
        formula, card = self.shown(law)
        return [formula, figure, card]


class CurveFigure(SphinxDirective):
    """What a law of loss curves predicts of a schedule that was never run."""

    def run(self) -> list[nodes.Node]:
        name = f"{FOLDER}/curves-prediction.svg"
        path = Path(self.env.srcdir) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        caption = prediction_figure(path)
        figure = nodes.figure("", nodes.image(uri=f"/{name}", alt=caption, candidates={"*": name}))
        figure += nodes.caption("", caption)
        return [figure]


class RuleDirective(Entry):
    """A rule."""

    def run(self) -> list[nodes.Node]:
        return self.shown(iso.rules.get(self.arguments[0]))


class Papers(SphinxDirective):
    """The table of papers."""

    def run(self) -> list[nodes.Node]:
        node = nodes.container()
        lines = markdown(iso.laws.table()).splitlines()
        self.state.nested_parse(StringList(lines, source="isoloss laws --table"), 0, node)
        return node.children


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives."""
    app.add_directive("isoloss-law", LawDirective)
    app.add_directive("isoloss-rule", RuleDirective)
    app.add_directive("isoloss-curve-figure", CurveFigure)
    app.add_directive("isoloss-papers", Papers)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
