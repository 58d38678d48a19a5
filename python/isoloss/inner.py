"""Inner tables: points that a law sums over for every row, as the steps of a schedule or the nodes of a quadrature.

``sum_over(k, term)`` in the text of a law adds `term` up over points of the inner table ``k``, whose columns stand in
the term as ``k.name``. Which points a row sums is a stretch of the table, from ``first[r]`` up to, not including,
``last[r]``; stretches may overlap, so that rows of one loss curve share the points of its schedule. A table that every
row sums whole is part of the law: ``iso.law(..., tables={"t": {"x": nodes, "w": weights}})``.

To the engine the two ends of a stretch are ordinary columns of the row, ``k.first`` and ``k.last``: whatever is done to
rows (weights, resampling, selection, panels) is done to them, and the points stay where they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isoloss.errors import DataError, LawError, did_you_mean
from isoloss.units import real_numbers

if TYPE_CHECKING:
    from isoloss import _core
    from isoloss.law.object import Law

__all__ = ["Inner", "Table", "ground"]

F64 = NDArray[np.float64]
Int = NDArray[np.int64]


class Table:
    """Named columns of points, read-only and comparable.

    Parameters
    ----------
    columns : mapping of str to (m,) array_like
        Finite numbers.

    Raises
    ------
    DataError
        Codes ``data-shape``, ``data-nonnumeric``, ``data-nonfinite``.

    Examples
    --------
    >>> from isoloss.inner import Table
    >>> Table({"x": [0.0, 1.0], "w": [0.5, 0.5]})
    <Table: 2 points of x, w>
    """

    __slots__ = ("columns", "digest")

    columns: Mapping[str, F64]
    digest: str

    def __init__(self, columns: Mapping[str, ArrayLike]) -> None:
        arrays: dict[str, F64] = {}
        for name, values in columns.items():
            if name in ("first", "last"):
                message = (
                    f"column {name!r} of an inner table: the name stands for an end of the stretch that a row sums"
                )
                raise DataError(message, code="data-shape", column=name)
            array = real_numbers(f"column {name!r} of an inner table", values, copy=True)
            if array.ndim != 1 or len(array) != len(next(iter(arrays.values()), array)):
                message = f"column {name!r} of an inner table has shape {array.shape}; all need one length (m,)"
                raise DataError(message, code="data-shape", column=name)
            bad = np.flatnonzero(~np.isfinite(array))
            if len(bad):
                message = f"column {name!r} of an inner table, point {bad[0]}: {array[bad[0]]} is not finite"
                raise DataError(message, code="data-nonfinite", column=name, row=int(bad[0]))
            array.flags.writeable = False
            arrays[name] = array
        if not arrays:
            raise DataError("an inner table needs at least one column", code="data-shape")
        digest = hashlib.sha256()
        for name, array in arrays.items():
            digest.update(name.encode() + b"\0" + array.astype("<f8").tobytes())
        object.__setattr__(self, "columns", arrays)
        object.__setattr__(self, "digest", digest.hexdigest())

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a Table is read-only: {name}")

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Table) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"<Table: {len(self)} points of {', '.join(self.columns)}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return Table, (dict(self.columns),)

    def to_dict(self) -> dict[str, list[float]]:
        """Plain data, ready for JSON."""
        return {name: column.tolist() for name, column in self.columns.items()}


class Inner:
    """An inner table and, for each of n rows, the stretch of it that the row sums.

    Parameters
    ----------
    columns : mapping of str to (m,) array_like, or Table
        The points.
    first, last : (n,) array_like of int, optional
        Row r sums the points from ``first[r]`` up to, not including, ``last[r]``; none where they are equal.
    offsets : (n + 1,) array_like of int, optional
        Instead: row r owns the points from ``offsets[r]`` to ``offsets[r + 1]``.

    Attributes
    ----------
    table : Table
    first, last : (n,) int64

    Raises
    ------
    DataError
        Codes ``data-shape``, ``data-nonnumeric``, ``data-nonfinite``; ``data-shape`` also for a stretch that the table
        does not have, naming the row.

    Examples
    --------
    The steps of a schedule; rows are steps 2, 3 and 4 of it and sum all steps up to their own:

    >>> import isoloss as iso
    >>> from isoloss.inner import Inner
    >>> steps = Inner({"lr": [0.1, 0.2, 0.2, 0.1]}, first=[0, 0, 0], last=[2, 3, 4])
    >>> law = iso.law("c + A * sum_over(k, k.lr)**-r", vars=[], positive=["A"])
    >>> law.inner
    {'k': ('lr',)}
    >>> law(k=steps, c=1.0, A=2.0, r=1.0).round(3)
    array([7.667, 5.   , 4.333])
    """

    __slots__ = ("first", "last", "table")

    table: Table
    first: Int
    last: Int

    def __init__(
        self,
        columns: Mapping[str, ArrayLike] | Table,
        *,
        first: ArrayLike | None = None,
        last: ArrayLike | None = None,
        offsets: ArrayLike | None = None,
    ) -> None:
        table = columns if isinstance(columns, Table) else Table(columns)
        if offsets is not None and first is None and last is None:
            ends = _whole(offsets, "offsets")
            first, last = ends[:-1], ends[1:]
        elif offsets is not None or first is None or last is None:
            raise DataError("an inner table takes offsets, or first and last", code="data-shape")
        low, high = _whole(first, "first"), _whole(last, "last")
        if low.shape != high.shape:
            message = f"first has shape {low.shape} and last {high.shape}; both need one number for each row"
            raise DataError(message, code="data-shape", column="last")
        bad = np.flatnonzero((low < 0) | (high < low) | (high > len(table)))
        if len(bad):
            row = int(bad[0])
            message = (
                f"row {row} sums the points from {low[row]} to {high[row]} of an inner table of {len(table)} points"
            )
            raise DataError(message, code="data-shape", row=row)
        for name, value in (("table", table), ("first", low), ("last", high)):
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"an Inner is read-only: {name}")

    def __len__(self) -> int:
        return len(self.first)

    @property
    def pairs(self) -> int:
        """Points that all rows sum together: what an evaluation costs."""
        return int((self.last - self.first).sum())

    def __getitem__(self, rows: Any) -> Inner:
        """Other rows over the same points: a mask, a slice or an array of indices."""
        return Inner(self.table, first=np.atleast_1d(self.first[rows]), last=np.atleast_1d(self.last[rows]))

    @staticmethod
    def concat(parts: Iterable[Inner]) -> Inner:
        """Rows and points of several, one after the other.

        Raises
        ------
        DataError
            Code ``data-shape``: none, or of different columns.

        Examples
        --------
        >>> from isoloss.inner import Inner
        >>> a = Inner({"x": [1.0, 2.0]}, offsets=[0, 2])
        >>> Inner.concat([a, a]).first.tolist()
        [0, 2]
        """
        given = list(parts)
        names = {tuple(sorted(part.table.columns)) for part in given}
        if len(names) != 1:
            raise DataError(f"inner tables of different columns cannot be joined: {sorted(names)}", code="data-shape")
        shifts = np.cumsum([0, *(len(part.table) for part in given[:-1])])
        return Inner(
            {name: np.concatenate([part.table.columns[name] for part in given]) for name in given[0].table.columns},
            first=np.concatenate([part.first + at for part, at in zip(given, shifts, strict=True)]),
            last=np.concatenate([part.last + at for part, at in zip(given, shifts, strict=True)]),
        )

    def ends(self, name: str) -> dict[str, F64]:
        """The stretches as columns of the rows, under the names that expressions know them by."""
        return {f"{name}.first": self.first.astype(np.float64), f"{name}.last": self.last.astype(np.float64)}

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Inner)
            and self.table == other.table
            and np.array_equal(self.first, other.first)
            and np.array_equal(self.last, other.last)
        )

    def __hash__(self) -> int:
        return hash((self.table, self.first.tobytes(), self.last.tobytes()))

    def __repr__(self) -> str:
        return f"<Inner: {len(self)} rows over {self.pairs:,} of {self.table!r}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self.table, self.first, self.last)


def _again(table: Table, first: Int, last: Int) -> Inner:
    return Inner(table, first=first, last=last)


def _whole(given: ArrayLike, name: str) -> Int:
    array = np.asarray(given)
    if array.ndim != 1 or not (np.issubdtype(array.dtype, np.integer) or np.array_equal(array, np.floor(array))):
        message = (
            f"{name} of an inner table has shape {array.shape} and type {array.dtype}; it needs (n,) whole numbers"
        )
        raise DataError(message, code="data-shape", column=name)
    return array.astype(np.int64)


def needs(law: Law, given: Mapping[str, Any]) -> dict[str, Inner]:
    """The inner tables of a law, out of values by name.

    Raises
    ------
    LawError
        Code ``law-missing-name``: a table is missing. Code ``law-unknown-name``: it lacks a column that the law sums.
    DataError
        Code ``data-shape``: what stands in its place is no inner table.
    """
    found: dict[str, Inner] = {}
    for name, columns in law.inner.items():
        if name not in given:
            message = f"law {law.name!r}: no inner table {name} ({', '.join(columns)}); give an isoloss.inner.Inner"
            raise LawError(message, code="law-missing-name", names=[name])
        inner = given[name]
        if not isinstance(inner, Inner):
            message = (
                f"{name} is an inner table of law {law.name!r}: an isoloss.inner.Inner, not {type(inner).__name__}"
            )
            raise DataError(message, code="data-shape", column=name)
        check_columns(law, name, inner.table)
        found[name] = inner
    return found


def check_columns(law: Law, name: str, table: Table) -> None:
    """Refuse a table without a column that the law sums."""
    for column in law.inner[name]:
        if column not in table.columns:
            near = did_you_mean(column, table.columns)
            message = f"inner table {name!r} has no column {column!r}{near}; law {law.name!r} sums {name}.{column}"
            raise LawError(message, code="law-unknown-name", name=column)


def ground(
    law: Law, constants: Mapping[str, float], values: Mapping[str, Any]
) -> tuple[_core.Expression, dict[str, Any]]:
    """A law compiled with the inner tables among some values, and the values with stretches in the tables' place.

    Parameters
    ----------
    law : Law
    constants : mapping of str to float
        Values of the pivots.
    values : mapping
        Columns by name, and an `Inner` for each of ``law.inner``.

    Returns
    -------
    expression : _core.Expression
    columns : dict
        All that ``expression.variables`` names.

    Raises
    ------
    LawError, DataError
        A table is missing or lacks a column.

    Examples
    --------
    >>> import isoloss as iso
    >>> from isoloss.inner import Inner, ground
    >>> law = iso.law("a * N + sum_over(k, k.x)")
    >>> expression, columns = ground(law, {}, {"N": [1.0], "k": Inner({"x": [2.0, 3.0]}, offsets=[0, 2])})
    >>> expression.variables, columns["k.last"].tolist()
    (['N', 'k.first', 'k.last'], [2.0])
    """
    tables = needs(law, values)
    columns = {name: value for name, value in values.items() if name not in tables}
    for name, inner in tables.items():
        columns |= inner.ends(name)
    return law.core(constants, {name: inner.table for name, inner in tables.items()}), columns
