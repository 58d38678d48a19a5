r"""What a fit minimises: a sum over runs of a function of the residual.

The residual of a run is r = T(prediction) - T(loss), where T is the identity (``space="raw"``), the natural logarithm
(``"log"``) or the logit ln(x / (1 - x)) (``"logit"``, for accuracies). The objective is the weighted *sum* over runs,
never the mean, exactly as the papers write it:

* squared error: r^2
* Huber: r^2 / 2 where |r| <= delta, delta (|r| - delta / 2) beyond (Huber 1964)
* absolute error: |r|

Hoffmann et al. (2022, arXiv:2203.15556) use Huber with delta = 1e-3 on the logarithm of the loss.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

import numpy as np

from isoloss.errors import DataError, OptionError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

__all__ = ["AbsoluteError", "Huber", "Objective", "Space", "SquaredError", "resolve"]

Space = Literal["raw", "log", "logit"]
_SPACES = ("raw", "log", "logit")


@dataclass(frozen=True)
class Objective:
    """Common base of the objectives; use `Huber`, `SquaredError` or `AbsoluteError`."""

    kind: ClassVar[str] = ""
    # Fields of the subclasses, declared for type checkers; a kind without a width carries delta = 0.
    delta: float = field(init=False, repr=False, compare=False, default=0.0)
    space: Space = "log"

    def __post_init__(self) -> None:
        if not self.kind:
            raise TypeError("Objective is abstract; use Huber, SquaredError or AbsoluteError")
        if self.space not in _SPACES:
            message = f"space={self.space!r} is none of 'raw', 'log', 'logit'"
            raise OptionError(message, code="objective-unknown", space=self.space)

    @property
    def name(self) -> str:
        """Short name such as ``huber_log``, as `resolve` and the command line take it."""
        return f"{self.kind}_{self.space}"

    def describe(self) -> str:
        """The objective in words, for summaries."""
        unit = {"raw": "the loss", "log": "log loss", "logit": "logit"}[self.space]
        return f"sum of {self._rho_in_words()} on {unit}"

    def _rho_in_words(self) -> str:
        raise NotImplementedError

    def rho(self, residual: NDArray[np.float64]) -> NDArray[np.float64]:
        """The contribution of each residual before weighting; same shape as `residual`."""
        raise NotImplementedError

    def transform(self, values: ArrayLike) -> NDArray[np.float64]:
        """Take losses to the space of the residuals.

        Parameters
        ----------
        values : array_like
            Any shape; above 0 for ``log``, strictly between 0 and 1 for ``logit``.

        Returns
        -------
        ndarray of float64
            NaN where a value is outside the domain of the space.
        """
        x = np.asarray(values, dtype=np.float64)
        if self.space == "raw":
            return x
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.log(x) if self.space == "log" else np.log(x) - np.log1p(-x)
        return np.where(np.isfinite(t), t, np.nan)

    def residuals(self, prediction: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
        """T(prediction) - T(target), broadcast."""
        return np.asarray(self.transform(prediction) - self.transform(target))

    def value(self, prediction: ArrayLike, target: ArrayLike, weights: ArrayLike | None = None) -> float:
        """The objective in plain NumPy, to check a fit or score a prediction.

        Parameters
        ----------
        prediction, target : (n,) array_like
            Predicted and measured losses.
        weights : (n,) array_like, optional
            Zero or above; a run of weight zero counts as absent.

        Returns
        -------
        float
            Weighted sum over runs.

        Raises
        ------
        DataError
            Code ``data-nonpositive``: a value outside the domain of the space carries weight.

        Examples
        --------
        >>> import isoloss as iso
        >>> round(iso.Huber(1e-3, space="log").value([2.0, 3.0], [2.0, 3.3]), 9)
        9.481e-05
        """
        rho = self.rho(self.residuals(prediction, target))
        if weights is not None:
            w = np.asarray(weights, dtype=np.float64)
            rho = np.where(w == 0.0, 0.0, w * rho)
        total = float(np.sum(rho))
        if math.isnan(total):
            rows = np.flatnonzero(np.isnan(np.atleast_1d(rho)))
            message = f"row {rows[0]}: a prediction or loss lies outside the domain of space={self.space!r}"
            raise DataError(message, code="data-nonpositive", row=int(rows[0]), space=self.space)
        return total

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        data: dict[str, Any] = {"kind": self.kind, "space": self.space}
        if self.delta:
            data["delta"] = self.delta
        return data

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Objective:
        """Inverse of `to_dict`.

        Examples
        --------
        >>> from isoloss.objective import Huber, Objective
        >>> Objective.from_dict(Huber(0.01).to_dict())
        Huber(delta=0.01, space='log')
        """
        return resolve(f"{data.get('kind')}_{data.get('space')}", delta=data.get("delta"))


@dataclass(frozen=True)
class Huber(Objective):
    """Squared near zero, absolute beyond `delta`: ``r^2 / 2``, then ``delta (|r| - delta / 2)``.

    Parameters
    ----------
    delta : float
        Width of the quadratic part, in units of the residual; above zero.
    space : {"log", "raw", "logit"}
        Where residuals are taken.

    Raises
    ------
    OptionError
        Code ``objective-unknown``: `delta` is not above zero, or the space is unknown.

    References
    ----------
    Hoffmann et al. (2022), arXiv:2203.15556, section D.2: delta = 1e-3 on log loss.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.Huber(1e-3, space="log").describe()
    'sum of Huber (delta 0.001) on log loss'
    """

    kind: ClassVar[str] = "huber"
    delta: float = 1e-3
    space: Space = "log"

    def __post_init__(self) -> None:
        super().__post_init__()
        delta = self.delta
        if isinstance(delta, (str, bool)) or not (math.isfinite(delta) and delta > 0.0):
            message = f"delta={delta!r} is not a number above zero"
            raise OptionError(message, code="objective-unknown", delta=delta)
        object.__setattr__(self, "delta", float(delta))

    def _rho_in_words(self) -> str:
        return f"Huber (delta {self.delta:g})"

    def rho(self, residual: NDArray[np.float64]) -> NDArray[np.float64]:
        """r^2/2 inside delta, delta (|r| - delta/2) beyond."""
        size = np.abs(residual)
        return np.where(size <= self.delta, 0.5 * size * size, self.delta * (size - 0.5 * self.delta))


@dataclass(frozen=True)
class SquaredError(Objective):
    """Sum of squared residuals, r^2 (not halved).

    Parameters
    ----------
    space : {"raw", "log", "logit"}
        Where residuals are taken.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.SquaredError().value([1.0, 2.0], [1.0, 2.5])
    0.25
    """

    kind: ClassVar[str] = "squared"
    space: Space = "raw"

    def _rho_in_words(self) -> str:
        return "squared residuals"

    def rho(self, residual: NDArray[np.float64]) -> NDArray[np.float64]:
        """r^2."""
        return residual * residual


@dataclass(frozen=True)
class AbsoluteError(Objective):
    """Sum of absolute residuals, ``|r|`` (least absolute deviations).

    Parameters
    ----------
    space : {"log", "raw", "logit"}
        Where residuals are taken.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.AbsoluteError(space="raw").value([1.0, 2.0], [1.0, 2.5])
    0.5
    """

    kind: ClassVar[str] = "absolute"
    space: Space = "log"

    def _rho_in_words(self) -> str:
        return "absolute residuals"

    def rho(self, residual: NDArray[np.float64]) -> NDArray[np.float64]:
        """|r|."""
        return np.abs(residual)


_NAMES = tuple(f"{kind}_{space}" for kind in ("huber", "squared", "absolute") for space in _SPACES)


def resolve(objective: Objective | str, delta: float | None = None) -> Objective:
    """An objective from an object or a short text.

    Parameters
    ----------
    objective : Objective or str
        ``"huber_log"``, ``"huber_raw"``, ``"squared_log"``, ``"absolute_logit"``, ...: kind and space. The kind
        alone takes its default space (raw for squared, log otherwise).
    delta : float, optional
        Width of the Huber objective; 1e-3 if left out.

    Returns
    -------
    Objective

    Raises
    ------
    OptionError
        Code ``objective-unknown``: unknown text, or a delta where there is none.

    Examples
    --------
    >>> from isoloss.objective import resolve
    >>> resolve("huber_log", delta=1e-2), resolve("squared")
    (Huber(delta=0.01, space='log'), SquaredError(space='raw'))
    """
    if isinstance(objective, Objective):
        if delta is None or delta == objective.delta:
            return objective
        if isinstance(objective, Huber):
            return Huber(delta, space=objective.space)
        message = f"delta={delta!r} has no meaning for {objective!r}"
        raise OptionError(message, code="objective-unknown", delta=delta)
    if not isinstance(objective, str):
        message = f"objective={objective!r} is neither an objective nor a text such as 'huber_log'"
        raise OptionError(message, code="objective-unknown")
    kind, _, space = objective.partition("_")
    if kind not in ("huber", "squared", "absolute") or (space and space not in _SPACES):
        message = f"unknown objective {objective!r}{did_you_mean(objective, _NAMES)}; one of {', '.join(_NAMES)}"
        raise OptionError(message, code="objective-unknown", objective=objective)
    known = cast("Space", space)
    if kind == "huber":
        width = 1e-3 if delta is None else delta
        return Huber(width, space=known) if space else Huber(width)
    if delta is not None:
        message = f"delta={delta!r} has no meaning for {objective!r}"
        raise OptionError(message, code="objective-unknown", delta=delta)
    if kind == "squared":
        return SquaredError(space=known) if space else SquaredError()
    return AbsoluteError(space=known) if space else AbsoluteError()
