r"""Intervals from draws: which quantiles of them, and why not always the plain ones.

Five kinds, for any statistic that can be computed from each draw:

``percentile``
    The quantiles (1 - level)/2 and (1 + level)/2 of the draws (Efron 1979).
``expanded``
    The same at the levels :math:`\Phi(\mp t)`, t the quantile of Student's distribution with the degrees of freedom
    behind the size of the noise (`isoloss.stats.resampling.degrees_of_freedom`). A percentile interval is as narrow as
    if the size of the noise were known; this one pays for having estimated it (Hesterberg 2015, section 3.3). It stays
    equivariant under changes of scale: the interval of ln A is the logarithm of the interval of A.
``bca``
    Levels corrected for the median bias of the draws and for the acceleration, from the refits that leave one
    unit out (Efron 1987).
``studentized``
    Each draw measured from the estimate in its own standard errors (Efron 1981; Hall 1988); positive parameters in
    their logarithms.
``jackknife``
    For refits that leave one block out: the estimate, plus and minus t times the jackknife's standard error (Tukey
    1958).

Which one is the default for which draws was decided by measured coverage; `benches/bench_coverage.py` repeats the
measurement.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from isoloss.checks import level_between
from isoloss.errors import OptionError, did_you_mean

__all__ = [
    "INTERVALS",
    "chance",
    "check_interval",
    "ends",
    "jackknife_error",
    "least_draws",
    "percentiles",
    "t_quantile",
]

F64 = NDArray[np.float64]
INTERVALS = ("percentile", "expanded", "bca", "studentized", "jackknife")
_NORMAL = NormalDist()


def least_draws(level: float) -> int:
    """The fewest draws that have quantiles at both ends of an interval.

    Of m draws the outermost stand for the quantiles 1/(m + 1) and m/(m + 1); beyond them nothing was drawn.

    Examples
    --------
    >>> from isoloss.stats.intervals import least_draws
    >>> least_draws(0.95), least_draws(0.99)
    (39, 199)
    """
    return math.ceil(2.0 / (1.0 - level_between(level)) - 1e-9) - 1


def check_interval(name: str) -> str:
    """The name of a kind of interval, or an error with code ``option``."""
    if name not in INTERVALS:
        known = ", ".join(INTERVALS)
        message = f"interval={name!r} is not a kind of interval{did_you_mean(str(name), INTERVALS)}; known: {known}"
        raise OptionError(message, argument="interval")
    return name


# Student's distribution ----------------------------------------------------------------------------------------------


def _beta_fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of the incomplete beta function, by Lentz's method (Abramowitz and Stegun 26.5.8)."""
    tiny = 1e-300
    c, d = 1.0, 1.0 / max(1.0 - (a + b) * x / (a + 1.0), tiny)
    value = d
    for m in range(1, 500):
        for step in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 / (1.0 + step * d or tiny)
            c = 1.0 + step / c or tiny
            value *= c * d
        if abs(c * d - 1.0) < 1e-16:
            break
    return value


def _t_tail(t: float, df: float) -> float:
    """P(T > t) for t above zero."""
    x = df / (df + t * t)
    a, b = 0.5 * df, 0.5
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    front = math.exp(log_front)
    if x < (a + 1.0) / (a + b + 2.0):
        return 0.5 * front * _beta_fraction(a, b, x) / a
    return 0.5 * (1.0 - front * _beta_fraction(b, a, 1.0 - x) / b)


@lru_cache(maxsize=256)
def t_quantile(p: float, df: float) -> float:
    """The quantile of Student's t distribution.

    Parameters
    ----------
    p : float
        Between 0 and 1.
    df : float
        Degrees of freedom, above 0; infinite for the normal distribution.

    Examples
    --------
    >>> from isoloss.stats.intervals import t_quantile
    >>> round(t_quantile(0.975, 7), 4), round(t_quantile(0.975, float("inf")), 4)
    (2.3646, 1.96)
    """
    if p == 0.5:
        return 0.0
    tail = min(p, 1.0 - p)
    if math.isinf(df) or df > 1e7:
        return _NORMAL.inv_cdf(p)
    low, high = 0.0, max(1.0, -_NORMAL.inv_cdf(tail))
    while _t_tail(high, df) > tail:
        low, high = high, 2.0 * high
    for _ in range(200):  # bisection: the tail is monotone, and this runs once for each df
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        low, high = (middle, high) if _t_tail(middle, df) > tail else (low, middle)
    return math.copysign(0.5 * (low + high), p - 0.5)


