r"""Best size for a compute straight from runs: the first two approaches of Hoffmann et al. (2022).

Approach 1 takes the lower envelope of training curves: at each compute, the size whose curve is lowest. Approach 2
runs several sizes at each of a few computes (isoFLOP) and takes the vertex of a parabola in ln N. Both then draw a
straight line, ln N_opt = ln G + a ln C. Approach 3 fits the law `chinchilla`.

A parabola is symmetric and a sum of two powers is not: where runs spread far to both sides of the optimum, the vertex
is biased, so only runs near the best are taken.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from isoloss.errors import DataError
from isoloss.laws.compute_optimal import HOFFMANN
from isoloss.rules._rule import Quantity, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    F64 = NDArray[np.float64]

__all__ = ["ENTRIES", "Optima"]

_FAMILY = "allocation"


class Optima(NamedTuple):
    """Best sizes and the line through them."""

    C: F64
    N: F64
    D: F64
    loss: F64
    exponent: float
    coefficient: float


def _through(C: F64, N: F64, loss: F64) -> Optima:
    """The optima with the line through their logarithms; those without a size do not count."""
    found = np.isfinite(N)
    exponent = coefficient = np.nan
    if np.unique(C[found]).size >= 2:
        exponent, level = np.polyfit(np.log(C[found]), np.log(N[found]), 1)
        coefficient = np.exp(level)
    return Optima(C, N, C / (6.0 * N), loss, float(exponent), float(coefficient))


def _same_length(columns: Mapping[str, F64]) -> None:
    shapes = {column.shape for column in columns.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1:
        raise DataError(f"{', '.join(columns)} need the same length", code="data-shape", column=list(columns)[-1])


def _isoflop(N: Any, C: Any, loss: Any, within: float) -> Optima:
    N, C, loss = (np.atleast_1d(np.asarray(a, dtype=np.float64)) for a in (N, C, loss))
    _same_length({"N": N, "C": C, "loss": loss})
    budgets = np.unique(C)
    best, least = np.full(len(budgets), np.nan), np.full(len(budgets), np.nan)
    for i, budget in enumerate(budgets):
        x, y = np.log(N[budget == C]), loss[budget == C]
        near = np.abs(x - x[y.argmin()]) <= np.log(within) * (1.0 + 1e-9)
        x, y = x[near], y[near]
        if np.unique(x).size < 3:
            continue
        middle = x.mean()
        square, slope, level = np.polyfit(x - middle, y, 2)
        vertex = -slope / (2.0 * square) if square > 0.0 else np.nan
        # A vertex outside of the runs is an extrapolation, not an optimum.
        if x.min() - middle <= vertex <= x.max() - middle:
            best[i], least[i] = np.exp(middle + vertex), level - slope**2 / (4.0 * square)
    return _through(budgets, best, least)


def isoflop_optima() -> Rule:
    """Approach 2: a parabola through the runs of each compute, and the line through their vertices.

    Examples
    --------
    >>> import isoloss as iso
    >>> import numpy as np
    >>> law = iso.laws.get("chinchilla").bind("hoffmann2022")
    >>> C, s = (a.ravel() for a in np.meshgrid(np.geomspace(1e19, 1e21, 5), np.geomspace(0.5, 2, 7)))
    >>> N = 0.6 * C**0.4565 * s
    >>> found = iso.rules.get("isoflop_optima")(N=N, C=C, loss=law(N=N, D=C / (6 * N)))
    >>> round(found.exponent, 2)
    0.46
    """
    return Rule(
        name="isoflop_optima",
        family=_FAMILY,
        formula=(
            "loss = level + slope * log(N) + square * log(N)**2",
            "N_opt = exp(-slope / (2 * square))",
            "log(N_opt) = log(coefficient) + exponent * log(C)",
        ),
        gives="each C with its best N, D = C / (6 N) and loss (NaN where runs bracket no optimum); exponent, "
        "coefficient",
        function=_isoflop,
        variables={
            "N": Quantity("parameters", "of each run"),
            "C": Quantity("FLOPs", "of each run; equal values are one budget"),
            "loss": Quantity("nats per token", "of each run", positive=False),
            "within": Quantity("1", "factor around the best run's N inside which runs count", 3.0, low=1.0),
        },
        source=HOFFMANN,
        notes=(
            (
                "The vertex of a parabola is off where the two exponents differ: for 0.34 and 0.28 by 0.3 % with runs "
                "within a "
                "factor 2 and by 4 % within 16 (Czech et al., second hand)."
            ),
            "The paper finds an exponent of 0.49 (second hand).",
        ),
    )


def _envelope(N: Any, C: Any, loss: Any, bins: float) -> Optima:
    N, C, loss = (np.atleast_1d(np.asarray(a, dtype=np.float64)) for a in (N, C, loss))
    _same_length({"N": N, "C": C, "loss": loss})
    sizes = np.unique(N)
    grid = np.geomspace(C.min(), C.max(), int(bins))
    curves = np.full((len(sizes), len(grid)), np.inf)
    for i, size in enumerate(sizes):
        order = np.argsort(C[size == N])
        x, y = np.log(C[size == N][order]), loss[size == N][order]
        inside = (np.log(grid) >= x[0]) & (np.log(grid) <= x[-1])
        curves[i, inside] = np.interp(np.log(grid[inside]), x, y)
    lowest = curves.argmin(axis=0)
    # Where only one curve reaches, or the smallest or largest size wins, nothing was compared to both sides.
    compared = np.isfinite(curves).sum(axis=0) >= 2
    compared &= (lowest > 0) & (lowest < len(sizes) - 1)
    best = np.where(compared, sizes[lowest], np.nan)
    return _through(grid, best, np.where(compared, curves.min(axis=0), np.nan))


def envelope_optima() -> Rule:
    """Approach 1: the size whose training curve is lowest at each compute, and the line through them.

    Examples
    --------
    >>> import isoloss as iso
    >>> import numpy as np
    >>> law = iso.laws.get("chinchilla").bind("besiroglu2024")
    >>> N, D = (a.ravel() for a in np.meshgrid(np.geomspace(1e8, 1e10, 15), np.geomspace(1e8, 1e12, 60)))
    >>> found = iso.rules.get("envelope_optima")(N=N, C=6 * N * D, loss=law(N=N, D=D))
    >>> round(found.exponent, 2)  # the law's own: 0.51
    0.51
    """
    return Rule(
        name="envelope_optima",
        family=_FAMILY,
        formula=(
            "N_opt(C) = size of the curve with the least loss at C",
            "log(N_opt) = log(coefficient) + exponent * log(C)",
        ),
        latex_lines=(
            r"N_\mathrm{opt}(C) = \arg\min_N L_N(C)",
            r"\ln N_\mathrm{opt} = \ln G + a \ln C",
        ),
        gives="a grid of C with the best N, D = C / (6 N) and loss (NaN where the best is at an end); exponent, "
        "coefficient",
        function=_envelope,
        variables={
            "N": Quantity("parameters", "of each checkpoint; equal values are one curve"),
            "C": Quantity("FLOPs", "spent up to each checkpoint"),
            "loss": Quantity("nats per token", "of each checkpoint, smoothed", positive=False),
            "bins": Quantity("1", "values of C, evenly spaced in ln C", 1500.0, low=2.0),
        },
        source=HOFFMANN,
        notes=(
            (
                "Checkpoints before the end of their schedule lie above the loss a shorter schedule would give, so the "
                "paper "
                "uses several horizons per size."
            ),
            "The paper finds an exponent of 0.50 (second hand).",
        ),
    )


ENTRIES: Mapping[str, Callable[[], Rule]] = MappingProxyType(
    {"envelope_optima": envelope_optima, "isoflop_optima": isoflop_optima}
)
"""The rules of this family by name."""
