r"""The least objective with parameters held, over many points: every valley is followed. Private.

With some parameters held the others may still have several optima, and which of them is the lowest may change along
the way: the width of a peak decides on which of two hills it sits. A fit that starts from its neighbour's solution
follows one valley, into regions where it is no longer the lowest, and never leaves it. Hence:

- Every point starts from the fit, from the other optima of its census, from a few of its start points, and from the
  fit with linear parameters projected anew.
- A few points, evenly spread, get a multi-start of their own: a valley that slopes down along what is held has no
  optimum in the census of the full fit.
- Each distinct optimum at a point, the lowest or not, is a start for its neighbours, and what they find for theirs,
  until nobody finds anything new. This is continuation (Allgower and Georg 2003) of all valleys in all directions at
  once, where each may end or cross another one.

Optima are distinct as in the census (`isoloss.engine.basins`), by their objective.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from isoloss.engine.basins import SAME, rounding
from isoloss.engine.problem import F64, Solved
from isoloss.engine.starts import candidates, default_count, project, spread_parameters, thinned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from isoloss.fit.data import FitData

__all__ = ["Valleys", "scouts"]

_FEWEST_RESERVES = 4
_KEPT = 4  # distinct optima kept at a point, the lowest
_SCOUTS = 5  # points along each axis with a multi-start of their own; three where there are two axes
_ROUNDS = 400  # more than it takes to cross a grid; a landscape of mere rounding shall not go on for ever

Index = NDArray[np.intp]


class Valleys:
    """Distinct optima at points where parameters are held.

    Parameters
    ----------
    fit : FitData
    held : sequence of k int
        The parameters held.
    threads : int or None
        The result does not depend on it.

    Attributes
    ----------
    points : (m, k) float64
        What they are held at, in the order in which they were added.
    """

    def __init__(self, fit: FitData, held: Sequence[int], threads: int | None) -> None:
        own = fit.problem.parameters
        self._held, self._threads, self._seed = list(held), threads, fit.settings.seed
        fixed, values = own.fixed.copy(), own.values.copy()
        lower, upper = own.lower.copy(), own.upper.copy()
        fixed[self._held], values[self._held] = True, np.nan  # held wherever each start puts them
        lower[self._held] = np.where(own.positive[self._held], 0.0, -np.inf)  # a user's values may lie beyond a bound
        upper[self._held] = np.inf
        self._problem = fit.problem.with_parameters(replace(own, fixed=fixed, values=values, lower=lower, upper=upper))
        self._rounding = float(rounding(self._problem)[0])
        self._from_fit = np.vstack([fit.vector[None, :], fit.reserve[: max(fit.rivals, _FEWEST_RESERVES)]])
        self._best = fit.value
        self._optima: list[list[tuple[float, F64]]] = []
        self.points = np.zeros((0, len(self._held)))

    @property
    def value(self) -> F64:
        """(m,) least objective at each point; NaN where no constrained fit converged."""
        return np.array([found[0][0] if found else np.nan for found in self._optima])

    @property
    def params(self) -> F64:
        """(m, p) all parameters there; those of the fit where no constrained fit converged."""
        placed = self._place(self._from_fit[0], np.arange(len(self.points)))
        for place, found in zip(placed, self._optima, strict=True):
            if found:
                place[:] = found[0][1]
        return placed

    @property
    def missed(self) -> bool:
        """Whether some point is distinctly better than the fit: then the fit is not the best optimum."""
        least = min((found[0][0] for found in self._optima if found), default=np.inf)
        return bool(least < self._best - max(SAME * abs(self._best), self._rounding))

    def add(self, points: F64, scouts: Index) -> Index:
        """Solve at further points from what the fit knows, without their neighbours.

        Parameters
        ----------
        points : (j, k) float64
        scouts : (i,) int
            Which of them get a multi-start of their own.

        Returns
        -------
        (j,) int
            Their numbers.
        """
        new = np.arange(len(self.points), len(self.points) + len(points))
        self.points = np.concatenate([self.points, points])
        self._optima += [[] for _ in new]
        starts = [self._place(point, new) for point in self._from_fit]
        refreshed = starts[0].copy()
        refreshed[:, np.array(self._problem.expression.linear) & ~self._problem.parameters.fixed] = np.nan
        starts.append(project(self._problem, refreshed, threads=self._threads))
        solved, _ = self._solve(np.concatenate(starts), np.tile(new, len(starts)))
        stuck = np.array([j for j, k in enumerate(new) if not self._optima[k]], dtype=np.intp)
        if len(stuck):  # once more, from where the lowest start stopped
            lowest = np.argmin(solved.score().reshape(len(starts), -1)[:, stuck], axis=0)
            self._solve(self._place(solved.params[lowest * len(new) + stuck], new[stuck]), new[stuck])
        self._scout(new[scouts])
        return new

    def flood(self, mesh: Index, new: Index) -> None:
        """Pass every optimum on to the neighbouring points, until no point finds another.

        Parameters
        ----------
        mesh : (...) int
            The points as they lie beside each other.
        new : (j,) int
            Those that were added since the last flood.
        """
        beside: dict[int, list[int]] = {int(k): [] for k in mesh.ravel()}
        for axis in range(mesh.ndim):
            along = np.moveaxis(mesh, axis, 0)
            for a, b in zip(along[:-1].ravel().tolist(), along[1:].ravel().tolist(), strict=True):
                beside[a].append(b)
                beside[b].append(a)
        fresh = set(new.tolist())
        pairs = [(k, to) for k, around in beside.items() for to in around if k in fresh or to in fresh]
        moves = [(at, to) for k, to in pairs for _, at in self._optima[k]]
        for _ in range(_ROUNDS):
            if not moves:
                return
            to = np.array([to for _, to in moves])
            starts = np.array([at for at, _ in moves])
            _, found = self._solve(self._place(starts, to), to)
            moves = [(at, after) for k, at in found for after in beside[k]]

    def _scout(self, where: Index) -> None:
        """A multi-start at each of some points; with many rows on some thousands of them."""
        small = thinned(self._problem)
        spread = int(spread_parameters(small).sum())
        if spread == 0 or len(where) == 0:  # linear in all that is left: one optimum under a convex loss
            return
        tried = candidates(small, default_count(spread), seed=self._seed)
        to = np.repeat(where, len(tried))
        starts = project(small, self._place(np.tile(tried, (len(where), 1)), to), threads=self._threads)
        if small is not self._problem:
            heat = small.solve(starts, threads=self._threads)
            tops = [_distinct(heat, np.flatnonzero(to == k), self._rounding) for k in where]
            keep = np.concatenate(tops)
            starts, to = heat.params[keep], to[keep]
        self._solve(starts, to)

    def _place(self, points: F64, to: Index) -> F64:
        """(j, p) starting points at which the held parameters are those of the points numbered `to`."""
        placed = np.array(np.broadcast_to(points, (len(to), len(self._problem.names))))
        placed[:, self._held] = self.points[to]
        return placed

    def _solve(self, starts: F64, to: Index) -> tuple[Solved, list[tuple[int, F64]]]:
        """Solve from starts at the points numbered `to`; all, and the distinct optima not known there before."""
        solved = self._problem.solve(starts, threads=self._threads)
        found: list[tuple[int, F64]] = []
        for row in np.flatnonzero(solved.ok).tolist():
            k = int(to[row])
            if self._record(k, float(solved.value[row]), solved.params[row]):
                found.append((k, solved.params[row]))
        return solved, found

    def _record(self, k: int, value: float, params: F64) -> bool:
        """Keep an optimum at point k if it is among the lowest; whether it is a new one."""
        known = self._optima[k]
        limit = max(SAME * abs(value), self._rounding)
        for j, (other, _) in enumerate(known):
            if abs(other - value) <= limit:
                if value < other:
                    known[j] = (value, params)
                    known.sort(key=lambda pair: pair[0])
                return False
        known.append((value, params))
        known.sort(key=lambda pair: pair[0])
        return len(known) <= _KEPT or known.pop()[0] != value


def scouts(shape: Sequence[int]) -> Index:
    """Which points of a grid of this shape, the last axis fastest, get a multi-start of their own."""
    each = _SCOUTS if len(shape) == 1 else 3
    axes = [np.unique(np.linspace(0, size - 1, each).round().astype(np.intp)) for size in shape]
    return np.asarray(np.ravel_multi_index(np.meshgrid(*axes, indexing="ij"), tuple(shape)).ravel())


def _distinct(solved: Solved, rows: Index, rounding: float) -> Index:
    """Which of the rows are the lowest distinct optima."""
    kept: list[int] = []
    for row in rows[np.argsort(solved.score()[rows], kind="stable")].tolist():
        value = float(solved.value[row])
        if solved.ok[row] and (not kept or value - solved.value[kept[-1]] > max(SAME * abs(value), rounding)):
            kept.append(row)
    return np.array(kept[:_KEPT], dtype=np.intp)
