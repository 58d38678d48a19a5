"""Many fits of one law in one call: other targets, weights, data or starts in every row.

Simulation studies, permutation tests, bootstraps of one's own and panels of curves are all the same call with other
arrays. Nothing here loops over problems in Python.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isoloss._table import make_frame
from isoloss.errors import DataError, LawError, OptionError, did_you_mean
from isoloss.law import Law
from isoloss.objective import Objective, resolve
from isoloss.posing import Bounds, as_law
from isoloss.problem import F64, Problem, Progress, Solved, arrange, check_target, seed_number
from isoloss.starts import Starts, candidates, project
from isoloss.status import Status, succeeded

__all__ = ["FitTable", "fit_many"]

_AT_ONCE = 200_000  # rows of starts in one call: bounds the memory of the starts and of the results to choose from


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class FitTable:
    """Results of `fit_many`, a row for each problem.

    Attributes
    ----------
    params : (B, p) float64
        Natural values, in the order of `names`.
    names : tuple of str
        The law's parameters.
    value : (B,) float64
        Objective: a sum over points.
    status : (B,) uint8
        Codes of `Status`, each with a message.
    iterations : (B,) uint32
        Of the winning start.
    at_bound : (B, p) int8
        -1 at the lower bound, +1 at the upper, 0 inside.
    starts : int
        Starts tried for each problem.
    """

    params: F64
    names: tuple[str, ...]
    value: F64
    status: NDArray[np.uint8]
    iterations: NDArray[np.uint32]
    at_bound: NDArray[np.int8]
    starts: int
    law: Law

    def __len__(self) -> int:
        return len(self.value)

    @property
    def success(self) -> NDArray[np.bool_]:
        """(B,) whether each row is an optimum to working precision."""
        return succeeded(self.status)

    def __getitem__(self, name: str) -> F64:
        """(B,) one parameter."""
        if name not in self.names:
            message = f"no parameter {name!r} among {', '.join(self.names)}{did_you_mean(name, self.names)}"
            raise LawError(message, code="law-unknown-name", name=name)
        return self.params[:, self.names.index(name)]

    def to_frame(self, backend: str | None = None) -> Any:
        """A frame with a column for each parameter, and ``value``, ``success``, ``status``, ``iterations``.

        Parameters
        ----------
        backend : {"polars", "pandas", "pyarrow", "dict"}, optional
            Library of the frame; by default the first of these that is installed. A dict of arrays needs none.

        Examples
        --------
        >>> import isoloss as iso
        >>> table = iso.fit_many("E + A / N**alpha", {"N": [1e7, 1e8, 1e9, 1e10]}, [4.0, 3.0, 2.5, 2.3])
        >>> list(table.to_frame("dict"))
        ['E', 'A', 'alpha', 'value', 'success', 'status', 'iterations']
        """
        codes = np.array([status.name.lower() for status in Status])
        columns: dict[str, ArrayLike] = {name: self.params[:, j] for j, name in enumerate(self.names)}
        columns |= {
            "value": self.value,
            "success": self.success,
            "status": codes[self.status],
            "iterations": self.iterations,
        }
        if backend is None:
            backend = next((name for name in ("polars", "pandas", "pyarrow") if find_spec(name)), "dict")
        return make_frame(columns, backend)

    def __repr__(self) -> str:
        good = int(self.success.sum())
        return f"FitTable({len(self):,} fits of {self.law.name}: {', '.join(self.names)}; {good:,} converged)"

    def __str__(self) -> str:
        lines = [repr(self)]
        if len(self):
            low, middle, high = np.nanquantile(self.params, [0.05, 0.5, 0.95], axis=0)
            width = max(len(name) for name in self.names)
            lines += [
                f"  {name:<{width}}  median {m:.6g}, 90 % within [{a:.6g}, {b:.6g}]"
                for name, a, m, b in zip(self.names, low, middle, high, strict=True)
            ]
        for code, count in zip(*np.unique(self.status, return_counts=True), strict=True):
            lines.append(f"  {count:,} {Status(int(code)).message}")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batch:
    """Aligned inputs of B problems: shared columns, or panels of n rows each."""

    problem: Problem
    size: int
    rows: int
    panel: bool


def fit_many(
    law: Law | str,
    variables: Mapping[str, ArrayLike],
    targets: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    starts: Starts = None,
    objective: Objective | str | None = None,
    delta: float | None = None,
    fix: Mapping[str, float] | None = None,
    tie: Mapping[str, str] | None = None,
    bounds: Bounds | None = None,
    seed: int | np.random.Generator = 0,
    n_threads: int | None = None,
    progress: Progress | None = None,
    on_interrupt: Literal["raise", "partial"] = "raise",
) -> FitTable:
    """Fit one law B times.

    Parameters
    ----------
    law : Law or str
        A law, the name of one, or a text.
    variables : mapping of str to (n,) or (B, n) array_like
        The law's variables; a row for each problem where they differ between problems.
    targets : (n,) or (B, n) array_like
        What the law is to predict.
    weights : (n,) or (B, n) array_like, optional
        Zero or above; a point of weight zero counts as absent.
    starts : int, mapping, array_like, optional
        A number of automatic starts for each problem, or values by name whose product is taken. An array is (p,), one
        start for all; (B, p), one start for each problem; or (B, S, p), several for each, the best of which is kept.
        Where nothing else says what B is, the rows of a (B, p) array do. By default the law's own rule.
    objective, delta, fix, tie, bounds, seed
        As for `fit`.
    n_threads : int, optional
        The results do not depend on it.
    progress : callable, optional
        Called as ``progress(done, total)``.
    on_interrupt : {"raise", "partial"}
        What Ctrl-C does: raise KeyboardInterrupt, or return what is finished, the rest with a status that says so.

    Returns
    -------
    FitTable

    Raises
    ------
    DataError
        Arrays do not fit together, hold NaN, or targets lie outside the domain of the objective.
    LawError
        Unknown law or names.
    OptionError
        Another argument is not understood.

    Examples
    --------
    >>> import numpy as np
    >>> import isoloss as iso
    >>> N = np.geomspace(1e7, 1e10, 8)
    >>> truth = iso.law("E + A / N**alpha", positive=["E", "A"], bounds={"alpha": (0, 2)})
    >>> losses = truth(N=N, E=1.8, A=400.0, alpha=0.34) * np.array([[1.0], [1.1]])
    >>> iso.fit_many(truth, {"N": N}, losses, objective="squared_log").params.round(3)
    array([[1.80e+00, 4.00e+02, 3.40e-01],
           [1.98e+00, 4.40e+02, 3.40e-01]])
    """
    if on_interrupt not in ("raise", "partial"):
        message = f"on_interrupt={on_interrupt!r} is neither 'raise' nor 'partial'"
        raise OptionError(message, argument="on_interrupt")
    chosen = as_law(law)
    goal = resolve(chosen.recipe.objective if objective is None else objective, delta)
    batch = _align(chosen, variables, targets, weights, goal, fix, tie, bounds, starts)
    rule = chosen.starts if starts is None else starts
    options = _Options(seed_number(seed), n_threads, progress, on_interrupt == "partial")
    solved, count = _solve(batch, rule, options)
    return FitTable(
        params=solved.params,
        names=batch.problem.names,
        value=solved.value,
        status=solved.status,
        iterations=solved.iterations,
        at_bound=solved.at_bound,
        starts=count,
        law=chosen,
    )


@dataclass(frozen=True, slots=True)
class _Options:
    seed: int
    threads: int | None
    progress: Progress | None
    partial: bool


def _array(name: str, values: ArrayLike) -> F64:
    """(n,) or (B, n) numbers, checked."""
    try:
        array = np.ascontiguousarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        message = f"{name} is not an array of numbers with rows of one length: {error}"
        raise DataError(message, code="data-nonnumeric", column=name) from None
    if array.ndim not in (1, 2) or array.size == 0:
        message = f"{name} has shape {array.shape}; it needs (n,) or (B, n)"
        raise DataError(message, code="data-shape", column=name)
    bad = ~np.isfinite(array)
    if bad.any():
        place = tuple(int(i) for i in np.argwhere(bad)[0])
        message = f"{name}{list(place)} is {array[place]}"
        raise DataError(message, code="data-nonfinite", column=name)
    return array


def _align(
    law: Law,
    variables: Mapping[str, ArrayLike],
    targets: ArrayLike,
    weights: ArrayLike | None,
    objective: Objective,
    fix: Mapping[str, float] | None,
    tie: Mapping[str, str] | None,
    bounds: Bounds | None,
    starts: Starts,
) -> _Batch:
    missing = [name for name in law.variables if name not in variables]
    if missing:
        message = f"law {law.name!r} needs {', '.join(missing)}{did_you_mean(missing[0], variables)}"
        raise DataError(message, code="data-missing-role", column=missing[0])
    columns = {name: _array(f"variables[{name!r}]", variables[name]) for name in law.variables}
    target = _array("targets", targets)
    weight = None if weights is None else _array("weights", weights)
    if weight is not None and (weight < 0.0).any():
        raise DataError("weights holds a value below zero", code="data-negative-weight", column="weights")
    everything = {**columns, "targets": target, **({} if weight is None else {"weights": weight})}
    rows = _common(everything, axis=-1, what="points")
    size = _common({k: v for k, v in everything.items() if v.ndim == 2}, axis=0, what="problems") or _stated(starts)
    check_target(target, objective, "targets")
    flat = {name: column.reshape(-1) for name, column in columns.items()}
    expression = law.core(law.resolve_constants(flat))
    lower, upper = law.resolve_bounds(target.reshape(-1), bounds or {})
    parameters = arrange(
        expression.parameters,
        [law.parameters[name].positive for name in expression.parameters],
        lower,
        upper,
        fix=fix,
        tie=tie,
    )
    panel = any(column.ndim == 2 for column in columns.values())

    def laid(array: F64) -> F64:
        if not panel:
            return array
        return np.ascontiguousarray(np.broadcast_to(array, (size, rows))).reshape(-1)

    problem = Problem(
        expression=expression,
        columns=tuple(laid(columns[name]) for name in expression.variables),
        target=laid(target),
        weights=None if weight is None else laid(weight),
        objective=objective,
        parameters=parameters,
    )
    return _Batch(problem=problem, size=size, rows=rows, panel=panel)


def _common(arrays: Mapping[str, F64], axis: int, what: str) -> int:
    """The length that all arrays share along an axis; 0 without arrays."""
    lengths = {name: array.shape[axis] for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name} {length}" for name, length in lengths.items())
        message = f"arrays differ in the number of {what}: {shown}"
        raise DataError(message, code="data-shape")
    return next(iter(lengths.values()), 0)


def _stated(starts: Starts) -> int:
    """How many problems the starts speak of, where no other array says it."""
    if starts is None or isinstance(starts, (int, np.integer, Mapping)):
        return 1
    shape = np.shape(starts)
    return shape[0] if len(shape) in (2, 3) else 1


def _solve(batch: _Batch, starts: Starts, options: _Options) -> tuple[Solved, int]:
    """The best start of each problem, and how many were tried."""
    given = _given(batch, starts)
    if given is None:
        points = candidates(batch.problem, starts, seed=options.seed)
        count = len(points)
    else:
        points, count = given, given.shape[1]
    parts: list[Solved] = []
    step = max(1, _AT_ONCE // count)
    for first in range(0, batch.size, step):
        last = min(first + step, batch.size)
        part = _part(batch, first, last)
        share = points if given is None else given[first:last]
        parts.append(_solve_part(part, share, given is None, options, first * count, batch.size * count))
    return _joined(parts), count


def _given(batch: _Batch, starts: Starts) -> F64 | None:
    """(B, S, p) explicit starts, or None where they are found from the law."""
    if starts is None or isinstance(starts, (int, np.integer, Mapping)):
        return None
    p = len(batch.problem.names)
    points = np.asarray(starts, dtype=np.float64)
    if points.ndim == 1:
        points = points[None, None, :]
    elif points.ndim == 2:
        points = points[:, None, :]
    if points.ndim != 3 or points.shape[2] != p or points.shape[0] not in (1, batch.size) or points.shape[1] == 0:
        message = (
            f"starts has shape {np.shape(starts)}; it needs ({p},), ({batch.size}, {p}) or ({batch.size}, S, {p}) for "
            f"{batch.size} problems and the parameters {', '.join(batch.problem.names)}"
        )
        raise LawError(message, code="law-starts")
    candidates(batch.problem, points.reshape(-1, p))  # refuses values that cannot be started from
    return np.broadcast_to(points, (batch.size, *points.shape[1:]))


def _part(batch: _Batch, first: int, last: int) -> _Batch:
    """Some of the problems."""
    if first == 0 and last == batch.size:
        return batch

    def cut(array: F64) -> F64:
        if batch.panel:
            return array[first * batch.rows : last * batch.rows]
        return array[first:last] if array.ndim == 2 else array

    whole = batch.problem
    problem = Problem(
        expression=whole.expression,
        columns=tuple(cut(column) for column in whole.columns) if batch.panel else whole.columns,
        target=cut(whole.target),
        weights=None if whole.weights is None else cut(whole.weights),
        objective=whole.objective,
        parameters=whole.parameters,
    )
    return _Batch(problem=problem, size=last - first, rows=batch.rows, panel=batch.panel)


def _solve_part(
    batch: _Batch, points: F64, to_project: bool, options: _Options, done_before: int, total: int
) -> Solved:
    """The best start of each problem; points are (S, p) to project, or (B, S, p)."""
    count = len(points) if to_project else points.shape[1]
    progress = options.progress

    def report(done: int, _: int) -> object:
        return None if progress is None else progress(done_before + done, total)

    def solve(starts: F64, index: NDArray[np.int64] | None, offsets: NDArray[np.int64] | None) -> Solved:
        problem = batch.problem
        return problem.solve(
            np.ascontiguousarray(starts),
            target_index=index if problem.target.ndim == 2 else None,
            weight_index=index if problem.weights is not None and problem.weights.ndim == 2 else None,
            offsets=offsets,
            threads=options.threads,
            progress=None if progress is None else report,
            partial=options.partial,
        )

    if batch.panel:
        # Every problem owns its rows, so each start is a batch of its own.
        offsets = np.arange(batch.size + 1, dtype=np.int64) * batch.rows
        tries = []
        for s in range(count):
            if to_project:
                row = points[s : s + 1]
                here = project(batch.problem, row, offsets=offsets, repeats=batch.size, threads=options.threads)
            else:
                here = points[:, s, :]
            tries.append(solve(here, None, offsets))
            done_before += batch.size
        # Start-major to problem-major: row s * B + b becomes b * S + s.
        order = np.arange(count * batch.size).reshape(count, batch.size).T.ravel()
        solved = _rows(_joined(tries), order)
        return _rows(solved, _winners(solved, (batch.size, count)) + np.arange(batch.size) * count)
    index = np.repeat(np.arange(batch.size, dtype=np.int64), count)
    if to_project:
        target_index = index if batch.problem.target.ndim == 2 else None
        weights = batch.problem.weights
        weight_index = index if weights is not None and weights.ndim == 2 else None
        flat = project(
            batch.problem,
            points,
            target_index=target_index,
            weight_index=weight_index,
            repeats=batch.size,
            threads=options.threads,
        )
    else:
        flat = points.reshape(-1, points.shape[2])
    solved = solve(flat, index, None)
    return _rows(solved, _winners(solved, (batch.size, count)) + np.arange(batch.size) * count)


def _winners(tries: Solved, shape: tuple[int, int]) -> NDArray[np.intp]:
    """(B,) the start of least objective of each problem: of the converged ones, or of all where none converged."""
    score = tries.score().reshape(shape)
    converged = np.where(tries.ok.reshape(shape), score, np.inf)
    some = np.isfinite(converged).any(axis=1)
    return np.asarray(np.where(some, np.argmin(converged, axis=1), np.argmin(score, axis=1)))


def _joined(parts: list[Solved]) -> Solved:
    if len(parts) == 1:
        return parts[0]
    return Solved(
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in Solved.__dataclass_fields__}
    )


def _rows(solved: Solved, at: NDArray[np.intp]) -> Solved:
    return Solved(**{name: getattr(solved, name)[at] for name in Solved.__dataclass_fields__})
