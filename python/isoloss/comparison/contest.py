"""One law against held-out runs: fit the training part, resample it, predict the rest. See `isoloss.compare`.

Every split of every law is a multi-start fit and one batch of bootstrap draws through the engine. A law that cannot be
fitted to a split, for want of runs or of an optimum, has no prediction there, and the comparison says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from isoloss.errors import DataError, FitError, LawError
from isoloss.fit.object import Fit, fit
from isoloss.stats.bands import samples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from isoloss.comparison.rollout import Split
    from isoloss.engine.problem import F64
    from isoloss.law.object import Law
    from isoloss.objective.base import Objective
    from isoloss.runs.reading import Runs
    from isoloss.stats.draws import Draws

__all__ = ["LEVEL", "NEAREST", "Trial", "nearest", "trial"]

LEVEL = 0.95
"""Of the intervals for held-out runs."""
NEAREST = "nearest run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A law on one split.

    Attributes
    ----------
    rows : (k,) int64
        The held-out runs.
    prediction : (k,) float64
        Of their losses; NaN where the law gave none.
    draws : (m, k) float64 or None
        Predictions of new runs by the bootstrap draws; None where there are none.
    interval : ((k,), (k,)) float64 or None
        The law's own 95 % interval for the loss of each, of the kind that its draws give by default.
    reason : str
        Why there is no prediction; empty where there is one.
    fit : Fit or None
    """

    rows: NDArray[np.int64]
    prediction: F64
    draws: F64 | None = None
    interval: tuple[F64, F64] | None = None
    reason: str = ""
    fit: Fit | None = None

    @property
    def ok(self) -> bool:
        """Whether the law predicted these runs."""
        return not self.reason


def trial(
    law: Law,
    runs: Runs,
    split: Split,
    *,
    objective: Objective | None,
    draws: int,
    starts: int,
    seed: int,
    n_threads: int | None,
) -> Trial:
    """Fit a law to the training runs of a split and predict the others."""
    rows = np.flatnonzero(split.test)
    nothing = np.full(len(rows), np.nan)
    try:
        made = fit(law, runs.where(split.train), objective=objective, seed=seed, n_threads=n_threads)
    except (DataError, FitError, LawError) as error:
        if error.code not in ("data-too-few-points", "fit-failed"):
            raise
        return Trial(rows=rows, prediction=nothing, reason=str(error))
    if not made.success:
        return Trial(rows=rows, prediction=nothing, reason=made.status.message, fit=made)
    columns = held_out(runs, rows)
    with np.errstate(all="ignore"):
        prediction = np.asarray(made.bound(**{name: columns[name] for name in law.variables}), dtype=np.float64)
    if not np.all(np.isfinite(prediction) & (prediction > 0.0)):
        return Trial(rows=rows, prediction=nothing, reason="no loss above zero at held-out runs", fit=made)
    drawn = _draws(made, draws, starts, seed, n_threads)
    if drawn is None:
        return Trial(rows=rows, prediction=prediction, fit=made)
    with np.errstate(all="ignore"):
        new = samples(drawn, columns, "new-run")
    return Trial(rows=rows, prediction=prediction, draws=new, interval=_interval(drawn, new, prediction), fit=made)


def held_out(runs: Runs, rows: NDArray[np.int64]) -> dict[str, F64]:
    """The columns of some runs."""
    return {name: np.ascontiguousarray(values[rows]) for name, values in runs.columns.items()}


def _draws(made: Fit, draws: int, starts: int, seed: int, n_threads: int | None) -> Draws | None:
    if draws == 0:
        return None
    try:
        drawn = made.bootstrap(draws, starts=starts, seed=seed, n_threads=n_threads)
    except (DataError, FitError):
        return None  # a single group, or no residual to resample: a prediction without an interval
    return None if len(drawn) < 2 or drawn.basis.noise is None else drawn


def _interval(drawn: Draws, new: F64, prediction: F64) -> tuple[F64, F64]:
    """(k,) and (k,): the ends of the interval of each run, of the draws that predict a number there."""
    known = np.isfinite(new)
    if known.all():
        return drawn.ends(new, prediction, LEVEL)
    each = [drawn.ends(new[known[:, k], k], prediction[k], LEVEL) for k in range(len(prediction))]
    return np.array([low for low, _ in each]), np.array([high for _, high in each])


def nearest(runs: Runs, split: Split, variables: Sequence[str]) -> Trial:
    """The loss of the nearest training run, by distance in decades: the baseline that knows nothing of laws."""
    rows = np.flatnonzero(split.test)
    points = np.log10(np.column_stack([runs.columns[name] for name in variables]))
    known = np.flatnonzero(split.train)
    away = ((points[rows][:, None, :] - points[known][None, :, :]) ** 2).sum(axis=2)
    return Trial(rows=rows, prediction=runs.columns["loss"][known[np.argmin(away, axis=1)]])
