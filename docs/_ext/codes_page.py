"""The directive ``isoloss-codes``: the table of stable codes, read from `isoloss.errors.CODES`.

A table written by hand would miss the next code; this one cannot.
"""

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from isoloss.errors import CODES


class Codes(SphinxDirective):
    """Insert the table."""

    def run(self) -> list[nodes.Node]:
        lines = [".. list-table::", "   :header-rows: 1", "   :widths: 30 70", ""]
        lines += ["   * - Code", "     - What to do"]
        for code, advice in CODES.items():
            # Literal text: advice holds names such as read(..., N='params').
            lines += [f"   * - ``{code}``", f"     - {_escaped(advice)}"]
        node = nodes.container()
        self.state.nested_parse(StringList(lines, source="isoloss.errors.CODES"), 0, node)
        return node.children


def _escaped(text: str) -> str:
    """Keep characters that reStructuredText would read as markup."""
    return "".join(f"\\{c}" if c in "\\`*_|" else c for c in text)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("isoloss-codes", Codes)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
