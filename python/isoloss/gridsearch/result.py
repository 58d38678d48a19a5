"""Results of a search: the best cells, what lies near them, and how both print. See `isoloss.search`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from isoloss.errors import Notice
from isoloss.gridsearch.grids import Axis
from isoloss.runs.table import make_frame
from isoloss.units import format_number, format_si

if TYPE_CHECKING:
    from isoloss.gridsearch.draws import SearchDraws
    from isoloss.gridsearch.refine import Refined

__all__ = ["Front", "Plateau", "Search", "Top", "show"]

F64 = NDArray[np.float64]
_COUNTS = frozenset({"N", "D", "batch", "U", "S"})
_SHOWN = 12
"""Groups that are printed."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Plateau:
    """All cells within a tolerance of the best, in each group; arrays of the shape of `by`.

    Attributes
    ----------
    within : float
        The tolerance t: ``value <= best + t * abs(best)``.
    count : int array
        Cells on the plateau.
    low, high : mapping of str to arrays
        The box: least and largest value of each axis that is no group, over the cells of the plateau. NaN where no cell
        counts. Tables have the first and last step that occurs.
    extent : mapping of str to arrays
        Length of the box along each ordered axis, first to last cell, in octaves or in the values' unit.
    volume : float array
        Volume of the plateau: each cell counts as half the way to its neighbours along every ordered axis.
    center : mapping of str to arrays
        Mean place of the plateau along each ordered axis, as a value of the axis.
    parts : int array
        Connected parts: cells touch where they are neighbours along one ordered axis. Minus one where the plateau is
        cut into more than 2^24 stretches, which are too many to tell.
    ridge : mapping of str to arrays
        Unit vector along which the plateau is longest, by ordered axis, in octaves (or values); its largest component
        is above zero. NaN where the plateau has no longest direction.
    spread : float array of shape (..., ordered axes)
        Standard deviations of the plateau along its principal directions, longest first.
    """

    within: float
    count: Any
    low: Mapping[str, Any]
    high: Mapping[str, Any]
    extent: Mapping[str, Any]
    volume: Any
    center: Mapping[str, Any]
    parts: Any
    ridge: Mapping[str, Any]
    spread: Any

    def __str__(self) -> str:
        if np.ndim(self.count):
            return f"plateaus within {100 * self.within:g} % of {np.size(self.count):,} groups"
        lines = [f"within {100 * self.within:g} %: {int(self.count):,} cells"]
        if not self.count:
            return lines[0]
        if self.parts >= 0:
            lines[0] += f" in {int(self.parts):,} connected part{'' if self.parts == 1 else 's'}"
        for name in self.low:
            low, high = show(name, self.low[name]), show(name, self.high[name])
            reach = f", {format_number(float(self.extent[name]), 3)} octaves" if self._octaves(name) else ""
            lines.append(f"{name} {low}" + (f" .. {high}{reach}" if high != low else ""))
        if len(self.ridge) > 1 and all(np.isfinite(value) for value in self.ridge.values()):
            along = ", ".join(f"{name} {format_number(float(value), 3)}" for name, value in self.ridge.items())
            lines.append(f"longest along {along}")
        return "\n  ".join(lines)

    def _octaves(self, name: str) -> bool:
        low, high = self.low[name], self.high[name]
        return (
            name in self.extent
            and bool(low > 0)
            and bool(np.isclose(self.extent[name], abs(np.log2(high) - np.log2(low)), rtol=1e-9, atol=1e-12))
        )

    def __repr__(self) -> str:
        return f"Plateau(within={self.within:g}, {np.size(self.count):,} groups)"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self) if cycle else str(self))


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Top:
    """The least cells in order; arrays of the shape of `by`, with one more dimension for the rank.

    Attributes
    ----------
    value : float array
        NaN where there are fewer cells.
    at : mapping of str to arrays
        The value of each column at each cell.
    cell : int array
        Flat index of each cell in C order over the axes that are no groups; -1 where there are fewer.
    """

    value: F64
    at: Mapping[str, NDArray[Any]]
    cell: NDArray[np.int64]

    def __len__(self) -> int:
        return int(self.value.shape[-1])

    def __str__(self) -> str:
        if self.value.ndim > 1:
            return f"the {len(self)} best cells of {self.value[..., 0].size:,} groups"
        rows = [
            f"{rank + 1:>3}  {format_number(float(value), 6)}  "
            + ", ".join(f"{name} {show(name, column[rank])}" for name, column in self.at.items())
            for rank, value in enumerate(self.value)
            if np.isfinite(value)
        ]
        return "\n".join(rows)

    def __repr__(self) -> str:
        return f"Top({len(self)} cells of {self.value[..., 0].size:,} groups)"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self) if cycle else str(self))


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Front:
    """Cells that no other cell of their group beats in two values at once, by the first value.

    Attributes
    ----------
    names : (str, str)
        The two expressions.
    first, second : (k,) float64
        Their values: the first rises, the second falls. Of cells equal in both the first in order is listed.
    at : mapping of str to (k,) arrays
        The value of each column that is no group.
    cell : (k,) int64
        Flat indices over the axes that are no groups.
    """

    names: tuple[str, str]
    first: F64
    second: F64
    at: Mapping[str, NDArray[Any]]
    cell: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.first)

    def to_frame(self, backend: str = "dict") -> Any:
        """A row for each cell: the two values under their names, then the columns."""
        return make_frame({self.names[0]: self.first, self.names[1]: self.second, **self.at}, backend)

    def __str__(self) -> str:
        lines = [f"{len(self):,} cells that none beats in both {self.names[0]} and {self.names[1]}"]
        step = max(1, len(self) // 8)
        for k in range(0, len(self), step):
            at = ", ".join(f"{name} {show(name, column[k])}" for name, column in self.at.items())
            lines.append(f"  {show(self.names[0], self.first[k])}  {show(self.names[1], self.second[k])}  {at}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"Front({len(self):,} cells, {self.names[0]} against {self.names[1]})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self) if cycle else str(self))


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Search:
    """The best cells of a grid, by group; made by `isoloss.search`.

    Arrays have one dimension for each name in `by`, in that order, of the length of its axis; without groups they are
    numbers.

    Attributes
    ----------
    minimize : str
        What was made least.
    where : str or None
    axes : tuple of Axis
        As given.
    by : tuple of str
        Axes that are groups.
    best : float or array
        The least value, the very number that the law gives at `argbest`; NaN where no cell counts.
    argbest : mapping of str to value or array
        The value of every column at the best cell, those of the groups included; ties go to the first cell in C order
        of the axes. NaN (or an empty text) where no cell counts.
    cell : int or array
        Flat index of the best cell in C order over the axes that are no groups; -1 where no cell counts.
    count : int or array
        Cells within the tolerance of the best if there is one (`within`), else all that count.
    feasible : int or array
        Cells that fulfil the condition and have a finite value.
    nonfinite : int or array
        Cells that fulfil the condition but have no finite value; they do not count.
    cells : int
        Cells of the whole grid.
    plateau : Plateau or None
    top : Top or None
    front : Front or tuple of Front or None
        One for each group, in C order.
    refined : Refined or None
    draws : SearchDraws or None
        The same search under every draw.
    warnings : tuple of Notice
        Code ``search-empty`` where groups have no cell that counts, ``search-nonfinite`` where cells have no finite
        value, ``search-edge`` where the best cell of an ordered axis is its first or last.
    """

    minimize: str
    where: str | None
    axes: tuple[Axis, ...]
    by: tuple[str, ...]
    best: Any
    argbest: Mapping[str, Any]
    cell: Any
    count: Any
    feasible: Any
    nonfinite: Any
    cells: int
    plateau: Plateau | None = None
    top: Top | None = None
    front: Front | tuple[Front, ...] | None = None
    refined: Refined | None = None
    draws: SearchDraws | None = None
    warnings: tuple[Notice, ...] = ()

    @property
    def groups(self) -> Mapping[str, NDArray[Any]]:
        """The columns of the groups, each (g,) over the groups in order."""
        shape = np.shape(self.best)
        return {name: np.broadcast_to(self.argbest[name], shape).ravel() for name in _columns(self.axes, self.by)}

    def to_frame(self, backend: str = "dict") -> Any:
        """A row for each group.

        Parameters
        ----------
        backend : {"dict", "polars", "pandas", "pyarrow"}

        Returns
        -------
        frame or dict of arrays
            The columns of the groups, ``best``, the other columns at the best cell, ``feasible``, and with `within` the
            ``count`` and the box of the plateau as ``lr_low``, ``lr_high``, ...

        Examples
        --------
        >>> import isoloss as iso
        >>> found = iso.search("(x - y)**2 + x", {"x": [0.0, 1.0], "y": [0.0, 1.0, 2.0]}, by="y")
        >>> {name: column.tolist() for name, column in found.to_frame().items()}
        {'y': [0.0, 1.0, 2.0], 'best': [0.0, 1.0, 2.0], 'x': [0.0, 0.0, 1.0], 'feasible': [2, 2, 2]}
        """
        groups = self.groups
        columns: dict[str, Any] = dict(groups)
        columns["best"] = np.ravel(self.best)
        columns |= {name: np.ravel(values) for name, values in self.argbest.items() if name not in groups}
        columns["feasible"] = np.ravel(self.feasible)
        if self.plateau is not None:
            columns["count"] = np.ravel(self.plateau.count)
            for name in self.plateau.low:
                columns[f"{name}_low"] = np.ravel(self.plateau.low[name])
                columns[f"{name}_high"] = np.ravel(self.plateau.high[name])
        return make_frame(columns, backend)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        made: dict[str, Any] = {
            "minimize": self.minimize,
            "where": self.where,
            "axes": {axis.name: len(axis) for axis in self.axes},
            "by": list(self.by),
            "cells": self.cells,
            "best": _plain(self.best),
            "argbest": {name: _plain(values) for name, values in self.argbest.items()},
            "count": _plain(self.count),
            "feasible": _plain(self.feasible),
            "nonfinite": _plain(self.nonfinite),
        }
        if self.plateau is not None:
            made["plateau"] = {
                name: {key: _plain(value) for key, value in part.items()} if isinstance(part, Mapping) else _plain(part)
                for name in Plateau.__dataclass_fields__
                for part in [getattr(self.plateau, name)]
            }
        if self.top is not None:
            made["top"] = {
                "value": _plain(self.top.value),
                "at": {name: _plain(values) for name, values in self.top.at.items()},
            }
        if self.front is not None:
            fronts = (self.front,) if isinstance(self.front, Front) else self.front
            made["fronts"] = [
                {name: _plain(np.asarray(column)) for name, column in front.to_frame().items()} for front in fronts
            ]
        if self.refined is not None:
            made["refined"] = {
                "best": _plain(self.refined.best),
                "at": {name: _plain(values) for name, values in self.refined.at.items()},
                "gap": _plain(self.refined.gap),
                "bound": _plain(self.refined.bound),
                "convex": _plain(self.refined.convex),
                "step": _plain(dict(self.refined.step)),
            }
        if self.draws is not None:
            made["draws"] = {
                "count": len(self.draws),
                "interval": {name: [_plain(low), _plain(high)] for name, (low, high) in self.draws.conf_int().items()},
            }
        made["warnings"] = [notice.to_dict() for notice in self.warnings]
        return made

    def summary(self) -> str:
        """What was searched and found, for a terminal."""
        grid = " x ".join(str(axis) for axis in self.axes)
        by = f", by {', '.join(self.by)}" if self.by else ""
        where = f" where {self.where}" if self.where else ""
        lines = [f"least {self.minimize} of {self.cells:,} cells{where}: {grid}{by}"]
        counted = int(np.sum(self.feasible))
        if counted != self.cells:
            lines.append(f"  {counted:,} cells count")
        lines += [f"  {line}" for line in (self._table() if self.by else self._single())]
        if self.refined is not None:
            lines += [f"  {line}" for line in self.refined.lines()]
        if self.draws is not None:
            lines += [f"  {line}" for line in self.draws.lines()]
        if isinstance(self.front, Front):
            lines += [f"  {line}" for line in str(self.front).splitlines()]
        lines += [f"  {notice}" for notice in self.warnings]
        return "\n".join(lines)

    def _single(self) -> list[str]:
        at = ", ".join(f"{name} {show(name, value)}" for name, value in self.argbest.items())
        lines = [f"best {format_number(float(self.best), 6)} at {at}"] if self.feasible else []
        if self.plateau is not None:
            lines += str(self.plateau).splitlines()
        if self.top is not None:
            lines += str(self.top).splitlines()
        return lines

    def _table(self) -> list[str]:
        single = [column for axis in self.axes if len(axis) == 1 for column in axis.names]
        left_out = {"feasible", *(f"{name}_{side}" for name in single for side in ("low", "high"))}
        columns = {name: values for name, values in self.to_frame().items() if name not in left_out}
        size = np.size(self.best)
        rows = [list(columns)]
        for k in range(min(size, _SHOWN)):
            row = []
            for name, values in columns.items():
                base = name.removesuffix("_low").removesuffix("_high")
                value = values[k]
                row.append(f"{int(value):,}" if name == "count" else show(base, value))
            rows.append(row)
        widths = [max(len(row[j]) for row in rows) for j in range(len(columns))]
        lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
        if size > _SHOWN:
            lines.append(f"... and {size - _SHOWN:,} more groups")
        return lines

    def __repr__(self) -> str:
        return f"Search(least {self.minimize} of {self.cells:,} cells, {np.size(self.best):,} groups)"

    def __str__(self) -> str:
        return self.summary()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self) if cycle else self.summary())


def _columns(axes: tuple[Axis, ...], by: tuple[str, ...]) -> list[str]:
    named = {axis.name: axis for axis in axes}
    return [column for name in by for column in named[name].names]


def show(name: str, value: Any) -> str:
    """A value as it is printed, by the name of its column."""
    if isinstance(value, str):
        return value
    number = float(value)
    if not np.isfinite(number):
        return "-"
    if name in _COUNTS:
        return format_si(number, 3)
    text = format_number(number, 5)
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def _plain(value: Any) -> Any:
    """Numbers and lists as JSON has them: null for NaN."""
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value
