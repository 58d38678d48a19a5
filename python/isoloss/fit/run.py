"""One fit from start to end: pose, start, solve, judge. Private; `isoloss.fit` checks the arguments first."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from isoloss.engine.autodelta import of_width, settle, without_scale
from isoloss.engine.basins import Basins, Optimum, census, ends_apart, winner
from isoloss.engine.batch import Batch, Given
from isoloss.engine.challenge import challenge
from isoloss.engine.posing import Settings, pose
from isoloss.engine.problem import F64, Parameters, Problem, Solved
from isoloss.engine.starts import start_points
from isoloss.engine.status import Status
from isoloss.engine.watch import Watch
from isoloss.errors import Notice
from isoloss.fit.judgement import notices
from isoloss.law.object import Law
from isoloss.objective.base import AUTO
from isoloss.runs.reading import Runs
from isoloss.stats.inference import Covariance, covariance

if TYPE_CHECKING:
    from isoloss.fit.object import Fit

__all__ = ["run"]

_AS_GOOD = 1e-9  # relative difference of objectives that a parameter at zero must not exceed
_SAME = 1e-3  # change of a prediction, in the space of the objective and in typical residuals, that is none
_RESERVES = 16  # other optima and starts kept for the resamples of a bootstrap


def run(law: Law, runs: Runs, settings: Settings, watch: Watch) -> Fit:
    """Fit a law to runs as the settings say."""
    from isoloss.fit.object import Fit

    began = perf_counter()
    posed = pose(law, runs, settings)
    problem, present = posed.counted(), runs.counted(posed.weights)
    wanted = law.starts if settings.starts is None else settings.starts
    points, screened = start_points(without_scale(problem), wanted, seed=settings.seed, threads=watch.threads or None)
    extra: list[Notice] = []
    if problem.objective.delta == AUTO:
        found = settle(Batch(problem=problem, size=1), Given(points[None]), watch)
        problem, solved = of_width(problem, float(found.delta[0])), found.tries
        extra = [] if watch.stopped else found.notices(0)
    else:
        solved = problem.solve(points, watch=watch)
    best = winner(solved)
    if not watch.stopped and not solved.ok[best] and np.isfinite(solved.value[best]):
        # The lowest start stopped early: give it once more the whole number of iterations.
        again = problem.solve(solved.params[best : best + 1], threads=watch.threads or None)
        if again.score()[0] <= solved.value[best]:
            solved = solved.put([best], again)
    basins = census(solved, problem, screened)
    if not watch.stopped and np.isfinite(solved.value[best]):
        trial = challenge(problem, solved.take([best]), given=wanted is not None, seed=settings.seed, watch=watch)
        basins = basins.challenged(trial.tried, None if trial.better is None else _optimum(problem, trial.better))
        if trial.better is not None:
            solved = solved.put([best], trial.better)
    params = solved.params[best]
    sides = solved.at_bound[best].copy()
    if solved.ok[best]:
        sides[(sides == 0) & _vanished(problem, params, float(solved.value[best]))] = -1
    touched = {name: int(side) for name, side in zip(problem.names, sides, strict=True) if side}
    spread = _covariance(problem, present, solved, best, sides, watch.stopped)
    if watch.stopped:
        extra.append(_interrupted(solved))
    status = Status(int(solved.status[best]))
    value = float(solved.value[best])
    named = dict(zip(problem.names, params.tolist(), strict=True))
    basins = basins.spread((), ends_apart(solved, problem, best, touched))
    told = notices(law, present, posed.present, problem, named, status, basins, spread, touched)
    along = [
        direction for notice in told if notice.code == "not-identified" for direction in notice.details["directions"]
    ]
    basins = basins.spread(along, basins.ranges)
    reserve, rivals = _reserve(problem.parameters, basins, points, solved)
    return Fit(
        law=law,
        runs=runs,
        params=named,
        value=value,
        status=status,
        basins=basins,
        covariance=spread,
        at_bound=touched,
        warnings=(*told, *extra),
        seconds=perf_counter() - began,
        settings=settings,
        problem=replace(posed, objective=problem.objective),  # with the delta that was settled
        reserve=reserve,
        rivals=rivals,
    )


def _optimum(problem: Problem, found: Solved) -> Optimum:
    """What a challenger found, as the census lists it: reached by none of the starts."""
    params = dict(zip(problem.names, found.params[0].tolist(), strict=True))
    return Optimum(value=float(found.value[0]), count=0, params=params)


def _vanished(problem: Problem, params: F64, value: float) -> NDArray[np.bool_]:
    """(p,) which parameters run towards zero in their logarithm and would do as well there: at their lower bound.

    The solver moves positive parameters in their logarithms, where zero is infinitely far. The predictions there must
    be the same, too: on a level stretch of the objective, others do as well.
    """
    own, goal = problem.parameters, problem.objective
    found = np.zeros(len(params), dtype=np.bool_)
    with np.errstate(all="ignore"):
        here = problem.predict(params)[0]
        typical = float(np.median(np.abs(goal.residuals(here, problem.target))))
        near = _SAME * typical + _AS_GOOD if np.isfinite(typical) else _SAME
        for j in np.flatnonzero(own.free & own.positive & (own.lower <= 0.0)):
            zero = params.copy()
            zero[own.tied == j] = 0.0
            there = problem.predict(zero)[0]
            losses = goal.losses(there, problem.target)
            if problem.weights is not None:
                losses = problem.weights * losses
            moved = np.abs(goal.transform(there) - goal.transform(here))
            # Not a number where the law has no value at zero: then it is no bound.
            if float(np.sum(losses)) <= value + _AS_GOOD * abs(value) and float(np.max(moved)) <= near:
                found[own.tied == j] = True
    return found


def _covariance(
    problem: Problem, runs: Runs, solved: Solved, best: int, sides: NDArray[np.int8], stopped: bool
) -> Covariance:
    if stopped:
        return Covariance(cov=None, kind="sandwich", reason="the fit was interrupted")
    if not solved.ok[best]:
        return Covariance(cov=None, kind="sandwich", reason="the fit did not converge")
    return covariance(problem, solved.params[best], sides, runs.group)


def _interrupted(solved: Solved) -> Notice:
    """What an interrupt left undone."""
    starts = len(solved.status)
    done = int(np.count_nonzero(solved.status != Status["CANCELLED"]))
    message = f"interrupted: {done:,} of {starts:,} starts were finished"
    return Notice(code="interrupted", severity="serious", message=message, details={"finished": done, "starts": starts})


def _reserve(parameters: Parameters, basins: Basins, points: F64, solved: Solved) -> tuple[F64, int]:
    """(k, p) other optima, then start points spread over those tried, for resampling; and how many optima."""
    rivals = [[optimum.params[name] for name in parameters.names] for optimum in basins.optima[1:]][: _RESERVES // 2]
    found = np.array(rivals, dtype=np.float64).reshape(-1, len(parameters.names))
    # Thousands of draws will start there: of the start points, the third that took the fewest iterations, or of few
    # points the half, as many as are kept.
    good = np.flatnonzero(solved.ok)
    third, half = -(-len(good) // 3), -(-len(good) // 2)
    quick = good[np.argsort(solved.iterations[good], kind="stable")][: max(third, min(half, _RESERVES // 2))]
    pool = points[np.sort(quick)] if len(quick) else points
    spread: NDArray[np.intp] = np.linspace(0, len(pool) - 1, _RESERVES // 2).astype(np.intp)
    return np.concatenate([found, pool[np.unique(spread)]]), len(rivals)
