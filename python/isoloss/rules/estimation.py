r"""Estimates that need no optimiser of their own: trends with intervals, the crossing of two, the nearest run.

* The Languini Kitchen extrapolates two straight lines in logarithms to where they cross; the interval is that of
  Fieller (1954), which may be unbounded, and then says so.
* How far video generation is from a world model: slopes of error in and out of the training distribution.
* The nearest run, as a baseline for any law.
"""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from isoloss.errors import DataError
from isoloss.law.parts import Source
from isoloss.laws.other_models import LANGUINI
from isoloss.rules._rule import Quantity, Rule
from isoloss.rules._student import line, student_quantile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

__all__ = ["ENTRIES", "Crossing", "Near", "Slopes"]

VIDEO = Source(
    "How Far is Video Generation from World Model: A Physical Law Perspective", "2411.02385", "Kang et al.", 2024
)

_FAMILY = "estimation"
_LEVEL = Quantity("1", "of the interval", 0.95, low=0.0, high=0.999999)


class Crossing(NamedTuple):
    """Where two trends meet."""

    at: float
    low: float
    high: float


def _crossing(x1: Any, y1: Any, x2: Any, y2: Any, level: float) -> Crossing:
    first, second = line(x1, y1, ("x1", "y1")), line(x2, y2, ("x2", "y2"))
    gap = np.array([first.intercept - second.intercept, first.slope - second.slope])
    dof = first.points + second.points - 4
    spread = (first.residual + second.residual) / dof * (first.unscaled + second.unscaled)
    t2 = student_quantile(level, dof) ** 2
    constant, linear, square = gap[0] ** 2 - t2 * spread[0, 0], gap[0] * gap[1] - t2 * spread[0, 1], 0.0
    square = gap[1] ** 2 - t2 * spread[1, 1]
    at = math.exp(-gap[0] / gap[1]) if gap[1] != 0.0 else math.nan
    if square <= 0.0:  # the slopes may be equal: nothing bounds the crossing
        return Crossing(at, 0.0, math.inf)
    root = math.sqrt(max(linear**2 - square * constant, 0.0))
    return Crossing(at, math.exp((-linear - root) / square), math.exp((-linear + root) / square))


def trend_crossing() -> Rule:
    """Where two straight lines in logarithms cross, with an interval.

    Examples
    --------
    >>> import isoloss as iso
    >>> hours = [6, 12, 24, 48, 96]
    >>> found = iso.rules.get("trend_crossing")(
    ...     x1=hours, y1=[24.1, 22.9, 21.9, 20.8, 19.9], x2=hours, y2=[38.0, 34.2, 31.1, 28.0, 25.4]
    ... )
    >>> found.low < found.at < found.high
    True
    """
    return Rule(
        name="trend_crossing",
        family=_FAMILY,
        formula=(
            "ln y = intercept + slope ln x for each of two trends, by least squares",
            "at = exp((intercept_1 - intercept_2) / (slope_2 - slope_1))",
            "interval: all x at which the gap is within Student's t of zero",
        ),
        latex_lines=(
            r"x^* = \left(a_1 / a_2\right)^{1 / (b_1 - b_2)}",
            (
                r"\left\{x : \delta(x)^2 \le t^2\, \mathrm{var}\,\delta(x)\right\}, \;"
                r" \delta(x) = \ln y_1(x) - \ln y_2(x)"
            ),
        ),
        gives="where the trends cross, and the ends of its interval: 0 and infinity where the slopes may be equal",
        function=_crossing,
        variables={
            "x1": Quantity("as x2", "of the first trend, such as hours of compute"),
            "y1": Quantity("as y2", "of the first trend, such as perplexity"),
            "x2": Quantity("as x1", "of the second trend"),
            "y2": Quantity("as y1", "of the second trend"),
            "level": _LEVEL,
        },
        source=LANGUINI,
        status="derived",
        notes=(
            (
                "The paper puts the crossing of its two families at about 50,000 hours, from classes of 6 to 96 "
                "hours and "
                "without an interval. Both trends share one variance here (Fieller 1954)."
            ),
        ),
    )


class Slopes(NamedTuple):
    """Slopes in logarithms with their intervals."""

    inside: float
    inside_low: float
    inside_high: float
    outside: float
    outside_low: float
    outside_high: float
    outside_improves: bool


