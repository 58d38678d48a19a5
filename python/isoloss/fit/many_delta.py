"""The width of a robust objective from the data, for each of many problems by itself. Private to `fit_many`.

As `isoloss.engine.autodelta` does for one problem: absolute errors first, then fit, sigma, fit again until delta stands
still, then all starts with it; where they find another basin, once more. All problems that still move are solved in
one call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from isoloss import _core
from isoloss.engine.autodelta import EFFICIENT, FLOOR, PASSES, POOL, ROUNDS, TOLERANCE, UNDAMPED, without_scale
from isoloss.engine.problem import F64, Solved
from isoloss.engine.watch import Watch
from isoloss.fit.many_input import Batch

if TYPE_CHECKING:
    from isoloss.objective.base import Wide

__all__ = ["Settled", "settle"]

Rows = NDArray[np.intp]
Solve = Callable[[Batch, Rows, F64 | None, F64 | None, Watch], Solved]
"""Solve some problems of a batch with these widths from starts (R, P, p), or from all there are; problem-major."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What was found.

    Attributes
    ----------
    tries : Solved
        All starts of each problem, problem-major.
    delta : (B,) float64
    settled : (B,) bool
        Whether delta is a fixed point.
    """

    tries: Solved
    delta: F64
    settled: NDArray[np.bool_]


def settle(batch: Batch, solve: Solve, watch: Watch) -> Settled:
    """Find a width for each problem of a batch, and solve from all starts with it.

    Parameters
    ----------
    batch : Batch
        The objective of its problem has ``delta="auto"``.
    solve : callable
    watch : Watch
        Of the fits from all starts; while no delta is known, an interrupt raises.
    """
    goal = cast("Wide", batch.problem.objective)  # only those have a delta
    absolute = replace(batch, problem=without_scale(batch.problem))
    wide = replace(batch, problem=replace(batch.problem, objective=replace(goal, delta=1.0)))
    quiet = Watch(n_threads=watch.threads or None)
    everyone = np.arange(batch.size)
    tries = solve(absolute, everyone, None, None, quiet)
    pool, best = _pool(tries, batch.size)
    delta = _next(wide, best, watch)
    settled = np.zeros(batch.size, dtype=np.bool_)
    pending = everyone
    for attempt in range(PASSES):
        _rounds(wide, solve, pending, pool, delta, quiet)
        again = solve(wide, pending, delta[pending], None, watch if attempt == 0 else quiet)
        if watch.stopped:
            return Settled(tries=again, delta=delta, settled=settled)
        tries = again if attempt == 0 else _written(tries, again, pending, batch.size)
        pool[pending], best = _pool(again, len(pending))
        # The last fit differs from that of the rounds by rounding, unless it found a better basin.
        moved = np.abs(_next(wide.pick(pending), best, watch) - delta[pending]) > 10.0 * TOLERANCE * delta[pending]
        settled[pending[~moved]] = True
        pending = pending[moved]
        if len(pending) == 0:
            break
    return Settled(tries=tries, delta=delta, settled=settled)


def _rounds(wide: Batch, solve: Solve, rows: Rows, pool: F64, delta: F64, watch: Watch) -> None:
    """Iterate fit and sigma from the best optima known so far, until the delta of each of these rows stands still."""
    for step in range(ROUNDS):
        solved = solve(wide, rows, delta[rows], pool[rows], watch)
        here, best = _pool(solved, len(rows))
        found = _next(wide.pick(rows), best, watch)
        moving = np.abs(found - delta[rows]) > TOLERANCE * delta[rows]
        rows, found, here = rows[moving], found[moving], here[moving]
        if len(rows) == 0:
            return
        # The MAD jumps from one pair of residuals to another: a mean of old and new ends a walk to and fro.
        delta[rows] = found if step < UNDAMPED else np.sqrt(found * delta[rows])
        pool[rows] = here


def _pool(tries: Solved, size: int) -> tuple[F64, F64]:
    """(B, P, p) the best few optima of each problem, and (B, p) the best."""
    score = tries.score().reshape(size, -1)
    order = np.argsort(np.where(tries.ok.reshape(score.shape), score, np.inf), axis=1, kind="stable")[:, :POOL]
    params = tries.params.reshape(size, score.shape[1], -1)
    pool = np.take_along_axis(params, order[:, :, None], axis=1)
    return pool, np.ascontiguousarray(pool[:, 0])


def _next(batch: Batch, params: F64, watch: Watch) -> F64:
    """(B,) the deltas that the residuals of these fits ask for."""
    problem = batch.problem
    own = np.arange(batch.size, dtype=np.int64)
    shared = batch.offsets is not None
    sigma, wide = _core.robust_sigmas(
        problem.expression,
        problem.columns,
        problem.target,
        params,
        weights=problem.weights,
        target_index=None if shared or problem.target.ndim == 1 else own,
        weight_index=None if shared or problem.weights is None or problem.weights.ndim == 1 else own,
        offsets=batch.offsets,
        space=problem.objective.space,
        threads=watch.threads,
    )
    return np.where(np.isfinite(sigma), np.maximum(EFFICIENT * sigma, FLOOR * EFFICIENT * wide), EFFICIENT * wide)


def _written(tries: Solved, again: Solved, rows: Rows, size: int) -> Solved:
    """The tries with those of some problems replaced."""
    count = len(tries.value) // size
    at = (rows[:, None] * count + np.arange(count)).ravel()
    copies = {name: getattr(tries, name).copy() for name in Solved.__dataclass_fields__}
    for name, array in copies.items():
        array[at] = getattr(again, name)
    return Solved(**copies)
