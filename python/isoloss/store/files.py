"""Files of saved results: strict JSON that names its kind, version and checksum.

Numbers are written so that they come back bit for bit; infinities and NaN, which JSON lacks, as the texts ``"inf"``,
``"-inf"`` and ``"nan"``. A checksum over the content finds altered files. Nothing is ever executed on reading.

A kind is a schema name and a module with two functions, ``to_dict(result)`` and ``from_dict(data)``, and the number
`VERSION` of its form. Modules are imported when a file of their kind is met.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from isoloss.config import made_by
from isoloss.errors import DataError, IsolossError
from isoloss.writing import as_path, write_whole

if TYPE_CHECKING:
    from os import PathLike

__all__ = ["KINDS", "from_plain", "load", "restored", "save", "to_plain"]

KINDS = {
    "isoloss.fit": ("isoloss.store.fits", "fit"),
    "isoloss.search": ("isoloss.store.searches", "search"),
    "isoloss.hparams": ("isoloss.store.hparams", "law of hyper-parameters"),
    "isoloss.design": ("isoloss.store.designs", "plan of runs"),
    "isoloss.recipes": ("isoloss.store.recipes", "comparison of recipes"),
}
"""Module and everyday name of each kind of result, by the schema that its files state."""


def save(result: Any, schema: str, path: str | PathLike[str]) -> None:
    """Write a result to a JSON file, whole or not at all.

    Parameters
    ----------
    result : object
        Of the kind that `schema` names.
    schema : str
        One of `KINDS`.
    path : path
        An existing file is replaced.

    Raises
    ------
    OutputError
        Code ``file-unwritable``: the file cannot be written; it is an OSError too.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> import isoloss as iso
    >>> fit = iso.fit("chinchilla", iso.read(iso.simulate.sweep(settings=1, seed=0)))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "fit.json"
    ...     fit.save(path)
    ...     again = iso.load(path)
    >>> again.params == fit.params
    True
    """
    data = to_plain(result, schema)
    # A line for each part: readable where it is short, and no line for each of 20,000 numbers.
    parts = {**data, "sha256": _digest(data)}
    text = ",\n".join(f"{json.dumps(name)}: {json.dumps(part, allow_nan=False)}" for name, part in parts.items())
    write_whole(path, f"{{\n{text}\n}}\n")


def load(path: str | PathLike[str]) -> Any:
    """Read a result that was saved.

    Parameters
    ----------
    path : path

    Returns
    -------
    Fit, or what else was saved
        With its data, its draws, and the results as they were stored; its ``rerun()`` repeats it.

    Raises
    ------
    DataError
        Code ``data-unreadable``: there is no such file. Code ``file-schema``: it is truncated, altered, of another kind
        or of a later version.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.load("no_such_fit.json")
    Traceback (most recent call last):
    isoloss.errors.DataError: no_such_fit.json does not exist
    """
    source = as_path(path)
    try:
        text = source.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DataError(f"{source} does not exist", code="data-unreadable", path=str(source)) from None
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a path that is none
        message = f"{str(source)[:200]!r} cannot be read as text: {error}"
        raise DataError(message, code="data-unreadable", path=str(source)) from error
    try:
        data = json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        message = f"{source} is no complete JSON file (line {error.lineno}: {error.msg}); it may be truncated"
        raise DataError(message, code="file-schema", path=str(source)) from None
    except RecursionError:
        message = f"{source} is nested far deeper than any saved result"
        raise DataError(message, code="file-schema", path=str(source)) from None
    except ValueError as error:  # NaN and Infinity, integers of thousands of digits
        message = f"{source} is no strict JSON file: {error}"
        raise DataError(message, code="file-schema", path=str(source)) from None
    return from_plain(data, where=str(source))


def to_plain(result: Any, schema: str) -> dict[str, Any]:
    """A result as plain data for JSON, with its schema, its version and the versions that made it."""
    kind = import_module(KINDS[schema][0])
    content = {
        "schema": schema,
        "version": kind.VERSION,
        "made_by": made_by(),
        **kind.to_dict(result),  # a kind that remembers who made it says so instead
    }
    plain: dict[str, Any] = _plain(content)
    return plain


def from_plain(data: Any, *, where: str = "the data") -> Any:
    """A result from what `to_plain` or a file holds.

    Raises
    ------
    DataError
        Code ``file-schema``.
    """
    schema = data.get("schema") if isinstance(data, Mapping) else type(data).__name__
    if not isinstance(schema, str) or schema not in KINDS:
        known = ", ".join(map(repr, KINDS))
        message = f"{where} is no saved result (schema {schema!r}, none of {known})"
        raise DataError(message, code="file-schema")
    module, name = KINDS[schema]
    kind = import_module(module)
    version = data.get("version")
    if version != kind.VERSION or isinstance(version, bool):
        message = f"{where} has version {str(version)[:40]} of the schema; this isoloss reads version {kind.VERSION}"
        raise DataError(message, code="file-schema", version=version)
    try:
        if "sha256" in data and data["sha256"] != _digest(data):
            raise DataError(f"{where} was altered: its checksum does not match", code="file-schema")
        return kind.from_dict(data)
    except IsolossError as error:
        if error.code == "file-schema":
            raise
        raise DataError(f"{where} holds a {name} that is refused: {error}", code="file-schema") from error
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        message = f"{where} lacks something or holds it in another form: {repr(error)[:300]}"
        raise DataError(message, code="file-schema") from error


def _no_constant(token: str) -> float:
    raise ValueError(f"it holds {token}, which is no JSON")


def _plain(value: Any) -> Any:
    """Arrays as lists, and numbers that JSON lacks as texts."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    return value


_SPECIAL = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def restored(value: Any) -> Any:
    """Plain data with the numbers that JSON lacks back in their places; for parts that hold no other texts."""
    if isinstance(value, Mapping):
        return {name: restored(item) for name, item in value.items()}
    if isinstance(value, list):
        return [restored(item) for item in value]
    return _SPECIAL.get(value, value) if isinstance(value, str) else value


def _digest(data: Mapping[str, Any]) -> str:
    content = {name: item for name, item in data.items() if name != "sha256"}
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
