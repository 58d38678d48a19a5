"""From the arrays of the engine to a result: places become values of the axes. See `isoloss.search`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isoloss.errors import Notice
from isoloss.gridsearch.asked import Asked
from isoloss.gridsearch.grids import Axis
from isoloss.gridsearch.parts import Front, Plateau, Top
from isoloss.gridsearch.result import Search
from isoloss.units import format_si

__all__ = ["columns_at", "group_columns", "in_order", "item", "make", "with_notices"]


def make(asked: Asked, found: Mapping[str, Any]) -> Search:
    """The result of one call of the engine, without notices."""
    axes, tolerance = asked.axes, asked.within
    groups, free = [axes[k] for k in asked.by], asked.free
    shape = tuple(len(axis) for axis in groups)
    cell = found["cell"].reshape(shape)
    feasible = found["feasible"].astype(np.int64).reshape(shape)
    argbest = {**group_columns(groups), **columns_at(free, cell)}
    plateau = None if tolerance is None else _plateau(free, shape, tolerance, found)
    top = None
    if found["top_cell"].shape[1]:
        cells = found["top_cell"].reshape(*shape, -1)
        own = {
            name: np.where(cells < 0, _none(values), values[..., None])
            for name, values in group_columns(groups).items()
        }
        at = in_order(axes, {**own, **columns_at(free, cells)})
        top = Top(value=found["top_value"].reshape(*shape, -1), at=at, cell=cells)
    nonfinite = found["nonfinite"].astype(np.int64).reshape(shape)
    count = feasible if plateau is None else np.asarray(plateau.count)
    return Search(
        minimize=asked.minimize,
        where=asked.condition,
        axes=axes,
        by=asked.names,
        best=item(found["best"].reshape(shape)),
        argbest={name: item(np.asarray(values)) for name, values in in_order(axes, argbest).items()},
        cell=item(cell),
        count=item(count),
        feasible=item(feasible),
        nonfinite=item(nonfinite),
        visited=item(found["visited"].astype(np.int64).reshape(shape)),
        cells=math.prod(len(axis) for axis in axes),
        plateau=plateau,
        top=top,
        front=None if asked.second is None else _fronts(free, shape, (asked.minimize, asked.second), found),
        asked=asked,
        found=found,
    )


def with_notices(search: Search) -> Search:
    """The same with what is worth knowing about it."""
    asked = search.asked
    cell = np.asarray(search.cell)
    made = [*_interrupted(search), *_unused(asked), *_empty(search), *_nonfinite(search)]
    return replace(search, warnings=(*made, *_edges(asked.free, cell)))


def item(values: NDArray[Any]) -> Any:
    """A number where there is one, else the array."""
    return values[()].item() if values.ndim == 0 else values


def group_columns(groups: Sequence[Axis]) -> dict[str, NDArray[Any]]:
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


def columns_at(free: Sequence[Axis], cell: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """The columns of the other axes at flat cells; NaN or an empty text at cell -1."""
    none = cell < 0
    left = np.where(none, 0, cell)
    made: list[dict[str, NDArray[Any]]] = []
    for axis in reversed(free):
        left, step = np.divmod(left, len(axis))
        numbers = {name: np.where(none, np.nan, values[step]) for name, values in axis.columns.items()}
        labels = {name: np.where(none, "", values[step]) for name, values in axis.labels.items()}
        made.append({**numbers, **labels})
    return {name: values for columns in reversed(made) for name, values in columns.items()}


def in_order(axes: Sequence[Axis], columns: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Columns in the order of the axes."""
    return {name: columns[name] for axis in axes for name in axis.names}


def _fronts(
    free: Sequence[Axis], shape: tuple[int, ...], names: tuple[str, str], found: Mapping[str, Any]
) -> Front | tuple[Front, ...]:
    """The front, or one for each group."""
    edges = found["front_start"].astype(np.int64)
    fronts = []
    for start, end in pairwise(edges):
        cell = found["front_cell"][start:end]
        fronts.append(
            Front(
                names=names,
                first=found["front_first"][start:end],
                second=found["front_second"][start:end],
                at=columns_at(free, cell),
                cell=cell,
            )
        )
    return tuple(fronts) if shape else fronts[0]


