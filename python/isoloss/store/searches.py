"""Searches as plain data: what was asked in the words of the engine, and the arrays that it gave.

Everything else that a result says is made from these two, by the same code as when it was searched. Arrays of many
numbers are packed (zlib, base64): a search by group may hold millions.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isoloss.gridsearch.asked import Asked
from isoloss.gridsearch.draws import make_draws
from isoloss.gridsearch.make import make, with_notices
from isoloss.gridsearch.refine import Refined
from isoloss.gridsearch.result import Search

__all__ = ["VERSION", "from_dict", "to_dict"]

VERSION = 1
_FEW = 256
"""Arrays of up to so many numbers are written as numbers."""
_TYPES = frozenset({"<f8", "<i8", "<u8", "<u4", "|b1"})


def to_dict(search: Search) -> dict[str, Any]:
    """A search as mappings, lists, texts and numbers."""
    refined = search.refined
    made: dict[str, Any] = _packed(
        {
            "asked": search.asked.to_dict(),
            "found": dict(search.found),
            "refined": None
            if refined is None
            else {name: _both(getattr(refined, name)) for name in Refined.__dataclass_fields__},
            "draws": None if search.draws is None else dict(search.draws.found),
        }
    )
    return made


def from_dict(data: Mapping[str, Any]) -> Search:
    """The inverse of `to_dict`."""
    held = _unpacked({name: data[name] for name in ("asked", "found", "refined", "draws")})
    asked = Asked.from_dict(held["asked"])
    _check_asked(asked)
    made = make(asked, held["found"])
    if held["refined"] is not None:
        parts = {name: _item(held["refined"][name]) for name in Refined.__dataclass_fields__}
        refined = Refined(**parts)
        _check_refined(refined, asked)
        made = replace(made, refined=refined)
    if held["draws"] is not None:
        if asked.drawn is None:
            raise ValueError("there are draws, and nothing was searched under them")
        made = replace(made, draws=make_draws(asked, held["draws"]))
    return with_notices(made)


def _check_asked(asked: Asked) -> None:
    """Refuse axes that no search has: methods would trip over them later."""
    for axis in asked.axes:
        columns = (*axis.columns.values(), *axis.labels.values())
        if not columns or len({column.shape for column in columns}) != 1 or columns[0].ndim != 1 or not len(axis):
            raise ValueError(f"axis {axis.name!r} has no values, or columns of several lengths")
        if not all(np.all(np.isfinite(column)) for column in axis.columns.values()):
            raise ValueError(f"axis {axis.name!r} holds what is no number")
        if axis.ordered and axis.name not in axis.columns:
            raise ValueError(f"axis {axis.name!r} has no column of its own name")
        if axis.unit == "octaves" and not np.all(axis.columns[axis.name] > 0.0):
            raise ValueError(f"axis {axis.name!r} is measured in octaves and holds what is not above zero")
    if (asked.drawn is None) != (not asked.draws):
        raise ValueError("draws and what is searched under them do not go together")


def _check_refined(refined: Refined, asked: Asked) -> None:
    """Refuse values that are no numbers, or not one for each group."""
    shape = tuple(len(asked.axes[k]) for k in asked.by)
    own = {axis.name for axis in asked.axes}
    for name in ("best", "gap", "bound"):
        value = np.asarray(getattr(refined, name))
        if value.shape != shape or value.dtype.kind != "f":
            raise ValueError(f"refined.{name} is not a number for each group")
    if any(np.shape(value) != shape for value in refined.at.values()):
        raise ValueError("refined.at is not a place for each group")
    steps = dict(refined.step)
    if not set(steps) <= own or not all(type(step) is float for step in steps.values()):
        raise ValueError("refined.step is not a number for each axis")


def _both(value: Any) -> Any:
    """Numbers as arrays without dimensions, so that one form serves both."""
    return {name: _both(item) for name, item in value.items()} if isinstance(value, Mapping) else np.asarray(value)


def _item(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _item(item) for name, item in value.items()}
    return value[()].item() if isinstance(value, np.ndarray) and value.ndim == 0 else value


def _packed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _packed(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_packed(item) for item in value]
    if not isinstance(value, np.ndarray):
        return value
    if value.dtype.kind == "U":
        return {"texts": value.ravel().tolist(), "shape": list(value.shape)}
    little = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("<"))
    head = {"type": little.dtype.str, "shape": list(value.shape)}
    if value.size <= _FEW:
        return {**head, "numbers": value.ravel().tolist()}
    return {**head, "packed": base64.b64encode(zlib.compress(little.tobytes(), 6)).decode("ascii")}


def _unpacked(value: Any) -> Any:
    if isinstance(value, list):
        return [_unpacked(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    if "shape" not in value or not ("texts" in value or "type" in value):
        return {name: _unpacked(item) for name, item in value.items()}
    shape = tuple(int(size) for size in value["shape"])
    if "texts" in value:
        return np.array([str(text) for text in value["texts"]], dtype=np.str_).reshape(shape)
    if value["type"] not in _TYPES:
        raise ValueError(f"arrays of type {value['type']!r} are not read")
    return _numbers(value, np.dtype(value["type"])).reshape(shape)


def _numbers(value: Mapping[str, Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    if "numbers" in value:
        # Numbers that JSON lacks are texts.
        read = [float(x) if isinstance(x, str) else x for x in value["numbers"]]
        return np.array(read, dtype=dtype)
    size = dtype.itemsize * int(np.prod(value["shape"], dtype=np.int64))
    # No more than is expected is unpacked, whatever the file says.
    unpack = zlib.decompressobj()
    try:
        held = unpack.decompress(base64.b64decode(value["packed"], validate=True), size + 1)
    except zlib.error as error:
        raise ValueError(f"an array cannot be unpacked: {error}") from None
    if len(held) != size:
        raise ValueError(f"an array holds {len(held)} bytes where {size} are due")
    return np.frombuffer(held, dtype=dtype).copy()
