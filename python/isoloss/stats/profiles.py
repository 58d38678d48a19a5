r"""Profiles: the least objective when one parameter is held at each of many values.

All values are one batch of constrained fits (`isoloss.stats.valleys`).

Where the objective is a likelihood, the values that a likelihood-ratio test does not reject are a confidence interval
(Wilks 1938), and one that need not be symmetric. For squared errors, normal with an unknown variance, m residual
degrees of freedom and the sum S, the ratio is m (S / S_min - 1) and its limit the squared quantile of Student's
distribution (Bates and Watts 1988, section 6.1); for half the deviance V of pass counts it is 2 (V - V_min), with the
normal one's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from isoloss.checks import level_between
from isoloss.engine.autodelta import robust_sigma
from isoloss.engine.problem import F64, Problem
from isoloss.engine.starts import candidates, project, thinned
from isoloss.plain import plain_dict
from isoloss.shown import Shown
from isoloss.stats.held import MISSED, Held, held_index, held_values
from isoloss.stats.intervals import t_quantile
from isoloss.stats.noise import noiseless
from isoloss.stats.valleys import Valleys, scouts
from isoloss.units import format_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from isoloss.fit.data import FitData

__all__ = [
    "Profile",
    "likelihood_limit",
    "likelihood_ratio",
    "no_likelihood",
    "profile",
    "ratio_of",
    "residual_df",
    "rise_scale",
    "why_no_likelihood",
]

_POINTS = 41
_SPAN = 3.0  # standard errors on either side, to begin with
_WIDENINGS = 8
_FURTHEST = 100.0


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Profile(Held, Shown):
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
        Least objective at each; NaN where no constrained fit converged.
    params : (m, p) float64
        All parameters there, in the order of the law.
    best : float
        Objective of the fit.
    missed : bool
        Whether a value is distinctly better than the fit, which then missed a better optimum.
    interval : (float, float) or None
        Between which all values lie that the likelihood-ratio test does not reject. Where the profile stays below the
        limit an end lies at the parameter's bound (zero for a positive one), or is infinite. None where the objective
        is no likelihood or the runs leave no residual; `reason` says so.
    reason : str or None
    level : float
        Of the interval.
    support : (float, float)
        The interval where there is one, but infinite at an open end even where there is a bound. Under a robust
        objective about what it would be: the rise of the objective is scaled so that it compares with chi squared
        (Ronchetti 1982), which is rough and yet enough to see that an end is open. NaN where the runs leave no
        residual.
    pieces : tuple of (float, float)
        What the interval, or else the support, consists of, ascending: more than one where another valley of the
        objective is nearly as good and values between the two are rejected.
    """

    name: str
    estimate: float
    values: F64
    objective: F64
    params: F64
    best: float
    missed: bool
    interval: tuple[float, float] | None
    reason: str | None
    level: float
    support: tuple[float, float]
    pieces: tuple[tuple[float, float], ...]

    @property
    def ridge(self) -> str | None:
        """In words, on which side the data leave the parameter open, or on both; None where they do not.

        Examples
        --------
        >>> import numpy as np
        >>> import isoloss as iso
        >>> N = np.linspace(1.0, 3.0, 12)
        >>> loss = 2.0 + np.exp(-20 * N) + 0.01 * np.random.default_rng(1).standard_normal(12)
        >>> law = iso.law("E + exp(-k*N)", positive=["E", "k"])
        >>> iso.fit(law, {"N": N, "loss": loss}, objective="squared_raw").profile("k").ridge
        'k below 0.0064 or above 4.1 is not identified'

        The exponential may have died by the first run, or have hardly begun to fall by the last.
        """
        low, high = self.support
        if math.isinf(low) and math.isinf(high):
            if len(self.pieces) > 1:
                sides = format_number(self.pieces[0][1], 2), format_number(self.pieces[-1][0], 2)
                return f"{self.name} below {sides[0]} or above {sides[1]} is not identified"
            return f"{self.name} is not identified at all"
        if math.isinf(high):
            return f"{self.name} above {format_number(low, 2)} is not identified"
        if math.isinf(low):
            return f"{self.name} below {format_number(high, 2)} is not identified"
        return None

    def text(self, interval: str = "") -> str:
        """The parameter, an interval in words, the ridge, if there is one, and what else matters."""
        parts = ""
        if len(self.pieces) > 1:
            parts = f", in {len(self.pieces)} pieces: {' and '.join(map(_ends_in_words, self.pieces))}"
        ridge = f"; {self.ridge}" if self.ridge else ""
        return f"{self.name} {format_number(self.estimate, 6)}{interval}{parts}{ridge}{MISSED if self.missed else ''}"

    def __str__(self) -> str:
        if self.interval is None:
            return self.text(f", no interval: {self.reason}")
        return self.text(f", {100 * self.level:g} % profile interval {_ends_in_words(self.interval)}")

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return plain_dict(
            {
                "name": self.name,
                "estimate": self.estimate,
                "values": self.values.tolist(),
                "objective": self.objective.tolist(),
                "params": self.params.tolist(),
                "best": self.best,
                "missed": self.missed,
                "interval": None if self.interval is None else list(self.interval),
                "reason": self.reason,
                "level": self.level,
                "support": list(self.support),
                "pieces": [list(piece) for piece in self.pieces],
                "ridge": self.ridge,
            }
        )

    def _draw(self, axes: Axes) -> None:
        from isoloss.plot import INK, MUTED, OPTIMUM

        axes.plot(self.values, self.objective, color=INK, marker=".", label="least objective")
        axes.axvline(self.estimate, color=OPTIMUM, linestyle="--", label="estimate")
        if self.interval is not None:
            label = f"{100 * self.level:g} % interval"
            for piece in self.pieces:
                low, high = np.clip(piece, self.values[0], self.values[-1])
                axes.axvspan(low, high, color=MUTED, alpha=0.2, label=label)
                label = ""
        axes.set_xlabel(self.name)
        axes.set_ylabel("objective")
        axes.legend(frameon=False)