def _plateau(free: Sequence[Axis], shape: tuple[int, ...], tolerance: float, found: Mapping[str, Any]) -> Plateau:
    count = np.where(found["known"], found["count"].astype(np.int64), -1).reshape(shape)
    none = count <= 0
    low: dict[str, Any] = {}
    high: dict[str, Any] = {}
    extent: dict[str, Any] = {}
    for k, axis in enumerate(free):
        first, last = found["low"][:, k].reshape(shape), found["high"][:, k].reshape(shape)
        for name, values in axis.columns.items():
            one, other = values[first], values[last]
            # A falling axis has its least value at its last step.
            low[name] = item(np.where(none, np.nan, np.minimum(one, other) if axis.ordered else one))
            high[name] = item(np.where(none, np.nan, np.maximum(one, other) if axis.ordered else other))
        for name, labels in axis.labels.items():
            low[name] = item(np.where(none, "", labels[first]))
            high[name] = item(np.where(none, "", labels[last]))
        if axis.ordered:
            x = axis.coordinate
            extent[axis.name] = item(np.where(none, np.nan, np.abs(x[last] - x[first])))
    volume = parts = spread = None
    center: dict[str, Any] = {}
    ridge: dict[str, Any] = {}
    if len(found["volume"]):
        volume = item(found["volume"].reshape(shape))
        parts = item(found["parts"].reshape(shape))
        center, ridge, spread = _moments(free, shape, found)
    return Plateau(
        within=tolerance,
        count=item(count),
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
    with np.errstate(all="ignore"):
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
        with np.errstate(over="ignore"):
            center[free[k].name] = item((np.exp2(place) if free[k].unit == "octaves" else place).reshape(shape))
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
    ridge = {name: item(direction[:, j].reshape(shape)) for j, name in enumerate(names)}
    return center, ridge, spread.reshape(*shape, len(wide))


def _interrupted(search: Search) -> list[Notice]:
    visited, whole = int(np.sum(search.visited)), search.cells
    details: dict[str, Any] = {"visited": visited, "cells": whole}
    if visited < whole:
        message = f"interrupted: {visited:,} of {whole:,} cells were visited; the best is the best of these"
    elif search.plateau is not None and np.any(np.asarray(search.plateau.count) < 0):
        message = "interrupted: the best is known, but not what is near it"
    elif search.asked.refine and search.refined is None:
        message = "interrupted: the grid was searched, but not between its cells"
    elif search.asked.drawn is not None and (search.draws is None or search.draws.found["stopped"]):
        done = (
            0 if search.draws is None else int(np.all(search.draws.count.reshape(len(search.draws), -1) >= 0, 1).sum())
        )
        details["draws"] = done
        message = f"interrupted: {done:,} of {len(next(iter(search.asked.draws.values()))):,} draws were finished"
    else:
        return []
    return [Notice(code="interrupted", severity="serious", message=message, details=details)]


def _unused(asked: Asked) -> list[Notice]:
    return [
        Notice(
            code="search-unused-axis",
            severity="warning",
            message=f"no expression depends on axis {axis.name}: cells along it are all alike, and are all counted",
            details={"axis": axis.name},
        )
        for axis in asked.unused()
    ]


def _empty(search: Search) -> list[Notice]:
    feasible = np.asarray(search.feasible)
    empty = int(np.count_nonzero((feasible == 0) & (np.asarray(search.visited) > 0)))
    if not empty:
        return []
    which = "no cell counts" if feasible.ndim == 0 else f"no cell counts in {empty:,} of {feasible.size:,} groups"
    if search.where is None:
        why = "the value is nowhere finite"
    elif np.any(search.nonfinite):
        why = "where the condition holds the value is not finite"
    else:
        why = "the condition holds nowhere"
    return [
        Notice(
            code="search-empty",
            severity="serious" if empty == feasible.size else "warning",
            message=f"{which}: {why}",
            details={"groups": empty},
        )
    ]


def _nonfinite(search: Search) -> list[Notice]:
    bad = int(np.sum(search.nonfinite))
    if not bad:
        return []
    message = f"{format_si(bad)} cells that fulfil the condition have no finite value; they do not count"
    return [Notice(code="search-nonfinite", severity="warning", message=message, details={"cells": bad})]


def _edges(free: Sequence[Axis], cell: NDArray[np.int64]) -> list[Notice]:
    made: list[Notice] = []
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
    return made
