"""Evaluate a fitted law, or all its draws, where a user asks: scalars, arrays that broadcast, or a frame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from isoloss.engine.problem import F64
from isoloss.errors import DataError, OptionError, did_you_mean
from isoloss.runs.reading import Runs
from isoloss.runs.table import add_columns, as_numbers, open_table
from isoloss.stats.bands import KINDS, band, codes_at
from isoloss.units import complete_compute

if TYPE_CHECKING:
    from isoloss.fit.object import Fit

__all__ = ["predict"]

PREDICTED = "loss_pred"
_COMPLETING = ("N", "D", "C")


def predict(
    fit: Fit, frame: Any, columns: Mapping[str, Any], level: float | None, kind: str, interval: str | None
) -> Any:
    """Predicted loss; see `isoloss.fit.object.Fit.predict`."""
    if kind not in KINDS:
        message = f"kind={kind!r} is neither 'mean' nor 'new-run'"
        raise OptionError(message, argument="kind")
    if frame is not None and columns:
        message = f"give a frame or columns ({', '.join(columns)}), not both"
        raise OptionError(message, argument="frame")
    if isinstance(frame, Runs):
        columns = {n: frame.columns[n] for n in fit.law.variables if n in frame.columns}
        columns |= {name: frame.inner_of(name) for name in fit.law.inner if name in frame.inner}
    elif frame is not None:
        columns = _from_frame(fit, frame)
    if level is None and kind == "mean" and interval is None:
        made = fit.bound(**columns)
        return made if frame is None or isinstance(frame, Runs) else add_columns(frame, {PREDICTED: made})
    if fit.draws is None:
        message = "an interval needs draws, and none are attached: fit.with_draws(fit.bootstrap()).predict(...)"
        raise OptionError(message, argument="level" if level is not None else "kind")
    found = band(fit.draws, columns, 0.95 if level is None else level, kind, interval)
    if frame is None or isinstance(frame, Runs):
        return found
    ends = {f"{PREDICTED}_low": found.low, f"{PREDICTED}_high": found.high}
    far = {f"decades_{name}": values for name, values in found.decades.items()}
    told = {f"{PREDICTED}_warnings": codes_at(found.warnings, found.decades, len(np.atleast_1d(found.estimate)))}
    return add_columns(frame, {PREDICTED: found.estimate, **ends, **far, **told})


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
            f"the frame has no column {' or '.join(map(repr, dict.fromkeys((known, role))))} for the variable {role}"
            f"{did_you_mean(known, table.names)}; it has {', '.join(table.names)}"
        )
        raise DataError(message, code="data-missing-column", column=known, role=role)
    return values


def _column(fit: Fit, role: str, names: tuple[str, ...]) -> str | None:
    """The column of a frame that carries a role."""
    # The source may have counted its batches in sequences; a frame's batch is in tokens, under the role's own name.
    known = role if role == "batch" else fit.runs.column_of.get(role, role)
    return next((name for name in (known, role) if name in names), None)