def profile(fit: FitData, name: str, values: ArrayLike | None, *, level: float, n_threads: int | None) -> Profile:
    """Hold one parameter at many values; see `isoloss.Fit.profile`."""
    level = level_between(level)
    j = held_index(fit, name, "profile")
    estimate = fit.vector[j]
    if values is None:
        line = _adaptive(fit, j, level, n_threads)
    else:
        line = _Line(fit, j, n_threads)
        line.add(held_values(fit, name, j, values, least=1))
    grid, found, params = line.sorted()
    ratio = ratio_of(fit, found)
    reason = why_no_likelihood(fit)
    limit = math.sqrt(likelihood_limit(fit.problem, level))
    support = line.ends(grid, ratio, limit)
    if math.isnan(limit):
        support = (math.nan, math.nan)
    # An end that is open up to a bound lies at the bound: zero for a positive parameter.
    own = fit.problem.parameters
    interval = (max(support[0], float(own.lower[j])), min(support[1], float(own.upper[j]))) if reason is None else None
    return Profile(
        name=name,
        estimate=float(estimate),
        values=grid,
        objective=found,
        params=params,
        best=fit.value,
        missed=line.missed,
        interval=interval,
        reason=reason,
        level=level,
        support=support,
        pieces=_pieces(grid, ratio, estimate, limit, support if interval is None else interval),
    )


def no_likelihood(problem: Problem) -> str | None:
    """Why an objective has no likelihood ratio, or None."""
    if problem.objective.kind != "binomial" and residual_df(problem) < 1:
        return "the runs leave no residual"
    if problem.objective.kind not in ("squared", "binomial"):
        return f"{problem.objective.name} is no likelihood; see bootstrap()"
    return None


