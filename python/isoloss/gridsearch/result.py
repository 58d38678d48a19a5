"""Results of a search: the best cells, what lies near them, and how both print. See `isoloss.search`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from isoloss.engine.watch import OnInterrupt, Progress, Watch
from isoloss.errors import DataError, Notice, OptionError
from isoloss.gridsearch.grids import Axis
from isoloss.gridsearch.parts import Front, Plateau, Top, show
from isoloss.plain import plain
from isoloss.runs.table import make_frame
from isoloss.units import format_number, parse_number

if TYPE_CHECKING:
    from os import PathLike

    from matplotlib.axes import Axes

    from isoloss.gridsearch.asked import Asked
    from isoloss.gridsearch.draws import SearchDraws
    from isoloss.gridsearch.refine import Refined

__all__ = ["Search"]

_SHOWN = 12
"""Groups that are printed."""


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
        The least value, the very number that the law gives at `argbest`; NaN where no cell counts. Where `visited` is
        less than the cells of a group, the least of those.
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
    visited : int or array
        Cells that were accounted for: all, unless an interrupt came first (`on_interrupt`).
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
        value, ``search-edge`` where the best cell of an ordered axis is its first or last, ``search-unused-axis`` where
        no expression depends on an axis, ``interrupted`` where the search was stopped.
    asked, found : Asked, mapping
        What was asked in the words of the engine, and what it gave: from these the rest is made, saved and repeated.
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
    visited: Any
    cells: int
    asked: Asked
    found: Mapping[str, Any]
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

    def point(self, **group: Any) -> dict[str, Any]:
        """The best cell of one group as plain values, ready to be handed on.

        Parameters
        ----------
        **group : float or text
            A value of each axis of `by`, as in ``C=1e24`` or ``N="7B"``: of a table, a label or a number of any column.

        Returns
        -------
        dict of str to float or str
            Every column.

        Raises
        ------
        DataError
            Code ``search-empty``: no cell of the group counts, so there is no best one.
        OptionError
            Code ``option``: names that are not those of `by`, or a value that its axis does not have.

        Examples
        --------
        >>> import isoloss as iso
        >>> found = iso.search("(x - y)**2 + x", {"x": [0.5, 1.0], "y": [0.0, 1.0]}, by="y", where="x > y")
        >>> found.point(y=0)
        {'x': 0.5, 'y': 0.0}
        >>> found.point(y=1)
        Traceback (most recent call last):
        isoloss.errors.DataError: no cell counts where y is 1: there is no best one
        """
        at = self._group(group)
        if not np.asarray(self.feasible)[at]:
            which = ", ".join(f"{name} is {value}" for name, value in group.items())
            raise DataError(
                f"no cell counts{f' where {which}' if which else ''}: there is no best one", code="search-empty"
            )
        return {name: np.asarray(values)[at].item() for name, values in self.argbest.items()}

    def _group(self, given: Mapping[str, Any]) -> tuple[int, ...]:
        """The place of a group among the groups."""
        if set(given) != set(self.by):
            wanted = ", ".join(self.by) or "no name at all"
            raise OptionError(f"a group of this search is told by {wanted}, not by {', '.join(given) or 'nothing'}")
        place = []
        for name in self.by:
            axis = next(axis for axis in self.axes if axis.name == name)
            steps = _steps_at(axis, given[name])
            if not len(steps):
                raise OptionError(f"axis {name} has no value {given[name]!r}", argument=name)
            place.append(int(steps[0]))
        return tuple(place)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the search to a JSON file: what was asked and what was found, to the bit. `isoloss.load` reads it.

        Raises
        ------
        OSError
            The file cannot be written.

        Examples
        --------
        >>> import tempfile, pathlib
        >>> import isoloss as iso
        >>> found = iso.search("(x - 0.3)**2", {"x": iso.linspace(0, 1, 11)})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     found.save(pathlib.Path(folder) / "search.json")
        ...     again = iso.load(pathlib.Path(folder) / "search.json")
        >>> again.argbest == found.argbest and again.rerun().best == found.best
        True
        """
        from isoloss import store

        store.save(self, "isoloss.search", path)

    def rerun(
        self,
        *,
        n_threads: int | None = None,
        progress: Progress | None = None,
        on_interrupt: OnInterrupt = "raise",
    ) -> Search:
        """Search again: the same bits, from what is in this result or its file alone."""
        from isoloss.gridsearch.search import answer

        return answer(self.asked, Watch(progress, on_interrupt, n_threads=n_threads))

    def plot_parallel(self, *, ax: Axes | None = None) -> Axes:
        """Draw the best cells, or those listed by ``top=``, as lines across parallel axes, coloured by their value.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        DataError
            Code ``search-empty``: no cell counts.
        """
        from isoloss.hparams.plots import parallel_coordinates

        value, at = (self.best, self.argbest) if self.top is None else (self.top.value, self.top.at)
        values = np.ravel(value)
        if not np.isfinite(values).any():
            raise DataError("no cell counts: there is nothing to draw", code="search-empty")
        columns = {name: np.broadcast_to(column, np.shape(value)).ravel() for name, column in at.items()}
        # What never varies is no axis to read off; texts have no place on one.
        varied = {name: x for name, x in columns.items() if x.dtype.kind == "f" and len(np.unique(x)) > 1}
        return parallel_coordinates({**(varied or columns), self.minimize: values}, ax=ax)

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
            "best": plain(self.best),
            "argbest": {name: plain(values) for name, values in self.argbest.items()},
            "count": plain(self.count),
            "feasible": plain(self.feasible),
            "nonfinite": plain(self.nonfinite),
            "visited": plain(self.visited),
        }
        if self.plateau is not None:
            made["plateau"] = {
                name: {key: plain(value) for key, value in part.items()} if isinstance(part, Mapping) else plain(part)
                for name in Plateau.__dataclass_fields__
                for part in [getattr(self.plateau, name)]
            }
        if self.top is not None:
            made["top"] = {
                "value": plain(self.top.value),
                "at": {name: plain(values) for name, values in self.top.at.items()},
            }
        if self.front is not None:
            fronts = (self.front,) if isinstance(self.front, Front) else self.front
            made["fronts"] = [
                {name: plain(np.asarray(column)) for name, column in front.to_frame().items()} for front in fronts
            ]
        if self.refined is not None:
            made["refined"] = {
                "best": plain(self.refined.best),
                "at": {name: plain(values) for name, values in self.refined.at.items()},
                "gap": plain(self.refined.gap),
                "bound": plain(self.refined.bound),
                "step": plain(dict(self.refined.step)),
            }
        if self.draws is not None:
            made["draws"] = {
                "count": len(self.draws),
                "interval": {name: [plain(low), plain(high)] for name, (low, high) in self.draws.conf_int().items()},
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
        if not counted:
            # All else would be blanks; the notice says why.
            return "\n".join([*lines, *(f"  {notice}" for notice in self.warnings)])
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
        lines = [f"best {format_number(float(self.best), 6)} at {at}"]
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


def _steps_at(axis: Axis, value: Any) -> NDArray[Any]:
    """The steps of an axis at which one of its columns has a value."""
    found = [labels == str(value) for labels in axis.labels.values()]
    try:
        number = parse_number(value)
    except (DataError, TypeError, ValueError):
        number = np.nan
    found += [np.isclose(column, number, rtol=1e-9, atol=0.0) for column in axis.columns.values()]
    return np.flatnonzero(np.any(found, axis=0))


def _columns(axes: tuple[Axis, ...], by: tuple[str, ...]) -> list[str]:
    named = {axis.name: axis for axis in axes}
    return [column for name in by for column in named[name].names]
