r"""Challenge the best optimum of a multi-start before it is called the fit. Private.

Start points that a user gives, few or alike, may all lead to the same inferior optimum. So the best one has to stand
against a batch of further starts: the automatic rule's, where the starts were given, and always points around itself,
its nonlinear parameters moved by random amounts of two sizes and its linear ones projected anew (an iterated local
search; Lourenco, Martin and Stutzle 2003). If one of them ends lower, it is the best and is challenged in turn, a few
times. The challengers are not part of the census of the starts; `Basins.challengers` counts them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from isoloss.engine.basins import SAME, rounding
from isoloss.engine.problem import F64, Problem, Solved
from isoloss.engine.starts import default_count, project, spread_parameters, start_points, thinned
from isoloss.engine.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Challenge", "challenge"]

_AROUND = 24
_SIZES = (0.25, 1.0)  # standard deviations of the moves: of logarithms, or relative to the size of the parameter
_LEAST_SIZE = 0.1  # a parameter near zero is moved as if it were this large
_ROUNDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """What became of the best optimum.

    Attributes
    ----------
    tried : int
        Number of challengers.
    better : Solved or None
        The challenger that ended lowest, a single row, if it is distinctly lower.
    """

    tried: int
    better: Solved | None


def challenge(problem: Problem, best: Solved, *, given: bool, seed: int, watch: Watch) -> Challenge:
    """Try to find a lower optimum.

    Parameters
    ----------
    problem : Problem
        With one target row.
    best : Solved
        The lowest start, a single row.
    given : bool
        Whether the starts were a user's or a law's own, so that the automatic rule's are worth a try.
    seed : int
    watch : Watch
        Of the whole fit; an interrupt ends the challenge.

    Returns
    -------
    Challenge
    """
    small = thinned(problem)
    spread = spread_parameters(problem)
    if not spread.any():  # a law that is linear in all it fits has one optimum under a convex loss
        return Challenge(tried=0, better=None)
    rng = np.random.default_rng([seed, 0xC4A])
    tried, better = 0, None
    for round_ in range(_ROUNDS):
        parts = [_around(small, best.params[0], rng)]
        if given and round_ == 0:
            parts.append(start_points(small, default_count(int(spread.sum())), seed=seed, threads=_threads(watch))[0])
        points = np.concatenate(parts)
        tried += len(points)
        found = _lowest(problem, small, best, points, watch)
        if found is None or watch.stopped:
            break
        best = better = found
    return Challenge(tried=tried, better=better)


def _threads(watch: Watch) -> int | None:
    return watch.threads or None


def _around(problem: Problem, centre: F64, rng: np.random.Generator) -> F64:
    """(k, p) points around an optimum: nonlinear parameters moved, linear ones projected."""
    own = problem.parameters
    spread = spread_parameters(problem)
    points = np.full((_AROUND, len(centre)), np.nan)
    points[:, ~own.free] = centre[~own.free]
    size = np.resize(np.array(_SIZES), _AROUND)[:, None]
    moves = size * rng.standard_normal((_AROUND, int(spread.sum())))
    at, positive = centre[spread], own.positive[spread]
    with np.errstate(over="ignore"):  # an optimum may lie at the end of the numbers
        logged = np.where(positive, at, 1.0) * np.exp(np.where(positive, moves, 0.0))
        moved = at + moves * np.maximum(np.abs(at), _LEAST_SIZE)
    # Where a linear parameter is open the point is NaN, which settling keeps: `project` fills it.
    points[:, spread] = np.where(positive, logged, moved)
    points[:, spread] = own.settle(points)[:, spread]
    return project(problem, points)


def _lowest(problem: Problem, small: Problem, best: Solved, points: F64, watch: Watch) -> Solved | None:
    """The lowest challenger, if it is distinctly below the best."""
    if small is not problem:  # first on a part of the rows; who wins there goes on, be it from where the best stood
        heat = _solve(small, np.concatenate([best.params, points]), watch)
        points = heat.params[_ranked(heat)[:1]]
        if watch.stopped or len(points) == 0:
            return None
    solved = _solve(problem, points, watch)
    first = next(iter(_ranked(solved)), None)
    if first is None or watch.stopped:
        return None
    row = solved.take([first])
    return row if _below(row.score()[0], best.score()[0], float(rounding(problem)[0])) else None


def _solve(problem: Problem, points: F64, watch: Watch) -> Solved:
    # The progress of the starts is what the caller sees; that of the challengers would run past its end.
    quiet = watch.silent()
    solved = problem.solve(points, watch=quiet)
    watch.stopped |= quiet.stopped
    return solved


def _ranked(solved: Solved) -> Sequence[int]:
    """Numbers of the converged rows, the lowest first."""
    ok = np.flatnonzero(solved.ok)
    return [int(k) for k in ok[np.argsort(solved.value[ok], kind="stable")]]


def _below(value: float, best: float, rounding: float) -> bool:
    return bool(value < best - max(SAME * abs(best), rounding)) if np.isfinite(best) else bool(np.isfinite(value))
