r"""Whether a law with fewer parameters will do: a test of two nested fits by a bootstrap that imposes the smaller one.

With V the objective at the optimum, the statistic is :math:`T = (V_{narrow} - V_{wide}) / V_{wide}`, which grows with
what the further parameters gain and knows no unit of the noise. Its distribution where the narrow law holds comes from
losses around the narrow fit, residuals of whole units turned around at random, to which both laws are fitted again
(Davidson and MacKinnon 1999, who show why the null hypothesis is to be imposed; Davidson and Flachaire 2008 for signs).
The p-value is the share of draws with a statistic as large, the data themselves counted among them (Davison and Hinkley
1997, section 4.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from isoloss.engine.watch import Watch
from isoloss.errors import OptionError
from isoloss.stats.noise import NoiseModel
from isoloss.stats.resampling import (
    around,
    chosen_method,
    chunk_seed,
    chunk_sizes,
    draw_targets,
    estimated,
    residuals_of,
    units_of,
)

if TYPE_CHECKING:
    from isoloss.engine.problem import F64, Problem
    from isoloss.fit.data import FitData

__all__ = ["Nested", "nested"]

_MOST_NUMBERS = 2_000_000  # losses in memory at once
_NO_NOISE = NoiseModel(size=0.0, slope=0.0, scale=(), middle=0.0, low=0.0, high=0.0, pool=np.zeros(1))
_GAIN = 1e-9  # of the objective: less is rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class Nested:
    """What became of the test.

    Attributes
    ----------
    p : float
        Of the hypothesis that the narrow law holds; NaN where there is no test.
    statistic : float
        Relative fall of the objective from the narrow law to the wide one.
    draws : int
        Behind the p-value: those in which both fits converged.
    reason : str
        Why there is no test; empty where there is one.
    """

    p: float
    statistic: float
    draws: int
    reason: str = ""


def nested(
    narrow: FitData, wide: FitData, lifted: F64, *, draws: int, by: str | None, seed: int, n_threads: int | None
) -> Nested:
    """Test a fit against one of more parameters, of the same runs in the same order.

    Parameters
    ----------
    narrow, wide : Fit
        Of runs that all carry weight.
    lifted : (p,) float64
        The parameters of the narrow fit as the wide law has them.
    draws : int
    by : str or None
        What is resampled as one, as for `Fit.bootstrap`.
    seed : int
    n_threads : int, optional
        The result does not depend on it.
    """
    watch = Watch(n_threads=n_threads)
    statistic = _statistic(np.array([narrow.value]), np.array([wide.value]))[0]
    units = units_of(narrow.runs, narrow.problem, by)
    try:
        chosen_method("wild", units, narrow.problem)
    except OptionError as refused:
        return Nested(p=np.nan, statistic=statistic, draws=0, reason=str(refused))
    q = estimated(wide.problem)
    if units.count <= q or narrow.n <= q:
        reason = f"{units.count} {'runs' if units.by == 'row' else 'groups'} leave nothing to test {q} parameters by"
        return Nested(p=np.nan, statistic=statistic, draws=0, reason=reason)
    if not (narrow.success and wide.success and np.isfinite(statistic)):
        return Nested(p=np.nan, statistic=statistic, draws=0, reason="a fit did not converge, or left no residual")
    residuals = residuals_of(narrow.problem, narrow.vector, units, watch)
    at = np.zeros(narrow.n)
    found = []
    for first, size in chunk_sizes(draws, narrow.n, _MOST_NUMBERS):
        made = draw_targets(
            narrow.problem, "wild", size, chunk_seed(seed, first), residuals, units, _NO_NOISE, at, None
        )
        low = _least(narrow.problem, made, np.vstack([narrow.vector, narrow.reserve[:2]]), watch)
        # Of nested laws the wide one is never the worse: where its starts say so, they missed its optimum.
        high = _least(wide.problem, made, np.vstack([lifted, wide.vector, wide.reserve[:2]]), watch)
        found.append(_statistic(low, np.minimum(high, low)))
    values = np.concatenate(found)
    values = values[np.isfinite(values)]
    if len(values) < draws / 2:
        reason = f"only {len(values):,} of {draws:,} draws were fitted"
        return Nested(p=np.nan, statistic=statistic, draws=len(values), reason=reason)
    p = (1.0 + np.sum(values >= statistic)) / (len(values) + 1.0)
    return Nested(p=float(p), statistic=float(statistic), draws=len(values))


def _statistic(narrow: F64, wide: F64) -> F64:
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = np.where(narrow - wide > _GAIN * np.abs(narrow), narrow - wide, 0.0)
        return np.asarray(gain / wide)


def _least(problem: Problem, targets: F64, points: F64, watch: Watch) -> F64:
    """(draws,) the least objective over the starts, NaN where none converged."""
    size, each = len(targets), len(points)
    solved = around(problem, targets).solve(
        np.tile(points, (size, 1)),
        target_index=np.repeat(np.arange(size, dtype=np.int64), each),
        threads=watch.threads or None,
    )
    values = np.where(solved.ok, solved.score(), np.inf).reshape(size, each).min(axis=1)
    return np.where(np.isfinite(values), values, np.nan)
