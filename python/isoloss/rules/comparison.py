r"""Comparing two curves: where they cross, and whether they move alike.

Two laws of one variable cross where f1(x) = f2(x). Beyond the data such a crossing is only as good as both fits, so it
can be taken over bootstrap draws: how often there is one below a scale, and where.

For checkpoint curves of a small and a large model, the likeness of two series is told by the rank correlation of their
increments and by the area between them once both run from 0 to 1.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from isoloss.errors import DataError, LawError, OptionError
from isoloss.law.parts import Source
from isoloss.rules._rule import Quantity, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ENTRIES", "Crossing", "Similarity", "crossover", "curve_similarity"]

F64 = NDArray[np.float64]
_FAMILY = "comparison"
XIAO = Source(
    "Rethinking Conventional Wisdom in Machine Learning: From Generalization to Scaling", "2409.15156", "Xiao", 2024
)
FINE_LINE = Source(
    "The Fine Line: Navigating Large Language Model Pretraining with Down-streaming Capability Analysis",
    "2404.01204",
    "Yang et al.",
    2024,
)
_GRID = 1025


class Crossing(NamedTuple):
    """Where two curves cross."""

    points: F64
    below: str
    above: str
    probability: float
    low: float
    high: float


def _values(curve: Any, x: str, grid: F64, at: Mapping[str, float]) -> F64:
    """Values on the grid, (draws, points)."""
    columns = {x: grid, **{name: np.full(grid.shape, float(value)) for name, value in at.items()}}
    bound = getattr(curve, "bound", None)
    if bound is not None and isinstance(getattr(curve, "params", None), np.ndarray):  # bootstrap draws
        law = bound.law
        used = [columns[name] if name in columns else _missing(name) for name in law.core(bound.constants).variables]
        return np.asarray(law.core(bound.constants).evaluate(used, np.ascontiguousarray(curve.params)))
    call = curve.predict if hasattr(curve, "predict") else curve
    if not callable(call):
        message = f"a curve is a bound law, a fit, draws or a function, not {type(curve).__name__}"
        raise OptionError(message, argument="curve")
    names = getattr(getattr(curve, "law", None), "variables", None)
    wanted = {name: column for name, column in columns.items() if names is None or name in names}
    return np.atleast_2d(np.asarray(call(**wanted), dtype=np.float64))


def _missing(name: str) -> F64:
    raise LawError(f"no value for {name}; give it in at={{...}}", code="law-missing-name", names=[name])


def _crossover(first: Any, second: Any, x: str, low: float, high: float, at: Mapping[str, float] | None) -> Crossing:
    if not low < high:
        raise DataError(f"input 'high': {high:g} is not above low, {low:g}", code="rule-domain", column="high")
    grid = np.geomspace(low, high, _GRID)
    one, other = (_values(curve, x, grid, at or {}) for curve in (first, second))
    draws = min(len(one), len(other))
    both = len(one) > 1 and len(other) > 1
    gap = one[:draws] - other[:draws] if both else one - other
    crossings = [_roots(grid, row) for row in gap]
    found = np.array([roots[0] for roots in crossings if roots.size])
    typical = np.median(gap, axis=0)
    roots = crossings[0] if len(gap) == 1 else _roots(grid, typical)
    ends = np.quantile(found, [0.025, 0.975]) if found.size else (np.nan, np.nan)
    below, above = ("first" if end < 0.0 else "second" for end in (typical[0], typical[-1]))
    return Crossing(roots, below, above, found.size / len(gap), float(ends[0]), float(ends[1]))


def _roots(grid: F64, gap: F64) -> F64:
    """Sign changes; within a step of the grid, a quarter of a per cent or so, the gap is a straight line in ln x."""
    change = np.flatnonzero(np.sign(gap[:-1]) * np.sign(gap[1:]) < 0.0)
    share = gap[change] / (gap[change] - gap[change + 1])
    inside = grid[change] * (grid[change + 1] / grid[change]) ** share
    return np.sort(np.concatenate([inside, grid[gap == 0.0]]))


def crossover() -> Rule:
    """Where two laws cross, and how sure that is.

    Examples
    --------
    >>> import isoloss as iso
    >>> first = iso.law("4 * C**-0.5", vars=["C"]).bind()
    >>> second = iso.law("2 * C**-0.25", vars=["C"]).bind()
    >>> found = iso.rules.get("crossover")(first=first, second=second, x="C", low=1, high=1e3)
    >>> print(found.points.round(4), found.below, found.above)
    [16.] second first
    """
    return Rule(
        name="crossover",
        family=_FAMILY,
        formula=("first(x) = second(x)",),
        gives="points; below, above: which is lower at either end; probability that they cross, and the interval low, "
        "high (95 %) of the first crossing, over bootstrap draws",
        function=_crossover,
        variables={
            "first": Quantity("", "bound law, fit, draws or function", numeric=False),
            "second": Quantity("", "the other", numeric=False),
            "x": Quantity("", "name of the variable", numeric=False),
            "low": Quantity("any", "from"),
            "high": Quantity("any", "to"),
        },
        parameters={"at": Quantity("", "other variables by name", numeric=False, optional=True)},
        source=XIAO,
        status="second hand",
        states_law=False,
        notes=(
            (
                "Draws of two fits are paired in order: independent if their runs are. A crossing beyond the data is "
                "an "
                "extrapolation of both laws."
            ),
            (
                "An example of the paper, by an account of it: the learning rates 2/1024 and 2/width give nearly the "
                "same up "
                "to width 1024, and the second wins above."
            ),
        ),
    )


class Similarity(NamedTuple):
    """How alike two series are."""

    rank_correlation: float
    area: float


def _ranks(values: F64) -> F64:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return np.asarray((last - (count - 1) / 2.0)[place])  # ties share their mean rank


def _similar(tokens: F64, small: F64, large: F64) -> Similarity:
    if np.ndim(tokens) != 1 or np.shape(small) != np.shape(tokens) or np.shape(large) != np.shape(tokens):
        raise DataError("inputs 'tokens', 'small' and 'large' are arrays of one length", code="data-shape")
    if np.size(tokens) < 3 or np.any(np.diff(tokens) <= 0.0):
        raise DataError("input 'tokens' rises, and has three points or more", code="rule-domain", column="tokens")
    if np.ptp(small) == 0.0 or np.ptp(large) == 0.0:
        raise DataError("a score that never changes has no shape to compare", code="rule-domain", column="small")
    steps = [_ranks(np.diff(series)) for series in (small, large)]
    spread = [rank - rank.mean() for rank in steps]
    scale = np.sqrt((spread[0] @ spread[0]) * (spread[1] @ spread[1]))
    x = np.log(tokens)
    one, other = ((series - series.min()) / np.ptp(series) for series in (small, large))
    gap = np.abs(one - other)
    area = ((gap[1:] + gap[:-1]) / 2.0 @ np.diff(x)) / (x[-1] - x[0])
    return Similarity(float(spread[0] @ spread[1] / scale) if scale > 0.0 else np.nan, float(area))


def curve_similarity() -> Rule:
    """Whether a benchmark moves alike during the training of a small and a large model.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.rules.get("curve_similarity")(
    ...     tokens=[1e9, 1e10, 1e11, 1e12], small=[0.1, 0.2, 0.4, 0.5], large=[0.2, 0.4, 0.8, 1.0]
    ... )
    Similarity(rank_correlation=1.0, area=0.0)
    """
    return Rule(
        name="curve_similarity",
        family=_FAMILY,
        formula=("area = mean over log(tokens) of |small - large|, both from 0 to 1",),
        latex_lines=(r"\frac{1}{\Delta \ln D} \int \left\lvert \tilde s - \tilde l \right\rvert d \ln D",),
        gives="rank_correlation of the increments (-1 to 1), area between the scaled curves (0 alike, 1 opposite)",
        function=_similar,
        variables={
            "tokens": Quantity("tokens", "of the checkpoints, rising, an array"),
            "small": Quantity("any", "scores of the small model", positive=False),
            "large": Quantity("any", "scores of the large model", positive=False),
        },
        source=FINE_LINE,
        status="own",
        states_law=False,
        notes=(
            (
                "The paper compares checkpoints of models up to 67B and finds that some benchmarks move alike at all "
                "sizes. "
                "The two measures are ours. Fit each series with a law such as hestness for intervals."
            ),
        ),
    )


ENTRIES: Mapping[str, Callable[[], Rule]] = MappingProxyType(
    {"crossover": crossover, "curve_similarity": curve_similarity}
)
"""The rules of this family by name."""
