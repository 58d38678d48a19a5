r"""Where the solver starts: explicit points, grids, or points found from the law and the data.

A law such as E + A / N^alpha + B / D^beta is linear in E, A and B once alpha and beta are chosen. The automatic rule
therefore spreads only the parameters that enter nonlinearly, over their bounds, by a low-discrepancy sequence (Roberts
2018: the additive recurrence of the generalised golden ratio), and finds the others by weighted least squares, one
batch of small linear problems on the same engine (variable projection; Golub and Pereyra 1973). Positive parameters
that come out as zero are lifted to where their term is a thousandth of the loss, so that logarithms exist.

Hopeless starts are screened by one evaluation each. The rule makes four times as many points as it solves: those at
which the law has no value are set aside, of the others the better half by objective is kept, and as many spread over
the rest, where rival optima are. Of boxes (`halton`, `sobol`) only points without a value are set aside; grids and
points given by the user are all solved. `Fit.basins` counts what was set aside, and what could not be evaluated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isoloss.engine.boxes import Box
from isoloss.engine.panels import means
from isoloss.engine.problem import F64, Parameters, Problem
from isoloss.errors import LawError, OptionError
from isoloss.objective import SquaredError
from isoloss.units import real_numbers

__all__ = [
    "AnyStarts",
    "Starts",
    "candidates",
    "default_count",
    "project",
    "spread_parameters",
    "start_points",
    "thinned",
]

Starts = int | Mapping[str, ArrayLike] | ArrayLike | None
"""A number of automatic points; a grid by name; one point (p,) or several (S, p); None for the law's own rule."""
AnyStarts = Starts | Box

_FLOOR = 1e-3  # of the typical target: a term this small is present but decides nothing
_MOST_GRID_POINTS = 1_000_000
_ENOUGH_ROWS = 5_000
_ENOUGH_SUMMED = 5000  # points of inner tables, where rows are sums
_FEWEST_ROWS = 60  # rows that thinning for the sake of those leaves
_AT_ONCE = 2_000_000  # predictions held while screening
_MOST_WEIGHT = 1e200  # of a row against the largest loss, in least squares that stand in for another space
_VANISHING = 1e-100  # a term this small at amplitude one has no amplitude at which it could matter


def start_points(problem: Problem, starts: AnyStarts, *, seed: int = 0, threads: int | None = None) -> tuple[F64, int]:
    """The starting points of one problem.

    Parameters
    ----------
    problem : Problem
        With one target row.
    starts : int, mapping, Box, array_like or None
        A number of automatic points; a mapping from names to lists of values, of which the product is taken, or a box
        (names left out follow the automatic rule); one point (p,) or several (S, p) in the order of ``law.parameters``.
    seed : int
        Shifts the sequence of the automatic points.
    threads : int, optional

    Returns
    -------
    points : (S, p) float64
    screened : int
        Number of points set aside after one evaluation.

    Raises
    ------
    LawError
        Code ``law-starts``: wrong shape, not finite, or a positive parameter started at zero or below; code
        ``law-unknown-name``: a name is no parameter.
    OptionError
        Code ``option``: a number of starts below one.
    """
    own = problem.parameters
    problem = thinned(problem)
    spread = spread_parameters(problem)
    if starts is None:
        count = default_count(int(spread.sum()))
    elif isinstance(starts, (int, np.integer)):
        if starts < 1:
            message = f"starts={starts!r} is not a number of starts from one up"
            raise OptionError(message, argument="starts")
        count = int(starts)
    else:
        points = candidates(problem, starts, seed=seed)
        points = project(problem, points, threads=threads) if np.isnan(points).any() else own.settle(points)
        return _screen(problem, points, len(points)) if isinstance(starts, Box) else (points, 0)
    # Candidates cost one small linear problem each, full fits many iterations: try four times as many, keep the good.
    many = count if spread.sum() == 0 else 4 * count
    points = project(problem, candidates(problem, many, seed=seed), threads=threads)
    return _screen(problem, points, count)


