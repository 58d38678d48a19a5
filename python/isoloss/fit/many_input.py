"""From the arrays of a user to a batch of problems, with everything checked. Private to `fit_many`.

Problems either share their columns, or each owns its rows: a *panel*, held as flat columns and offsets, as Arrow holds
lists. Matrices of variables, lists of arrays and a column of groups all become the same panel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isoloss.engine.autodelta import without_scale
from isoloss.engine.batch import Batch, BatchStarts, Given, Projected
from isoloss.engine.boxes import Box
from isoloss.engine.posing import Settings, problem_of
from isoloss.engine.problem import F64
from isoloss.engine.starts import AnyStarts, candidates
from isoloss.errors import DataError, LawError, OptionError, did_you_mean
from isoloss.inner import needs
from isoloss.law.object import Law
from isoloss.units import real_numbers

__all__ = ["Many", "align", "batch_starts"]

Many = ArrayLike | Sequence[ArrayLike]
"""An array, or an array for each problem."""


def align(
    law: Law,
    variables: Mapping[str, Many],
    targets: Many,
    weights: Many | None,
    *,
    offsets: ArrayLike | None,
    groups: ArrayLike | str | None,
    settings: Settings,
) -> Batch:
    """The batch that a user's arrays make; see `isoloss.fit_many` for the shapes and errors."""
    if not isinstance(variables, Mapping):
        message = f"variables is a {type(variables).__name__}; it needs to map names to arrays, such as {{'N': ...}}"
        raise DataError(message, code="data-source")
    missing = [name for name in law.variables if name not in variables]
    if missing:
        message = f"law {law.name!r} needs {', '.join(missing)}{did_you_mean(missing[0], variables)}"
        raise DataError(message, code="data-missing-role", column=missing[0])
    # The stretches of inner tables are columns like any others.
    tables = needs(law, variables)
    further = {key: ends for name, inner in tables.items() for key, ends in inner.ends(name).items()}
    variables = {**variables, **further}
    wanted = (*law.variables, *further)
    given: dict[str, Many] = {f"variables[{name!r}]": variables[name] for name in wanted}
    given["targets"] = targets
    if weights is not None:
        given["weights"] = weights
    arrays, places, labels = _panels(given, variables, offsets, groups)
    target, weight = arrays["targets"], arrays.get("weights")
    if weight is not None and (weight < 0.0).any():
        at = tuple(int(i) for i in np.argwhere(weight < 0.0)[0])
        message = f"weights{list(at)} is {weight[at]}: below zero"
        raise DataError(message, code="data-negative-weight", column="weights")
    columns = {name: arrays[f"variables[{name!r}]"] for name in wanted}
    if places is None:
        _agree(arrays, axis=-1, what="points")
        size = _agree({k: v for k, v in arrays.items() if v.ndim == 2}, axis=0, what="problems") or _stated(
            settings.starts
        )
        if any(column.ndim == 2 for column in columns.values()):
            n = target.shape[-1]
            places = np.arange(size + 1, dtype=np.int64) * n
            columns = {name: _flat(column, (size, n)) for name, column in columns.items()}
            target = _flat(target, (size, n))
            weight = None if weight is None else _flat(weight, (size, n))
    else:
        size = len(places) - 1
    inner_tables = {name: inner.table for name, inner in tables.items()}
    problem = problem_of(law, columns, target, weight, inner_tables, settings, target_name="targets")
    return Batch(problem=problem, size=size, offsets=places, labels=labels)


def batch_starts(batch: Batch, starts: AnyStarts, seed: int) -> BatchStarts:
    """The starts of every problem: explicit ones, or points whose linear parameters are found from the law.

    Raises
    ------
    LawError
        Code ``law-starts``: an array does not fit the batch, or holds what cannot be started from.
    """
    if _by_rule(starts):
        return Projected(candidates(without_scale(batch.problem), starts, seed=seed))
    p = len(batch.problem.names)
    points = real_numbers("starts", starts)
    if points.ndim == 1:
        points = points[None, None, :]
    elif points.ndim == 2:
        points = points[:, None, :]
    if points.ndim != 3 or points.shape[2] != p or points.shape[0] not in (1, batch.size) or points.shape[1] == 0:
        shape = np.shape(cast(ArrayLike, starts))
        message = (
            f"starts has shape {shape}; it needs ({p},), ({batch.size}, {p}) or ({batch.size}, S, {p}) for "
            f"{batch.size} problems and the parameters {', '.join(batch.problem.names)}"
        )
        raise LawError(message, code="law-starts")
    candidates(batch.problem, points.reshape(-1, p))  # refuses values that cannot be started from
    return Given(np.broadcast_to(points, (batch.size, *points.shape[1:])))


def _by_rule(starts: AnyStarts) -> bool:
    """Whether starts are anything but explicit points."""
    return starts is None or isinstance(starts, (int, np.integer, Mapping, Box))


# Panels -------------------------------------------------------------------------------------------------------


def _panels(
    given: Mapping[str, Many],
    variables: Mapping[str, Many],
    offsets: ArrayLike | None,
    groups: ArrayLike | str | None,
) -> tuple[dict[str, F64], NDArray[np.int64] | None, NDArray[Any] | None]:
    """The arrays as numbers; flat, with offsets and perhaps labels, where problems own their rows."""
    if offsets is not None and groups is not None:
        raise OptionError("give offsets or groups, not both", argument="groups")
    lengths = _ragged(given)
    if lengths is not None:
        if offsets is not None or groups is not None:
            name = "groups" if offsets is None else "offsets"
            message = (
                f"{name} is given, and so is a list of an array for each problem: one of them says whose rows are whose"
            )
            raise OptionError(message, argument=name)
        flat = {name: _array(name, np.concatenate([np.ravel(x) for x in rows])) for name, rows in given.items()}  # type: ignore[union-attr]
        return flat, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), None
    arrays = {name: _array(name, values) for name, values in given.items()}
    if offsets is None and groups is None:
        return arrays, None, None
    for name, array in arrays.items():
        if array.ndim != 1:
            message = f"{name} has shape {array.shape}; with {'groups' if offsets is None else 'offsets'} it needs (n,)"
            raise DataError(message, code="data-shape", column=name)
    n = _agree(arrays, axis=0, what="points")
    if offsets is not None:
        return arrays, _offsets(offsets, n), None
    labels, places, order = _groups(groups, variables, n)
    if order is not None:
        arrays = {name: array[order] for name, array in arrays.items()}
    return arrays, places, labels


