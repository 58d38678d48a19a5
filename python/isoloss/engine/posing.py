"""From a law, runs and settings to the problem that the engine solves, with everything checked. Private."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isoloss import laws
from isoloss.engine.boxes import Box
from isoloss.engine.problem import F64, Problem, arrange, check_target
from isoloss.engine.starts import AnyStarts
from isoloss.errors import DataError, LawError, OptionError
from isoloss.inner import Table, check_columns
from isoloss.law.object import Law
from isoloss.law.object import law as make_law
from isoloss.objective import Objective
from isoloss.runs.reading import Runs
from isoloss.units import real_numbers

__all__ = ["Bounds", "Settings", "as_law", "frozen_starts", "given_weights", "no_columns_among", "pose", "problem_of"]

Bounds = Mapping[str, tuple[float | str | None, float | str | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What was asked of a fit beyond law and data: enough to repeat it bit for bit.

    Attributes
    ----------
    objective : Objective
    starts : AnyStarts
    fix, tie, bounds : mapping
    weights : (n,) float64 or None
        Weights given to the fit; those of the runs are in the runs.
    seed : int
    """

    objective: Objective
    starts: AnyStarts = None
    fix: Mapping[str, float] = field(default_factory=dict)
    tie: Mapping[str, str] = field(default_factory=dict)
    bounds: Bounds = field(default_factory=dict)
    weights: F64 | None = None
    seed: int = 0


def as_law(given: Law | str) -> Law:
    """A law from a law, the name of one, or the text of one.

    Raises
    ------
    LawError
        Code ``law-unknown`` for a single word that names no law, ``law-syntax`` and others for a text.
    """
    if isinstance(given, Law):
        return given
    if isinstance(given, str):
        # A single word cannot be the text of a law worth fitting: it is a name, perhaps misspelt.
        # A few names, such as tissue+N, could be texts too; the registered law is what is meant.
        name = given.strip()
        law, colon, key = name.partition(":")
        if colon and law in laws.names():
            message = f"law={given!r}: a law is fitted without coefficients; a published set of it is "
            message += f"isoloss.laws.get({law!r}).bind({key!r})"
            raise LawError(message, code="law-unknown", name=name)
        return laws.get(name) if re.fullmatch(r"[\w.-]+", name) or name in laws.names() else make_law(given)
    message = f"law={given!r} is neither a law nor a text"
    raise OptionError(message, argument="law")


def no_columns_among(law: Law, runs: Runs, mentioned: Collection[str]) -> None:
    """Refuse a law given as text if it would estimate what is a column of the data, unless that is mentioned otherwise.

    Raises
    ------
    LawError
        Code ``law-column``.
    """
    if law.name in laws.names():
        return
    known = {*runs.columns, *runs.source.names} - {"loss", "weight"}
    meant = [name for name in law.parameters if name in known and name not in mentioned]
    if meant:
        listed = [*law.variables, *meant]
        message = (
            f"{' and '.join(meant)}: a column of the data, and this law would estimate it; "
            f"say which names are columns: isoloss.law({law.expr!r}, vars={listed})"
        )
        raise LawError(message, code="law-column", names=meant)


def pose(law: Law, runs: Runs, settings: Settings) -> Problem:
    """The problem that a law, runs and settings make, checked.

    Raises
    ------
    DataError, LawError
        As `fit`.
    """
    _same_quantity(law, runs)
    runs.require(*law.variables, "loss")
    for name, sums in law.inner.items():
        if name not in runs.inner:
            message = (
                f"law {law.name!r} sums over the inner table {name!r} ({', '.join(sums)}), which these runs do not "
                f"have: runs.with_inner({name}=isoloss.inner.Inner(...))"
            )
            raise DataError(message, code="data-inner", table=name)
        check_columns(law, name, runs.inner[name])
    weights = settings.weights
    if "weight" in runs.columns:
        weights = runs.columns["weight"] * (1.0 if weights is None else weights)
    if settings.objective.kind == "binomial" and "trials" in runs.columns:
        weights = given_weights(runs, "trials") * (1.0 if weights is None else weights)
    problem = problem_of(
        law,
        runs.columns,
        np.ascontiguousarray(runs.columns["loss"], dtype=np.float64),
        None if weights is None else np.ascontiguousarray(weights, dtype=np.float64),
        {name: runs.inner[name] for name in law.inner},
        settings,
        target_name=runs.column_of.get("loss", "loss"),
    )
    _enough_points(problem, law)
    return problem


_AT_ONCE = 65_536  # weights looked at at once
_COUNTED = ("parameters", "tokens", "FLOPs", "characters", "samples")


def _same_quantity(law: Law, runs: Runs) -> None:
    """Refuse to fit a law of the learning rate, or of a number of parameters or tokens, to losses."""
    column = runs.column_of.get("loss", "loss")
    gives = f"law {law.name!r} gives {law.target} [{law.target_unit}]"
    if law.target in ("lr", "batch") and law.target in runs.columns and column != runs.column_of.get(law.target):
        message = f"{gives}, not the column {column!r}: read the runs with loss={runs.column_of.get(law.target)!r}"
        raise LawError(message, code="law-target", target=law.target, column=column)
    if law.target_unit.startswith(_COUNTED) and "loss" in runs.columns and runs.columns["loss"].max() < 1000.0:
        low, high = runs.columns["loss"].min(), runs.columns["loss"].max()
        message = f"{gives}, and the column {column!r} holds {low:.4g} .. {high:.4g}"
        raise LawError(message, code="law-target", target=law.target, column=column)


