r"""Profiles: the least objective when one parameter is held at each of many values.

All values are one batch of constrained fits, solved twice: from the optimum and other points that the fit remembers,
then from the solutions of the neighbouring values, so that one value stuck in another basin stands out neither way.

Where the objective is a likelihood, the values that a likelihood-ratio test does not reject are a confidence interval
(Wilks 1938), and one that need not be symmetric. For squared errors, normal with an unknown variance, m residual
degrees of freedom and the sum S, the ratio is m (S / S_min - 1) and its limit the squared quantile of Student's
distribution (Bates and Watts 1988, section 6.1); for half the deviance V of pass counts it is 2 (V - V_min), with the
normal one's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from isoloss.errors import LawError, OptionError
from isoloss.intervals import t_quantile
from isoloss.problem import F64, Problem, Solved
from isoloss.starts import project
from isoloss.units import format_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from isoloss.fit import Fit

__all__ = ["Profile", "profile"]

_POINTS = 41
_SPAN = 3.0  # standard errors on either side, to begin with
_WIDENINGS = 8
_RESERVES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The least objective along one parameter; made by `Fit.profile`.

    Attributes
    ----------
    name : str
        The parameter.
    estimate : float
        Its fitted value.
    values : (m,) float64
        Values it was held at, ascending.
    objective : (m,) float64
        Least objective at each; NaN where no constrained fit converged. Values below `best` mean that the fit missed a
        better optimum.
    params : (m, p) float64
        All parameters there, in the order of the law.
    best : float
        Objective of the fit.
    interval : (float, float) or None
        Values that the likelihood-ratio test does not reject; an end is infinite where the profile stays below the
        limit. None where the objective is no likelihood; `reason` says so.
    reason : str or None
    level : float
        Of the interval.
    """

    name: str
    estimate: float
    values: F64
    objective: F64
    params: F64
    best: float
    interval: tuple[float, float] | None
    reason: str | None
    level: float

    def __str__(self) -> str:
        text = f"{self.name} {format_number(self.estimate, 6)}"
        if self.interval is None:
            return f"{text}, no interval: {self.reason}"
        low, high = (format_number(end, 4) if math.isfinite(end) else str(end) for end in self.interval)
        return f"{text}, {100 * self.level:g} % profile interval [{low}, {high}]"

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return {
            "name": self.name,
            "estimate": self.estimate,
            "values": self.values.tolist(),
            "objective": self.objective.tolist(),
            "params": self.params.tolist(),
            "best": self.best,
            "interval": None if self.interval is None else list(self.interval),
            "reason": self.reason,
            "level": self.level,
        }

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the profile, its estimate and its interval.

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
        from isoloss.plot import INK, MUTED, OPTIMUM, new_axes

        axes = new_axes() if ax is None else ax
        axes.plot(self.values, self.objective, color=INK, marker=".", label="least objective")
        axes.axvline(self.estimate, color=OPTIMUM, linestyle="--", label="estimate")
        if self.interval is not None:
            low, high = np.clip(self.interval, self.values[0], self.values[-1])
            axes.axvspan(low, high, color=MUTED, alpha=0.2, label=f"{100 * self.level:g} % interval")
        axes.set_xlabel(self.name)
        axes.set_ylabel("objective")
        axes.legend(frameon=False)
        return axes


