r"""The size of the noise around a fitted law, where it may depend on the scale of a run.

Small models trained for short are often noisier than large ones. With residuals e_i (corrected for leverage)
and z_i the logarithm of compute around its mean, Harvey's (1976) regression of ln\|e_i\| on z_i estimates b in

    sigma_i = s exp(b z_i).

The slope is kept only where it is beyond 2.6 of its standard errors, since an estimate of nothing would cost every
interval some of its coverage; and beyond the range of the runs sigma stays what it is at their end.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isoloss.engine.problem import F64, Problem

__all__ = ["NoiseModel", "noise_model", "noiseless", "scale_variable"]

_SURE = 2.6  # standard errors of the slope
_LOG_CHI_SD = 1.1107  # standard deviation of ln|e| for normal e
_LEAST = 10  # runs below which a slope is not looked for
_ROUNDING = 64 * 2.0**-52
_TINY = 1e-15
_scores = np.vectorize(NormalDist().inv_cdf, otypes=[np.float64])


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseModel:
    """Size of the noise of one run, in the space of the objective.

    Attributes
    ----------
    size : float
        Standard deviation at the middle of the runs, of a run of the middle weight (`isoloss.stats.resampling`).
    slope : float
        By how much its logarithm grows with the logarithm of the scale; zero where the noise is even.
    scale : tuple of str
        Variables whose product is the scale, such as ``("N", "D")``; empty if there is none.
    middle, low, high : float
        Mean, least and largest logarithm of the scale among the runs.
    pool : (k,) float64
        Residuals divided by their size: mean square one.
    """

    size: float
    slope: float
    scale: tuple[str, ...]
    middle: float
    low: float
    high: float
    pool: F64

    def at(self, columns: Mapping[str, Any], shape: tuple[int, ...]) -> F64:
        """Standard deviation of a run's noise at values of the variables."""
        if self.slope == 0.0:
            return np.full(shape, self.size)
        z = np.zeros(shape)
        for name in self.scale:
            z = z + np.log(np.broadcast_to(np.asarray(columns[name], dtype=np.float64), shape))
        return np.asarray(self.size * np.exp(self.slope * (np.clip(z, self.low, self.high) - self.middle)))

    def draw(self, rng: np.random.Generator, count: int) -> F64:
        """(count, 1) noise of size one: residuals of the pool, smoothed (Silverman and Young 1987).

        Each stretch of their distribution, and of the normal one that smooths them, has its due share of the numbers
        (McKay, Beckman and Conover 1979): one number serves all points of a draw, and chance would not average out.
        """
        width = 1.06 * len(self.pool) ** -0.2
        place, normal = ((rng.permutation(count) + rng.random(count)) / count for _ in range(2))
        chosen = np.sort(self.pool)[np.minimum(place * len(self.pool), len(self.pool) - 1).astype(np.intp)]
        smoothed = chosen + width * _scores(np.clip(normal, _TINY, 1.0 - _TINY))
        return np.asarray(smoothed / math.hypot(1.0, width))[:, None]

    def describe(self) -> str:
        """In words, for summaries."""
        if self.slope == 0.0:
            return f"{self.size:.3g} for every run"
        ends = [self.size * math.exp(self.slope * (end - self.middle)) for end in (self.low, self.high)]
        return f"{ends[0]:.3g} at the smallest scale, {ends[1]:.3g} at the largest"

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return {
            "size": self.size,
            "slope": self.slope,
            "scale": list(self.scale),
            "middle": self.middle,
            "low": self.low,
            "high": self.high,
            "pool": self.pool.tolist(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> NoiseModel:
        """Inverse of `to_dict`."""
        numbers = {name: float(data[name]) for name in ("size", "slope", "middle", "low", "high")}
        pool = np.array(data["pool"], dtype=np.float64)
        return cls(scale=tuple(data["scale"]), pool=pool, **numbers)


def scale_variable(names: tuple[str, ...]) -> tuple[str, ...]:
    """The variables whose product measures the scale of a run."""
    if {"N", "D"} <= set(names):
        return ("N", "D")
    return next(((name,) for name in ("C", "N", "D") if name in names), ())


def noiseless(problem: Problem, params: F64) -> bool:
    """Whether a law goes through every run that counts, but for rounding: then the runs show no noise.

    Parameters
    ----------
    problem : Problem
        With one row of losses.
    params : (p,) float64
    """
    rows, goal = problem.present, problem.objective
    residual = goal.residuals(problem.predict(params)[0], problem.target)[rows]
    measured = np.abs(goal.transform(problem.target)[rows])
    # A logarithm of a loss that is off by one rounding is off by one rounding of 1.
    size = measured if goal.space == "raw" else 1.0 + measured
    return bool(np.all(np.abs(residual) <= _ROUNDING * size))


def noise_model(
    residual: F64, names: tuple[str, ...], columns: tuple[F64, ...], alive: NDArray[np.bool_], *, centre: bool
) -> NoiseModel:
    """The noise that the residuals of the weighted runs show.

    Parameters
    ----------
    residual : (n,) float64
        Corrected for leverage, and at the size it would have with the middle weight.
    names, columns
        The law's variables.
    alive : (n,) bool
        Runs that count.
    centre : bool
        Whether the noise has the mean zero: not so under an objective with two unlike sides.
    """
    e = residual[alive]
    scale = scale_variable(names)
    by_name = dict(zip(names, columns, strict=True))
    z = np.zeros(len(e))
    for name in scale:
        with np.errstate(divide="ignore", invalid="ignore"):
            z = z + np.log(by_name[name][alive])
    if not scale or not np.all(np.isfinite(z)):
        scale, z = (), np.zeros(len(e))
    middle = float(z.mean())
    slope = _slope(e, z - middle)
    size = np.exp(slope * (z - middle))
    pool = e / size
    if centre:
        pool = pool - pool.mean()
    spread = float(np.sqrt(np.mean(pool**2)))
    return NoiseModel(
        size=spread,
        slope=slope,
        scale=scale,
        middle=middle,
        low=float(z.min()),
        high=float(z.max()),
        pool=pool / spread if spread > 0.0 else np.zeros_like(pool),
    )


def _slope(e: F64, z: F64) -> float:
    """Harvey's slope, or zero where it cannot be told from zero."""
    around = float(np.sum(z**2))
    usable = np.abs(e) > 0.0
    if len(e) < _LEAST or around <= 0.0 or usable.sum() < _LEAST:
        return 0.0
    y = np.log(np.abs(e[usable]))
    x = z[usable] - z[usable].mean()
    slope = float(np.sum(x * y) / np.sum(x**2))
    spread = max(_LOG_CHI_SD, float(np.std(y - slope * x, ddof=2)))
    return slope if abs(slope) > _SURE * spread / math.sqrt(float(np.sum(x**2))) else 0.0
