"""The directive ``isoloss-codes``: a section for each stable code, read from `isoloss.errors.CODES` and the sources.

A page written by hand would miss the next code; this one cannot. What to do comes from the table of codes; how a code
arrives, as which error or as a notice of which severity, from the calls in the package that give it.
"""

import ast
from collections import defaultdict
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import isoloss
from isoloss.errors import CODES

_SEVERITIES = ("info", "warning", "serious")


class Codes(SphinxDirective):
    """Insert the sections."""

    def run(self) -> list[nodes.Node]:
        found = origins(Path(isoloss.__file__).parent)
        made: list[nodes.Node] = []
        for code, advice in CODES.items():
            section = nodes.section(ids=[code], names=[code])
            section += nodes.title(code, "", nodes.literal(code, code))
            if code in found:
                section += nodes.paragraph("", f"{'; '.join(sorted(found[code]))}.")
            section += nodes.paragraph("", advice)
            made.append(section)
        return made


def origins(package: Path) -> dict[str, set[str]]:
    """How each code arrives: ``"Error DataError"``, ``"Notice, severity warning"``."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            given = {keyword.arg: keyword.value for keyword in node.keywords}
            code = given.get("code")
            if not (isinstance(code, ast.Constant) and code.value in CODES):
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if name == "Notice":
                texts = [part.value for part in ast.walk(given["severity"]) if isinstance(part, ast.Constant)]
                severe = [word for word in _SEVERITIES if word in texts]
                found[code.value].add(f"Notice, severity {' or '.join(severe)}" if severe else "Notice")
            elif name.endswith("Error"):
                found[code.value].add(f"Error {name}")
    return found


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("isoloss-codes", Codes)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
