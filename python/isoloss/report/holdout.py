"""What the law of a fit predicts of the larger runs when it is fitted to the smaller ones, as the fit itself was made.

`isoloss.compare` asks this of several laws under their own recipes. Here the law, objective, bounds, fixed and tied
parameters, weights and starts are those of the fit, so that the answer is about this very fit. Errors are of the
logarithm of predicted over measured loss; the loss of the nearest fitted run is what a law has to beat.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from isoloss.comparison.contest import held_out, nearest
from isoloss.comparison.rollout import Rollout, Split
from isoloss.engine.watch import Watch
from isoloss.errors import DataError, FitError, LawError
from isoloss.fit.run import run
from isoloss.shown import Shown
from isoloss.units import format_number

if TYPE_CHECKING:
    from isoloss.engine.problem import F64
    from isoloss.fit.object import Fit

__all__ = ["Holdout", "Step", "holdout"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One split: what was fitted, what was held out, and the errors.

    Attributes
    ----------
    label : str
    fitted, predicted : int
        Numbers of runs.
    ahead, rmse, bias : float
        Root mean square of the errors at the next rung and at all that are held out, and their mean there; NaN where
        the law gave no prediction.
    nearest : float
        Root mean square of the nearest run's errors at all that are held out.
    reason : str
        Why there is no prediction; empty where there is one.
    """

    label: str
    fitted: int
    predicted: int
    ahead: float
    rmse: float
    bias: float
    nearest: float
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Holdout(Shown):
    """A rollout of the fit; made by `holdout`.

    Attributes
    ----------
    by : str
        The column whose values make the rungs.
    steps : tuple of Step
        By split, the fewest rungs first.
    """

    by: str
    steps: tuple[Step, ...]

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """A row of texts for each split."""
        return [
            (
                step.label,
                str(step.fitted),
                str(step.predicted),
                *(_share(value) for value in (step.ahead, step.rmse)),
                _share(step.bias, signed=True),
                _share(step.nearest),
                step.reason,
            )
            for step in self.steps
        ]

    def __str__(self) -> str:
        done = [step for step in self.steps if not step.reason]
        if not done:
            return f"rollout by {self.by}: no split could be predicted"
        ahead, rmse, near = (
            np.sqrt(np.mean([getattr(step, name) ** 2 for step in done])) for name in ("ahead", "rmse", "nearest")
        )
        return (
            f"rollout by {self.by}, {len(done)} of {len(self.steps)} splits: rms error {_share(ahead)} at the next "
            f"rung, {_share(rmse)} at all larger runs, where the nearest run errs by {_share(near)}"
        )


def holdout(fit: Fit, *, n_threads: int | None = None) -> Holdout:
    """Refit to the smaller runs and predict the larger ones, for every number of rungs from four.

    Raises
    ------
    DataError
        Code ``data-too-few-rungs``: too few rungs to hold one out; ``data-nonpositive``: values that make no rungs.
    """
    fit = fit.counted()
    by = "C" if "C" in fit.runs else fit.law.variables[0]
    rollout = Rollout(by=by)
    rungs = rollout.rungs(fit.runs)
    return Holdout(
        by=by,
        steps=tuple(_step(fit, split, rungs[split.test], n_threads) for split in rollout.splits(fit.runs)),
    )


def _step(fit: Fit, split: Split, rungs: NDArray[np.int64], n_threads: int | None) -> Step:
    rows = np.flatnonzero(split.test)
    loss = fit.runs["loss"][rows]
    predicted, reason = _predicted(fit, split, rows, n_threads)
    with np.errstate(all="ignore"):
        off = np.log(predicted / loss)
    if not reason and not np.isfinite(off).all():
        off, reason = np.full(len(rows), np.nan), "no loss above zero at held-out runs"
    return Step(
        label=split.label,
        fitted=int(split.train.sum()),
        predicted=len(rows),
        ahead=_rms(off[rungs == rungs.min()]),
        rmse=_rms(off),
        bias=float(off.mean()),
        nearest=_nearest(fit, split, loss),
        reason=reason,
    )


def _predicted(fit: Fit, split: Split, rows: NDArray[np.intp], n_threads: int | None) -> tuple[F64, str]:
    """Losses that the law predicts of the held-out runs; NaN, with the reason, where it cannot be fitted."""
    nothing = np.full(len(rows), np.nan)
    weights = fit.settings.weights
    settings = replace(fit.settings, weights=None if weights is None else weights[split.train])
    try:
        made = run(fit.law, fit.runs.where(split.train), settings, Watch(n_threads=n_threads))
    except (DataError, FitError, LawError) as error:
        return nothing, str(error)
    if not made.success:
        return nothing, made.status.message
    columns = held_out(fit.runs, rows)
    with np.errstate(all="ignore"):
        return np.asarray(made.bound(**{name: columns[name] for name in fit.law.variables}), dtype=np.float64), ""


def _nearest(fit: Fit, split: Split, loss: F64) -> float:
    """How far off the nearest fitted run is; NaN where distances in decades do not exist."""
    if not all(np.all(fit.runs[name] > 0.0) for name in fit.law.variables):
        return float("nan")
    return _rms(np.log(nearest(fit.runs, split, fit.law.variables).prediction / loss))


def _rms(error: F64) -> float:
    return float(np.sqrt(np.mean(error**2)))


def _share(value: float, *, signed: bool = False) -> str:
    if not np.isfinite(value):
        return "-"
    sign = "+" if signed and value >= 0.0 else ""
    return f"{sign}{format_number(100.0 * value, 3)} %"
