r"""The width of a robust objective from the data: ``delta="auto"``. Private.

A Huber estimate with delta = 1.345 sigma loses five per cent of efficiency where errors are normal, and keeps its
robustness where they are not (Huber 1964; Holland and Welsch 1977). Sigma is taken from the residuals themselves, as
1.4826 times their median absolute deviation (MAD) from their median, and the residuals depend on delta: so delta is the
fixed point of fit, sigma, fit again. The first fit minimises absolute errors, which need no scale. The rounds between
start at the optima known so far; the last fit starts everywhere, and if it lands in another basin, the rounds go on.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import numpy as np

from isoloss.engine.basins import winner
from isoloss.engine.problem import F64, Problem, Solved
from isoloss.engine.watch import Watch
from isoloss.errors import Notice
from isoloss.objective import AbsoluteError
from isoloss.objective.base import AUTO

if TYPE_CHECKING:
    from isoloss.objective.base import Wide

__all__ = [
    "EFFICIENT",
    "FLOOR",
    "PASSES",
    "POOL",
    "ROUNDS",
    "TOLERANCE",
    "UNDAMPED",
    "robust_sigma",
    "settle",
    "weighted_median",
    "without_scale",
]

EFFICIENT = 1.345
_TO_SIGMA = 1.482602218505602  # one over the 3/4 quantile of the normal distribution
TOLERANCE = 1e-6  # relative change of delta
ROUNDS, PASSES, UNDAMPED = 50, 4, 10
POOL = 8  # optima that the rounds between start from
FLOOR = 1e-8  # of the spread of the targets: below this, residuals are as good as none


def weighted_median(values: F64, weights: F64 | None = None) -> float:
    """The median of values that count `weights` times; the plain median without weights."""
    if weights is None:
        return float(np.median(values))
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    half = 0.5 * reached[-1]
    at = int(np.searchsorted(reached, half))
    after = at + 1 if reached[at] == half and at + 1 < len(order) else at
    return float(0.5 * (values[order[at]] + values[order[after]]))


def robust_sigma(residual: F64, weights: F64 | None = None) -> float:
    """1.4826 times the median absolute deviation of residuals from their median.

    Parameters
    ----------
    residual : (n,) float64
    weights : (n,) float64, optional
        A run of weight two counts like two runs; one of weight zero is absent.

    Examples
    --------
    >>> import numpy as np
    >>> from isoloss.engine.autodelta import robust_sigma
    >>> round(robust_sigma(np.array([-1.0, 0.0, 1.0, 2.0, 90.0])), 4)
    1.4826
    """
    if weights is not None:
        present = weights > 0.0
        residual, weights = residual[present], weights[present]
    return _TO_SIGMA * weighted_median(np.abs(residual - weighted_median(residual, weights)), weights)


def without_scale(problem: Problem) -> Problem:
    """The problem as it stands where delta is a number; with absolute errors while it is still ``"auto"``."""
    goal = problem.objective
    return replace(problem, objective=AbsoluteError(space=goal.space)) if goal.delta == AUTO else problem


def settle(problem: Problem, points: F64, *, watch: Watch) -> tuple[Problem, Solved, list[Notice]]:
    """Find delta and solve from all starting points with it.

    Parameters
    ----------
    problem : Problem
        Its objective has ``delta="auto"``.
    points : (S, p) float64
        Starting points.
    watch : Watch
        Of the fits from all points; while no delta is known, an interrupt raises.

    Returns
    -------
    problem : Problem
        With a number for delta.
    solved : Solved
        A row for each point.
    notices : list of Notice
        If the residuals vanish, or delta finds no fixed point.
    """
    goal = cast("Wide", problem.objective)  # only those have a delta
    floor, threads = _floor(problem), watch.threads or None
    solved, settled = without_scale(problem).solve(points, threads=threads), False
    delta = _next(problem, solved, floor)
    for _ in range(PASSES):
        delta = _rounds(problem, goal, solved, delta, floor, threads)
        problem = replace(problem, objective=replace(goal, delta=delta))
        solved = problem.solve(points, watch=watch)
        if watch.stopped:
            return problem, solved, []
        # The last fit differs from that of the rounds by rounding, unless it found a better basin.
        settled = abs(_next(problem, solved, floor) - delta) <= 10.0 * TOLERANCE * delta
        if settled:
            break
    notices = []
    if not settled:
        message = f"delta='auto' found no fixed point; the last value {delta:.6g} is used"
        notices.append(Notice(code="delta-not-settled", severity="warning", message=message, details={"delta": delta}))
    elif delta == floor:
        message = f"the residuals vanish: delta='auto' is at its least value {delta:.3g}"
        notices.append(Notice(code="delta-at-floor", severity="info", message=message, details={"delta": delta}))
    return problem, solved, notices


def _rounds(problem: Problem, goal: Wide, known: Solved, delta: float, floor: float, threads: int | None) -> float:
    """Iterate fit and sigma from the best optima known so far, until delta stands still."""
    pool = known.params[np.argsort(known.score(), kind="stable")[:POOL]]
    for step in range(ROUNDS):
        solved = replace(problem, objective=replace(goal, delta=delta)).solve(pool, threads=threads)
        found = _next(problem, solved, floor)
        if abs(found - delta) <= TOLERANCE * delta:
            break
        # The MAD jumps from one pair of residuals to another: a mean of old and new ends a walk to and fro.
        delta = found if step < UNDAMPED else math.sqrt(found * delta)
        pool = solved.params
    return delta


def _next(problem: Problem, solved: Solved, floor: float) -> float:
    """The delta that the residuals of the best fit ask for."""
    best = winner(solved)
    residual = problem.objective.residuals(problem.predict(solved.params[best])[0], problem.target)
    sigma = robust_sigma(residual, problem.weights)
    return max(EFFICIENT * sigma, floor) if math.isfinite(sigma) else _wide(problem)


def _wide(problem: Problem) -> float:
    """The delta of a law that is constant: the spread of the targets, or if there is none their size, or one."""
    away = problem.objective.transform(problem.target)
    if problem.weights is not None:
        away = away[problem.weights > 0.0]
    sizes = (robust_sigma(away), float(np.ptp(away)), float(np.max(np.abs(away))), 1.0)
    return EFFICIENT * next(size for size in sizes if size > 0.0)


def _floor(problem: Problem) -> float:
    return FLOOR * _wide(problem)
