"""The rooms of the package form no knot: CONTRIBUTING.md, "Where things live"."""

import ast
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path

import pytest

import isoloss

PACKAGE = Path(isoloss.__file__).parent


class Imports(ast.NodeVisitor):
    """What a module imports when it is imported: not within functions, not for type checkers."""

    def __init__(self, tree):
        self.names = set()
        self.visit(tree)

    def visit_FunctionDef(self, node):
        pass

    def visit_If(self, node):
        for_checkers = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for child in node.orelse if for_checkers else [*node.body, *node.orelse]:
            self.visit(child)

    def visit_Import(self, node):
        self.names |= {alias.name for alias in node.names}

    def visit_ImportFrom(self, node):
        assert node.level == 0, "imports are absolute"
        self.names |= {f"{node.module}.{alias.name}" for alias in node.names}


def rooms():
    """Each package or module at the top, and those that it imports."""
    known = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    known |= {"_core"}
    found = {}
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        parts = (name.split(".") for name in Imports(ast.parse(path.read_text(encoding="utf-8"))).names)
        reached = {part[1] if part[1:] and part[1] in known else "__init__" for part in parts if part[0] == "isoloss"}
        found.setdefault(room, set()).update(reached - {room})
    return found


def test_no_room_imports_upward():
    found = rooms()
    TopologicalSorter(found).prepare()  # raises with the rooms of a knot
    chain = ["report", "store", "hparams", "fit", "stats", "engine", "laws", "law", "inner", "units", "errors"]
    for high, low in pairwise(chain):
        assert low in found[high]
        with pytest.raises(CycleError):  # one step back would be noticed
            TopologicalSorter({**found, low: {*found[low], high}}).prepare()