def residual_df(problem: Problem) -> int:
    """Runs that count beyond the free parameters."""
    weights = problem.weights
    n = problem.target.shape[-1] if weights is None else int(np.count_nonzero(weights > 0.0))
    return n - int(problem.parameters.free.sum())


def likelihood_ratio(problem: Problem, objective: F64, least: F64 | float, scale: float = 1.0) -> F64:
    """Likelihood ratio of constrained fits against the best: t squared for squared errors, chi squared for counts.

    Parameters
    ----------
    scale : float
        Of other objectives: what makes their rise compare with chi squared; see `rise_scale`.
    """
    if problem.objective.kind == "binomial":
        return np.asarray(2.0 * (objective - least))
    if problem.objective.kind != "squared":
        return np.asarray(scale * (objective - least))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.asarray(residual_df(problem) * (objective / least - 1.0))


def rise_scale(problem: Problem, params: F64) -> float:
    r"""What makes the rise of a robust objective compare with chi squared: 2 E[psi'] / E[psi^2] (Ronchetti 1982).

    The objective is the sum of w rho(r): its score has the variance of w psi and its curvature the mean of w psi', so
    that with weights it is :math:`2 \sum w \psi' / \sum w^2 \psi^2`, which undoes the weights' scale. The mean
    slope of psi is that of few residuals where delta is small, so it is taken as the jump of psi across a band that is
    as wide as the residuals' spread allows.
    """
    goal = problem.objective
    residual = goal.residuals(problem.predict(params)[0], problem.target)
    weight = np.ones_like(residual)
    if problem.weights is not None:
        residual, weight = residual[problem.weights > 0.0], problem.weights[problem.weights > 0.0]
    weight = weight / weight.max()
    spread = robust_sigma(residual, weight)
    if not spread > 0.0 or not math.isfinite(spread):
        return math.nan
    n = len(residual)
    width = spread * float(np.sum(weight) ** 2 / np.sum(weight**2)) ** -0.2

    def psi(shift: float) -> F64:
        return goal.of_residual(residual + shift)[0]

    slope = float(np.mean(weight * (psi(width) - psi(-width)))) / (2.0 * width)
    square = float(np.mean((weight * psi(0.0)) ** 2)) * n / max(residual_df(problem), 1)
    largest = 1.0 if problem.weights is None else float(problem.weights.max())
    return 2.0 * slope / square / largest if square > 0.0 else math.nan


def likelihood_limit(problem: Problem, level: float, parameters: int = 1) -> float:
    """What the ratio stays below with this probability when one or two parameters are held at their true values.

    NaN where the runs leave no residual: then nothing is known about the noise, and no value can be rejected or kept.
    """
    df = math.inf if problem.objective.kind == "binomial" else float(residual_df(problem))
    if df < 1.0:
        return math.nan
    if parameters == 1:
        return t_quantile(0.5 + 0.5 * level, df) ** 2
    if math.isinf(df):
        return -2.0 * math.log(1.0 - level)
    return df * math.expm1(
        -2.0 / df * math.log(1.0 - level)
    )  # twice the quantile of F with 2 and df degrees of freedom


def why_no_likelihood(fit: FitData) -> str | None:
    """Why a fit has no likelihood ratio, or None."""
    reason = no_likelihood(fit.problem)
    if reason is not None:
        return reason
    if fit.runs.group is not None:
        return "rows of a group are not independent; see bootstrap()"
    if any(notice.code == "checkpoints-as-runs" for notice in fit.warnings):
        return "rows look like checkpoints of the same run, or their errors are alike, so they are not independent"
    if fit.objective.kind == "squared" and noiseless(fit.problem, fit.vector):
        return "the residuals vanish"
    return None