def chance(interval: str, samples: F64, *, df: float) -> F64:
    """How sure it is that a statistic is below zero: the level whose one-sided interval ends there.

    Of percentiles it is the share of draws below zero (those at zero count half); expanded ones have their levels
    moved, and it moves with them. Nothing that the draws can tell is surer than one in as many of them.

    Parameters
    ----------
    interval : {"percentile", "expanded"}
        Kind of interval that it goes with.
    samples : (m, ...) float64
        The statistics of each draw.
    df : float
        Degrees of freedom behind the size of the noise.

    Returns
    -------
    (...) float64
        NaN without draws.

    Examples
    --------
    >>> import numpy as np
    >>> from isoloss.stats.intervals import chance
    >>> samples = np.arange(-974.5, 25.0)  # 975 of 1,000 below zero
    >>> round(float(chance("percentile", samples, df=7)), 3), round(float(chance("expanded", samples, df=7)), 3)
    (0.975, 0.954)
    """
    m = len(samples)
    if m == 0:
        return np.full(samples.shape[1:], np.nan)
    below = np.sum(samples < 0.0, axis=0) + 0.5 * np.sum(samples == 0.0, axis=0)
    share = (below + 0.5) / (m + 1.0)
    if interval != "expanded":
        return np.asarray(share)
    return _each(lambda s: _t_below(_NORMAL.inv_cdf(s), df), share)


def _t_below(t: float, df: float) -> float:
    """P(T < t)."""
    if t == 0.0 or math.isinf(df) or df > 1e7:
        return _NORMAL.cdf(t)
    tail = _t_tail(abs(t), df)
    return tail if t < 0.0 else 1.0 - tail


# Ends ----------------------------------------------------------------------------------------------------------------


def percentiles(samples: F64, level: float) -> tuple[F64, F64]:
    """Percentiles that leave (1 - level)/2 on either side, over the first axis; NaN where there is no sample."""
    return _central(samples, 0.5 * (1.0 - level_between(level)))


def _central(samples: F64, tail: float) -> tuple[F64, F64]:
    if len(samples) == 0:
        nothing = np.full(samples.shape[1:], np.nan)
        return nothing, nothing
    with np.errstate(invalid="ignore"):  # between infinite samples there is no number
        low, high = np.quantile(samples, [tail, 1.0 - tail], axis=0)
    return np.asarray(low), np.asarray(high)


