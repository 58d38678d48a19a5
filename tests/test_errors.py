"""Exceptions and the table of stable codes."""

import ast
import copy
import pickle
from pathlib import Path

import pytest

import isoloss
from isoloss import errors
from isoloss.errors import CODES, DataError, FitError, IsolossError, LawError, Notice, OptionError, did_you_mean

REFERENCE = Path(__file__).resolve().parent.parent / "docs" / "reference.md"
SOURCES = sorted(Path(isoloss.__file__).parent.rglob("*.py"))


def literal_codes():
    """Every text given as ``code=`` in a call, or as ``default_code``, anywhere in the package."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (isinstance(node, ast.keyword) and node.arg == "code") or (
                isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "default_code"
            ):
                value = node.value
            else:
                continue
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield path.name, value.value


def test_every_code_in_use_is_in_the_table():
    used = list(literal_codes())
    assert len(used) > 50
    assert [(where, code) for where, code in used if code not in CODES] == []


def test_every_code_in_the_table_is_in_use():
    table = Path(errors.__file__)
    texts = {
        node.value
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and path != table
    }
    texts |= {code for where, code in literal_codes() if where == table.name}
    assert set(CODES) - texts == set()


def test_codes_are_kebab_case_and_say_what_to_do():
    for code, advice in CODES.items():
        assert code == code.lower().replace("_", "-").strip("-")
        assert advice.endswith("."), code
        assert "\n" not in advice


def test_every_error_is_a_public_name():
    kinds = {name for name in errors.__all__ if name.endswith("Error")}
    assert kinds <= set(isoloss.__all__)
    assert all(f"autoexception:: {name}" in REFERENCE.read_text(encoding="utf-8") for name in kinds)


def test_default_codes_are_in_the_table():
    kinds = [getattr(errors, name) for name in errors.__all__ if name.endswith("Error")]
    assert len(kinds) >= 6
    for kind in kinds:
        assert kind("message").advice


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [(DataError, ValueError), (LawError, ValueError), (OptionError, ValueError), (FitError, RuntimeError)],
)
def test_errors_are_also_the_builtin_kind(kind, builtin):
    with pytest.raises(builtin):
        raise kind("wrong")
    assert issubclass(kind, IsolossError)


def test_errors_survive_pickling_as_workers_need():
    error = DataError("column 'N', row 3", code="data-nonpositive", column="N", row=3)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.code, again.details) == (
        DataError,
        str(error),
        "data-nonpositive",
        {"column": "N", "row": 3},
    )


def test_a_missing_extra_is_an_import_error_that_names_the_command():
    error = errors.missing_extra("matplotlib", "plot")
    assert isinstance(error, ImportError)
    assert "pip install 'isoloss[plot]'" in str(error)


def test_notices_go_to_plain_data_and_back():
    notice = Notice(code="at-bound", severity="warning", message="alpha is at 2", details={"parameter": "alpha"})
    assert Notice.from_dict(notice.to_dict()) == notice
    assert copy.deepcopy(notice) == notice
    assert str(notice) == "warning [at-bound]: alpha is at 2"


@pytest.mark.parametrize(
    ("name", "candidates", "expected"),
    [
        ("parms", ["params", "tokens"], "; did you mean 'params'?"),
        ("n", ["N", "D"], "; did you mean 'N'?"),
        ("params", ["params_non_embedding", "x"], "; did you mean 'params_non_embedding'?"),
        ("loss", ["N", "D"], ""),
        ("loss", [], ""),
    ],
)
def test_nearest_names(name, candidates, expected):
    assert did_you_mean(name, candidates) == expected
