"""Evaluate a fitted law, or all its draws, where a user asks: scalars, arrays that broadcast, or a frame."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from isoloss._table import add_columns, as_numbers, open_table
from isoloss.errors import DataError, OptionError, did_you_mean
from isoloss.problem import F64
from isoloss.runs import Runs
from isoloss.units import complete_compute, format_number, parse_number

if TYPE_CHECKING:
    from isoloss.fit import Fit
    from isoloss.law import BoundLaw

__all__ = ["Band", "band", "predict"]

PREDICTED = "loss_pred"
_LOOK_UP = 1_000_000  # values that NumPy sorts between two chances to interrupt it
_COMPLETING = ("N", "D", "C")


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A prediction with an interval.

    Attributes
    ----------
    estimate, low, high : float or ndarray
        From the full data, and percentiles of the draws.
    level : float
    draws : int
        Number of draws behind the percentiles.
    """

    estimate: Any
    low: Any
    high: Any
    level: float
    draws: int

    def __str__(self) -> str:
        rows = zip(*(np.atleast_1d(np.ravel(x)) for x in (self.estimate, self.low, self.high)), strict=True)
        return "\n".join(
            f"{format_number(float(e), 4)} [{format_number(float(a), 4)}, {format_number(float(b), 4)}]"
            for e, a, b in rows
        )


def predict(fit: Fit, frame: Any, columns: Mapping[str, ArrayLike | str]) -> Any:
    """Predicted loss; see `isoloss.fit.Fit.predict`."""
    if frame is None:
        return fit.bound(**columns)
    if columns:
        message = f"give a frame or columns ({', '.join(columns)}), not both"
        raise OptionError(message, argument="frame")
    if isinstance(frame, Runs):
        return fit.bound(**{name: frame.columns[name] for name in fit.law.variables if name in frame.columns})
    return add_columns(frame, {PREDICTED: fit.bound(**_from_frame(fit, frame))})


def _from_frame(fit: Fit, frame: Any) -> dict[str, F64]:
    """The law's variables out of a frame, by the names the runs were read with or the roles' own."""
    table = open_table(frame)
    wanted = dict.fromkeys(fit.law.variables)
    if not all(_column(fit, role, table.names) for role in wanted):
        wanted |= dict.fromkeys(_COMPLETING)
    found = {role: name for role in wanted if (name := _column(fit, role, table.names)) is not None}
    raw = table.select(list(dict.fromkeys(found.values())))
    values: dict[str, F64] = {}
    for role, name in found.items():
        numbers, bad = as_numbers(raw[name], suffixes=True)
        if bad:
            row, cell = next(iter(bad.items()))
            message = f"column {name!r}, row {row}: {cell.shown} {cell.reason}"
            raise DataError(message, code=cell.code, column=name, row=row, value=cell.shown)
        values[role] = numbers
    lacking = [role for role in fit.law.variables if role not in complete_compute(values)]
    if lacking:
        role = lacking[0]
        known = fit.runs.column_of.get(role, role)
        message = (
            f"the frame has no column for {role!r}, neither {known!r} nor {role!r}{did_you_mean(known, table.names)}"
        )
        raise DataError(message, code="data-missing-column", column=known, role=role)
    return values


def _column(fit: Fit, role: str, names: tuple[str, ...]) -> str | None:
    """The column of a frame that carries a role."""
    # The source may have counted its batches in sequences; a frame's batch is in tokens, under the role's own name.
    known = role if role == "batch" else fit.runs.column_of.get(role, role)
    return next((name for name in (known, role) if name in names), None)


def band(bound: BoundLaw, params: F64, columns: Mapping[str, ArrayLike | str], level: float) -> Band:
    """A prediction at the estimates with percentiles over draws; see `isoloss.draws.Draws.predict`."""
    from isoloss.draws import percentiles

    estimate = bound(**columns)  # checks names and values
    given = {
        name: np.asarray(parse_number(value) if isinstance(value, str) else value, dtype=np.float64)
        for name, value in columns.items()
    }
    arrays = complete_compute(given)
    expression = bound.law.core(bound.constants)
    shape = np.shape(estimate)
    points = [np.ascontiguousarray(np.broadcast_to(arrays[name], shape)).ravel() for name in expression.variables]
    # Some points at a time: draws times points would not fit in memory, and Python looks up between them.
    step = max(1, _LOOK_UP // max(len(params), 1))
    count = max(math.prod(shape), 1)
    edges = [
        percentiles(expression.evaluate([at[first : first + step] for at in points], params), level)
        for first in range(0, count, step)
    ]
    low, high = (np.concatenate(side) for side in zip(*edges, strict=True))
    if shape == ():
        return Band(estimate=estimate, low=float(low[0]), high=float(high[0]), level=level, draws=len(params))
    return Band(estimate=estimate, low=low.reshape(shape), high=high.reshape(shape), level=level, draws=len(params))
