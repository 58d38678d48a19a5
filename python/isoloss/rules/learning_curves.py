r"""From learning curves: data for an error, dimension of the data, regimes, and the exact curve of a kernel.

The curve of kernel regression with spectrum lambda_i (Bahri et al. 2021) solves 1 = sum_i lambda_i / (kappa + D
lambda_i) for kappa; with gamma = sum_i D lambda_i^2 / (kappa + D lambda_i)^2 the loss is
kappa^2 / (1 - gamma) sum_i lambda_i w_i^2 / (kappa + D lambda_i)^2.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from isoloss.errors import DataError
from isoloss.law.parts import Published
from isoloss.laws.learning_curves import BAHRI, HESTNESS
from isoloss.laws.time_series import TSFM
from isoloss.rules._rule import Quantity, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "ENTRIES",
    "Regime",
    "gain_per_doubling",
    "hestness_data",
    "kernel_learning_curve",
    "manifold_dimension",
    "scaling_regime",
]

F64 = NDArray[np.float64]
_FAMILY = "learning_curves"


def _data(error: F64 | float, a: F64 | float, beta: F64 | float, g: F64 | float) -> F64 | float:
    if np.any(np.asarray(error) <= g):
        message = (
            f"input 'error': {np.min(error):g} is not above the floor g = {np.max(g):g}; no amount of data reaches it"
        )
        raise DataError(message, code="rule-domain", column="error", value=float(np.min(error)))
    return ((error - g) / a) ** (1.0 / beta)


def hestness_data() -> Rule:
    """Samples that an error needs, ((error - g)/a)^(1/beta).

    Examples
    --------
    >>> import isoloss as iso
    >>> rule = iso.rules.get("hestness_data")
    >>> round(rule("machine_translation", error=0.5, a=1.0) / rule("machine_translation", error=1.0, a=1.0))  # halving
    225
    """
    told = "an account of the paper"
    exponents = {
        "machine_translation": (-0.128, "best of all sizes"),
        "imagenet_top1": (-0.309, ""),
        "imagenet_top5": (-0.488, ""),
        "speech": (-0.299, "Deep Speech 2"),
    }
    return Rule(
        name="hestness_data",
        family=_FAMILY,
        formula=("m = ((error - g) / a)**(1 / beta)",),
        gives="training samples",
        function=_data,
        variables={"error": Quantity("1", "error to reach")},
        parameters={
            "a": Quantity("1", "scale of the error"),
            "beta": Quantity("1", "exponent of data", high=0.0, positive=False),
            "g": Quantity("1", "error that the model cannot go below", 0.0, 0.0, positive=False),
        },
        source=HESTNESS,
        status="second hand",
        published={
            key: Published({"beta": beta}, f"{told}, not the paper itself", second_hand=True, note=note)
            for key, (beta, note) in exponents.items()
        },
        notes=("Language models: exponents of -0.06 to -0.09 by the same account.",),
    )


def manifold_dimension() -> Rule:
    """Dimension of the data manifold that an exponent implies, d = n/alpha.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.rules.get("manifold_dimension")(alpha=0.25)
    16.0
    """
    return Rule(
        name="manifold_dimension",
        family=_FAMILY,
        formula=("d = n / alpha",),
        gives="dimension",
        function=lambda alpha, n: n / alpha,
        variables={"alpha": Quantity("1", "exponent of a resolution-limited curve")},
        parameters={"n": Quantity("1", "order of the first term that does not vanish", 4.0, 1.0)},
        source=BAHRI,
        status="form verified",
        published={"piecewise_linear": Published({"n": 4.0}, "arXiv:2102.06701, the generic case")},
        notes=("An estimate; the bound alpha >= 1/d is n = 1.",),
    )


def gain_per_doubling() -> Rule:
    """Share of a power law that a doubling takes off, 1 - 2^-alpha.

    Examples
    --------
    >>> import isoloss as iso
    >>> gain = iso.rules.get("gain_per_doubling")
    >>> round(gain(alpha=0.094) / gain(alpha=0.029), 1)  # data in and out of distribution
    3.2
    """
    return Rule(
        name="gain_per_doubling",
        family="time_series",
        formula=("gain = 1 - 2**-alpha",),
        gives="share of the loss above its floor",
        function=lambda alpha: -np.expm1(-alpha * np.log(2.0)),
        variables={"alpha": Quantity("1", "exponent, of loss falling with N, D or C")},
        source=TSFM,
        status="derived",
        notes=("In distribution data count three to five times more than out of it; encoders' sizes twice decoders'.",),
    )


def _kernel(D: F64 | float, alpha_K: float, modes: float) -> F64:
    spectrum = np.arange(1.0, modes + 1.0) ** -(1.0 + alpha_K)
    return np.array([_kernel_point(samples, spectrum) for samples in np.ravel(D)]).reshape(np.shape(D))


def _kernel_point(D: float, spectrum: F64) -> float:
    # The sum falls from modes / D at kappa = 0 to nothing: bisection in ln kappa.
    low, high = np.log(1e-30), np.log(spectrum.sum())
    while high - low > 1e-13 * max(1.0, abs(low)):
        middle = 0.5 * (low + high)
        inside = (spectrum / (np.exp(middle) + D * spectrum)).sum() > 1.0
        low, high = (middle, high) if inside else (low, middle)
    kappa = float(np.exp(0.5 * (low + high)))
    share = spectrum / (kappa + D * spectrum)
    gamma = D * (share**2).sum()
    return float(kappa**2 / (1.0 - gamma) * (share**2 / spectrum).sum())


def kernel_learning_curve() -> Rule:
    """The exact learning curve of kernel regression with a power-law spectrum.

    Examples
    --------
    >>> import isoloss as iso
    >>> curve = iso.rules.get("kernel_learning_curve")
    >>> curve(D=[100, 1000], alpha_K=1.0, modes=20000).round(3)
    array([0.024, 0.002])
    """
    return Rule(
        name="kernel_learning_curve",
        family=_FAMILY,
        formula=(
            "1 = sum_i lambda_i / (kappa + D lambda_i)",
            "gamma = sum_i D lambda_i^2 / (kappa + D lambda_i)^2",
            "L = kappa^2 / (1 - gamma) * sum_i lambda_i / (kappa + D lambda_i)^2",
            "lambda_i = i^-(1 + alpha_K)",
        ),
        latex_lines=(
            r"1 = \sum_i \frac{\lambda_i}{\kappa + D \lambda_i}",
            r"\gamma = \sum_i \frac{D \lambda_i^2}{(\kappa + D \lambda_i)^2}",
            r"L = \frac{\kappa^2}{1 - \gamma} \sum_i \frac{\lambda_i}{(\kappa + D \lambda_i)^2}",
            r"\lambda_i = i^{-(1 + \alpha_K)}",
        ),
        gives="loss",
        function=_kernel,
        variables={"D": Quantity("samples", "training samples")},
        parameters={
            "alpha_K": Quantity("1", "exponent of the spectrum, and of the curve while D << modes"),
            "modes": Quantity("1", "number of modes kept", 2e5, 1.0, 1e7),
        },
        source=BAHRI,
        status="form verified",
        notes=("The teacher has weight 1 in every mode.",),
    )


class Regime(NamedTuple):
    """Exponent of a curve with an interval, and what it means."""

    exponent: float
    low: float
    high: float
    regime: str


def _regime(x: F64, loss: F64, L_inf: float) -> Regime:
    y = np.asarray(loss) - L_inf
    if np.ndim(x) != 1 or np.shape(x) != np.shape(y) or np.size(x) < 3:
        raise DataError("inputs 'x' and 'loss' are curves of one length, three points or more", code="data-shape")
    if np.any(y <= 0.0):
        raise DataError("input 'loss' is not above L_inf everywhere", code="rule-domain", column="loss")
    X, Y = np.log(x), np.log(y)
    X = X - X.mean()
    slope = (X @ Y) / (X @ X)
    rest = Y - Y.mean() - slope * X
    # Rounding alone leaves a curve without noise some 1e-12 beside its exponent.
    error = np.sqrt(rest @ rest / (Y.size - 2) / (X @ X)) + 1e-9
    low, high = -slope - 2.0 * error, -slope + 2.0 * error
    word = "variance-limited" if low <= 1.0 <= high else ("resolution-limited" if high < 1.0 else "steeper than both")
    return Regime(-slope, low, high, word)


def scaling_regime() -> Rule:
    """Which of the regimes a curve is in, by its exponent.

    Examples
    --------
    >>> import isoloss as iso
    >>> import numpy as np
    >>> x = np.geomspace(100, 10000, 8)
    >>> iso.rules.get("scaling_regime")(x=x, loss=0.5 + 3 / x, L_inf=0.5).regime
    'variance-limited'
    """
    return Rule(
        name="scaling_regime",
        family=_FAMILY,
        formula=("log(loss - L_inf) = c - alpha * log(x)",),
        gives="exponent, low, high (two standard errors), regime",
        function=_regime,
        variables={
            "x": Quantity("any", "data, width or parameters, an array"),
            "loss": Quantity("any", "loss at each x, an array"),
            "L_inf": Quantity("any", "limit of the loss at unlimited x, measured", 0.0, positive=False),
        },
        source=BAHRI,
        status="derived",
        notes=(
            (
                "Exponent 1 is limited by variance, with the measured limit subtracted; less is limited by resolution, "
                "where "
                "L_inf is 0."
            ),
        ),
    )


ENTRIES: Mapping[str, Callable[[], Rule]] = MappingProxyType(
    {
        "hestness_data": hestness_data,
        "manifold_dimension": manifold_dimension,
        "gain_per_doubling": gain_per_doubling,
        "kernel_learning_curve": kernel_learning_curve,
        "scaling_regime": scaling_regime,
    }
)
"""The rules of this family by name."""
