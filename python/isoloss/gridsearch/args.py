"""The arguments of a search, checked, and the call of the engine. See `isoloss.search`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isoloss import _core
from isoloss.checks import whole
from isoloss.engine.watch import Watch
from isoloss.errors import LawError, OptionError, did_you_mean
from isoloss.gridsearch.grids import Axis, read_axis
from isoloss.gridsearch.names import Definition, is_name
from isoloss.law.build import free_names

__all__ = ["read_axes", "read_by", "read_condition", "read_pareto", "read_tolerance", "read_top", "run"]

F64 = NDArray[np.float64]


def run(
    axes: Sequence[Axis],
    by: Sequence[int],
    definitions: Sequence[Definition],
    minimize: str,
    condition: str | None,
    *,
    watch: Watch,
    **options: Any,
) -> dict[str, Any]:
    """One call of the engine; its errors about texts as those of laws."""
    within = options.get("within")
    given = [
        (
            [*axis.columns] or [f"place of {axis.name}"],
            [*axis.columns.values()] or [np.arange(len(axis), dtype=np.float64)],
            _scale(axis) if within is not None and axis.ordered else None,
        )
        for axis in axes
    ]
    try:
        found = _core.search_grid(
            given,
            by,
            definitions,
            minimize,
            condition=condition,
            threads=watch.threads,
            progress=watch.report,
            partial=watch.partial,
            **options,
        )
    except _core.ExpressionError as error:
        # Syntax was checked text by text; what is left are limits of size.
        raise LawError(f"the search cannot be read: {error.args[0]}", code="law-syntax") from None
    except ValueError as error:
        raise OptionError(str(error), argument="axes") from None
    watch.stopped |= found["stopped"]
    return found


def _scale(axis: Axis) -> F64:
    """(n, 2) place and width of each step; places from the middle of the axis, so that sums of squares keep digits."""
    x = axis.coordinate
    return np.ascontiguousarray(np.column_stack([x - x[len(x) // 2], axis.width]))


def read_axes(axes: Any) -> tuple[Axis, ...]:
    """Axes from a mapping of names to values; no column twice, and every name one that a text can use."""
    if not isinstance(axes, Mapping) or not axes:
        raise OptionError("axes is a mapping of names to values, with at least one", argument="axes")
    made = tuple(read_axis(str(name), values) for name, values in axes.items())
    seen: dict[str, str] = {}
    for axis in made:
        for column in axis.names:
            if column in seen:
                message = f"axes {seen[column]!r} and {axis.name!r} both have a column {column!r}"
                raise OptionError(message, argument="axes")
            seen[column] = axis.name
        for column in axis.columns:
            if not is_name(column):
                raise OptionError(f"axes: {column!r} is no name that a text can use", argument="axes")
    return made


def read_by(by: str | Sequence[str], axes: Sequence[Axis]) -> list[int]:
    """Positions of the axes that make the groups."""
    names = [axis.name for axis in axes]
    groups: list[int] = []
    for name in (by,) if isinstance(by, str) else tuple(by):
        if name not in names:
            message = f"by names {name!r}, which is no axis ({', '.join(names)}){did_you_mean(str(name), names)}"
            raise OptionError(message, argument="by")
        if names.index(name) in groups:
            raise OptionError(f"by names {name!r} twice", argument="by")
        groups.append(names.index(name))
    return groups


def read_condition(where: str | Sequence[str] | None) -> str | None:
    """One condition from one or several, of which all must hold."""
    if where is None or isinstance(where, str):
        return where
    terms = list(where)
    for term in terms:
        free_names(term)
    return " and ".join(f"({term})" for term in terms) or None


def read_tolerance(within: float | str | None) -> float | None:
    """A share of the least value, from a number or a text in per cent."""
    if within is None:
        return None
    try:
        text = within.strip() if isinstance(within, str) else ""
        value = float(text[:-1]) / 100.0 if text.endswith("%") else float(within)
    except (TypeError, ValueError):
        value = math.nan
    if not (math.isfinite(value) and value >= 0.0):
        message = f"within={within!r} is not a share from 0 up, as 0.001 or '0.1%'"
        raise OptionError(message, argument="within")
    return value


def read_top(top: Any) -> int:
    """How many of the best cells to list; 0 for none."""
    if top is None:
        return 0
    whole("top", top, 1, 1_000_000)
    return int(top)


def read_pareto(pareto: Any) -> tuple[str, str] | None:
    """Two expressions, or none."""
    if pareto is None:
        return None
    if isinstance(pareto, (tuple, list)) and len(pareto) == 2 and all(isinstance(text, str) for text in pareto):
        return pareto[0], pareto[1]
    raise OptionError(f"pareto={pareto!r} is not a pair of expressions", argument="pareto")
