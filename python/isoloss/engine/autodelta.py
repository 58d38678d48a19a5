r"""The width of a robust objective from the data: ``delta="auto"``. Private.

A Huber estimate with delta = 1.345 sigma loses five per cent of efficiency where errors are normal, and keeps its
robustness where they are not (Huber 1964; Holland and Welsch 1977). Sigma is taken from the residuals themselves, as
1.4826 times their median absolute deviation (MAD) from their median, and the residuals depend on delta: so delta is the
fixed point of fit, sigma, fit again. The first fit minimises absolute errors, which need no scale. The rounds between
start at the optima known so far; the last fit starts everywhere, and if it lands in another basin, the rounds go on.
Every problem of a batch has a width of its own; a single fit is a batch of one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from isoloss import _core
from isoloss.engine.batch import Batch, BatchStarts, Given
from isoloss.engine.problem import F64, Problem, Solved
from isoloss.engine.watch import Watch
from isoloss.errors import Notice
from isoloss.objective import AbsoluteError
from isoloss.objective.base import AUTO

if TYPE_CHECKING:
    from isoloss.objective.base import Wide

__all__ = ["Settled", "of_width", "robust_sigma", "settle", "without_scale"]

_EFFICIENT = 1.345
_TOLERANCE = 1e-6  # relative change of delta
_ROUNDS, _PASSES, _UNDAMPED = 50, 4, 10
_POOL = 8  # optima that the rounds between start from
_FLOOR = 1e-8  # of the spread of the targets: below this, residuals are as good as none

Rows = NDArray[np.intp]


def robust_sigma(residual: F64, weights: F64 | None = None) -> float:
    """1.4826 times the median absolute deviation of residuals from their median.

    Parameters
    ----------
    residual : (n,) float64
    weights : (n,) float64, optional
        A run of weight two counts like two runs; one of weight zero is absent.

    Returns
    -------
    float
        NaN where a residual is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from isoloss.engine.autodelta import robust_sigma
    >>> round(robust_sigma(np.array([-1.0, 0.0, 1.0, 2.0, 90.0])), 4)
    1.4826
    """
    if weights is not None:
        residual, weights = residual[weights > 0.0], weights[weights > 0.0]
    if not np.all(np.isfinite(residual)):
        return float("nan")
    # The residuals of a law that predicts them from targets of zero; the engine wants a parameter in it.
    itself, values = _core.Expression("r + zero", variables=["r"]), np.ascontiguousarray(residual)
    nothing, start = np.zeros(len(values)), np.zeros((1, 1))
    sigma, _ = _core.robust_sigmas(itself, [values], nothing, start, weights=weights, space="raw")
    return float(sigma[0])


def without_scale(problem: Problem) -> Problem:
    """The problem as it stands where delta is a number; with absolute errors while it is still ``"auto"``."""
    goal = problem.objective
    return replace(problem, objective=AbsoluteError(space=goal.space)) if goal.delta == AUTO else problem


def of_width(problem: Problem, delta: float) -> Problem:
    """The problem with a number for delta."""
    return replace(problem, objective=replace(cast("Wide", problem.objective), delta=delta))


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
    vanished : (B,) bool
        Whether delta is at its least value, since the residuals vanish.
    """

    tries: Solved
    delta: F64
    settled: NDArray[np.bool_]
    vanished: NDArray[np.bool_]

    def notices(self, row: int) -> list[Notice]:
        """What to say about the width of one problem."""
        delta = float(self.delta[row])
        if not self.settled[row]:
            message = f"delta='auto' found no fixed point; the last value {delta:.6g} is used"
            return [Notice(code="delta-not-settled", severity="warning", message=message, details={"delta": delta})]
        if self.vanished[row]:
            message = f"the residuals vanish: delta='auto' is at its least value {delta:.3g}"
            return [Notice(code="delta-at-floor", severity="info", message=message, details={"delta": delta})]
        return []