def _slopes(x: Any, inside: Any, outside: Any, level: float) -> Slopes:
    ends: list[float] = []
    for name, error in (("inside", inside), ("outside", outside)):
        found = line(x, error, ("x", name))
        dof = found.points - 2
        half = student_quantile(level, dof) * math.sqrt(found.residual / dof * float(found.unscaled[1, 1]))
        ends += [found.slope, found.slope - half, found.slope + half]
    return Slopes(ends[0], ends[1], ends[2], ends[3], ends[4], ends[5], ends[5] < 0.0)


def in_and_out_of_distribution() -> Rule:
    """How error falls with data or size, inside and outside the training distribution.

    Examples
    --------
    >>> import isoloss as iso
    >>> rule = iso.rules.get("in_and_out_of_distribution")
    >>> found = rule(
    ...     x=[3e4, 1e5, 3e5, 1e6, 3e6], inside=[0.2, 0.11, 0.064, 0.035, 0.02], outside=[0.43, 0.4, 0.44, 0.4, 0.42]
    ... )
    >>> round(found.inside, 2), found.outside_improves
    (-0.5, False)
    """
    return Rule(
        name="in_and_out_of_distribution",
        family=_FAMILY,
        formula=("slope = d ln(error) / d ln(x), by least squares, with the interval of Student's t",),
        latex_lines=(r"b = \frac{\mathrm{d} \ln \mathrm{error}}{\mathrm{d} \ln x} \pm t\, s_b",),
        gives="slopes inside and outside with their intervals, and whether the outside one is surely below zero",
        function=_slopes,
        variables={
            "x": Quantity("any", "data or size of each model"),
            "inside": Quantity("any", "error within the training distribution"),
            "outside": Quantity("any", "error outside of it"),
            "level": _LEVEL,
        },
        source=VIDEO,
        status="own",
        states_law=False,
        notes=(
            "The paper's claim is qualitative: outside the slope is about zero. Its sets hold 30K, 300K and 3M videos.",
            "An interval that holds zero is no proof of zero: look at its width.",
        ),
    )


class Near(NamedTuple):
    """The nearest run to each point."""

    loss: NDArray[np.float64]
    row: NDArray[np.int64]
    distance: NDArray[np.float64]


def _nearest(runs: Any, loss: Any, at: Any) -> Near:
    known, wanted = (np.log(np.asarray(a)) for a in (runs, at))
    known = known[:, None] if known.ndim == 1 else known
    wanted = np.atleast_1d(wanted)
    wanted = wanted.reshape(-1, known.shape[1])
    loss = np.atleast_1d(loss)
    if known.shape[0] != loss.shape[0]:
        message = f"runs has {known.shape[0]} rows, loss {loss.shape[0]}"
        raise DataError(message, code="data-shape", column="loss")
    distance = np.linalg.norm(known[None] - wanted[:, None], axis=2)
    index = distance.argmin(axis=1)
    return Near(loss[index], index, np.take_along_axis(distance, index[:, None], axis=1)[:, 0])


def nearest_run() -> Rule:
    """Predict the loss of the nearest run: the baseline that knows no law.

    Examples
    --------
    >>> import isoloss as iso
    >>> rule = iso.rules.get("nearest_run")
    >>> rule(runs=[[1e8, 2e9], [1e9, 2e10]], loss=[3.1, 2.4], at=[[2e8, 4e9], [7e9, 1e11]]).loss
    array([3.1, 2.4])
    """
    return Rule(
        name="nearest_run",
        family=_FAMILY,
        formula=("loss(x) = loss of the run with the least distance in ln x",),
        latex_lines=(r"\hat L(x) = L_{i^*}, \quad i^* = \arg\min_i \lVert \ln x_i - \ln x \rVert",),
        gives="loss of the nearest run, its row, and the distance in factors of e",
        function=_nearest,
        variables={
            "runs": Quantity("any", "(runs, k) values such as N and D, or (runs,)"),
            "loss": Quantity("nats per token", "of the runs", positive=False),
            "at": Quantity("any", "(points, k) or (points,)"),
        },
        status="own",
        states_law=False,
        notes=("Ties go to the earlier run. A law that does not beat it on held-out runs has learnt nothing.",),
    )


ENTRIES: Mapping[str, Callable[[], Rule]] = MappingProxyType(
    {
        "trend_crossing": trend_crossing,
        "in_and_out_of_distribution": in_and_out_of_distribution,
        "nearest_run": nearest_run,
    }
)
"""The rules of this family by name."""