def ends(
    interval: str,
    samples: F64,
    estimate: F64,
    level: float,
    *,
    df: float,
    left_out: F64 | None = None,
    errors: tuple[F64, F64] | None = None,
    logarithm: NDArray[np.bool_] | None = None,
) -> tuple[F64, F64]:
    """The ends of an interval for each statistic.

    Parameters
    ----------
    interval : str
        One of `INTERVALS`.
    samples : (m, ...) float64
        The statistics of each draw.
    estimate : (...) float64
        Those of the full data.
    level : float
    df : float
        Degrees of freedom behind the size of the noise.
    left_out : (g, ...) float64, optional
        The statistics of the refits that leave one unit out; ``bca`` needs them.
    errors : ((...), (m, ...)) float64, optional
        Standard errors of the estimate and of each draw; ``studentized`` needs them, for the logarithm where
        `logarithm` says so.
    logarithm : (...) bool, optional
        Where ``studentized`` and ``jackknife`` work in the logarithm.

    Returns
    -------
    low, high : (...) float64

    Raises
    ------
    OptionError
        Code ``option``: the draws lack what this kind needs.
    """
    tail = 0.5 * (1.0 - level_between(level))
    estimate = np.asarray(estimate, dtype=np.float64)
    if interval == "percentile" or len(samples) == 0:
        return _central(samples, tail)
    if interval == "expanded":
        return _central(samples, _NORMAL.cdf(t_quantile(tail, df)))
    if interval == "bca":
        if left_out is None:
            message = "interval='bca' needs the refits that leave one unit out, which these draws do not have"
            raise OptionError(message, argument="interval")
        return _bca(samples, estimate, tail, left_out)
    curved = np.zeros(estimate.shape, dtype=np.bool_) if logarithm is None else logarithm
    if interval == "jackknife":
        if len(samples) < 2:  # no spread, and no degree of freedom
            return np.full(estimate.shape, np.nan), np.full(estimate.shape, np.nan)
        half = -t_quantile(tail, len(samples) - 1.0) * jackknife_error(_scaled(samples, curved))
        middle = _scaled(estimate, curved)
        return _natural(middle - half, curved), _natural(middle + half, curved)
    if errors is None:
        message = "interval='studentized' needs the standard errors of the draws: bootstrap(..., studentize=True)"
        raise OptionError(message, argument="interval")
    own, each = errors
    middle = _scaled(estimate, curved)
    with np.errstate(divide="ignore", invalid="ignore"):
        # What has no error at all, as a fixed parameter, lies at the estimate and is no reason to lose a draw.
        ratio = np.where(own > 0.0, (_scaled(samples, curved) - middle) / each, 0.0)
    usable = np.all(np.isfinite(ratio), axis=tuple(range(1, ratio.ndim)))
    low, high = _central(ratio[usable], tail)
    with np.errstate(over="ignore", invalid="ignore"):  # errors beyond a double make an end that is open
        return _natural(middle - high * own, curved), _natural(middle - low * own, curved)


def jackknife_error(left_out: F64) -> F64:
    """The jackknife's standard error over the first axis (Tukey 1958)."""
    g = len(left_out)
    return np.asarray(np.sqrt((g - 1.0) / g * np.sum((left_out - left_out.mean(axis=0)) ** 2, axis=0)))


def _scaled(values: F64, logarithm: NDArray[np.bool_]) -> F64:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(logarithm, np.log(values), values)


def _natural(values: F64, logarithm: NDArray[np.bool_]) -> F64:
    with np.errstate(over="ignore"):
        return np.where(logarithm, np.exp(np.where(logarithm, values, 0.0)), values)


def _bca(samples: F64, estimate: F64, tail: float, left_out: F64) -> tuple[F64, F64]:
    """Bias-corrected and accelerated percentiles (Efron 1987, equations 2.3 and 7.3)."""
    m = len(samples)
    below = (np.sum(samples < estimate, axis=0) + 0.5 * np.sum(samples == estimate, axis=0)) / m
    below = np.clip(below, 0.5 / m, 1.0 - 0.5 / m)
    bias = _each(_NORMAL.inv_cdf, below)
    # Units in which a refit failed tell nothing about the acceleration.
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        away = np.nansum(left_out, axis=0) / np.sum(~np.isnan(left_out), axis=0) - left_out
        bend = np.nansum(away**3, axis=0) / (6.0 * np.nansum(away**2, axis=0) ** 1.5)
    bend = np.nan_to_num(bend)
    ordered = np.sort(samples, axis=0)
    sides = []
    for z in (_NORMAL.inv_cdf(tail), -_NORMAL.inv_cdf(tail)):
        moved = bias + (bias + z) / np.maximum(1.0 - bend * (bias + z), 1e-3)
        sides.append(_quantile_each(ordered, _each(_NORMAL.cdf, moved)))
    return sides[0], sides[1]


def _each(function: Callable[[float], float], values: F64) -> F64:
    return np.asarray(np.vectorize(function, otypes=[np.float64])(values))


def _quantile_each(ordered: F64, levels: F64) -> F64:
    """Quantiles of sorted samples (m, ...) at levels (...), interpolated as NumPy does."""
    place = np.clip(levels, 0.0, 1.0) * (len(ordered) - 1)
    first = np.floor(place).astype(np.intp)
    second = np.minimum(first + 1, len(ordered) - 1)
    low = np.take_along_axis(ordered, first[None, ...], axis=0)[0]
    high = np.take_along_axis(ordered, second[None, ...], axis=0)[0]
    return np.asarray(low + (high - low) * (place - first))