def settle(batch: Batch, starts: BatchStarts, watch: Watch) -> Settled:
    """Find a width for each problem of a batch, and solve from all starts with it.

    All problems that still move are solved in one call.

    Parameters
    ----------
    batch : Batch
        The objective of its problem has ``delta="auto"``.
    starts : BatchStarts
        Of each problem.
    watch : Watch
        Of the fits from all starts; while no delta is known, an interrupt raises.
    """
    absolute = replace(batch, problem=without_scale(batch.problem))
    wide = replace(batch, problem=of_width(batch.problem, 1.0))
    quiet = Watch(n_threads=watch.threads or None)
    pending = np.arange(batch.size)
    tries = absolute.solve(starts, quiet)
    pool = _pool(tries, batch.size)
    delta, _ = _next(wide, pool[:, 0], watch)
    settled, vanished = np.zeros(batch.size, dtype=np.bool_), np.zeros(batch.size, dtype=np.bool_)
    for attempt in range(_PASSES):
        _rounds(wide, pending, pool, delta, quiet)
        moving = wide.pick(pending)
        counted = watch if attempt == 0 else watch.silent()
        again = moving.solve(starts.pick(pending), counted, delta[pending])
        rows = (pending[:, None] * starts.count + np.arange(starts.count)).ravel()
        tries = again if attempt == 0 else tries.put(rows, again)
        if counted.stopped:
            watch.stopped = True
            break
        pool[pending] = _pool(again, len(pending))
        found, floor = _next(moving, pool[pending, 0], watch)
        # The last fit differs from that of the rounds by rounding, unless it found a better basin.
        still = np.abs(found - delta[pending]) <= 10.0 * _TOLERANCE * delta[pending]
        settled[pending], vanished[pending] = still, still & (delta[pending] == floor)
        pending = pending[~still]
        if len(pending) == 0:
            break
    return Settled(tries=tries, delta=delta, settled=settled, vanished=vanished)


def _rounds(wide: Batch, rows: Rows, pool: F64, delta: F64, watch: Watch) -> None:
    """Iterate fit and sigma from the best optima known so far, until the delta of each of these rows stands still."""
    for step in range(_ROUNDS):
        moving = wide.pick(rows)
        here = _pool(moving.solve(Given(pool[rows]), watch, delta[rows]), len(rows))
        found, _ = _next(moving, here[:, 0], watch)
        far = np.abs(found - delta[rows]) > _TOLERANCE * delta[rows]
        rows, found, here = rows[far], found[far], here[far]
        if len(rows) == 0:
            return
        # The MAD jumps from one pair of residuals to another: a mean of old and new ends a walk to and fro.
        delta[rows] = found if step < _UNDAMPED else np.sqrt(found * delta[rows])
        pool[rows] = here


def _pool(tries: Solved, size: int) -> F64:
    """(B, P, p) the best few optima of each problem, those that converged first."""
    shape = (size, -1)
    failed, score = ~tries.ok.reshape(shape), tries.score().reshape(shape)
    order = np.lexsort((score, failed), axis=1)[:, :_POOL]
    params = tries.params.reshape(size, score.shape[1], -1)
    return np.take_along_axis(params, order[:, :, None], axis=1)


def _next(batch: Batch, params: F64, watch: Watch) -> tuple[F64, F64]:
    """(B,) the deltas that the residuals of these fits ask for, and the least they may be."""
    problem = batch.problem
    own = np.arange(batch.size, dtype=np.int64)
    shared = batch.offsets is not None
    sigma, wide = _core.robust_sigmas(
        problem.expression,
        problem.columns,
        problem.target,
        np.ascontiguousarray(params),
        weights=problem.weights,
        target_index=None if shared or problem.target.ndim == 1 else own,
        weight_index=None if shared or problem.weights is None or problem.weights.ndim == 1 else own,
        offsets=batch.offsets,
        space=problem.objective.space,
        threads=watch.threads,
    )
    # A law that is constant, or has no value, leaves the spread of the targets.
    floor = _FLOOR * _EFFICIENT * wide
    return np.where(np.isfinite(sigma), np.maximum(_EFFICIENT * sigma, floor), _EFFICIENT * wide), floor
