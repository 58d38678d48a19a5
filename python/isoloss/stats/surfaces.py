r"""Profiles in two dimensions: the least objective when two parameters are held at each point of a grid.

The grid is a batch of constrained fits (`isoloss.stats.valleys`). Where the objective is a likelihood, the points that
a likelihood-ratio test does not reject are a joint confidence region; its limit is that of two parameters, so that its
shadows on the axes are wider than the intervals of one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isoloss.checks import level_between
from isoloss.engine.problem import F64
from isoloss.errors import LawError
from isoloss.plain import plain_dict
from isoloss.shown import Shown
from isoloss.stats.held import MISSED, Held, held_index, held_values
from isoloss.stats.profiles import likelihood_limit, profile, ratio_of, why_no_likelihood
from isoloss.stats.valleys import Valleys, scouts
from isoloss.units import format_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from isoloss.fit.data import FitData

__all__ = ["Surface", "surface"]

_SIDE = 25
_MARGIN = 0.25  # of the interval's width, on either side
_OPEN = 10.0  # how far to draw where an interval is open, in estimates


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Surface(Held, Shown):
    """The least objective over two parameters; made by `Fit.profile2`.

    Attributes
    ----------
    names : (str, str)
    estimate : (float, float)
    values : ((m,) float64, (k,) float64)
        What they were held at, ascending.
    objective : (m, k) float64
        Least objective; NaN where no constrained fit converged.
    params : (m, k, p) float64
        All parameters there.
    inside : (m, k) bool
        Points that the test does not reject; rough, as `Profile.support`, where `reason` is not None.
    best : float
        Objective of the fit.
    missed : bool
        Whether a point is distinctly better than the fit, which then missed a better optimum.
    level : float
    reason : str or None
        Why the region is not a likelihood's.
    """

    names: tuple[str, str]
    estimate: tuple[float, float]
    values: tuple[F64, F64]
    objective: F64
    params: F64
    inside: NDArray[np.bool_]
    best: float
    missed: bool
    level: float
    reason: str | None

    @property
    def open(self) -> bool:
        """Whether the region runs into the edge of the grid."""
        inner = self.inside
        return bool(inner[0].any() or inner[-1].any() or inner[:, 0].any() or inner[:, -1].any())

    def __str__(self) -> str:
        kind = f"{100 * self.level:g} % joint confidence region"
        if self.reason is not None:
            kind = f"rough {100 * self.level:g} % region"
        if self.reason is not None and not self.inside.any():
            return f"no region of {' and '.join(self.names)}: {self.reason}"
        parts = []
        for k, name in enumerate(self.names):
            held = self.values[k][self.inside.any(axis=1 - k)]
            span = f"{format_number(held[0], 4)} to {format_number(held[-1], 4)}" if len(held) else "none"
            parts.append(f"{name} {span}")
        edge = ", open at the edge of the grid" if self.open else ""
        return f"{kind} of {' and '.join(self.names)}: {', '.join(parts)}{edge}{MISSED if self.missed else ''}"

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return plain_dict(
            {
                "names": list(self.names),
                "estimate": list(self.estimate),
                "values": [axis.tolist() for axis in self.values],
                "objective": self.objective,
                "params": self.params,
                "inside": self.inside.tolist(),
                "best": self.best,
                "missed": self.missed,
                "level": self.level,
                "reason": self.reason,
            }
        )

    def _draw(self, axes: Axes) -> None:
        from isoloss.plot import INK, MUTED, OPTIMUM

        x, y = self.values
        axes.contour(x, y, self.objective.T, levels=12, colors=MUTED, linewidths=0.6)
        axes.contourf(x, y, self.inside.T.astype(float), levels=[0.5, 1.5], colors=[MUTED], alpha=0.3)
        axes.plot(*self.estimate, marker="+", color=OPTIMUM, markersize=10, linestyle="none", label="estimate")
        axes.set_xlabel(self.names[0])
        axes.set_ylabel(self.names[1])
        axes.legend(frameon=False, labelcolor=INK)


def surface(
    fit: FitData,
    names: tuple[str, str],
    values: tuple[ArrayLike | None, ArrayLike | None] | None,
    *,
    level: float,
    n_threads: int | None,
) -> Surface:
    """Hold two parameters on a grid; see `isoloss.Fit.profile2`."""
    level_between(level)
    index = [held_index(fit, name, "profile2") for name in names]
    if index[0] == index[1]:
        message = f"{names[0]!r} and {names[1]!r} are the same parameter in this fit"
        raise LawError(message, code="law-bounds", name=names[1])
    given = (None, None) if values is None else values
    axes = [_axis(fit, name, j, at, level, n_threads) for name, j, at in zip(names, index, given, strict=True)]
    first, second = axes
    grid = np.stack(np.meshgrid(first, second, indexing="ij"), axis=-1).reshape(-1, 2)
    shape = (len(first), len(second))
    valleys = Valleys(fit, index, n_threads)
    new = valleys.add(grid, scouts(shape))
    valleys.flood(new.reshape(shape), new)
    found = valleys.value.reshape(shape)
    ratio = ratio_of(fit, found.ravel()).reshape(shape)
    with np.errstate(invalid="ignore"):
        inside = ratio <= likelihood_limit(fit.problem, level, parameters=2)
    return Surface(
        names=names,
        estimate=(float(fit.vector[index[0]]), float(fit.vector[index[1]])),
        values=(first, second),
        objective=found,
        params=valleys.params.reshape(*shape, -1),
        inside=np.asarray(inside),
        best=fit.value,
        missed=valleys.missed,
        level=level,
        reason=why_no_likelihood(fit),
    )


def _axis(fit: FitData, name: str, j: int, given: ArrayLike | None, level: float, threads: int | None) -> F64:
    """The values along one axis: those given, else somewhat more than the profile's interval."""
    own = fit.problem.parameters
    if given is not None:
        return held_values(fit, name, j, given, least=2)
    estimate = float(fit.vector[j])
    reach = _OPEN * (abs(estimate) or 1.0)
    low, high = profile(fit, name, None, level=1.0 - 0.5 * (1.0 - level), n_threads=threads).support
    low = low if math.isfinite(low) else estimate - reach
    high = high if math.isfinite(high) else estimate + reach
    margin = _MARGIN * (high - low)
    low, high = max(low - margin, float(own.lower[j])), min(high + margin, float(own.upper[j]))
    if own.positive[j]:
        low = max(low, 1e-2 * estimate)
        if high > 10.0 * low:
            return np.geomspace(low, high, _SIDE)
    return np.linspace(low, high, _SIDE)
