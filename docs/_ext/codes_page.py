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
from isoloss import errors
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
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assigned = _assigned(tree)
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            given = {keyword.arg: keyword.value for keyword in node.keywords}
            how = f"Error {name}"
            if name == "Notice" and "severity" in given:
                texts = _texts(given["severity"], assigned)
                severe = [word for word in _SEVERITIES if word in texts]
                how = f"Notice, severity {' or '.join(severe)}" if severe else "Notice"
            elif not name.endswith("Error"):
                continue
            codes = _texts(given["code"], assigned) if "code" in given else {_default_code(name)}
            for code in codes & CODES.keys():
                found[code].add(how)
    return found


def _assigned(tree: ast.Module) -> dict[str, list[ast.expr]]:
    """All values that a file gives to each of its names."""
    found: dict[str, list[ast.expr]] = defaultdict(list)
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    found[target.id].append(node.value)
    return found


def _texts(expression: ast.expr, assigned: dict[str, list[ast.expr]]) -> set[str]:
    """Texts in an expression, and in what was assigned to its names."""
    parts = list(ast.walk(expression))
    for part in list(parts):
        if isinstance(part, ast.Name):
            parts += [inner for value in assigned[part.id] for inner in ast.walk(value)]
    return {part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)}


def _default_code(name: str) -> str:
    kind = getattr(errors, name, None)
    return kind.default_code if isinstance(kind, type) and issubclass(kind, errors.IsolossError) else ""


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("isoloss-codes", Codes)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