def profile(fit: Fit, name: str, values: ArrayLike | None, *, level: float, n_threads: int | None) -> Profile:
    """Hold one parameter at many values; see `isoloss.fit.Fit.profile`."""
    if not 0.0 < level < 1.0:
        raise OptionError(f"level={level!r} does not lie between 0 and 1", argument="level")
    own = fit.problem.parameters
    j = int(own.tied[own.index(name, "profile")])
    if own.fixed[j]:
        message = f"{name!r} is fixed in this fit: it has no profile"
        raise LawError(message, code="law-bounds", name=name)
    estimate = fit.vector[j]
    if values is None:
        tried = _adaptive(fit, j, level, n_threads)
    else:
        wanted = np.unique(np.asarray(values, dtype=np.float64).ravel())
        lowest = 0.0 if own.positive[j] else -math.inf
        if wanted.size == 0 or not np.all(np.isfinite(wanted) & (wanted > lowest)):
            message = f"values={values!r} are not finite numbers{' above zero' if own.positive[j] else ''}"
            raise OptionError(message, argument="values")
        tried = [(wanted, _solve(fit, j, wanted, n_threads))]
    grid = np.concatenate([at for at, _ in tried])
    order = np.argsort(grid, kind="stable")
    found = np.concatenate([np.where(solved.ok, solved.value, np.nan) for _, solved in tried])[order]
    params = np.concatenate([solved.params for _, solved in tried])[order]
    ratio = _ratio(fit, found)
    reason = _no_likelihood(fit)
    interval = None
    if reason is None:
        limit = math.sqrt(likelihood_limit(fit.problem, level))
        interval = (_end(grid[order], ratio, estimate, limit, -1), _end(grid[order], ratio, estimate, limit, 1))
    return Profile(
        name=name,
        estimate=float(estimate),
        values=grid[order],
        objective=found,
        params=params,
        best=fit.value,
        interval=interval,
        reason=reason,
        level=level,
    )


def no_likelihood(problem: Problem) -> str | None:
    """Why an objective has no likelihood ratio, or None."""
    if problem.objective.kind not in ("squared", "binomial"):
        return f"{problem.objective.name} is no likelihood; see bootstrap()"
    if problem.objective.kind == "squared" and residual_df(problem) < 1:
        return "the runs leave no residual"
    return None


def residual_df(problem: Problem) -> int:
    """Runs that count beyond the free parameters."""
    weights = problem.weights
    n = problem.target.shape[-1] if weights is None else int(np.count_nonzero(weights > 0.0))
    return n - int(problem.parameters.free.sum())


def likelihood_ratio(problem: Problem, objective: F64, least: F64 | float) -> F64:
    """Likelihood ratio of constrained fits against the best: t squared for squared errors, chi squared for counts."""
    if problem.objective.kind == "binomial":
        return np.asarray(2.0 * (objective - least))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(residual_df(problem) * (objective / least - 1.0))


def likelihood_limit(problem: Problem, level: float, parameters: int = 1) -> float:
    """What the ratio stays below with this probability when one or two parameters are held at their true values."""
    df = math.inf if problem.objective.kind == "binomial" else float(residual_df(problem))
    if parameters == 1:
        return t_quantile(0.5 + 0.5 * level, df) ** 2
    if math.isinf(df):
        return -2.0 * math.log(1.0 - level)
    return df * math.expm1(
        -2.0 / df * math.log(1.0 - level)
    )  # twice the quantile of F with 2 and df degrees of freedom


def _no_likelihood(fit: Fit) -> str | None:
    """Why a fit has no likelihood ratio, or None."""
    reason = no_likelihood(fit.problem)
    if reason is not None:
        return reason
    if fit.runs.group is not None:
        return "rows of a group are not independent; see bootstrap()"
    if fit.objective.kind == "squared" and not fit.value > 0.0:
        return "the residuals vanish"
    return None


def _ratio(fit: Fit, objective: F64) -> F64:
    """(m,) likelihood ratio of each constrained fit against the best of all."""
    least = np.fmin(fit.value, np.nanmin(objective)) if np.isfinite(objective).any() else fit.value
    return likelihood_ratio(fit.problem, objective, float(least))


def _end(values: F64, ratio: F64, estimate: float, limit: float, side: int) -> float:
    """Where the root of the ratio, which is nearly straight, first passes the limit on one side."""
    keep = (side * (values - estimate) > 0.0) & np.isfinite(ratio)
    away = values[keep][::side]
    root = np.sqrt(np.maximum(ratio[keep][::side], 0.0))
    passed = np.flatnonzero(root >= limit)
    if len(passed) == 0:
        return side * math.inf
    k = int(passed[0])
    x0, r0 = (estimate, 0.0) if k == 0 else (float(away[k - 1]), float(root[k - 1]))
    return x0 + (float(away[k]) - x0) * (limit - r0) / (float(root[k]) - r0)


