r"""Exhaustive search: the best of every cell of a Cartesian grid, and all that is nearly as good.

The grid is never written out. Each part of an expression is computed once on the sub-grid of the axes it depends on;
where the value of a cell is a sum (or another monotone combination) of a part along the last axis and parts along the
others, the least of a line follows from the least of its parts:

.. math:: \min_j \, fl(u_i + v_j) = fl(u_i + \min_j v_j),

since rounding is monotone (IEEE 754). So the result is that of visiting every cell, to the bit, without doing so; where
an expression does not have that form every cell is visited. Exhaustive means exhaustive: nothing is sampled. How far
the best cell may be from the best point between cells is a question of the step of the axes, which results state.

The plateau at tolerance t is the set of all cells whose value is at most best + t \|best\|.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isoloss import _core
from isoloss._lawbuild import free_names
from isoloss._searchnames import Definition, is_name, resolve
from isoloss._searchresult import Plateau, Search, Top
from isoloss._watch import Progress, Watch
from isoloss.errors import LawError, Notice, OptionError, did_you_mean
from isoloss.grids import Axis, read_axis
from isoloss.units import format_si

__all__ = ["Plateau", "Search", "Top", "search"]

F64 = NDArray[np.float64]


def search(
    target: Any,
    axes: Mapping[str, Any],
    *,
    where: str | Sequence[str] | None = None,
    minimize: str | None = None,
    by: str | Sequence[str] = (),
    within: float | str | None = None,
    top: int | None = None,
    shape: bool = True,
    method: str = "auto",
    n_threads: int | None = None,
    progress: Progress | None = None,
) -> Search:
    """Find the best cell of a grid, by group, and all that is nearly as good.

    Parameters
    ----------
    target : bound law, Fit, text, or mapping of names to these
        What is computed for each cell. A single law is called ``loss``; a mapping gives several quantities their
        names, which `minimize`, `where` and later texts may use, as in
        ``{"loss": fit, "cost": "6 * N * D / 1e18"}``. Names are those of the axes; N, D and C complete each other by
        C = 6 N D.
    axes : mapping of str to values
        An array, a range (`isoloss.linspace`, `isoloss.geomspace`), one number, or a table whose columns move together:
        a frame or a mapping of columns.
    where : str or sequence of str, optional
        Conditions, all of which must hold for a cell to count: comparisons, ``and``, ``or``, ``not``, ``%``, ``//``,
        as in ``"6*N*D <= 1e24 and batch % 65536 == 0"``.
    minimize : str, optional
        Expression to make least; by default the first target. Minus an expression makes it largest.
    by : str or sequence of str
        Axes whose cells are groups: there is one best for each.
    within : float or text such as ``"0.1%"``, optional
        Tolerance t of the plateau: all cells of at most best + t abs(best).
    top : int, optional
        Also list so many of the least cells of each group.
    shape : bool
        Also volume, ridge and connected parts of each plateau.
    method : {"auto", "visit"}
        ``"visit"`` goes over every cell even where the least of a line is known without; the results are the same.
    n_threads : int, optional
        The results do not depend on it.
    progress : callable, optional
        Called as ``progress(done, total)`` in units of work; True stops as Ctrl-C does.

    Returns
    -------
    Search

    Raises
    ------
    LawError
        Codes ``law-syntax``, ``law-unknown-name``, ``law-missing-name``: a text that cannot be read, or names that
        stand for nothing.
    DataError
        An axis that is empty or holds what is no finite number.
    OptionError
        Code ``option``.

    Examples
    --------
    >>> import isoloss as iso
    >>> law = iso.laws.get("chinchilla").bind("besiroglu2024")
    >>> axes = {"N": iso.geomspace("1B", "1T", 101), "D": iso.geomspace("10B", "100T", 401)}
    >>> found = iso.search(law, axes, where="6 * N * D <= 5.76e23")
    >>> print(found)
    least loss of 40,501 cells where 6 * N * D <= 5.76e23: N (101) x D (401)
      25,149 cells count
      best 1.97412 at N 72.4B, D 1.32T
    >>> found.best == law(**found.argbest)
    True
    >>> target = {"loss": law, "cost": "6 * N * D"}
    >>> cheapest = iso.search(target, axes, minimize="cost", where="loss <= 2.0")
    >>> print(cheapest)
    least cost of 40,501 cells where loss <= 2.0: N (101) x D (401)
      14,419 cells count
      best 2.44428e23 at N 47.9B, D 851B
    """
    grid = _axes(axes)
    groups = _by(by, grid)
    names = resolve(target, grid, minimize)
    if names.draws is not None:
        raise OptionError("target holds draws, which this version cannot search", argument="target")
    condition = _condition(where)
    if condition is not None:
        names.check(condition, "where")
    tolerance = _tolerance(within)
    most = _top(top)
    if method not in ("auto", "visit"):
        raise OptionError(f"method={method!r} is neither 'auto' nor 'visit'", argument="method")
    watch = Watch(progress, n_threads=n_threads)
    found = run(
        grid,
        groups,
        names.definitions,
        names.minimize,
        condition,
        within=tolerance,
        top=most,
        shape=shape and tolerance is not None,
        visit=method == "visit",
        watch=watch,
    )
    return _result(grid, groups, names.minimize, condition, tolerance, found)


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
        return _core.search_grid(
            given,
            by,
            definitions,
            minimize,
            condition=condition,
            threads=watch.threads,
            progress=watch.report,
            **options,
        )
    except _core.ExpressionError as error:
        # Syntax was checked text by text; what is left are limits of size.
        raise LawError(f"the search cannot be read: {error.args[0]}", code="law-syntax") from None
    except ValueError as error:
        raise OptionError(str(error), argument="axes") from None


def _scale(axis: Axis) -> F64:
    """(n, 2) place and width of each step; places from the middle of the axis, so that sums of squares keep digits."""
    x = axis.coordinate
    return np.ascontiguousarray(np.column_stack([x - x[len(x) // 2], axis.width]))


# Arguments ------------------------------------------------------------------------------------------------------


def _axes(axes: Any) -> tuple[Axis, ...]:
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


def _by(by: str | Sequence[str], axes: Sequence[Axis]) -> list[int]:
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


def _condition(where: str | Sequence[str] | None) -> str | None:
    if where is None or isinstance(where, str):
        return where
    terms = list(where)
    for term in terms:
        free_names(term)
    return " and ".join(f"({term})" for term in terms) or None


def _tolerance(within: float | str | None) -> float | None:
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


def _top(top: Any) -> int:
    if top is None:
        return 0
    if isinstance(top, bool) or not isinstance(top, (int, np.integer)) or not 1 <= top <= 1_000_000:
        raise OptionError(f"top={top!r} is not a whole number from 1 to 1,000,000", argument="top")
    return int(top)


# Results --------------------------------------------------------------------------------------------------------


def _result(
    axes: tuple[Axis, ...],
    by: list[int],
    minimize: str,
    condition: str | None,
    tolerance: float | None,
    found: Mapping[str, Any],
) -> Search:
    groups = [axes[k] for k in by]
    free = [axis for k, axis in enumerate(axes) if k not in by]
    shape = tuple(len(axis) for axis in groups)
    cell = found["cell"].reshape(shape)
    feasible = found["feasible"].astype(np.int64).reshape(shape)
    argbest = {**_group_columns(groups), **_at(free, cell)}
    plateau = None if tolerance is None else _plateau(free, shape, tolerance, found)
    top = None
    if found["top_cell"].shape[1]:
        cells = found["top_cell"].reshape(*shape, -1)
        own = {
            name: np.where(cells < 0, _none(values), values[..., None])
            for name, values in _group_columns(groups).items()
        }
        at = _in_order(axes, {**own, **_at(free, cells)})
        top = Top(value=found["top_value"].reshape(*shape, -1), at=at, cell=cells)
    nonfinite = found["nonfinite"].astype(np.int64).reshape(shape)
    count = feasible if plateau is None else np.asarray(plateau.count)
    return Search(
        minimize=minimize,
        where=condition,
        axes=axes,
        by=tuple(axis.name for axis in groups),
        best=_item(found["best"].reshape(shape)),
        argbest={name: _item(np.asarray(values)) for name, values in _in_order(axes, argbest).items()},
        cell=_item(cell),
        count=_item(count),
        feasible=_item(feasible),
        nonfinite=_item(nonfinite),
        cells=math.prod(len(axis) for axis in axes),
        plateau=plateau,
        top=top,
        warnings=_warnings(free, cell, feasible, nonfinite),
    )


def _item(values: NDArray[Any]) -> Any:
    return values[()].item() if values.ndim == 0 else values


def _group_columns(groups: Sequence[Axis]) -> dict[str, NDArray[Any]]:
    """The columns of the groups over their grid."""
    shape = tuple(len(axis) for axis in groups)
    made: dict[str, NDArray[Any]] = {}
    for k, axis in enumerate(groups):
        along = tuple(-1 if j == k else 1 for j in range(len(groups)))
        for name, values in (*axis.columns.items(), *axis.labels.items()):
            made[name] = np.broadcast_to(values.reshape(along), shape).copy()
    return made


def _none(values: NDArray[Any]) -> Any:
    """What stands for no cell in a column."""
    return np.nan if values.dtype.kind == "f" else ""


def _at(free: Sequence[Axis], cell: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """The columns of the other axes at flat cells; NaN or an empty text at cell -1."""
    none = cell < 0
    left = np.where(none, 0, cell)
    made: dict[str, NDArray[Any]] = {}
    for axis in reversed(free):
        left, step = np.divmod(left, len(axis))
        for name, values in axis.columns.items():
            made[name] = np.where(none, np.nan, values[step])
        for name, labels in axis.labels.items():
            made[name] = np.where(none, "", labels[step])
    return made


def _in_order(axes: Sequence[Axis], columns: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {name: columns[name] for axis in axes for name in axis.names}


def _plateau(free: Sequence[Axis], shape: tuple[int, ...], tolerance: float, found: Mapping[str, Any]) -> Plateau:
    count = found["count"].astype(np.int64).reshape(shape)
    none = count == 0
    low: dict[str, Any] = {}
    high: dict[str, Any] = {}
    extent: dict[str, Any] = {}
    for k, axis in enumerate(free):
        first, last = found["low"][:, k].reshape(shape), found["high"][:, k].reshape(shape)
        for name, values in axis.columns.items():
            one, other = values[first], values[last]
            # A falling axis has its least value at its last step.
            low[name] = _item(np.where(none, np.nan, np.minimum(one, other) if axis.ordered else one))
            high[name] = _item(np.where(none, np.nan, np.maximum(one, other) if axis.ordered else other))
        for name, labels in axis.labels.items():
            low[name] = _item(np.where(none, "", labels[first]))
            high[name] = _item(np.where(none, "", labels[last]))
        if axis.ordered:
            x = axis.coordinate
            extent[axis.name] = _item(np.where(none, np.nan, np.abs(x[last] - x[first])))
    volume = parts = spread = None
    center: dict[str, Any] = {}
    ridge: dict[str, Any] = {}
    if len(found["volume"]):
        volume = _item(found["volume"].reshape(shape))
        parts = _item(found["parts"].reshape(shape))
        center, ridge, spread = _moments(free, shape, found)
    return Plateau(
        within=tolerance,
        count=_item(count),
        low=low,
        high=high,
        extent=extent,
        volume=volume,
        center=center,
        parts=parts,
        ridge=ridge,
        spread=spread,
    )


def _moments(
    free: Sequence[Axis], shape: tuple[int, ...], found: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any], Any]:
    """Center, ridge and spread of each plateau along the ordered axes."""
    m = len(free)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = found["first"] / found["volume"][:, None]
        packed = found["second"] / found["volume"][:, None]
    second = np.empty((len(mean), m, m))
    rows, columns = np.tril_indices(m)
    second[:, rows, columns] = packed
    second[:, columns, rows] = packed
    cov = second - mean[:, :, None] * mean[:, None, :]
    kept = [k for k, axis in enumerate(free) if axis.ordered]
    center: dict[str, Any] = {}
    for k in kept:
        x = free[k].coordinate
        place = mean[:, k] + x[len(x) // 2]
        center[free[k].name] = _item((np.exp2(place) if free[k].unit == "octaves" else place).reshape(shape))
    wide = [k for k in kept if len(free[k]) > 1]
    names = [free[k].name for k in wide]
    direction = np.full((len(mean), len(wide)), np.nan)
    spread = np.full((len(mean), len(wide)), np.nan)
    fine = np.flatnonzero(np.isfinite(cov).all(axis=(1, 2)))
    if len(fine) and wide:
        values, vectors = np.linalg.eigh(cov[np.ix_(fine, np.array(wide), np.array(wide))])
        values = np.sqrt(np.maximum(values[:, ::-1], 0.0))
        spread[fine] = values
        first = vectors[:, :, -1]
        largest = np.take_along_axis(first, np.abs(first).argmax(axis=1)[:, None], axis=1)
        first = first * np.sign(largest)
        second_longest = values[:, 1] if len(wide) > 1 else np.zeros(len(fine))
        # One cell, or a plateau as wide as it is long, points nowhere.
        clear = values[:, 0] > second_longest * (1.0 + 1e-9)
        direction[fine] = np.where(clear[:, None], first, np.nan)
    ridge = {name: _item(direction[:, j].reshape(shape)) for j, name in enumerate(names)}
    return center, ridge, spread.reshape(*shape, len(wide))


def _warnings(
    free: Sequence[Axis], cell: NDArray[np.int64], feasible: NDArray[np.int64], nonfinite: NDArray[np.int64]
) -> tuple[Notice, ...]:
    made: list[Notice] = []
    empty = int(np.count_nonzero(feasible == 0))
    if empty:
        which = "no cell counts" if feasible.ndim == 0 else f"no cell counts in {empty:,} of {feasible.size:,} groups"
        message = f"{which}: the condition holds nowhere, or the value is not finite"
        severe = empty == feasible.size
        made.append(
            Notice(
                code="search-empty",
                severity="serious" if severe else "warning",
                message=message,
                details={"groups": empty},
            )
        )
    bad = int(nonfinite.sum())
    if bad:
        message = f"{format_si(bad)} cells that fulfil the condition have no finite value; they do not count"
        made.append(Notice(code="search-nonfinite", severity="warning", message=message, details={"cells": bad}))
    left = np.where(cell < 0, 0, cell)
    for axis in reversed(free):
        left, step = np.divmod(left, len(axis))
        edge = (cell >= 0) & ((step == 0) | (step == len(axis) - 1))
        if axis.ordered and len(axis) > 2 and edge.any():
            groups = int(edge.sum())
            where = "" if cell.ndim == 0 else f" in {groups:,} of {cell.size:,} groups"
            message = f"the best cell is at an end of axis {axis.name}{where}: a wider axis may have a better one"
            details = {"axis": axis.name, "groups": groups}
            made.append(Notice(code="search-edge", severity="info", message=message, details=details))
    return tuple(made)
