r"""Pass rates below one per cent: estimators, the size that a rate needs, and whether a curve is emergent.

PassUntil (Hu et al. 2023) draws answers until r of them pass; after K draws the rate is about r/K, and (r - 1)/(K - 1)
without bias. Under PU(N) = exp(-c N^-alpha) the quantity F = ln(-ln PU) is a straight line in ln N. A curve bent down
is accelerated, one bent up is slower than the law, as multi-step reasoning makes it.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from isoloss.errors import DataError
from isoloss.laws.emergence import PASSUNTIL
from isoloss.rules._rule import Quantity, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ENTRIES", "Curvature", "PassRate", "pass_until", "passuntil_curvature", "passuntil_size"]

F64 = NDArray[np.float64]
_FAMILY = "emergence"


class PassRate(NamedTuple):
    """Two estimates of a pass rate."""

    paper: F64 | float
    unbiased: F64 | float


def _pass_until(successes: F64 | float, draws: F64 | float) -> PassRate:
    r, K = np.asarray(successes), np.asarray(draws)
    if np.any(r > K):
        raise DataError("input 'successes' is above the number of draws", code="rule-domain", column="successes")
    with np.errstate(invalid="ignore", divide="ignore"):
        return PassRate(r / K, np.where(r >= 2.0, (r - 1.0) / np.where(K > 1.0, K - 1.0, 1.0), np.nan))


def pass_until() -> Rule:
    """Pass rate from the number of draws that r passes took.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.rules.get("pass_until")(successes=3, draws=1001)
    PassRate(paper=0.002997002997002997, unbiased=0.002)
    """
    return Rule(
        name="pass_until",
        family=_FAMILY,
        formula=("paper = r / K", "unbiased = (r - 1) / (K - 1)"),
        gives="paper, unbiased: pass rates; unbiased is NaN below two passes",
        function=_pass_until,
        variables={
            "successes": Quantity("1", "passes r that were waited for", low=1.0),
            "draws": Quantity("1", "draws K it took, the last pass included", low=1.0),
        },
        source=PASSUNTIL,
        status="second hand",
        notes=("The paper's r/K is biased upwards, as a reviewer remarked. It stops at 100,000 draws.",),
    )


def _size(rate: F64 | float, c: F64 | float, alpha: F64 | float) -> F64 | float:
    return (c / -np.log(rate)) ** (1.0 / alpha)


def passuntil_size() -> Rule:
    """Model size that a pass rate needs.

    Examples
    --------
    >>> import isoloss as iso
    >>> f"{iso.rules.get('passuntil_size')(rate=0.5, c=1e4, alpha=0.4):.3g}"
    '2.5e+10'
    """
    return Rule(
        name="passuntil_size",
        family=_FAMILY,
        formula=("N = (c / -log(rate))**(1 / alpha)",),
        gives="parameters",
        function=_size,
        variables={"rate": Quantity("1", "pass rate to reach", high=0.999999)},
        parameters={"c": Quantity("1", "-ln of the pass rate at N = 1"), "alpha": Quantity("1", "exponent of size")},
        source=PASSUNTIL,
        status="derived",
        notes=("About 1/rate draws are needed to see one pass; pass@k is 1 - (1 - rate)^k.",),
    )


class Curvature(NamedTuple):
    """Second derivative of F in ln N with an interval, and its name."""

    curvature: float
    low: float
    high: float
    kind: str


def _curvature(N: F64, rate: F64) -> Curvature:
    if np.ndim(N) != 1 or np.shape(N) != np.shape(rate) or np.size(N) < 4:
        raise DataError("inputs 'N' and 'rate' are arrays of one length, four sizes or more", code="data-shape")
    x = np.log(N)
    x = x - x.mean()
    X = np.stack([np.ones_like(x), x, x**2], axis=1)
    y = np.log(-np.log(rate))
    beta, *_ = np.linalg.lstsq(X, y, rcond=None)
    rest = y - X @ beta
    error = np.sqrt(rest @ rest / (y.size - 3) * np.linalg.inv(X.T @ X)[2, 2])
    value, spread = 2.0 * beta[2], 4.0 * error
    low, high = value - spread, value + spread
    return Curvature(
        value, low, high, "standard" if low <= 0.0 <= high else ("sub-scaling" if low > 0 else "accelerated")
    )


def passuntil_curvature() -> Rule:
    """Whether pass rates follow the law, run ahead of it (emergence) or fall behind.

    Examples
    --------
    >>> import isoloss as iso
    >>> import numpy as np
    >>> N = np.geomspace(3e7, 3e9, 6)
    >>> iso.rules.get("passuntil_curvature")(
    ...     N=N, rate=np.exp(-3e3 * N**-0.3 * np.exp(-0.05 * np.log(N / 3e8) ** 2))
    ... ).kind
    'accelerated'
    """
    return Rule(
        name="passuntil_curvature",
        family=_FAMILY,
        formula=("F = log(-log(rate))", "F = c0 + c1 * log(N) + c2 * log(N)**2", "curvature = 2 * c2"),
        gives="curvature, low, high (two standard errors), kind: standard, sub-scaling or accelerated",
        function=_curvature,
        variables={
            "N": Quantity("parameters", "sizes, an array"),
            "rate": Quantity("1", "pass rate of each, an array", high=0.9999999),
        },
        source=PASSUNTIL,
        status="second hand",
        notes=("The paper's account of accelerated curves mixes two circuits; that form could not be read.",),
    )


ENTRIES: Mapping[str, Callable[[], Rule]] = MappingProxyType(
    {"pass_until": pass_until, "passuntil_size": passuntil_size, "passuntil_curvature": passuntil_curvature}
)
"""The rules of this family by name."""