def _adaptive(fit: Fit, j: int, level: float, threads: int | None) -> list[tuple[F64, Solved]]:
    """Values around the estimate, and further out until the interval ends among them or a bound is reached."""
    own = fit.problem.parameters
    estimate = float(fit.vector[j])
    lower, upper = float(own.lower[j]), float(own.upper[j])
    if own.positive[j]:
        lower = max(lower, 1e-3 * estimate)
    error = fit.stderr[fit.names[j]]
    step = _SPAN * error if math.isfinite(error) and error > 0.0 else 0.3 * abs(estimate) or 1.0
    low, high = max(lower, estimate - step), min(upper, estimate + step)
    values = np.unique(np.append(np.linspace(low, high, _POINTS), estimate))
    tried = [(values, _solve(fit, j, values, threads))]
    if _no_likelihood(fit) is not None:
        return tried
    limit = math.sqrt(likelihood_limit(fit.problem, level))
    for _ in range(_WIDENINGS):
        grid = np.concatenate([at for at, _ in tried])
        found = np.concatenate([np.where(solved.ok, solved.value, np.nan) for _, solved in tried])
        order = np.argsort(grid)
        ends = [_end(grid[order], _ratio(fit, found[order]), estimate, limit, side) for side in (-1, 1)]
        step *= 2.0
        more: list[F64] = []
        if math.isinf(ends[0]) and low > lower:
            further = max(lower, estimate - step)
            more.append(np.linspace(further, low, _POINTS // 4, endpoint=False))
            low = further
        if math.isinf(ends[1]) and high < upper:
            further = min(upper, estimate + step)
            more.append(np.linspace(further, high, _POINTS // 4, endpoint=False))
            high = further
        if not more:
            break
        values = np.unique(np.concatenate(more))
        tried.append((values, _solve(fit, j, values, threads)))
    return tried


def _solve(fit: Fit, j: int, values: F64, threads: int | None) -> Solved:
    """The best constrained fit at each of the ascending values."""
    own = fit.problem.parameters
    fixed, held = own.fixed.copy(), own.values.copy()
    fixed[j], held[j] = True, np.nan  # held wherever each start puts it
    lower, upper = own.lower.copy(), own.upper.copy()
    lower[j], upper[j] = min(lower[j], values[0]), max(upper[j], values[-1])
    problem = fit.problem.with_parameters(replace(own, fixed=fixed, values=held, lower=lower, upper=upper))
    known = np.concatenate([fit.vector[None, :], fit.reserve[:_RESERVES]])
    starts = [_at(known_one, j, values) for known_one in known]
    refreshed = starts[0].copy()
    refreshed[:, np.flatnonzero(np.array(fit.problem.expression.linear) & ~fixed)] = np.nan
    starts.append(project(problem, refreshed, threads=threads))
    first = _best(problem, starts, threads)
    # Once more, from the neighbours' solutions.
    left, right = np.roll(first.params, 1, axis=0), np.roll(first.params, -1, axis=0)
    for neighbour in (left, right):
        neighbour[:, j] = values
    return _best(problem, [first.params, left, right], threads)


def _at(point: F64, j: int, values: F64) -> F64:
    """(m, p) copies of a point in which parameter j takes the values."""
    points = np.repeat(point[None, :], len(values), axis=0)
    points[:, j] = values
    return points


def _best(problem: Problem, starts: Sequence[F64], threads: int | None) -> Solved:
    """Solve from several starts for each value; keep the least objective of the converged."""
    m = len(starts[0])
    solved = problem.solve(np.concatenate(starts), threads=threads)
    score = np.where(solved.ok, solved.value, np.inf).reshape(len(starts), m)
    rows = np.argmin(score, axis=0) * m + np.arange(m)
    return Solved(
        params=solved.params[rows],
        value=solved.value[rows],
        status=solved.status[rows],
        iterations=solved.iterations[rows],
        at_bound=solved.at_bound[rows],
    )
