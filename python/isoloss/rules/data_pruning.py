r"""Pruning of training data in the teacher-student perceptron: how much of the hard examples to keep.

Sorscher et al. (2022). A student of N weights learns from P examples of a teacher by largest margin; only the fraction
f of smallest margin is kept, alpha = f P / N examples per weight. With R the overlap of student and teacher and kappa
the margin, gamma = Hinv((1 - f)/2), H(x) the Gaussian tail, s^2 = 1 - R^2 and Dt the Gaussian measure,

    R   = 2 alpha / (f sqrt(2 pi) s) Int_{-inf}^{kappa} Dt exp(-R^2 t^2 / (2 s^2))
              [1 - exp(-gamma (gamma - 2 R t) / (2 s^2))] (kappa - t)
    s^2 = 2 alpha / f Int_{-inf}^{kappa} Dt [H(-R t / s) - H(-(R t - gamma) / s)] (kappa - t)^2

for a probe that ranks examples as the teacher would. The error is arccos(R) / pi. Without pruning gamma is infinite. A
probe at an angle theta to the teacher takes a third unknown, its overlap with the student, see
`isoloss.rules._imperfect_probe`.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from isoloss.law.parts import Source
from isoloss.rules._imperfect_probe import probe_error, upper_tail
from isoloss.rules._rule import Quantity, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ENTRIES", "Keep", "best_keep_fraction", "free_keep_fraction", "perceptron_pruning"]

F64 = NDArray[np.float64]
_FAMILY = "data_pruning"
SORSCHER = Source(
    "Beyond neural scaling laws: beating power law scaling via data pruning", "2206.14486", "Sorscher et al.", 2022
)
_LEFT, _RIGHT = -9.0, 9.0
_COARSE = np.linspace(_LEFT, _RIGHT, 1801)
_FINE = np.linspace(-9.0, 9.0, 541)


_THETA = Quantity("radians", "angle between teacher and the probe that ranks", 0.0, 0.0, 1.55, positive=False)


def _mismatch(angle: float, alpha: float, f: float, gamma: float) -> float:
    """Right minus left side of the first equation, at the margin that solves the second.

    Both integrals are polynomials in kappa over running moments of their weights, so one pass over the nodes serves
    every kappa.
    """
    R, s = math.cos(math.pi * angle), math.sin(math.pi * angle)
    # Where the weights change within s of 0 and of gamma the nodes are dense.
    places = [_COARSE, s * _FINE] + ([gamma + s * _FINE] if math.isfinite(gamma) else [])
    t = np.unique(np.clip(np.concatenate(places), _LEFT, _RIGHT))
    density = np.exp(-0.5 * t * t) / math.sqrt(2.0 * math.pi)
    kept = 1.0 - upper_tail(R * t / s) if math.isinf(gamma) else upper_tail((R * t - gamma) / s) - upper_tail(R * t / s)
    pull = np.exp(-((R * t) ** 2) / (2.0 * s * s))
    if math.isfinite(gamma):
        # exp(a) - exp(b) with one exponent: the second alone overflows where t is large.
        pull = pull - np.exp(-((R * t) ** 2 + gamma * (gamma - 2.0 * R * t)) / (2.0 * s * s))
    m = _running(density * kept, t, 2)
    margin = 2.0 * alpha / f * (t * t * m[0] - 2.0 * t * m[1] + m[2]) - s * s
    above = int(np.searchsorted(margin > 0.0, True))
    if above in (0, t.size):
        return math.inf if above == 0 else -math.inf
    low, high = margin[above - 1], margin[above]
    kappa = t[above - 1] - low * (t[above] - t[above - 1]) / (high - low)
    m = _running(density * pull, t, 1)
    side = np.interp(kappa, t, kappa * m[0] - m[1])
    return float(2.0 * alpha / (f * math.sqrt(2.0 * math.pi) * s) * side - R)


def _running(weight: F64, t: F64, order: int) -> list[F64]:
    """Integrals of weight t^k from the left up to each node."""
    step = np.diff(t)
    moments = []
    for power in range(order + 1):
        y = weight * t**power
        moments.append(np.concatenate([[0.0], np.cumsum(0.5 * (y[1:] + y[:-1]) * step)]))
    return moments


def _error(alpha: float, f: float, theta: float) -> float:
    gamma = math.inf if f >= 1.0 else NormalDist().inv_cdf(0.5 + f / 2.0)
    if theta > 0.0 and f < 1.0:
        return probe_error(alpha, f, theta, gamma)
    # Too small an angle asks for more overlap than the data give: the mismatch is negative there. False position in the
    # logarithm of the angle, the older end halved (Illinois), and bisection while an end has no finite mismatch.
    low, high = math.log(1e-5), math.log(0.4999)
    at_low, at_high, side = -math.inf, math.inf, 0
    for _ in range(60):
        if math.isfinite(at_low) and math.isfinite(at_high):
            middle = (low * at_high - high * at_low) / (at_high - at_low)
        else:
            middle = 0.5 * (low + high)
        value = _mismatch(math.exp(middle), alpha, f, gamma)
        if value < 0.0:
            low, at_low = middle, value
            at_high = 0.5 * at_high if side < 0 else at_high
            side = -1
        else:
            high, at_high = middle, value
            at_low = 0.5 * at_low if side > 0 else at_low
            side = 1
        if abs(value) < 1e-12 or high - low < 1e-10:
            break
    return math.exp(middle)


def _errors(alpha: F64 | float, f: F64 | float, theta: F64 | float) -> F64:
    errors: F64 = np.vectorize(_error, otypes=[np.float64])(alpha, f, theta)
    return errors


def perceptron_pruning() -> Rule:
    """Error of the perceptron trained on the hardest fraction f of the data.

    Examples
    --------
    >>> import isoloss as iso
    >>> error = iso.rules.get("perceptron_pruning")
    >>> round(error(alpha=4.0, f=1.0), 4), round(error(alpha=4.0, f=0.3), 4)
    (0.1137, 0.0373)
    >>> round(error(alpha=4.0, f=0.3, theta=0.3), 4)  # by a probe 17 degrees off
    0.0631
    """
    return Rule(
        name="perceptron_pruning",
        family=_FAMILY,
        formula=(
            (
                "R = 2 alpha/(f sqrt(2 pi) s) Int_{t<kappa} Dt exp(-R^2 t^2/(2 s^2)) "
                "[1 - exp(-gamma (gamma - 2 R t)/(2 s^2))] (kappa - t)"
            ),
            "s^2 = 1 - R^2 = 2 alpha/f Int_{t<kappa} Dt [H(-R t/s) - H(-(R t - gamma)/s)] (kappa - t)^2",
            "error = arccos(R) / pi",
            "theta > 0: kappa(R, rho) largest, s^2 = 1 - (R^2 + rho^2 - 2 R rho cos(theta)) / sin(theta)^2",
        ),
        latex_lines=(
            (
                r"R = \frac{2 \alpha}{f \sqrt{2 \pi} s} \int_{-\infty}^{\kappa} Dt\, e^{-R^2 t^2 / 2 s^2} "
                r"\left[1 - e^{-\gamma (\gamma - 2 R t) / 2 s^2}\right] (\kappa - t)"
            ),
            (
                r"s^2 = 1 - R^2 = \frac{2 \alpha}{f} \int_{-\infty}^{\kappa} Dt "
                r"\left[H\left(-\frac{R t}{s}\right) - H\left(-\frac{R t - \gamma}{s}\right)\right] (\kappa - t)^2"
            ),
            r"\varepsilon = \frac{1}{\pi} \arccos R",
            (
                r"\theta > 0:\quad s^2 = 1 - \frac{R^2 + \rho^2 - 2 R \rho \cos\theta}{\sin^2\theta} = "
                r"\frac{2 \alpha}{f}\, \mathbb{E}\left[(\kappa - h)_+^2;\ a > 0, \left|z\right| < \gamma\right], \quad "
                r"\frac{\partial \kappa}{\partial R} = \frac{\partial \kappa}{\partial \rho} = 0"
            ),
        ),
        gives="generalisation error, 0 to 0.5",
        function=_errors,
        variables={
            "alpha": Quantity("1", "kept examples per weight", low=0.05, high=1e3),
            "f": Quantity("1", "fraction kept, the hardest first", 1.0, 0.02, 1.0),
            "theta": _THETA,
        },
        source=SORSCHER,
        status="derived",
        notes=(
            (
                "The equations of the replica theory, confirmed by simulation of largest-margin students. For a probe "
                "at an angle they are derived here as the largest margin over the two overlaps, which gives the three "
                "equations printed in the paper's appendix."
            ),
            "With many data and fixed f the error tends to 0.5 f / alpha: pruning by a perfect probe is then free.",
            "By a probe at an angle it is not: below some fraction, the larger the angle the sooner, the error rises.",
            "Empirical constants of the paper's curves could not be read.",
        ),
    )


class Keep(NamedTuple):
    """The best fraction to keep."""

    fraction: F64 | float
    error: F64 | float
    error_random: F64 | float


_LEAST = 0.02
_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0


def _best(alpha: float, theta: float) -> Keep:
    def error(log_f: float) -> float:
        return _error(alpha, min(1.0, math.exp(log_f)), theta)

    grid = np.linspace(math.log(_LEAST), 0.0, 9)
    values = [error(x) for x in grid]
    best = int(np.argmin(values))
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, grid.size - 1)]
    # Golden section: within the bracket there is one valley.
    a, b = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_a, at_b = error(a), error(b)
    for _ in range(8):
        if at_a < at_b:
            high, b, at_b = b, a, at_a
            a = high - _GOLDEN * (high - low)
            at_a = error(a)
        else:
            low, a, at_a = a, b, at_b
            b = low + _GOLDEN * (high - low)
            at_b = error(b)
    found, value = (a, at_a) if at_a < at_b else (b, at_b)
    if values[best] <= value:
        found, value = float(grid[best]), values[best]
    return Keep(min(1.0, math.exp(found)), value, values[-1])


def _bests(alpha: F64 | float, theta: F64 | float) -> Keep:
    alpha, theta = np.broadcast_arrays(alpha, theta)
    kept = [_best(float(load), float(angle)) for load, angle in zip(alpha.flat, theta.flat, strict=True)]
    fraction, error, random = (np.reshape(column, alpha.shape) for column in zip(*kept, strict=True))
    return Keep(fraction, error, random)


def best_keep_fraction() -> Rule:
    """From how large a pool to choose the hardest examples, for a number of examples to train on.

    Examples
    --------
    >>> import isoloss as iso
    >>> rule = iso.rules.get("best_keep_fraction")
    >>> rule(alpha=0.5).fraction  # few examples: take them at random
    1.0
    >>> keep = rule(alpha=1.5)
    >>> round(keep.fraction, 2), round(keep.error, 3), round(keep.error_random, 3)
    (0.7, 0.206, 0.222)
    """
    return Rule(
        name="best_keep_fraction",
        family=_FAMILY,
        formula=("fraction = arg min over f of error(alpha, f)",),
        latex_lines=(r"\arg\min_f\ \varepsilon\left(\alpha, f\right)",),
        gives="fraction of the pool to keep, error, error_random: error at it and without choosing",
        function=_bests,
        variables={"alpha": Quantity("1", "examples to train on, per weight", low=0.05, high=1e3), "theta": _THETA},
        source=SORSCHER,
        status="derived",
        notes=(
            (
                "Fractions down to 0.02 are tried. With few examples the hard ones are worse than random ones; with "
                "more, the "
                "best fraction falls fast."
            ),
        ),
    )


def _free(alpha_total: float, theta: float, tolerance: float) -> float:
    allowed = (1.0 + tolerance) * _error(alpha_total, 1.0, theta)
    least = max(_LEAST, 0.05 / alpha_total)
    low, high = math.log(least), 0.0
    if _error(least * alpha_total, least, theta) <= allowed:
        return least
    while high - low > 1e-3:
        middle = 0.5 * (low + high)
        f = math.exp(middle)
        low, high = (low, middle) if _error(f * alpha_total, f, theta) <= allowed else (middle, high)
    return math.exp(high)


def free_keep_fraction() -> Rule:
    """The least fraction of a data set that is as good as all of it.

    Examples
    --------
    >>> import isoloss as iso
    >>> rule = iso.rules.get("free_keep_fraction")
    >>> [round(rule(alpha_total=alpha), 2) for alpha in (2, 8, 32)]
    [0.89, 0.42, 0.12]
    """
    return Rule(
        name="free_keep_fraction",
        family=_FAMILY,
        formula=("error(f * alpha_total, f) = (1 + tolerance) * error(alpha_total, 1)",),
        latex_lines=(
            (
                r"\varepsilon\left(f \alpha_{\mathrm{total}}, f\right) \le "
                r"(1 + \mathrm{tolerance})\, \varepsilon\left(\alpha_{\mathrm{total}}, 1\right)"
            ),
        ),
        gives="fraction of the data, the hardest first",
        function=np.vectorize(_free, otypes=[np.float64]),
        variables={
            "alpha_total": Quantity("1", "examples per weight before pruning", low=0.1, high=1e3),
            "theta": _THETA,
        },
        parameters={"tolerance": Quantity("1", "rise of the error allowed", 0.01, 1e-4, 10.0)},
        source=SORSCHER,
        status="derived",
        notes=(
            (
                "What is left over is bought for nothing: by a perfect probe kept examples need to grow with the "
                "logarithm of the data only."
            ),
        ),
    )


ENTRIES: Mapping[str, Callable[[], Rule]] = MappingProxyType(
    {
        "perceptron_pruning": perceptron_pruning,
        "best_keep_fraction": best_keep_fraction,
        "free_keep_fraction": free_keep_fraction,
    }
)
"""The rules of this family by name."""