def problem_of(
    law: Law,
    columns: Mapping[str, F64],
    target: F64,
    weights: F64 | None,
    tables: Mapping[str, Table],
    settings: Settings,
    *,
    target_name: str,
) -> Problem:
    """The problem, or the batch of them, that a law and aligned data make.

    Parameters
    ----------
    columns : mapping of str to (n,) float64
        What the law reads; flat, where problems own their rows.
    target, weights : (n,) or (B, n) float64
        The weights may be None; they are these, not those of the settings.
    tables : mapping of str to Table
        Inner tables that the law sums over.
    settings : Settings
    target_name : str
        What a user calls the target.

    Raises
    ------
    DataError, LawError
        As `fit`.
    """
    # What is taken from the data, pivots and the least loss, is taken from the rows that count: of many problems on the
    # same columns from those that count in any, since they share one expression.
    alive = slice(None) if weights is None else _that_count(np.atleast_2d(weights))
    expression = law.core(law.resolve_constants({name: column[alive] for name, column in columns.items()}), tables)
    check_target(target, settings.objective, target_name)
    lower, upper = law.resolve_bounds(target[..., alive].reshape(-1), settings.bounds)
    positive = [law.parameters[name].positive for name in expression.parameters]
    return Problem(
        expression=expression,
        columns=tuple(np.ascontiguousarray(columns[name], dtype=np.float64) for name in expression.variables),
        target=target,
        weights=weights,
        objective=settings.objective,
        parameters=arrange(expression.parameters, positive, lower, upper, fix=settings.fix, tie=settings.tie),
    )


def _that_count(weights: F64) -> slice | NDArray[np.bool_]:
    """Rows with weight in any of (B, n) problems; a slice of all, which copies nothing, where it is all or none."""
    alive = np.zeros(weights.shape[1], dtype=np.bool_)
    step = max(1, _AT_ONCE // max(len(alive), 1))
    for first in range(0, len(weights), step):  # of a million resamples the first few tell
        alive |= weights[first : first + step].any(axis=0)
        if alive.all():
            break
    return alive if alive.any() and not alive.all() else slice(None)


def _enough_points(problem: Problem, law: Law) -> None:
    """Refuse fewer distinct settings of the variables than parameters to estimate."""
    free = int(problem.parameters.free.sum())
    if free == 0:
        return
    present = slice(None) if problem.weights is None else problem.weights > 0.0
    points = np.column_stack([column[present] for column in problem.columns])
    distinct = len(np.unique(points[: 4 * free + 1000], axis=0))
    if distinct < free:
        distinct = len(np.unique(points, axis=0))
    if distinct < free:
        names = [name for name, is_free in zip(problem.names, problem.parameters.free, strict=True) if is_free]
        message = (
            f"{distinct} distinct point{'s' if distinct != 1 else ''} "
            f"({', '.join(problem.expression.variables)}) cannot determine the {free} free "
            f"parameters of {law.name!r}: {', '.join(names)}"
        )
        raise DataError(message, code="data-too-few-points", points=distinct, parameters=free)


def given_weights(runs: Runs, given: ArrayLike | str) -> F64:
    """Weights as a column of the runs or an array, checked."""
    if isinstance(given, str):
        if given not in runs.columns:
            message = f"weights={given!r} names no column of the runs (they have {', '.join(runs.columns)})"
            raise DataError(message, code="data-missing-column", column=given)
        weights = runs.columns[given]
    else:
        weights = real_numbers("weights", given, copy=True)
    if weights.shape != (runs.n,):
        message = f"weights has shape {weights.shape}; it needs one value for each of the {runs.n} runs"
        raise DataError(message, code="data-shape", column="weights")
    bad = ~np.isfinite(weights) | (weights < 0.0)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        message = f"weights, row {row}: {float(weights[row])!r} is not zero or above"
        raise DataError(message, code="data-negative-weight", column="weights", row=row, value=float(weights[row]))
    return weights


def frozen_starts(starts: AnyStarts) -> AnyStarts:
    """A copy that later changes to the caller's arrays cannot reach."""
    if starts is None or isinstance(starts, (int, Box)):
        return starts
    if isinstance(starts, Mapping):
        return {name: np.atleast_1d(real_numbers(f"starts of {name}", v, copy=True)) for name, v in starts.items()}
    if isinstance(starts, np.integer):
        return int(starts)
    if isinstance(starts, (Sequence, np.ndarray)) and not isinstance(starts, str):
        return np.atleast_2d(real_numbers("starts", starts, copy=True))
    message = f"starts={starts!r} is neither a number, nor values by name, nor an array of points"
    raise OptionError(message, argument="starts")
