"""The common base of the objectives: spaces, sums and plain data. Private; see `isoloss.objective`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from isoloss.errors import DataError, OptionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

__all__ = ["AUTO", "SPACES", "Delta", "Objective", "Space", "Wide"]

Space = Literal["raw", "log", "logit"]
SPACES = ("raw", "log", "logit")
Delta = float | Literal["auto"]
AUTO: Literal["auto"] = "auto"


@dataclass(frozen=True)
class Objective:
    """Common base of the objectives; use `Huber`, `SquaredError` or another one of `isoloss.objective`."""

    kind: ClassVar[str] = ""
    # Fields of the subclasses, declared for type checkers; a kind without a width carries delta = 0.
    delta: Delta = field(init=False, repr=False, compare=False, default=0.0)
    space: Space = "log"

    def __post_init__(self) -> None:
        if not self.kind:
            raise TypeError("Objective is abstract; use Huber, SquaredError or another of isoloss.objective")
        if self.space not in SPACES:
            message = f"space={self.space!r} is none of 'raw', 'log', 'logit'"
            raise OptionError(message, code="objective-unknown", space=self.space)

    @property
    def name(self) -> str:
        """Short name such as ``huber_log`` or ``quantile_log:0.9``, as `resolve` and the command line take it."""
        return f"{self.kind}_{self.space}"

    @property
    def shape(self) -> float:
        """What one side costs (`over`), or which quantile (`tau`); one where a loss has neither."""
        return 1.0

    @property
    def width(self) -> float:
        """`delta` as a number; zero where a loss has none.

        Raises
        ------
        OptionError
            Code ``objective-delta``: it is ``"auto"``, which `isoloss.fit` replaces by a number found from the data.
        """
        if isinstance(self.delta, str):
            message = f"{self!r} has no width yet: isoloss.fit finds it from the data; give a number here"
            raise OptionError(message, code="objective-delta")
        return self.delta

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

    def inverse(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Take values in the space of the residuals back to losses.

        Parameters
        ----------
        values : ndarray of float64
            Any shape.

        Returns
        -------
        ndarray of float64
            For ``log`` a loss beyond the range of doubles is held at its end.

        Examples
        --------
        >>> import numpy as np
        >>> import isoloss as iso
        >>> goal = iso.Huber(1e-3, space="log")
        >>> goal.inverse(goal.transform([2.0, 4.0])).round(12).tolist()
        [2.0, 4.0]
        """
        if self.space == "raw":
            return values
        if self.space == "log":
            # A resampled loss that far out stands for a residual as absurd.
            with np.errstate(over="ignore"):
                return np.clip(np.exp(values), np.finfo(np.float64).tiny, np.finfo(np.float64).max)
        return np.asarray(1.0 / (1.0 + np.exp(-values)))

    def residuals(self, prediction: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
        """T(prediction) - T(target), broadcast."""
        return np.asarray(self.transform(prediction) - self.transform(target))

    def valid(self, target: ArrayLike) -> NDArray[np.bool_]:
        """Which targets the objective can be evaluated at; same shape."""
        return np.asarray(np.isfinite(self.transform(target)))

    @property
    def domain(self) -> str:
        """What a target must be, in words."""
        return {"log": "above zero", "logit": "strictly between 0 and 1"}.get(self.space, "finite")

    def losses(self, prediction: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
        """The contribution of each run before weighting, broadcast; NaN outside the domain."""
        return self.rho(self.residuals(prediction, target))

    def slopes(self, prediction: ArrayLike, target: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """First and second derivative of each run's contribution by its residual; at a kink, those of one side."""
        return self._slopes(self.residuals(prediction, target))

    def of_residual(self, residual: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """First and second derivative of a run's contribution at residuals."""
        return self._slopes(residual)

    def _slopes(self, residual: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        raise NotImplementedError

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
        rho = self.losses(prediction, target)
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
        own = {item.name: getattr(self, item.name) for item in fields(self) if item.init}
        return {"kind": self.kind, **own}

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Objective:
        """Inverse of `to_dict`.

        Examples
        --------
        >>> from isoloss.objective import Huber, Objective
        >>> Objective.from_dict(Huber(0.01).to_dict())
        Huber(delta=0.01, space='log')
        """
        from isoloss.objective import from_parts

        return from_parts(data)


@dataclass(frozen=True)
class Wide(Objective):
    """Base of the objectives with a `delta`."""

    delta: Delta = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        given: object = self.delta
        if given == AUTO:
            return
        number = isinstance(given, (int, float, np.number)) and not isinstance(given, bool)
        if not number or not (math.isfinite(self.width) and self.width > 0.0):
            message = f"delta={given!r} is neither a number above zero nor 'auto'"
            raise OptionError(message, code="objective-unknown", delta=given)
        object.__setattr__(self, "delta", float(self.width))

    def _width_in_words(self) -> str:
        return f"delta {self.delta}" if isinstance(self.delta, str) else f"delta {self.delta:.6g}"