def _ragged(given: Mapping[str, Many]) -> NDArray[np.int64] | None:
    """(B,) lengths where arrays are lists of one array for each problem, not all alike; else None."""
    lists = {
        name: np.array([np.size(row) for row in rows], dtype=np.int64)
        for name, rows in given.items()
        if isinstance(rows, (list, tuple)) and len(rows) and np.ndim(rows[0]) == 1
    }
    if all(len(np.unique(lengths)) == 1 for lengths in lists.values()):
        return None
    whole = [name for name in given if name not in lists]
    if whole:
        shown = next(iter(lists))
        shape = np.shape(cast(ArrayLike, given[whole[0]]))
        message = f"{shown} is a list of an array for each problem, and so must be {whole[0]}, which has shape {shape}"
        raise DataError(message, code="data-shape", column=whole[0])
    reference = lists["targets"]
    for name, lengths in lists.items():
        if len(lengths) != len(reference):
            message = f"{name} holds {len(lengths)} arrays where targets holds {len(reference)}"
            raise DataError(message, code="data-shape", column=name)
        if (lengths != reference).any():
            b = int(np.flatnonzero(lengths != reference)[0])
            message = f"{name}[{b}] has shape ({lengths[b]},) where targets[{b}] has ({reference[b]},)"
            raise DataError(message, code="data-shape", column=name, problem=b)
    return reference


def _offsets(given: ArrayLike, n: int) -> NDArray[np.int64]:
    """(B + 1,) offsets into n rows, checked."""
    offsets = np.asarray(given)
    if offsets.ndim != 1 or len(offsets) < 2 or not np.issubdtype(offsets.dtype, np.integer):
        message = f"offsets has shape {offsets.shape} and type {offsets.dtype}; it needs (B + 1,) whole numbers"
        raise DataError(message, code="data-shape", column="offsets")
    if offsets[0] != 0 or offsets[-1] != n:
        message = f"offsets run from {offsets[0]} to {offsets[-1]}; they need to run from 0 to the {n} rows of targets"
        raise DataError(message, code="data-shape", column="offsets")
    if (np.diff(offsets) < 0).any():
        b = int(np.flatnonzero(np.diff(offsets) < 0)[0])
        message = f"offsets[{b + 1}] = {offsets[b + 1]} is below offsets[{b}] = {offsets[b]}"
        raise DataError(message, code="data-shape", column="offsets")
    return np.ascontiguousarray(offsets, dtype=np.int64)


def _groups(
    given: ArrayLike | str | None, variables: Mapping[str, Many], n: int
) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[np.intp] | None]:
    """Labels in sorted order, offsets, and the order that brings the rows of each together (None if they are)."""
    if isinstance(given, str):
        if given not in variables:
            message = f"groups={given!r} names none of the variables{did_you_mean(given, variables)}"
            raise DataError(message, code="data-missing-column", column=given)
        given = variables[given]  # type: ignore[assignment]
    column = np.asarray(given)
    if column.shape != (n,):
        message = f"groups has shape {column.shape} where targets has ({n},)"
        raise DataError(message, code="data-shape", column="groups")
    try:
        labels, codes, counts = np.unique(column, return_inverse=True, return_counts=True)
    except TypeError as error:
        message = f"groups holds labels that cannot be sorted: {error}"
        raise DataError(message, code="data-nonnumeric", column="groups") from None
    together = bool((np.diff(codes) >= 0).all())
    order = None if together else np.argsort(codes, kind="stable")
    return labels, np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), order


# Shapes -------------------------------------------------------------------------------------------------------


def _array(name: str, values: Any) -> F64:
    """(n,) or (B, n) numbers, checked."""
    array = np.ascontiguousarray(real_numbers(name, values))
    if array.ndim not in (1, 2) or array.size == 0:
        message = f"{name} has shape {array.shape}; it needs (n,) or (B, n)"
        raise DataError(message, code="data-shape", column=name)
    finite = np.isfinite(array)
    if not finite.all():
        place = tuple(int(i) for i in np.argwhere(~finite)[0])
        message = f"{name}{list(place)} is {array[place]}"
        raise DataError(message, code="data-nonfinite", column=name)
    return array


def _flat(array: F64, shape: tuple[int, int]) -> F64:
    return np.ascontiguousarray(np.broadcast_to(array, shape)).reshape(-1)


def _agree(arrays: Mapping[str, F64], axis: int, what: str) -> int:
    """The length that all arrays share along an axis; 0 without arrays."""
    if len({array.shape[axis] for array in arrays.values()}) > 1:
        shown = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        message = f"arrays differ in the number of {what}: {shown}"
        raise DataError(message, code="data-shape")
    return next((array.shape[axis] for array in arrays.values()), 0)


def _stated(starts: AnyStarts) -> int:
    """How many problems the starts speak of, where no other array says it."""
    shape: tuple[int, ...] = () if _by_rule(starts) else np.shape(cast(ArrayLike, starts))
    return shape[0] if len(shape) in (2, 3) else 1
