"""Whether a resample can determine the parameters at all.

Two tests. A resample with fewer distinct points than there are free parameters cannot. Nor can one whose points are
many enough but lie so that some combination of parameters changes none of their predictions, as where only two
different numbers of tokens are left for E, B and beta: then the Jacobian at those points is singular wherever one
looks, and so it is looked at where the fit is. It counts as singular where its least eigenvalue (of the Gram matrix of
columns scaled to length one) has fallen to nothing beside that of all points.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from isoloss.engine.problem import F64, Problem
from isoloss.runs.checkpoints import same_rows
from isoloss.stats.inference import transform_slopes

__all__ = ["estimated", "rank_deficient"]

_LOOK_UP = 1_000_000  # numbers that NumPy handles between two chances to interrupt it
_NOTHING = 1e-8  # share of the least eigenvalue of all points below which a direction is lost
_ROUNDING = 1e-11  # least eigenvalue of all points that can be told from rounding


def estimated(problem: Problem) -> int:
    """Number of free parameters."""
    return int(problem.parameters.free.sum())


def rank_deficient(problem: Problem, counts: F64, params: F64) -> NDArray[np.bool_]:
    """(draws,) whether a resample cannot determine the free parameters.

    Parameters
    ----------
    counts : (draws, n) float64
        How often each run was drawn.
    params : (p,) float64
        The fit.
    """
    free = estimated(problem)
    codes = same_rows(problem.columns)
    order = np.argsort(codes, kind="stable")
    firsts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    alive = None if problem.weights is None else problem.weights > 0.0
    products, least = _products(problem, params, alive)
    lacking = np.empty(len(counts), dtype=np.bool_)
    # Some draws at a time: the copies stay small, and Python looks up between them.
    step = max(1, _LOOK_UP // max(counts.shape[1], 1))
    for first in range(0, len(counts), step):
        present = counts[first : first + step] > 0.0
        if alive is not None:
            present &= alive
        few = _lost(present, products, least)
        if len(firsts) < present.shape[1]:
            present = np.logical_or.reduceat(present[:, order], firsts, axis=1)
        lacking[first : first + step] = few | (np.count_nonzero(present, axis=1) < free)
    return lacking


def _products(problem: Problem, params: F64, alive: NDArray[np.bool_] | None) -> tuple[F64, float]:
    """(n, q, q) products of the scaled Jacobian's columns, and the least eigenvalue of their sum; zero if of no use."""
    own = problem.parameters
    moving = np.flatnonzero(own.free)
    selection = np.asarray(own.tied[:, None] == moving[None, :], dtype=np.float64)
    nothing = np.zeros((problem.target.shape[-1], 0, 0)), 0.0
    if problem.target.shape[-1] * len(moving) ** 2 > 10 * _LOOK_UP:
        return nothing  # so many points that they do not all vanish from a resample
    with np.errstate(all="ignore"):
        value, gradient, _ = problem.expression.derivatives(problem.columns, params)
        slope, _ = transform_slopes(value, problem.objective)
        jacobian = slope[:, None] * gradient @ selection
        if alive is not None:
            jacobian = np.where(alive[:, None], jacobian, 0.0)
        length = np.linalg.norm(jacobian, axis=0)
    if len(moving) == 0 or not np.all(np.isfinite(length) & (length > 0.0)):
        return nothing
    jacobian = jacobian / length
    products = jacobian[:, :, None] * jacobian[:, None, :]
    least = float(np.linalg.eigvalsh(products.sum(axis=0))[0])
    return (products, least) if least > _ROUNDING else nothing


def _lost(present: NDArray[np.bool_], products: F64, least: float) -> NDArray[np.bool_]:
    """(draws,) whether the points present leave a direction of the parameters open that all points close."""
    if least == 0.0:
        return np.zeros(len(present), dtype=np.bool_)
    q = products.shape[1]
    gram = (present.astype(np.float64) @ products.reshape(len(products), -1)).reshape(-1, q, q)
    return np.asarray(np.linalg.eigvalsh(gram)[:, 0] < max(_NOTHING * least, 1e-15))
