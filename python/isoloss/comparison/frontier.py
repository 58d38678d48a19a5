"""The least loss of each recipe as a function of compute, by every draw; and roots of such functions. Private.

A joint fit has parameters of its own for each recipe beside the shared ones. Here each recipe gets its own view of the
same draws, so that a draw of two recipes is one draw, and their difference is paired.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isoloss.engine.problem import F64
from isoloss.plan.optimum import Split

__all__ = ["MOST", "Frontier", "crossings", "multiplier", "root"]

MOST = 1e6
"""Factor of compute, up and down, that is looked at."""
_GRID = 0.7  # step of ln C, a factor of two, between looks for a change of sign
_STEPS = 60  # of a root; half a dozen are typical
_CLOSE = 1e-10  # of a root, relative to its bracket


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontier:
    """What one recipe reaches with a compute, each size trained on its best number of tokens.

    Attributes
    ----------
    split : Split
    params : (1 + m, p) float64
        The estimates, then the draws, in the order of the law of a single recipe.
    ratio : float or None
        Tokens per parameter, where these are given instead of the best.
    ranges : mapping of str to (low, high)
        Least and largest N, D and C of the recipe's runs.
    """

    split: Split
    params: F64
    ratio: float | None
    ranges: Mapping[str, tuple[float, float]]

    def at(self, C: F64, rows: NDArray[np.intp] | None = None) -> tuple[F64, F64, NDArray[np.bool_]]:
        """N, loss and whether the optimum is at an end of what was searched, each (rows, k).

        Parameters
        ----------
        C : (k,) or (rows, k) float64
        rows : (rows,) int64, optional
            Which of `params`; all by default.
        """
        params = self.params if rows is None else self.params[rows]
        with np.errstate(all="ignore"):  # beyond the range of doubles sizes are infinite, and losses may be NaN
            if self.ratio is None:
                return self.split.least(params, C)
            shape = (len(params), np.shape(C)[-1])
            budget = np.broadcast_to(C, shape)
            N = self.split.at_ratio(budget, self.ratio)
            return N, self.split.loss(params, N, budget), np.zeros(shape, dtype=np.bool_)

    def loss(self, C: F64, rows: NDArray[np.intp] | None = None) -> F64:
        """(rows, k) the losses alone."""
        return self.at(C, rows)[1]


def root(function: Callable[[F64, NDArray[np.intp]], F64], low: F64, high: F64, at_low: F64, at_high: F64) -> F64:
    """Roots of many functions at once, each within a bracket at whose ends it has other signs.

    Chandrupatla's (1997) method: inverse quadratic interpolation where that is safe, else bisection.

    Parameters
    ----------
    function : callable
        ``function(x, rows)`` gives the values of the functions `rows` at `x`.
    low, high : (n,) float64
    at_low, at_high : (n,) float64
        The values there.

    Examples
    --------
    >>> import numpy as np
    >>> from isoloss.comparison.frontier import root
    >>> power = np.array([2.0, 3.0])
    >>> found = root(
    ...     lambda x, rows: x ** power[rows] - 2.0, np.zeros(2), np.full(2, 2.0), np.full(2, -2.0), 2.0**power - 2
    ... )
    >>> [round(x, 9) for x in found.tolist()]
    [1.414213562, 1.25992105]
    """
    a, b, fa, fb = high.copy(), low.copy(), at_high.copy(), at_low.copy()
    width = _CLOSE * np.abs(high - low)
    where = np.full(len(a), 0.5)
    best = np.where(np.abs(fa) < np.abs(fb), a, b)
    active = np.flatnonzero((fa != 0.0) & (fb != 0.0))
    for _ in range(_STEPS):
        if len(active) == 0:
            break
        x1, x2, f1, f2 = a[active], b[active], fa[active], fb[active]
        x = x1 + where[active] * (x2 - x1)
        f = function(x, active)
        same = np.sign(f) == np.sign(f1)
        x3, f3 = np.where(same, x1, x2), np.where(same, f1, f2)
        a[active], fa[active] = x, f
        x2, f2 = np.where(same, x2, x1), np.where(same, f2, f1)
        b[active], fb[active] = x2, f2
        best[active] = np.where(np.abs(f) < np.abs(f2), x, x2)
        close = 0.5 * width[active] / np.maximum(np.abs(x2 - x), 1e-300)
        with np.errstate(all="ignore"):
            xi, phi = (x - x2) / (x3 - x2), (f - f2) / (f3 - f2)
            curved = (phi**2 < xi) & ((1.0 - phi) ** 2 < 1.0 - xi)
            t = f / (f2 - f) * f3 / (f2 - f3) + (x3 - x) / (x2 - x) * f / (f3 - f) * f2 / (f3 - f2)
        edge = np.minimum(close, 0.5)
        where[active] = np.clip(np.where(curved & np.isfinite(t), t, 0.5), edge, 1.0 - edge)
        active = active[(f != 0.0) & (close < 0.5)]
    return best


def crossings(own: Frontier, base: Frontier, low: float, high: float) -> tuple[NDArray[np.int64], F64]:
    """By row of the parameters: the sign of the difference beyond its first change, and ln C there; infinite without.

    Where the sign never changes it is that of the difference throughout.
    """
    grid = np.linspace(low, high, max(2, int(np.ceil((high - low) / _GRID)) + 1))
    with np.errstate(invalid="ignore"):  # neither may have a loss there
        gap = own.loss(np.exp(grid)) - base.loss(np.exp(grid))
    sign = np.sign(np.nan_to_num(gap))
    changed = sign[:, 1:] * sign[:, :-1] < 0.0
    place = np.full(len(gap), np.inf)
    rows = np.flatnonzero(changed.any(axis=1))
    first = np.argmax(changed, axis=1)
    side = np.where(changed.any(axis=1), sign[np.arange(len(gap)), first + 1], np.sign(np.nansum(sign, axis=1))).astype(
        np.int64
    )
    if len(rows):
        at = first[rows]

        def function(x: F64, which: NDArray[np.intp]) -> F64:
            C = np.exp(x)[:, None]
            return (own.loss(C, rows[which]) - base.loss(C, rows[which])).ravel()

        place[rows] = root(function, grid[at], grid[at + 1], gap[rows, at], gap[rows, at + 1])
    return side, place


def multiplier(own: Frontier, C: F64, target: F64) -> F64:
    """(rows, k) ln of the factor of compute with which losses (rows, k) are reached; infinite beyond `MOST`."""
    m, k = target.shape
    most = math.log(MOST)
    farthest = np.minimum(C * np.exp([[-most], [most]]), np.finfo(np.float64).max)
    ends = [own.loss(end) - target for end in farthest]
    found = np.where(ends[1] > 0.0, np.inf, np.where(ends[0] < 0.0, -np.inf, np.nan)).ravel()
    inside = np.flatnonzero(np.isnan(found))
    row, column = inside // k, inside % k

    def function(x: F64, which: NDArray[np.intp]) -> F64:
        budget = (C[column[which]] * np.exp(x))[:, None]
        return np.asarray(own.loss(budget, row[which]).ravel() - target[row[which], column[which]])

    at_low, at_high = (end.ravel()[inside] for end in ends)
    found[inside] = root(function, np.full(len(inside), -most), np.full(len(inside), most), at_low, at_high)
    return np.asarray(found.reshape(m, k))
