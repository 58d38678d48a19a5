"""Fits with some parameters held: what profiles of one parameter and surfaces of two share. Private.

The points at which parameters are held are one batch of constrained fits, solved twice: from the optimum, from other
points that the fit remembers, and from the optimum with its linear parameters projected anew; then from the solutions
of the neighbouring points, so that one point stuck in another basin stands out neither way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from isoloss.engine.problem import F64, Problem, Solved
from isoloss.engine.starts import project
from isoloss.errors import LawError, OptionError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from isoloss.fit.data import FitData

__all__ = ["Held", "held_index", "held_values", "solve_held"]

_RESERVES = 4


class Held:
    """A result that can be drawn."""

    __slots__ = ()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the least objective, the estimate, and what the test does not reject.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; new axes by default.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        MissingExtraError
            When matplotlib is not installed.
        """
        from isoloss.plot import new_axes

        axes = new_axes() if ax is None else ax
        self._draw(axes)
        return axes

    def _draw(self, axes: Axes) -> None:
        raise NotImplementedError


def held_index(fit: FitData, name: str, where: str) -> int:
    """Which parameter a name holds: the one it is tied to, or itself.

    Raises
    ------
    LawError
        Code ``law-unknown-name``; ``law-bounds``: it is fixed.
    """
    own = fit.problem.parameters
    j = int(own.tied[own.index(name, where)])
    if own.fixed[j]:
        message = f"{name!r} is fixed in this fit: it has no profile"
        raise LawError(message, code="law-bounds", name=name)
    return j


def held_values(fit: FitData, name: str, j: int, given: ArrayLike, *, least: int) -> F64:
    """The values given for one parameter, ascending.

    Raises
    ------
    OptionError
        Code ``option``: fewer than `least`, or some that it cannot take.
    """
    wanted = np.unique(np.asarray(given, dtype=np.float64).ravel())
    positive = bool(fit.problem.parameters.positive[j])
    if wanted.size < least or not np.all(np.isfinite(wanted) & (wanted > (0.0 if positive else -math.inf))):
        what = "finite numbers" if least == 1 else "two finite numbers or more"
        message = f"values of {name!r} are not {what}{' above zero' if positive else ''}"
        raise OptionError(message, argument="values")
    return wanted


def solve_held(fit: FitData, index: Sequence[int], grid: F64, shape: tuple[int, ...], threads: int | None) -> Solved:
    """The best constrained fit at each point of a grid.

    Parameters
    ----------
    index : sequence of k int
        The parameters held.
    grid : (m, k) float64
        What they are held at.
    shape : tuple of k int
        Of the grid, whose last axis runs fastest; it says which points are neighbours.
    threads : int, optional

    Returns
    -------
    Solved
        m rows.
    """
    own, held = fit.problem.parameters, list(index)
    fixed, values = own.fixed.copy(), own.values.copy()
    lower, upper = own.lower.copy(), own.upper.copy()
    fixed[held], values[held] = True, np.nan  # held wherever each start puts them
    lower[held] = np.minimum(lower[held], grid.min(axis=0))
    upper[held] = np.maximum(upper[held], grid.max(axis=0))
    problem = fit.problem.with_parameters(replace(own, fixed=fixed, values=values, lower=lower, upper=upper))

    def at(points: F64) -> F64:
        placed = np.array(np.broadcast_to(points, (len(grid), len(own.names))))
        placed[:, held] = grid
        return placed

    starts = [at(point) for point in (fit.vector, *fit.reserve[:_RESERVES])]
    refreshed = starts[0].copy()
    refreshed[:, np.array(problem.expression.linear) & ~fixed] = np.nan
    starts.append(project(problem, refreshed, threads=threads))
    first = _best_of(problem, starts, threads).params
    # Once more, from the neighbours' solutions.
    mesh = first.reshape(*shape, -1)
    moved = [np.roll(mesh, step, axis=axis) for axis in range(len(shape)) for step in (1, -1)]
    return _best_of(problem, [first, *(at(points.reshape(first.shape)) for points in moved)], threads)


def _best_of(problem: Problem, starts: Sequence[F64], threads: int | None) -> Solved:
    """Solve from several starts for each point; keep the least objective of the converged."""
    m = len(starts[0])
    solved = problem.solve(np.concatenate(starts), threads=threads)
    score = np.where(solved.ok, solved.value, np.inf).reshape(len(starts), m)
    return solved.take(np.argmin(score, axis=0) * m + np.arange(m))