def ratio_of(fit: FitData, objective: F64) -> F64:
    """(m,) likelihood ratio of each constrained fit against the best of all."""
    least = np.fmin(fit.value, np.nanmin(objective)) if np.isfinite(objective).any() else fit.value
    scale = 1.0 if fit.objective.kind in ("squared", "binomial") else rise_scale(fit.problem, fit.vector)
    return likelihood_ratio(fit.problem, objective, float(least), scale)


def _end(values: F64, ratio: F64, estimate: float, limit: float, side: int) -> float:
    """Where the root of the ratio, which is nearly straight between neighbours, last passes the limit on one side."""
    if math.isnan(limit):
        return math.nan
    keep = (side * (values - estimate) > 0.0) & np.isfinite(ratio)
    away = np.append(estimate, values[keep][::side])
    root = np.append(0.0, np.sqrt(np.maximum(ratio[keep][::side], 0.0)))
    last = int(np.flatnonzero(root < limit)[-1])
    if last == len(root) - 1:
        return side * math.inf
    x0, x1, r0, r1 = map(float, (*away[last : last + 2], *root[last : last + 2]))
    return x0 + (x1 - x0) * (limit - r0) / (r1 - r0)


def _pieces(
    values: F64, ratio: F64, estimate: float, limit: float, ends: tuple[float, float]
) -> tuple[tuple[float, float], ...]:
    """The stretches between two ends whose values are not rejected."""
    if math.isnan(ends[0]):
        return ()
    keep = np.isfinite(ratio) & (values != estimate)
    at, root = np.append(values[keep], estimate), np.append(np.sqrt(np.maximum(ratio[keep], 0.0)), 0.0)
    order = np.argsort(at, kind="stable")
    at, root = at[order], root[order]
    inside = np.flatnonzero(root < limit)

    def edge(a: int, b: int) -> float:
        return float(at[a] + (at[b] - at[a]) * (limit - root[a]) / (root[b] - root[a]))

    low, pieces = ends[0], []
    for a, b in zip(inside[:-1].tolist(), inside[1:].tolist(), strict=True):
        if b - a > 1:
            pieces.append((low, edge(a, a + 1)))
            low = edge(b, b - 1)
    return (*pieces, (low, ends[1]))


def _ends_in_words(ends: tuple[float, float]) -> str:
    low, high = (format_number(end, 4) if math.isfinite(end) else str(end) for end in ends)
    return f"[{low}, {high}]"


class _Line:
    """Values of one parameter that is held, and the least objective at each."""

    def __init__(self, fit: FitData, j: int, threads: int | None) -> None:
        self._valleys = Valleys(fit, [j], threads)
        self._estimate = float(fit.vector[j])

    def add(self, values: F64) -> None:
        """Solve at further values, and pass what is found there to all others."""
        new = self._valleys.add(values[:, None], scouts(values.shape))
        self._valleys.flood(np.argsort(self._valleys.points[:, 0], kind="stable"), new)

    @property
    def missed(self) -> bool:
        """Whether some value is distinctly better than the fit."""
        return self._valleys.missed

    def sorted(self) -> tuple[F64, F64, F64]:
        """Ascending values, the least objective at each, and all parameters there."""
        order = np.argsort(self._valleys.points[:, 0], kind="stable")
        return self._valleys.points[order, 0], self._valleys.value[order], self._valleys.params[order]

    def ends(self, grid: F64, ratio: F64, limit: float) -> tuple[float, float]:
        """Between which values all lie that are not rejected."""
        return _end(grid, ratio, self._estimate, limit, -1), _end(grid, ratio, self._estimate, limit, 1)


