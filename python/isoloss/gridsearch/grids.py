"""Axes of a search: ranges of numbers, and tables whose columns move together.

An axis is numbers in order (an array, a range from `linspace` or `geomspace`), one number, labels, or a table: a frame
or a mapping of columns of one length, such as kinds of accelerators with their memory and price. Along an axis of
strictly rising or falling numbers neighbours are near each other; volumes and ridges are then measured in octaves where
all values are above zero, and in the values themselves otherwise. Tables and labels have no neighbours.
"""

from __future__ import annotations

import decimal
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isoloss.checks import whole
from isoloss.errors import DataError, OptionError
from isoloss.runs.table import as_numbers, open_table
from isoloss.units import parse_number

__all__ = ["Axis", "geomspace", "linspace", "logspace", "read_axis"]

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Axis:
    """One axis of a search.

    Attributes
    ----------
    name : str
    columns : mapping of str to (n,) float64
        Names that expressions use, each with its values along the axis.
    labels : mapping of str to (n,) array
        Columns of text, shown but not computed with.
    unit : {"octaves", "value", "category"}
        What distances along the axis are measured in.
    """

    name: str
    columns: Mapping[str, F64]
    labels: Mapping[str, NDArray[Any]]
    unit: str

    def __len__(self) -> int:
        return len(next(iter((*self.columns.values(), *self.labels.values()))))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns."""
        return (*self.columns, *self.labels)

    @property
    def ordered(self) -> bool:
        """Whether neighbours are near each other."""
        return self.unit != "category"

    @property
    def values(self) -> NDArray[Any]:
        """(n,) the values of the first column."""
        return next(iter((*self.columns.values(), *self.labels.values())))

    @property
    def coordinate(self) -> F64:
        """(n,) places along an ordered axis: log2 of the values, or the values."""
        return np.log2(self.columns[self.name]) if self.unit == "octaves" else self.columns[self.name]

    @property
    def width(self) -> F64:
        """(n,) how far each step of an ordered axis reaches: half the way to either neighbour, at an end a step."""
        x = self.coordinate
        if len(x) == 1:
            return np.ones(1)
        gaps = np.abs(np.diff(x))
        return np.concatenate([gaps[:1], 0.5 * (gaps[:-1] + gaps[1:]), gaps[-1:]])

    @property
    def step(self) -> float:
        """The widest gap between neighbours, in `unit`; NaN without neighbours."""
        return float(np.abs(np.diff(self.coordinate)).max()) if self.ordered and len(self) > 1 else float("nan")

    def __str__(self) -> str:
        return f"{self.name} ({len(self):,})"


def linspace(start: float | str, stop: float | str, num: int) -> F64:
    """Evenly spaced values, both ends included.

    Parameters
    ----------
    start, stop : float or text such as ``"7B"``
    num : int

    Returns
    -------
    (num,) ndarray of float64

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.linspace(1, 2, 5).tolist()
    [1.0, 1.25, 1.5, 1.75, 2.0]
    """
    low, high, count = _ends(start, stop, num)
    return np.linspace(low, high, count)


def geomspace(start: float | str, stop: float | str, num: int) -> F64:
    """Values of equal ratios, both ends included.

    Each is the float nearest to the exact value, so that an axis has the same bits on every machine, and ties between
    cells, as of equal N times D, fall the same way everywhere.

    Parameters
    ----------
    start, stop : float or text such as ``"7B"``
        Above zero.
    num : int

    Returns
    -------
    (num,) ndarray of float64

    Raises
    ------
    OptionError
        Code ``option``: an end that is not above zero, or a number of values below one.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.geomspace("100M", "10B", 3).tolist()
    [100000000.0, 1000000000.0, 10000000000.0]
    """
    low, high, count = _ends(start, stop, num)
    if not (low > 0.0 and high > 0.0):
        message = f"a range of equal ratios from {start!r} to {stop!r} needs ends above zero"
        raise OptionError(message, argument="start")
    return _equal_ratios(low, high, count)


def logspace(start: float | str, stop: float | str, num: int) -> F64:
    """The same as `geomspace`: the ends are values, not exponents as in NumPy's function of this name.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.logspace(1e8, 1e10, 3).tolist()
    [100000000.0, 1000000000.0, 10000000000.0]
    """
    return geomspace(start, stop, num)


def _equal_ratios(low: float, high: float, count: int) -> F64:
    """Powers of one ratio at 36 digits: NumPy's own take another path, and other last bits, with each processor."""
    if count == 1:
        return np.array([low])
    with decimal.localcontext(prec=36, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN):
        value = Decimal(low)
        ratio = ((Decimal(high) / value).ln() / (count - 1)).exp()
        values = np.empty(count)
        for i in range(count):
            values[i] = value
            value *= ratio
    values[-1] = high
    return values


