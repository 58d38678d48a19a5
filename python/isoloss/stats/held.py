"""Fits with some parameters held: what profiles of one parameter and surfaces of two share. Private.

`isoloss.stats.valleys` solves them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from isoloss.engine.problem import F64
from isoloss.errors import LawError, OptionError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from isoloss.fit.data import FitData

__all__ = ["MISSED", "Held", "held_index", "held_values"]

MISSED = "; the fit missed a better optimum: fit again with more starts"


class Held:
    """A result that can be drawn."""

    __slots__ = ()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the least objective, the estimate, and what the test does not reject.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; new axes by default.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        MissingExtraError
            When matplotlib is not installed.
        """
        from isoloss.plot import new_axes

        axes = new_axes() if ax is None else ax
        self._draw(axes)
        return axes

    def _draw(self, axes: Axes) -> None:
        raise NotImplementedError


def held_index(fit: FitData, name: str, where: str) -> int:
    """Which parameter a name holds: the one it is tied to, or itself.

    Raises
    ------
    LawError
        Code ``law-unknown-name``; ``law-bounds``: it is fixed.
    """
    own = fit.problem.parameters
    j = int(own.tied[own.index(name, where)])
    if own.fixed[j]:
        message = f"{name!r} is fixed in this fit: it has no profile"
        raise LawError(message, code="law-bounds", name=name)
    return j


def held_values(fit: FitData, name: str, j: int, given: ArrayLike, *, least: int) -> F64:
    """The values given for one parameter, ascending.

    Raises
    ------
    OptionError
        Code ``option``: fewer than `least`, or some that it cannot take.
    """
    wanted = np.unique(np.asarray(given, dtype=np.float64).ravel())
    positive = bool(fit.problem.parameters.positive[j])
    if wanted.size < least or not np.all(np.isfinite(wanted) & (wanted > (0.0 if positive else -math.inf))):
        what = "finite numbers" if least == 1 else "two finite numbers or more"
        message = f"values of {name!r} are not {what}{' above zero' if positive else ''}"
        raise OptionError(message, argument="values")
    return wanted