def _adaptive(fit: FitData, j: int, level: float, threads: int | None) -> _Line:
    """Values around the estimate, and further out until the interval ends among them or a bound is reached."""
    own = fit.problem.parameters
    estimate = float(fit.vector[j])
    lower, upper = float(own.lower[j]), float(own.upper[j])
    if own.positive[j]:
        lower = max(lower, 1e-3 * estimate)
    error = fit.stderr[fit.names[j]]
    step = _SPAN * error if math.isfinite(error) and error > 0.0 else 0.3 * abs(estimate) or 1.0
    if own.positive[j] and fit.at_bound.get(fit.names[j]) == -1:
        step = max(step, _scale_of_starts(fit, j, threads))
    low, high = max(lower, estimate - step), min(upper, estimate + step)
    line = _Line(fit, j, threads)
    limit = math.sqrt(likelihood_limit(fit.problem, level))
    parts = [np.linspace(low, high, _POINTS), np.array([estimate])]
    parts += [_around(rival, step, lower, upper) for rival in _not_rejected(fit, j, limit)]
    line.add(np.unique(np.concatenate(parts)))
    if not math.isfinite(fit.value) or math.isnan(limit):
        return line
    ends = (-math.inf, math.inf)
    for _ in range(_WIDENINGS):
        grid, found, _ = line.sorted()
        ends = line.ends(grid, ratio_of(fit, found), limit)
        low, high = float(grid[0]), float(grid[-1])
        step *= 2.0
        more: list[F64] = []
        if math.isinf(ends[0]) and low > lower:
            more.append(np.linspace(max(lower, min(low, estimate) - step), low, _POINTS // 4, endpoint=False))
        if math.isinf(ends[1]) and high < upper:
            more.append(np.linspace(min(upper, max(high, estimate) + step), high, _POINTS // 4, endpoint=False))
        if not more:
            break
        line.add(np.unique(np.concatenate(more)))
    # Still open: look as far as there is to look, so that a valley that only closes far out is not called open.
    far = _far(low, high, lower, upper, estimate, ends, positive=bool(own.positive[j]))
    if len(far):
        line.add(far)
    return line


def _scale_of_starts(fit: FitData, j: int, threads: int | None) -> float:
    """How large a positive parameter is where fits start; zero where the starts do not tell.

    One that has run to zero has no scale of its own: steps in proportion to it would never reach values that the runs
    reject.
    """
    small = thinned(fit.problem)
    starts = project(small, candidates(small, fit.settings.starts, seed=fit.settings.seed), threads=threads)
    column = np.abs(starts[:, j])
    column = column[np.isfinite(column) & (column > 0.0)]
    return float(np.median(column)) if len(column) else 0.0


def _around(centre: float, step: float, lower: float, upper: float) -> F64:
    """Values around another optimum, where it lies within the bounds."""
    return np.linspace(max(lower, centre - step), min(upper, centre + step), _POINTS // 2)


def _not_rejected(fit: FitData, j: int, limit: float) -> list[float]:
    """Values of parameter j at the other optima of the census that the test does not reject."""
    own, others = fit.problem.parameters, fit.basins.optima[1:]
    if not others or math.isnan(limit):
        return []
    ratio = ratio_of(fit, np.array([other.value for other in others]))
    at = [other.params[fit.names[j]] for other in others]
    near = zip(at, np.sqrt(np.maximum(ratio, 0.0)).tolist(), strict=True)
    return [x for x, root in near if root < limit and own.lower[j] <= x <= own.upper[j]]


def _far(
    low: float, high: float, lower: float, upper: float, estimate: float, ends: Sequence[float], *, positive: bool
) -> F64:
    """Values far beyond those tried, on the sides on which the interval is open."""
    parts: list[F64] = []
    reach = abs(estimate) or 1.0
    if math.isinf(ends[1]) and high < upper:
        most = min(upper, max(high, reach) * _FURTHEST)
        parts.append(np.geomspace(high, most, 9)[1:] if high > 0.0 else np.linspace(high, most, 9)[1:])
    if math.isinf(ends[0]) and low > lower and not positive:
        parts.append(np.linspace(max(lower, min(low, -reach) * _FURTHEST), low, 9)[:-1])
    return np.unique(np.concatenate(parts)) if parts else np.zeros(0)