def thinned(problem: Problem) -> Problem:
    """The same problem on a few thousand of its rows, or of the points that its rows sum: starts need no more."""
    rows = len(problem.target)
    step = max(rows // _ENOUGH_ROWS, min(_summed(problem) // _ENOUGH_SUMMED, rows // _FEWEST_ROWS))
    if step < 2:
        return problem
    return replace(
        problem,
        columns=tuple(np.ascontiguousarray(column[::step]) for column in problem.columns),
        target=np.ascontiguousarray(problem.target[::step]),
        weights=None if problem.weights is None else np.ascontiguousarray(problem.weights[::step]),
    )


def _summed(problem: Problem) -> int:
    """Points of inner tables that all rows together sum."""
    at = dict(zip(problem.expression.variables, problem.columns, strict=True))
    tables = [name.removesuffix(".first") for name in at if name.endswith(".first")]
    return int(sum(np.sum(at[f"{table}.last"] - at[f"{table}.first"]) for table in tables))


def default_count(k: int) -> int:
    """Number of automatic starts for k parameters that enter nonlinearly."""
    return (4, 16, 32, 48)[k] if k < 4 else 64


def _linear(problem: Problem) -> NDArray[np.bool_]:
    """(p,) which free parameters enter linearly, all that are tied to them included."""
    own = problem.parameters
    linear = np.array(problem.expression.linear, dtype=np.bool_)
    spoiled = np.unique(own.tied[~linear])
    linear[spoiled] = False
    return np.asarray(linear & own.free)


def spread_parameters(problem: Problem) -> NDArray[np.bool_]:
    """(p,) which parameters the automatic rule spreads over their range."""
    return np.asarray(problem.parameters.free & ~_linear(problem))


def candidates(problem: Problem, starts: AnyStarts, *, seed: int = 0) -> F64:
    """Starting points as asked for, with NaN where the linear projection is to fill in.

    Parameters and errors as in `start_points`.

    Returns
    -------
    (S, p) float64
    """
    own = problem.parameters
    if starts is None:
        starts = default_count(int(spread_parameters(problem).sum()))
    if isinstance(starts, (int, np.integer)):
        if starts < 1:
            message = f"starts={starts!r} is not a number of starts from one up"
            raise OptionError(message, argument="starts")
        return _automatic(problem, int(starts), {}, seed)
    if isinstance(starts, Mapping):
        return _grid(problem, starts, seed)
    if isinstance(starts, Box):
        index = {name: own.index(name, "starts") for name in starts.ranges}
        columns = starts.columns(dict(zip(own.names, own.positive.tolist(), strict=True)))
        given = {j: columns[name] for name, j in index.items() if own.free[j]}
        return _checked(_automatic(problem, starts.n, given, seed), own)
    points = np.atleast_2d(real_numbers("starts", starts))
    if points.ndim != 2 or points.shape[1] != len(own.names) or len(points) == 0:
        message = (
            f"starts has shape {np.shape(starts)}; it needs one column for each of the {len(own.names)} parameters "
            f"{', '.join(own.names)}"
        )
        raise LawError(message, code="law-starts")
    return _checked(points, own)


def _grid(problem: Problem, by_name: Mapping[str, ArrayLike], seed: int) -> F64:
    """The product of the values given by name; the other parameters by the automatic rule."""
    own = problem.parameters
    axes: dict[int, F64] = {}
    for name, values in by_name.items():
        j = own.index(name, "starts")
        axes[j] = np.atleast_1d(real_numbers(f"starts of {name}", values)).ravel()
        if axes[j].size == 0:
            message = f"starts gives no value for {name!r}"
            raise LawError(message, code="law-starts", name=name)
    # Fixed and tied parameters take their values from elsewhere: their axes would only repeat the same points.
    axes = {j: values for j, values in axes.items() if own.free[j]}
    total = math.prod(len(values) for values in axes.values())
    if total > _MOST_GRID_POINTS:
        message = f"the grid of starts has {total:,} points; at most {_MOST_GRID_POINTS:,} are tried"
        raise LawError(message, code="law-starts")
    mesh = np.meshgrid(*axes.values(), indexing="ij") if axes else []
    grid = {j: values.ravel() for j, values in zip(axes, mesh, strict=True)}
    missing = spread_parameters(problem)
    missing[list(grid)] = False
    # A grid that leaves nonlinear parameters open is repeated with a few values of those.
    repeats = 1 if not missing.any() else max(1, math.ceil(default_count(int(missing.sum())) / total))
    points = _automatic(problem, total * repeats, {j: np.tile(v, repeats) for j, v in grid.items()}, seed)
    return _checked(points, own)


def _automatic(problem: Problem, count: int, given: Mapping[int, F64], seed: int) -> F64:
    """(count, p) points: `given` columns as they are, nonlinear ones spread, the rest NaN."""
    own = problem.parameters
    points = np.full((count, len(own.names)), np.nan)
    for j, values in given.items():
        points[:, j] = values
    spread = spread_parameters(problem)
    spread[list(given)] = False
    open_ones = np.flatnonzero(spread)
    cube = _low_discrepancy(count, len(open_ones), seed)
    scales = _scales(problem)
    for k, j in enumerate(open_ones.tolist()):
        points[:, j] = _stretch(cube[:, k], own.lower[j], own.upper[j], bool(own.positive[j]), scales)
    return points


def _checked(points: F64, own: Parameters) -> F64:
    """The same points if every explicit value can be started from."""
    explicit = ~np.isnan(points) & own.free
    bad = explicit & (~np.isfinite(points) | (own.positive & (points <= 0.0)))
    if bad.any():
        row, j = (int(i) for i in np.argwhere(bad)[0])
        need = "finite and above zero" if own.positive[j] else "finite"
        message = f"start {row}: {own.names[j]} = {points[row, j]!r} is not {need}"
        raise LawError(message, code="law-starts", name=own.names[j], row=row)
    return points


def _low_discrepancy(count: int, dimensions: int, seed: int) -> F64:
    """(count, dimensions) points in the unit cube: the additive recurrence, shifted by the seed."""
    root = 2.0
    for _ in range(60):  # the positive root of x^(d+1) = x + 1, by fixed-point iteration
        root = (1.0 + root) ** (1.0 / (dimensions + 1))
    steps = root ** -np.arange(1.0, dimensions + 1.0)
    shift = 0.5 if seed == 0 else np.random.default_rng(seed).random(dimensions)
    return np.asarray((shift + np.arange(1.0, count + 1.0)[:, None] * steps) % 1.0)


def _scales(problem: Problem) -> list[float]:
    """Magnitudes at which a parameter without bounds may matter: one, and those of the columns."""
    scales = [1.0]
    for column in problem.columns:
        size = np.abs(column[column != 0.0])
        if size.size:
            middle = float(np.exp(np.mean(np.log(size))))
            if all(abs(math.log10(middle / known)) > 2.0 for known in scales):
                scales.append(middle)
    return scales


def _stretch(unit: F64, low: float, high: float, positive: bool, scales: Sequence[float]) -> F64:
    """Take the unit interval to the range of one parameter."""
    if math.isfinite(low) and math.isfinite(high):
        inner = 0.02 + 0.96 * unit
        if positive and low > 0.0 and high / low > 100.0:
            return np.asarray(low * (high / low) ** inner)
        return np.asarray(low + (high - low) * inner)
    # No range is known. Consecutive thirds, halves, ... of the interval serve the magnitudes in turn.
    place = unit * len(scales)
    scale = np.asarray(scales)[np.minimum(place.astype(np.intp), len(scales) - 1)]
    within = place % 1.0
    if positive:
        decades = np.where(scale == 1.0, 3.0 * within - 2.0, 8.0 * within - 3.0)
        return np.asarray(np.clip(scale * 10.0**decades, max(low, 0.0), high))
    if math.isfinite(low) or math.isfinite(high):
        away = scale * 10.0 ** (3.0 * within - 2.0)
        return np.asarray(low + away if math.isfinite(low) else high - away)
    return np.asarray(scale * (3.0 * within - 1.5))


def project(
    problem: Problem,
    points: F64,
    *,
    weights: F64 | None = None,
    weight_index: NDArray[np.int64] | None = None,
    target_index: NDArray[np.int64] | None = None,
    offsets: NDArray[np.int64] | None = None,
    repeats: int = 1,
    threads: int | None = None,
) -> F64:
    """Fill the NaN of starting points with the best linear parameters, given the others.

    Parameters
    ----------
    problem : Problem
    points : (S, p) float64
        From `candidates`.
    weights, weight_index, target_index, offsets
        As for `Problem.solve`, for B = S * repeats problems. With offsets there must be a single point.
    repeats : int
        Each point serves so many problems in turn (problem-major: all points of the first problem come first).

    Returns
    -------
    (S * repeats, p) float64
    """
    own = problem.parameters
    fill = _linear(problem) & np.isnan(points).any(axis=0)
    # What is neither given, spread nor linear stays one: a positive parameter's natural unit.
    known = np.where(np.isnan(points), 1.0, points)
    unit = _unit_terms(problem, known, fill, offsets)
    if offsets is None:
        unit = np.tile(unit, (repeats, 1))
    with np.errstate(over="ignore"):
        size = np.minimum(_typical(problem, target_index, offsets) * unit, np.finfo(np.float64).max)
    filled = np.where(
        np.tile(np.isnan(points), (repeats, 1)) & fill, size / max(fill.sum(), 1), np.tile(known, (repeats, 1))
    )
    if not fill.any():
        return own.settle(filled)
    linear_only = replace(
        own,
        positive=own.positive & ~fill[own.tied],
        fixed=~fill & (own.tied == np.arange(len(fill))),
        values=np.where(own.fixed, own.values, np.nan),
        lower=np.where(own.positive & fill, np.maximum(own.lower, 0.0), own.lower),
    )
    if weights is None:
        weights = problem.weights
    relative = replace(
        problem.with_parameters(linear_only),
        objective=SquaredError(space="raw"),
        weights=None,
    )
    scaled, index = _relative_weights(problem, weights, weight_index, target_index, offsets)
    solved = relative.solve(
        filled,
        weights=scaled,
        weight_index=index,
        target_index=target_index,
        offsets=offsets,
        max_iterations=50,
        threads=threads,
    )
    found = np.where(np.isfinite(solved.params), solved.params, filled)
    lifted = np.where(own.positive & fill, np.maximum(found, _FLOOR * size), found)
    return own.settle(np.where(fill, lifted, filled))


def _unit_terms(problem: Problem, points: F64, fill: NDArray[np.bool_], offsets: NDArray[np.int64] | None) -> F64:
    """Values at which each linear term is one on average: (S, p), or (B, p) for the single point of panels."""
    own = problem.parameters
    # A thousand rows tell a magnitude as well as all of them; panels own theirs and are short.
    step = max(1, len(problem.columns[0]) // 1000) if offsets is None else 1
    columns = [np.ascontiguousarray(column[::step]) for column in problem.columns]
    unit = np.ones((len(points) if offsets is None else len(offsets) - 1, len(own.names)))
    if not fill.any():
        return unit
    nothing = np.where(fill, 0.0, points)
    with np.errstate(all="ignore"):
        base = problem.expression.evaluate(columns, np.ascontiguousarray(nothing[:, own.tied]))
        for j in np.flatnonzero(fill):
            one = nothing.copy()
            one[:, j] = 1.0
            term = np.abs(problem.expression.evaluate(columns, np.ascontiguousarray(one[:, own.tied])) - base)
            share = np.mean(term, axis=1) if offsets is None else means(term[0], offsets)
            usable = np.isfinite(share) & (share > _VANISHING)
            unit[:, j] = np.where(usable, 1.0 / np.where(usable, share, 1.0), 1.0)
    return unit


def _typical(problem: Problem, target_index: NDArray[np.int64] | None, offsets: NDArray[np.int64] | None) -> F64:
    """(B, 1) or (1, 1) mean size of the target: each problem's own, so that its starts depend on no other."""
    size = np.abs(problem.target)
    if offsets is not None:
        typical = means(size, offsets)
    else:
        typical = np.atleast_1d(size.mean(axis=-1))
        if target_index is not None:
            typical = typical[target_index]
    return np.asarray(np.where(typical > 0.0, typical, 1.0)[:, None])


def _relative_weights(
    problem: Problem,
    weights: F64 | None,
    weight_index: NDArray[np.int64] | None,
    target_index: NDArray[np.int64] | None,
    offsets: NDArray[np.int64] | None,
) -> tuple[F64 | None, NDArray[np.int64] | None]:
    """Weights that make least squares on the loss mimic residuals in the objective's space."""
    space = problem.objective.space
    if space == "raw":
        return weights, weight_index
    y = problem.target
    slope = y if space == "log" else y * (1.0 - y)
    # Only ratios matter. Scaled by a power of two, which costs no bits, so that tiny losses keep their weights finite.
    largest = float(np.max(slope, initial=0.0))
    with np.errstate(over="ignore", divide="ignore"):
        relative = np.minimum(np.ldexp(slope, -math.frexp(largest)[1]) ** -2.0, _MOST_WEIGHT)
    if offsets is not None or relative.ndim == 1:
        return (relative if weights is None else weights * relative), weight_index
    if weights is None:
        return relative, target_index
    if weights.ndim == 1:
        return weights * relative, target_index
    if weight_index is None or target_index is None:
        return weights * relative, weight_index
    pairs, index = np.unique(np.stack([weight_index, target_index]), axis=1, return_inverse=True)
    return weights[pairs[0]] * relative[pairs[1]], index.ravel().astype(np.int64)


def _screen(problem: Problem, points: F64, count: int) -> tuple[F64, int]:
    """At most `count` points, in two halves, the best by objective and some of the rest; and how many are left out."""
    value = np.empty(len(points))
    step = max(1, _AT_ONCE // len(problem.target))
    for first in range(0, len(points), step):
        with np.errstate(all="ignore"):
            losses = problem.objective.losses(problem.predict(points[first : first + step]), problem.target)
            if problem.weights is not None:
                losses = np.where(problem.weights > 0.0, problem.weights * losses, 0.0)
            value[first : first + step] = losses.sum(axis=1)
    usable = np.flatnonzero(np.isfinite(value))
    if len(usable) == 0:  # the engine shall say why
        return points[:count], len(points[count:])
    if len(usable) <= count:
        return np.ascontiguousarray(points[usable]), len(points) - len(usable)
    order = usable[np.argsort(value[usable], kind="stable")]
    best = order[: (count + 1) // 2]
    rest = order[(count + 1) // 2 :]
    spread = rest[np.linspace(0, len(rest) - 1, count - len(best)).astype(np.intp)]
    return np.ascontiguousarray(points[np.concatenate([best, spread])]), len(points) - count


def describe(starts: Any) -> str:
    """How a user asked for the starts, in words for a summary."""
    if starts is None:
        return "the law's own rule"
    if isinstance(starts, (int, np.integer)):
        return f"{int(starts)} automatic"
    if isinstance(starts, Mapping):
        return f"a grid over {', '.join(starts)}"
    if isinstance(starts, Box):
        return str(starts)
    return "given points"
