"""What a search lists besides the best: plateaus, the least cells in order, fronts. Private; see `isoloss.search`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isoloss.engine.problem import F64
from isoloss.runs.table import make_frame
from isoloss.units import format_number, format_si

__all__ = ["Front", "Plateau", "Top", "show"]

_COUNTS = frozenset({"N", "D", "batch", "U", "S"})


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Plateau:
    """All cells within a tolerance of the best, in each group; arrays of the shape of `by`.

    Attributes
    ----------
    within : float
        The tolerance t: ``value <= best + t * abs(best)``.
    count : int array
        Cells on the plateau; -1 where an interrupt came before it was known.
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
        Connected parts: cells touch where they are neighbours along one ordered axis; under a condition also where they
        are one step apart along two of them, since a budget leaves the diagonal of a grid. Minus one where the plateau
        is cut into more than 2^24 stretches, which are too many to tell.
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
        if self.count <= 0:
            return ""
        if self.parts is not None and self.parts >= 0:
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
