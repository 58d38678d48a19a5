"""Losses beyond the three common ones: smooth robust, one-sided, quantiles, pass counts. See `isoloss.objective`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from isoloss.errors import OptionError
from isoloss.objective.base import Objective, Space, Wide

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["AsymmetricHuber", "Binomial", "Cauchy", "Expectile", "LogCosh", "Quantile", "SoftL1"]


@dataclass(frozen=True)
class SoftL1(Wide):
    """A smooth Huber: ``delta^2 (sqrt(1 + (r / delta)^2) - 1)``, r^2 / 2 near zero and delta ``|r|`` far from it.

    Also known as pseudo-Huber. SciPy's ``least_squares(loss="soft_l1", f_scale=delta)`` minimises the same sum.

    Parameters
    ----------
    delta : float or "auto"
        Where the quadratic part ends, in units of the residual; ``"auto"`` takes it from the data (`isoloss.fit`).
    space : {"log", "raw", "logit"}
        Where residuals are taken.

    Raises
    ------
    OptionError
        Code ``objective-unknown``: `delta` is not above zero, or the space is unknown.

    Examples
    --------
    >>> import isoloss as iso
    >>> round(iso.objective.SoftL1(0.1, space="raw").value([1.0, 2.0], [1.0, 2.5]), 9)
    0.040990195
    """

    kind: ClassVar[str] = "soft_l1"

    def _rho_in_words(self) -> str:
        return f"soft L1 ({self._width_in_words()})"

    def rho(self, residual: NDArray[np.float64]) -> NDArray[np.float64]:
        """delta^2 (sqrt(1 + (r / delta)^2) - 1)."""
        # r^2 / (s + 1) is delta^2 (s - 1) without the cancellation.
        return np.asarray(residual * residual / (np.hypot(1.0, residual / self.width) + 1.0))

    def _slopes(self, residual: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        s = np.hypot(1.0, residual / self.width)
        return np.asarray(residual / s), np.asarray(s**-3.0)


@dataclass(frozen=True)
class Cauchy(Wide):
    """The logarithm of a Cauchy density: ``delta^2 / 2 ln(1 + (r / delta)^2)``; far residuals hardly count.

    The sum is not convex even where the law is linear: look at `Fit.basins`. SciPy's
    ``least_squares(loss="cauchy", f_scale=delta)`` minimises the same sum.

    Parameters
    ----------
    delta : float or "auto"
        Where residuals begin to lose influence; ``"auto"`` takes it from the data (`isoloss.fit`).
    space : {"log", "raw", "logit"}
        Where residuals are taken.

    Raises
    ------
    OptionError
        Code ``objective-unknown``: `delta` is not above zero, or the space is unknown.

    Examples
    --------
    >>> import isoloss as iso
    >>> round(iso.objective.Cauchy(0.1, space="raw").value([1.0, 2.0], [1.0, 2.5]), 9)
    0.016290483
    """

    kind: ClassVar[str] = "cauchy"

    def _rho_in_words(self) -> str:
        return f"Cauchy ({self._width_in_words()})"

    def rho(self, residual: NDArray[np.float64]) -> NDArray[np.float64]:
        """delta^2 / 2 ln(1 + (r / delta)^2)."""
        u = residual / self.width
        return np.asarray(0.5 * self.width**2 * np.log1p(u * u))

    def _slopes(self, residual: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        squared = (residual / self.width) ** 2
        shrink = 1.0 / (1.0 + squared)
        return np.asarray(residual * shrink), np.asarray((1.0 - squared) * shrink * shrink)


@dataclass(frozen=True)
class LogCosh(Wide):
    """A smooth Huber with all derivatives: ``delta^2 ln cosh(r / delta)``.

    Parameters
    ----------
    delta : float or "auto"
        Where the quadratic part ends; ``"auto"`` takes it from the data (`isoloss.fit`).
    space : {"log", "raw", "logit"}
        Where residuals are taken.

    Raises
    ------
    OptionError
        Code ``objective-unknown``: `delta` is not above zero, or the space is unknown.

    Examples
    --------
    >>> import isoloss as iso
    >>> round(iso.objective.LogCosh(0.1, space="raw").value([1.0, 2.0], [1.0, 2.5]), 9)
    0.043068982
    """

    kind: ClassVar[str] = "log_cosh"

    def _rho_in_words(self) -> str:
        return f"log cosh ({self._width_in_words()})"

    def rho(self, residual: NDArray[np.float64]) -> NDArray[np.float64]:
        """delta^2 ln cosh(r / delta)."""
        size = np.abs(residual / self.width)
        # Two forms of ln cosh: the first loses digits far from zero (and its tanh rounds to 1), the second near it.
        near = -0.5 * np.log1p(-(np.tanh(np.minimum(size, 1.0)) ** 2))
        far = size + np.log1p(np.exp(-2.0 * size)) - math.log(2.0)
        return np.asarray(self.width**2 * np.where(size < 1.0, near, far))

    def _slopes(self, residual: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        t = np.tanh(residual / self.width)
        return np.asarray(self.width * t), np.asarray(1.0 - t * t)


def _checked_cost(objective: AsymmetricHuber | Expectile) -> None:
    """Store the cost of over-prediction as a float, or refuse it."""
    over = objective.over
    if isinstance(over, (str, bool)) or not (math.isfinite(over) and over > 0.0):
        message = f"over={over!r} is no cost of over-prediction above zero"
        raise OptionError(message, code="objective-unknown", over=over)
    object.__setattr__(objective, "over", float(over))


@dataclass(frozen=True)
class AsymmetricHuber(Wide):
    """Huber in which over-prediction costs `over` times as much: the law then tends to lie below the measured losses.

    Parameters
    ----------
    delta : float or "auto"
        Width of the quadratic part; ``"auto"`` takes it from the data (`isoloss.fit`).
    space : {"log", "raw", "logit"}
        Where residuals are taken.
    over : float
        Cost of a prediction above the measurement relative to one below; above zero.

    Raises
    ------
    OptionError
        Code ``objective-unknown``: `delta` or `over` is not above zero, or the space is unknown.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.objective.AsymmetricHuber(0.1, over=3.0, space="raw").value([1.5, 1.5], [1.0, 1.5])
    0.135
    """

    kind: ClassVar[str] = "asymmetric_huber"
    over: float = field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        _checked_cost(self)

    @property
    def name(self) -> str:
        """Short name such as ``asymmetric_huber_log:3``."""
        return f"{super().name}:{self.over!r}"

    @property
    def shape(self) -> float:
        """The cost of over-prediction."""
        return self.over

    def _rho_in_words(self) -> str:
        return f"Huber ({self._width_in_words()}, over-prediction costs {self.over:g} times)"

    def rho(self, residual: NDArray[np.float64]) -> NDArray[np.float64]:
        """Huber, times `over` where the residual is positive."""
        size = np.abs(residual)
        delta = self.width
        huber = np.where(size <= delta, 0.5 * size * size, delta * (size - 0.5 * delta))
        return np.where(residual > 0.0, self.over, 1.0) * huber

    def _slopes(self, residual: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        side = np.where(residual > 0.0, self.over, 1.0)
        inside = np.abs(residual) <= self.width
        return side * np.clip(residual, -self.width, self.width), side * inside


@dataclass(frozen=True)
class Expectile(Objective):
    """Halved squares in which over-prediction costs `over` times as much (Newey and Powell 1987).

    Parameters
    ----------
    over : float
        Cost of a prediction above the measurement relative to one below; above zero. The fitted expectile is
        1 / (1 + over).
    space : {"log", "raw", "logit"}
        Where residuals are taken; by name.

    Raises
    ------
    OptionError
        Code ``objective-unknown``: `over` is not above zero, or the space is unknown.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.objective.Expectile(3.0, space="raw").value([1.5, 1.5], [1.0, 2.0])
    0.5
    """

    kind: ClassVar[str] = "expectile"
    space: Space = field(default="log", kw_only=True)
    over: float

    def __post_init__(self) -> None:
        super().__post_init__()
        _checked_cost(self)

    @property
    def name(self) -> str:
        """Short name such as ``expectile_log:3``."""
        return f"{super().name}:{self.over!r}"

    @property
    def shape(self) -> float:
        """The cost of over-prediction."""
        return self.over

    def _rho_in_words(self) -> str:
        return f"halved squared residuals (over-prediction costs {self.over:g} times)"

    def rho(self, residual: NDArray[np.float64]) -> NDArray[np.float64]:
        """r^2 / 2, times `over` where the residual is positive."""
        return np.where(residual > 0.0, 0.5 * self.over, 0.5) * residual * residual

    def _slopes(self, residual: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        side = np.where(residual > 0.0, self.over, 1.0)
        return side * residual, side


@dataclass(frozen=True)
class Quantile(Objective):
    """Pinball loss: the law follows the quantile `tau` of the losses (Koenker and Bassett 1978).

    With r = prediction - target in the space of residuals: ``max((1 - tau) r, -tau r)``. ``tau=0.1`` draws the lower
    envelope of runs, with a tenth of them below.

    Parameters
    ----------
    tau : float
        Strictly between 0 and 1; 0.5 is half the absolute error.
    space : {"log", "raw", "logit"}
        Where residuals are taken; by name.

    Raises
    ------
    OptionError
        Code ``objective-unknown``: `tau` is not between 0 and 1, or the space is unknown.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.objective.Quantile(0.25, space="raw").value([1.5, 1.5], [1.0, 2.0])
    0.5
    """

    kind: ClassVar[str] = "quantile"
    space: Space = field(default="log", kw_only=True)
    tau: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.tau, (str, bool)) or not 0.0 < self.tau < 1.0:
            message = f"tau={self.tau!r} does not lie between 0 and 1"
            raise OptionError(message, code="objective-unknown", tau=self.tau)
        object.__setattr__(self, "tau", float(self.tau))

    @property
    def name(self) -> str:
        """Short name such as ``quantile_log:0.9``."""
        return f"{super().name}:{self.tau!r}"

    @property
    def shape(self) -> float:
        """The quantile."""
        return self.tau

    def _rho_in_words(self) -> str:
        return f"pinball losses of the quantile {self.tau:g}"

    def rho(self, residual: NDArray[np.float64]) -> NDArray[np.float64]:
        """max((1 - tau) r, -tau r)."""
        return np.maximum((1.0 - self.tau) * residual, -self.tau * residual)

    def _slopes(self, residual: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return np.where(residual > 0.0, 1.0 - self.tau, -self.tau), np.zeros_like(residual)


@dataclass(frozen=True)
class Binomial(Objective):
    """Half the deviance of pass counts, for pass rates and coverage.

    The column ``loss`` holds the fraction y that passed, from 0 to 1, and the weights are numbers of trials: the role
    ``trials`` of the runs, or ``weights=``. With m the law's prediction, which must lie between 0 and 1, a run
    contributes ``trials [y ln(y / m) + (1 - y) ln((1 - y) / (1 - m))]``: the negative log likelihood, less its least
    possible value.

    Parameters
    ----------
    space : {"raw"}
        Pass fractions are never transformed; to fit their logit, use `SquaredError` or `Huber` there.

    Raises
    ------
    OptionError
        Code ``objective-unknown``: another space.

    Examples
    --------
    >>> import isoloss as iso
    >>> round(iso.objective.Binomial().value([0.5, 0.5], [0.4, 1.0], weights=[10, 4]), 6)
    2.973944
    """

    kind: ClassVar[str] = "binomial"
    space: Space = "raw"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.space != "raw":
            message = f"space={self.space!r} has no meaning for pass counts, which are never transformed"
            raise OptionError(message, code="objective-unknown", space=self.space)

    @property
    def domain(self) -> str:
        """What a target must be, in words."""
        return "from 0 to 1"

    def describe(self) -> str:
        """The objective in words, for summaries."""
        return "half the binomial deviance of pass fractions (weights are trials)"

    def valid(self, target: ArrayLike) -> NDArray[np.bool_]:
        """Whether targets are fractions."""
        y = np.asarray(target, dtype=np.float64)
        return np.asarray((y >= 0.0) & (y <= 1.0))

    def losses(self, prediction: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
        """Half the deviance of each run per trial; NaN where a prediction is not strictly between 0 and 1."""
        m, y = np.asarray(prediction, dtype=np.float64), np.asarray(target, dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            passed = np.where(y > 0.0, y * (np.log(y) - np.log(m)), 0.0)
            failed = np.where(y < 1.0, (1.0 - y) * (np.log1p(-y) - np.log1p(-m)), 0.0)
        return np.where((m > 0.0) & (m < 1.0) & self.valid(y), passed + failed, np.nan)

    def slopes(self, prediction: ArrayLike, target: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """First and second derivative of each run's contribution by the prediction."""
        m, y = np.asarray(prediction, dtype=np.float64), np.asarray(target, dtype=np.float64)
        return (1.0 - y) / (1.0 - m) - y / m, (1.0 - y) / (1.0 - m) ** 2 + y / m**2