def _ends(start: float | str, stop: float | str, num: Any) -> tuple[float, float, int]:
    low, high = parse_number(start), parse_number(stop)
    if not (np.isfinite(low) and np.isfinite(high)):
        raise OptionError(f"a range from {start!r} to {stop!r} has an end that is not finite", argument="start")
    return low, high, whole("num", num, 1)


def read_axis(name: str, given: Any) -> Axis:
    """An axis from what a user gave for it.

    Raises
    ------
    DataError
        Codes ``data-empty``, ``data-shape``, ``data-nonnumeric``, ``data-nonfinite``: no values, not one dimension, or
        a value that is no finite number.
    """
    if _is_table(given):
        return _read_table(name, given)
    try:
        values = np.atleast_1d(np.asarray(given))
    except ValueError as error:
        raise DataError(f"axis {name!r} is not an array: {error}", code="data-shape", column=name) from error
    if values.ndim != 1:
        message = f"axis {name!r} has {values.ndim} dimensions, not one"
        raise DataError(message, code="data-shape", column=name)
    _not_empty(name, len(values))
    if values.dtype.kind in "USO":
        try:
            values = np.array([parse_number(value) for value in values.tolist()], dtype=np.float64)
        except (DataError, TypeError, ValueError):
            labels = values.astype(str)
            return Axis(name=name, columns={}, labels={name: labels}, unit="category")
    column = _finite(name, name, values)
    rising = np.diff(column)
    ordered = bool(np.all(rising > 0.0) or np.all(rising < 0.0))
    unit = "category" if not ordered else "octaves" if bool(np.all(column > 0.0)) else "value"
    return Axis(name=name, columns={name: column}, labels={}, unit=unit)


def _is_table(given: Any) -> bool:
    return isinstance(given, Mapping) or hasattr(given, "columns") or hasattr(given, "column_names")


def _read_table(name: str, given: Any) -> Axis:
    table = open_table(given)
    columns: dict[str, F64] = {}
    labels: dict[str, NDArray[Any]] = {}
    for column, values in table.select(list(table.names)).items():
        array = np.asarray(values)
        if array.dtype.kind in "USO":
            labels[column] = np.array([str(value) for value in array.tolist()])
        else:
            columns[column] = _finite(name, column, array)
    if not columns and not labels:
        raise DataError(f"axis {name!r} is a table without columns", code="data-empty", column=name)
    _not_empty(name, len(next(iter((*columns.values(), *labels.values())))))
    return Axis(name=name, columns=columns, labels=labels, unit="category")


def _not_empty(name: str, size: int) -> None:
    if size == 0:
        raise DataError(f"axis {name!r} has no values", code="data-empty", column=name)


def _finite(axis: str, name: str, values: Any) -> F64:
    try:
        numbers, bad = as_numbers(values, suffixes=True)
    except (TypeError, ValueError):
        raise DataError(f"axis {axis!r} does not hold numbers", code="data-nonnumeric", column=name) from None
    if bad:
        row, cell = next(iter(bad.items()))
        message = f"axis {axis!r}, column {name!r}, row {row}: {cell.shown} {cell.reason}"
        raise DataError(message, code=cell.code, column=name, row=row, value=cell.shown)
    return numbers
