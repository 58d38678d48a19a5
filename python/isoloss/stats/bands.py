"""Bands: a prediction with an interval over draws, and how far its points lie from the runs.

At each point the predictions by all draws are sorted; which kinds of interval they make, `isoloss.stats.intervals`
says. The loss of a new run has the noise of a run besides (`isoloss.stats.noise`), drawn once for every draw.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isoloss import _core
from isoloss.engine.problem import F64
from isoloss.errors import Notice, OptionError, serious, without_repeats
from isoloss.inner import ground
from isoloss.plain import plain_dict
from isoloss.shown import Shown
from isoloss.units import complete_compute, format_number, parse_number

if TYPE_CHECKING:
    from isoloss.stats.draws import Draws

__all__ = [
    "KINDS",
    "Band",
    "band",
    "codes_at",
    "decades_beyond",
    "describe_decades",
    "extrapolated",
    "samples",
    "uncalibrated",
]

KINDS = ("mean", "new-run")

_FAR, _ABSURD = 2.0, 4.0  # decades from the runs
_LOOK_UP = 1_000_000  # values that NumPy sorts between two chances to interrupt it


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Band(Shown):
    """A prediction with an interval.

    Attributes
    ----------
    estimate, low, high : float or ndarray
        From the full data, and the interval over the draws.
    level : float
    draws : int
        Number of draws behind the interval.
    kind : str
        ``"mean"`` or ``"new-run"``.
    interval : str
        Kind of interval.
    calibrated : bool
        False where the draws allow no confidence interval; `Draws.warnings` says why.
    decades : mapping of str to float or ndarray
        For N, D and C, where known: by how many decades the point lies above the largest run (negative: below the
        smallest); zero among the runs.
    warnings : tuple of Notice
        What makes the draws, or the fit they come from, doubtful, and ``extrapolated`` far from the runs.
    """

    estimate: Any
    low: Any
    high: Any
    level: float
    draws: int
    kind: str = "mean"
    interval: str = "percentile"
    calibrated: bool = True
    decades: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[Notice, ...] = ()

    def __str__(self) -> str:
        """A line for each point, then the notices."""
        rows = zip(*(np.atleast_1d(np.ravel(x)) for x in (self.estimate, self.low, self.high)), strict=True)
        lines = [
            f"{format_number(float(e), 4)} [{format_number(float(a), 4)}, {format_number(float(b), 4)}]{self._where(k)}"
            for k, (e, a, b) in enumerate(rows)
        ]
        if not self.calibrated:
            lines.append(uncalibrated(self.level))
        return "\n".join([*lines, *map(str, self.warnings)])

    def _where(self, k: int) -> str:
        if not self.decades:
            return ""
        far = {name: float(np.ravel(values)[k]) for name, values in self.decades.items()}
        return f", {describe_decades(far)}"

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        names = ("level", "draws", "kind", "interval", "calibrated")
        return plain_dict(
            {
                **{name: getattr(self, name) for name in ("estimate", "low", "high")},
                **{name: getattr(self, name) for name in names},
                "decades": self.decades,
                "warnings": [notice.to_dict() for notice in self.warnings],
            }
        )


def uncalibrated(level: float) -> str:
    """What stands in the brackets of a prediction or plan where draws allow no confidence interval."""
    return f"in brackets {100 * level:g} % of draws, which are no confidence interval here"


def describe_decades(far: Mapping[str, float]) -> str:
    """How far a point lies from the runs, in words.

    Examples
    --------
    >>> from isoloss.stats.bands import describe_decades
    >>> describe_decades({"N": 1.24, "D": 0.0, "C": 1.31}), describe_decades({"N": 0.0, "D": -0.5})
    ('beyond the runs by 1.2 decades of N, 1.3 of C', 'below the runs by 0.5 decades of D')
    """
    parts = []
    for word, sign in (("beyond", 1.0), ("below", -1.0)):
        named = [f"{sign * value:.1f} of {name}" for name, value in far.items() if sign * value >= 0.05]
        if named:
            named[0] = named[0].replace(" of ", " decades of ", 1)
            parts.append(f"{word} the runs by {', '.join(named)}")
    return " and ".join(parts) or "within the runs"


def decades_beyond(ranges: Mapping[str, tuple[float, float]], columns: Mapping[str, Any]) -> dict[str, Any]:
    """Decades above the largest or below the smallest run (negative), by variable."""
    found: dict[str, Any] = {}
    for name, (low, high) in ranges.items():
        if name in columns:
            # Logarithms before the difference: the ratio of the largest and the least double is none.
            at = np.log10(np.asarray(columns[name], dtype=np.float64))
            found[name] = np.maximum(at - np.log10(high), 0.0) + np.minimum(at - np.log10(low), 0.0)
    return found


def extrapolated(far: Mapping[str, Any]) -> tuple[Notice, ...]:
    """The notice about points far from the runs: beyond two decades of N, D or C, and serious beyond four.

    Coverage was measured up to two decades of compute, and plans of published sweeps reach about four.

    Parameters
    ----------
    far : mapping of str to float or ndarray
        From `decades_beyond`.

    Examples
    --------
    >>> from isoloss.stats.bands import extrapolated
    >>> print(extrapolated({"N": 1.1, "C": 2.6})[0])
    warning [extrapolated]: 2.6 decades of C from the nearest run: it holds only if the law does there
    >>> extrapolated({"N": 1.1, "C": 1.9})
    ()
    """
    reach = {name: float(np.max(np.abs(values))) for name, values in far.items() if np.size(values)}
    reach = {name: value for name, value in reach.items() if value > _FAR}
    if not reach:
        return ()
    told = ", ".join(f"{value:.1f} of {name}" for name, value in reach.items()).replace(" of ", " decades of ", 1)
    message = f"{told} from the nearest run: it holds only if the law does there"
    absurd = max(reach.values()) > _ABSURD
    return (Notice(code="extrapolated", severity="serious" if absurd else "warning", message=message, details=reach),)


def codes_at(warnings: Sequence[Notice], far: Mapping[str, Any], n: int) -> NDArray[np.str_]:
    """(n,) the codes that each point of a band should be read with, joined by "; ": a table's form of its notices.

    Those of the draws hold everywhere, and ``extrapolated`` where the point itself lies far from the runs.

    Examples
    --------
    >>> import numpy as np
    >>> from isoloss.stats.bands import codes_at, extrapolated
    >>> far = {"C": np.array([0.0, 2.6])}
    >>> codes_at(extrapolated(far), far, 2).tolist()
    ['', 'extrapolated']
    """
    others = dict.fromkeys(notice.code for notice in warnings if notice.code != "extrapolated")
    reach = np.max([np.zeros(n), *(np.abs(values) for values in far.values())], axis=0)  # of no column, for some laws
    return np.array(["; ".join((*others, "extrapolated") if x > _FAR else others) for x in reach], dtype=np.str_)


def band(draws: Draws, columns: Mapping[str, ArrayLike | str], level: float, kind: str, interval: str | None) -> Band:
    """A prediction at the estimates with an interval over draws; see `isoloss.stats.draws.Draws.predict`."""
    if kind not in KINDS:
        message = f"kind={kind!r} is neither 'mean' nor 'new-run'"
        raise OptionError(message, argument="kind")
    bound, params, basis = draws.bound, draws.params, draws.basis
    chosen = basis.interval if interval is None else interval
    if kind == "new-run" and chosen in ("bca", "studentized"):
        message = f"interval={chosen!r} is of an estimate, which the loss of a new run is not; take 'expanded'"
        raise OptionError(message, argument="interval")
    estimate = bound(**columns)  # checks names and values
    expression, plain = ground(bound.law, bound.constants, columns)
    given = {
        name: np.asarray(parse_number(value, name) if isinstance(value, str) else value, dtype=np.float64)
        for name, value in plain.items()
    }
    arrays = complete_compute(given)
    shape = np.shape(estimate)
    flat = {name: np.ascontiguousarray(np.broadcast_to(value, shape)).ravel() for name, value in arrays.items()}
    points = [flat[name] for name in expression.variables]
    noise = _noise(draws, flat, max(math.prod(shape), 1)) if kind == "new-run" else None
    # Some points at a time: draws times points would not fit in memory, and Python looks up between them.
    step = max(1, _LOOK_UP // max(len(params), 1))
    count = max(math.prod(shape), 1)
    edges = []
    for first in range(0, count, step):
        part = slice(first, first + step)
        here = [at[part] for at in points]
        samples = _each(expression, here, params)
        if noise is not None:
            samples = noise(samples, part)
        left_out = None if basis.left_out is None or noise is not None else expression.evaluate(here, basis.left_out)
        middle = np.atleast_1d(np.asarray(estimate, dtype=np.float64)).ravel()[part]
        errors = _errors(draws, expression, here) if chosen == "studentized" else None
        edges.append(draws.ends(samples, middle, level, interval, left_out, errors))
    low, high = (np.concatenate(side) for side in zip(*edges, strict=True))
    scalar = shape == ()
    far = decades_beyond(basis.ranges, flat)
    return Band(
        estimate=estimate,
        low=float(low[0]) if scalar else low.reshape(shape),
        high=float(high[0]) if scalar else high.reshape(shape),
        level=level,
        draws=len(params),
        kind=kind,
        interval=chosen,
        calibrated=draws.calibrated(level),
        decades={name: float(values[0]) if scalar else values.reshape(shape) for name, values in far.items()},
        warnings=without_repeats(serious(draws.warnings), extrapolated(far)),
    )


def _errors(draws: Draws, expression: _core.Expression, points: list[F64]) -> tuple[F64, F64] | None:
    """Standard errors of predictions by the estimates and by each draw, from their covariances (the delta method)."""
    cov, covs = draws.basis.cov, draws.basis.covs
    if cov is None or covs is None:
        return None

    def error(at: F64, spread: F64) -> F64:
        slope = expression.derivatives(points, at)[1]
        with np.errstate(invalid="ignore"):
            return np.asarray(np.sqrt(np.einsum("nj,jk,nk->n", slope, spread, slope)))

    each = np.array([error(at, spread) for at, spread in zip(draws.params, covs, strict=True)])
    return error(draws.estimate, cov), each


def _each(expression: _core.Expression, points: list[F64], params: F64) -> F64:
    """(m, n) predictions by each draw, of which there may be none."""
    return expression.evaluate(points, params) if len(params) else np.empty((0, len(points[0])))


def samples(draws: Draws, columns: Mapping[str, F64], kind: str = "mean") -> F64:
    """Predictions of every draw.

    Parameters
    ----------
    draws : Draws
    columns : mapping of str to (n,) float64
        The law's variables; others are passed over.
    kind : {"mean", "new-run"}
        With the noise of one run, the same for all points of a draw, or without.

    Returns
    -------
    (m, n) float64
    """
    expression, columns = ground(draws.bound.law, draws.bound.constants, columns)
    points = [np.ascontiguousarray(columns[name], dtype=np.float64) for name in expression.variables]
    made = _each(expression, points, draws.params)
    if kind == "mean":
        return made
    return _noise(draws, columns, made.shape[1])(made, slice(None))


def _noise(draws: Draws, flat: Mapping[str, F64], count: int) -> Callable[[F64, slice], F64]:
    """Adds the noise of one run to predictions (m, points)."""
    model = draws.basis.noise
    if model is None:
        message = f"the noise of a run is not known from {draws.method} draws of {draws.bound.law.name}; kind='mean'"
        raise OptionError(message, argument="kind")
    if draws.method == "jackknife":
        message = "kind='new-run' needs draws of a bootstrap; these leave blocks out"
        raise OptionError(message, argument="kind")
    size = model.at(flat, (count,))
    # One number for each draw, whatever the points: the band at a point does not hang on which others are asked for.
    noise = model.draw(np.random.default_rng([draws.seed, 1]), len(draws.params))
    goal = draws.basis.objective

    def add(samples: F64, part: slice) -> F64:
        return goal.inverse(goal.transform(samples) + size[part] * noise)

    return add
