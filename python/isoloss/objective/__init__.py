r"""What a fit minimises: a sum over runs of a function of the residual.

The residual of a run is r = T(prediction) - T(loss), where T is the identity (``space="raw"``), the natural logarithm
(``"log"``) or the logit ln(x / (1 - x)) (``"logit"``, for accuracies). The objective is the weighted *sum* over runs,
never the mean, exactly as the papers write it, with d for ``delta``:

* `SquaredError`: r^2
* `Huber`: r^2 / 2 where \|r\| <= d, d (\|r\| - d / 2) beyond (Huber 1964)
* `AbsoluteError`: \|r\|
* `SoftL1`: d^2 (sqrt(1 + (r / d)^2) - 1)
* `Cauchy`: d^2 / 2 ln(1 + (r / d)^2)
* `LogCosh`: d^2 ln cosh(r / d)
* `AsymmetricHuber`: Huber, times ``over`` where r > 0, that is where the law predicts too much
* `Expectile`: r^2 / 2, times ``over`` where r > 0
* `Quantile`: max((1 - tau) r, -tau r)
* `Binomial`: half the deviance of pass counts, weighted by the trials

Hoffmann et al. (2022, arXiv:2203.15556) use Huber with delta = 1e-3 on the logarithm of the loss. ``delta="auto"``
asks `isoloss.fit` to take it from the data instead.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np

from isoloss.errors import OptionError, did_you_mean
from isoloss.objective.base import SPACES, Delta, Objective, Space, Wide
from isoloss.objective.losses import AsymmetricHuber, Binomial, Cauchy, Expectile, LogCosh, Quantile, SoftL1

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = [
    "AbsoluteError",
    "AsymmetricHuber",
    "Binomial",
    "Cauchy",
    "Delta",
    "Expectile",
    "Huber",
    "LogCosh",
    "Objective",
    "Quantile",
    "SoftL1",
    "Space",
    "SquaredError",
    "resolve",
]


@dataclass(frozen=True)
class Huber(Wide):
    """Squared near zero, absolute beyond `delta`: ``r^2 / 2``, then ``delta (|r| - delta / 2)``.

    Parameters
    ----------
    delta : float or "auto"
        Width of the quadratic part, in units of the residual; above zero. ``"auto"`` takes it from the data: see
        `isoloss.fit`.
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

    def _rho_in_words(self) -> str:
        return f"Huber ({self._width_in_words()})"

    def rho(self, residual: NDArray[np.float64]) -> NDArray[np.float64]:
        """r^2/2 inside delta, delta (|r| - delta/2) beyond."""
        size = np.abs(residual)
        return np.where(size <= self.width, 0.5 * size * size, self.width * (size - 0.5 * self.width))

    def _slopes(self, residual: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        inside = np.abs(residual) <= self.width
        return np.clip(residual, -self.width, self.width), inside.astype(np.float64)


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

    def _slopes(self, residual: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return 2.0 * residual, np.full_like(residual, 2.0)


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

    def _slopes(self, residual: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return np.sign(residual), np.zeros_like(residual)


_CLASSES: dict[str, type[Objective]] = {
    kind.kind: kind
    for kind in (
        Huber,
        SquaredError,
        AbsoluteError,
        SoftL1,
        Cauchy,
        LogCosh,
        AsymmetricHuber,
        Expectile,
        Quantile,
        Binomial,
    )
}
_SHAPES = {"asymmetric_huber": "over", "expectile": "over", "quantile": "tau"}
_NAMES = tuple(f"{kind}_{space}" for kind in _CLASSES for space in SPACES if kind != "binomial" or space == "raw")


def resolve(objective: Objective | str, delta: Delta | None = None) -> Objective:
    """An objective from an object or a short text.

    Parameters
    ----------
    objective : Objective or str
        ``"huber_log"``, ``"huber_raw"``, ``"squared_log"``, ``"soft_l1_log"``, ``"absolute_logit"``, ...: kind and
        space. The kind alone takes its default space (raw for squared and binomial, log otherwise). What one side
        costs, or which quantile, follows a colon: ``"asymmetric_huber_log:3"``, ``"expectile_raw:2"``,
        ``"quantile_log:0.9"``.
    delta : float or "auto", optional
        Width of an objective that has one; 1e-3 if left out.

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
    >>> resolve("quantile_log:0.9")
    Quantile(space='log', tau=0.9)
    """
    made = _from_text(objective) if isinstance(objective, str) else objective
    if not isinstance(made, Objective):
        message = f"objective={objective!r} is neither an objective nor a text such as 'huber_log'"
        raise OptionError(message, code="objective-unknown")
    if delta is None or delta == made.delta:
        return made
    if isinstance(made, Wide):
        return replace(made, delta=delta)
    message = f"delta={delta!r} has no meaning for {objective!r}"
    raise OptionError(message, code="objective-unknown", delta=delta)


_OTHER_WORDS = {"mse": "squared_raw", "l2": "squared_raw", "mae": "absolute_raw", "l1": "absolute_raw"}
_OTHER_WORDS |= {"msle": "squared_log", "rmsle": "squared_log", "ols": "squared_raw", "pinball": "quantile_raw:0.5"}


def _from_text(text: str) -> Objective:
    named, colon, shape = text.partition(":")
    head, _, last = named.rpartition("_")
    kind, space = (head, last) if last in SPACES else (named, "")
    own = _SHAPES.get(kind)
    if kind not in _CLASSES or (colon and own is None):
        known = _OTHER_WORDS.get(text.lower())
        near = f"; did you mean {known!r}?" if known else did_you_mean(named, _NAMES)
        message = f"unknown objective {text!r}{near}; one of {', '.join(_NAMES)}"
        raise OptionError(message, code="objective-unknown", objective=text)
    options: dict[str, Any] = {"space": cast("Space", space)} if space else {}
    if own is not None:
        try:
            options[own] = float(shape)
        except ValueError:
            message = f"objective {text!r} needs its {own} as a number after a colon, as {named}:0.5"
            raise OptionError(message, code="objective-unknown", objective=text) from None
    return _CLASSES[kind](**options)


def from_parts(data: Mapping[str, Any]) -> Objective:
    """An objective from what its `to_dict` gave; see `Objective.from_dict`."""
    kind = str(data.get("kind"))
    if kind not in _CLASSES:
        message = f"unknown objective {kind!r}; one of {', '.join(_CLASSES)}"
        raise OptionError(message, code="objective-unknown", objective=kind)
    known = {item.name for item in fields(_CLASSES[kind]) if item.init}
    options = {name: value for name, value in data.items() if name != "kind"}
    if not options.keys() <= known or not (_needed(kind) <= options.keys()):
        message = f"objective {kind!r} has {', '.join(sorted(known))}, not {', '.join(map(str, options))}"
        raise OptionError(message, code="objective-unknown", objective=kind)
    return _CLASSES[kind](**options)


def _needed(kind: str) -> set[str]:
    """What a kind cannot do without."""
    return {_SHAPES[kind]} if kind in _SHAPES else set()
