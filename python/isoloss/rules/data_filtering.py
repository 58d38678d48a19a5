r"""Which share of a data pool to train on, when repeats lose their use.

Goyal et al. (2024): a sample of a pool has a utility b < 0, the exponent of error against samples, that halves every
tau epochs. With X_j samples seen after epoch j = 0, 1, ... of the pools in use, Z = 1e5 and k pools of n samples each,

* utility: error = [(a X_0/Z)^b_0 + d] prod_j (X_j/X_{j-1})^b_j, with b_j the mean over pools of b 2^(-j/(k tau));
* effective data: error = d + (a X_0/Z)^b_0 prod_j (Y_j/Y_{j-1})^b_j, where Y adds the samples of each epoch times the
mean
  of 2^(-j/(k tau)), and b_j is the mean of b weighted by it.

A mixture that was never trained is predicted from the pools alone. Single pools are laws to fit: ``qqt_utility`` and
``qqt_effective``.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from isoloss.errors import DataError, OptionError
from isoloss.law.parts import Published
from isoloss.laws.data_filtering import QQT, READ
from isoloss.rules._rule import Quantity, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ENTRIES", "POOLS", "BestPools", "qqt_best_pools", "qqt_mixture"]

F64 = NDArray[np.float64]
_FAMILY = "data_filtering"
NORMALISER = 1e5

POOLS: Mapping[str, tuple[float, F64, F64]] = MappingProxyType(
    {
        "utility": (0.025, np.array([-0.160, -0.125, -0.100, -0.085]), np.array([6.727, 8.545, 5.273, 2.273])),
        "effective": (
            0.022,
            np.array([-0.18227, -0.14485, -0.13530, -0.09758]),
            np.array([4.0, 4.3636, 2.9091, 1.4545]),
        ),
    }
)
"""By model: a, then b and tau of the T-MARS pools from the best tenth to the fourth, ImageNet-1k."""


def _one(model: str, x: float, n: float, a: float, b: F64, tau: F64, d: float) -> float:
    if model not in POOLS:
        message = f"input 'model': {model!r} is neither 'utility' nor 'effective'"
        raise OptionError(message, argument="model")
    k = b.size
    size = n * k
    epochs = np.arange(int(np.ceil(x / size)))
    seen = np.minimum(size * (epochs + 1.0), x)
    left = 0.5 ** (epochs[:, None] / (k * tau))
    if model == "utility":
        exponent = (b * left).mean(axis=1)
        return float(((a * seen[0] / NORMALISER) ** exponent[0] + d) * np.prod((seen[1:] / seen[:-1]) ** exponent[1:]))
    exponent = (b * left).sum(axis=1) / left.sum(axis=1)
    useful = np.cumsum(np.diff(seen, prepend=0.0) * left.mean(axis=1))
    first = (a * seen[0] / NORMALISER) ** exponent[0]
    return float(first * np.prod((useful[1:] / useful[:-1]) ** exponent[1:]) + d)


def _mixture(
    x: F64 | float, n: float, model: str, pools: float, a: float | None, b: F64 | None, tau: F64 | None, d: float
) -> F64:
    given = POOLS.get(model, POOLS["utility"])
    scale = given[0] if a is None else a
    utility = np.atleast_1d(given[1][: int(pools)] if b is None else np.asarray(b))
    half_life = np.atleast_1d(given[2][: int(pools)] if tau is None else np.asarray(tau))
    if utility.shape != half_life.shape or utility.ndim != 1:
        raise DataError("inputs 'b' and 'tau' hold one value for each pool", code="data-shape")
    error = np.vectorize(lambda samples: _one(model, samples, n, scale, utility, half_life, d), otypes=[np.float64])
    return np.asarray(error(x))


_X = {"x": Quantity("samples", "samples seen in training"), "n": Quantity("samples", "samples in a pool", 12.8e6)}
_MODEL = Quantity("", "'utility' or 'effective' data", "utility", numeric=False)
_D = Quantity("1", "irreducible error", 0.1, 0.0, positive=False)
_PRECISION = "mean squared error of the fits: 2.90e-5 (utility), 2.53e-5 (effective data)"


def qqt_mixture() -> Rule:
    """Error of training on the best k pools, repeats and all.

    Examples
    --------
    >>> import isoloss as iso
    >>> rule = iso.rules.get("qqt_mixture")
    >>> [round(rule(x=128e6, pools=k), 4) for k in (1, 2, 3, 4)]
    [0.7127, 0.704, 0.7323, 0.7587]
    """
    return Rule(
        name="qqt_mixture",
        family=_FAMILY,
        formula=(
            "utility: error = ((a X_0/Z)^b_0 + d) prod_j (X_j/X_{j-1})^b_j",
            "effective: error = (a X_0/Z)^b_0 prod_j (Y_j/Y_{j-1})^b_j + d",
            "b_j = mean over pools of b_i 2^(-j/(k tau_i)); for effective data divided by the mean of 2^(-j/(k tau_i))",
        ),
        latex_lines=(
            (
                r"\left[\left(\frac{a X_0}{Z}\right)^{b_0} + d\right] "
                r"\prod_{j \ge 1} \left(\frac{X_j}{X_{j-1}}\right)^{b_j}"
            ),
            r"b_j = \frac{1}{k} \sum_i b_i\, 2^{-j / (k \tau_i)}",
        ),
        gives="error, 0 to 1",
        function=_mixture,
        variables=_X,
        parameters={
            "model": _MODEL,
            "pools": Quantity("pools", "how many of the best published pools, 1 to 4", 1.0, 1.0, 4.0),
            "a": Quantity("1", "scale of the samples; published if left out", optional=True),
            "b": Quantity("1", "utility of each pool, an array", high=0.0, positive=False, optional=True),
            "tau": Quantity("epochs", "half-life of each pool, an array", optional=True),
            "d": _D,
        },
        source=QQT,
        status="verified",
        published={
            "tmars_best_tenth": Published(
                {"a": 0.025, "b": -0.160, "tau": 6.727, "d": 0.1}, READ, note="the utility model"
            )
        },
        notes=(
            (
                "All pools of the mixture have n samples. In the utility model d stands inside the product, as in the "
                "code: "
                "the floor decays too."
            ),
            f"Published pools: T-MARS on DataComp, top 0-10 % to 30-40 %, ImageNet-1k; {_PRECISION}.",
        ),
    )


class BestPools(NamedTuple):
    """The best number of pools, and the error of each number."""

    pools: int
    error: float
    errors: F64


def _best(x: float, n: float, model: str, d: float) -> BestPools:
    if np.ndim(x) != 0:
        raise DataError("input 'x' is one number here", code="data-shape")
    errors = np.array([float(_mixture(x, n, model, k, None, None, None, d)) for k in range(1, 5)])
    best = int(np.argmin(errors))
    return BestPools(best + 1, float(errors[best]), errors)


def qqt_best_pools() -> Rule:
    """How much to keep for a number of samples to be seen.

    Examples
    --------
    >>> import isoloss as iso
    >>> rule = iso.rules.get("qqt_best_pools")
    >>> [rule(x=x, model="effective").pools for x in (32e6, 128e6, 640e6)]
    [1, 2, 3]
    """
    return Rule(
        name="qqt_best_pools",
        family=_FAMILY,
        formula=("pools = arg min over k of error(best k pools)",),
        latex_lines=(r"\arg\min_k\ \mathrm{error}(x, k)",),
        gives="pools (tenths of the data), error, errors of 1 to 4 pools",
        function=_best,
        variables=_X,
        parameters={"model": _MODEL, "d": _D},
        source=QQT,
        status="verified",
        notes=("The more compute, the more of the lower-quality data is worth having.",),
    )


ENTRIES: Mapping[str, Callable[[], Rule]] = MappingProxyType(
    {"qqt_mixture": qqt_mixture, "qqt_best_pools": qqt_best_pools}
)
"""The rules of this family by name."""
