r"""What a fit hangs on: single runs, odd runs, badly tuned rungs, and the analyst's own choices.

`influence` refits the law without each run (or group) in one batch. `outliers` scores residuals by their robust
standard deviation, 1.4826 times the median absolute deviation. `undertuned` looks for rungs whose losses lie above
the law by more than chance would have it: tuning can only be too little, so the test is one-sided. The decision is
the compute-optimal split of ten times the largest budget for laws of N and D, with its loss, and the loss of the
largest run for others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from isoloss.comparison.rollout import Rollout
from isoloss.engine.autodelta import robust_sigma
from isoloss.engine.watch import Watch
from isoloss.errors import DataError, OptionError, did_you_mean, serious
from isoloss.fit.object import Fit
from isoloss.plan.decisions import decision, shown
from isoloss.runs.table import make_frame
from isoloss.shown import Shown
from isoloss.stats.noise import noiseless

if TYPE_CHECKING:
    from isoloss.engine.problem import F64
    from isoloss.errors import Notice
    from isoloss.runs.reading import Runs

__all__ = ["Influence", "Outliers", "Rungs", "influence", "outliers", "undertuned"]


def __dir__() -> list[str]:
    """What completion offers: the public names."""
    return sorted(__all__)


_MOST_CELLS = 30_000_000  # weights of one batch of refits
_FAR = 3.5  # robust standard deviations (Iglewicz and Hoaglin 1993)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Influence:
    """The fit without each of its runs or groups, the most influential first.

    Attributes
    ----------
    labels : tuple of str
        What was left out.
    rows : tuple of tuple of int
        Its rows.
    params : (u, p) float64
        Parameters without it; NaN where no start converged.
    quantities : mapping of str to (u,) float64
        The decision without it.
    estimate : mapping of str to float
        The decision with all runs.
    share : (u,) float64
        Change of the leading quantity in units of its jackknife standard error over sqrt(u): 1 is a typical run.
    question : str
    frame : str
    warnings : tuple of Notice
        What makes the fit of all runs doubtful.
    """

    labels: tuple[str, ...]
    rows: tuple[tuple[int, ...], ...]
    params: F64
    names: tuple[str, ...]
    quantities: Mapping[str, F64]
    estimate: Mapping[str, float]
    share: F64
    question: str
    frame: str
    warnings: tuple[Notice, ...] = ()

    @property
    def table(self) -> Any:
        """A row for each unit left out."""
        columns: dict[str, Any] = {"left_out": np.array(self.labels), "influence": self.share, **self.quantities}
        columns |= {name: self.params[:, j] for j, name in enumerate(self.names)}
        return make_frame(columns, self.frame)

    def __str__(self) -> str:
        lead = next(iter(self.quantities))
        whole = ", ".join(f"{name} {shown(name, value)}" for name, value in self.estimate.items())
        lines = [f"{self.question}: {whole} with all runs", f"without the most influential, {lead} becomes"]
        for k in range(min(5, len(self.labels))):
            value = float(self.quantities[lead][k])
            told = f"{shown(lead, value)} ({_change(value / self.estimate[lead])})"
            told = told if math.isfinite(value) else "nothing: none converged"
            lines.append(f"  {self.labels[k]}: {told}, {self.share[k]:.1f} times the typical run")
        return "\n".join([*lines, *map(str, self.warnings)])

    def __repr__(self) -> str:
        return f"Influence({len(self.labels)} units of {self.question})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self) if cycle else str(self))


def _change(ratio: float) -> str:
    """In per cent, or as a factor where a per cent says little."""
    return f"{100.0 * (ratio - 1.0):+.2g} %" if 0.5 <= ratio < 2.0 else f"times {ratio:.2g}"


def influence(made: Fit, *, by: str | None = None, starts: int = 3, n_threads: int | None = None) -> Influence:
    """Refit without each run, or each group, all in one batch.

    Parameters
    ----------
    made : Fit
    by : str, optional
        ``"row"``, ``"group"``, or a column whose equal values belong together. By default groups where there are any.
    starts : int
        Starts of each refit besides the warm one.
    n_threads : int, optional

    Returns
    -------
    Influence

    Raises
    ------
    DataError
        Code ``data-missing-column``: `by` names no column.
    OptionError
        Code ``option``: so many runs that the weights of the refits would not fit in memory; choose groups.

    Examples
    --------
    >>> import isoloss as iso
    >>> from isoloss import diagnostics
    >>> runs = iso.read(iso.simulate.sweep(settings=1, seed=0))
    >>> found = diagnostics.influence(iso.fit("chinchilla", runs))
    >>> len(found.labels), bool(found.share[0] >= found.share[1])
    (56, True)
    """
    present, made = made.problem.present, made.counted()
    codes, labels = _units(made.runs, by, present)
    units, n = len(labels), made.runs.n
    if units * n > _MOST_CELLS:
        message = f"leaving out {units:,} units of {n:,} runs one by one needs too much memory; group them with by="
        raise OptionError(message, argument="by")
    base = np.ones(n) if made.problem.weights is None else made.problem.weights
    weights = np.where(codes[None, :] == np.arange(units)[:, None], 0.0, base[None, :])
    points = np.concatenate([made.vector[None, :], made.reserve[:starts]])
    solved = made.problem.solve(
        np.tile(points, (units, 1)),
        weights=np.ascontiguousarray(weights),
        weight_index=np.repeat(np.arange(units, dtype=np.int64), len(points)),
        watch=Watch(n_threads=n_threads),
    )
    score = np.where(solved.ok, solved.score(), np.inf).reshape(units, len(points))
    best = np.arange(units) * len(points) + np.argmin(score, axis=1)
    params = np.where(np.isfinite(score.min(axis=1))[:, None], solved.params[best], np.nan)
    question, quantities = decision(made, np.concatenate([made.vector[None, :], params]))
    lead = next(iter(quantities.values()))
    change = np.abs(np.log(lead[1:] / lead[0]))
    typical = math.sqrt(float(np.nanmean(change**2))) if np.isfinite(change).any() else math.nan
    share = change / typical if typical > 0.0 else np.zeros(units)
    order = np.argsort(-np.where(np.isfinite(share), share, np.inf), kind="stable")
    return Influence(
        labels=tuple(labels[k] for k in order),
        rows=tuple(tuple(present[codes == k].tolist()) for k in order),
        params=params[order],
        names=made.names,
        quantities={name: values[1:][order] for name, values in quantities.items()},
        estimate={name: float(values[0]) for name, values in quantities.items()},
        share=share[order],
        question=question,
        frame=made.runs.frame,
        warnings=serious(made.warnings),
    )


def _units(runs: Runs, by: str | None, rows: NDArray[np.intp]) -> tuple[NDArray[np.int64], list[str]]:
    """Unit of each run, and what each is called; `rows` are the numbers of the runs as the user has them."""
    if by is None:
        by = "row" if runs.group is None else "group"
    if by == "row":
        return np.arange(runs.n, dtype=np.int64), [f"row {k}" for k in rows]
    if by == "group" and runs.group is not None:
        present, codes = np.unique(runs.group, return_inverse=True)
        return codes.astype(np.int64), [f"group {runs.group_labels[k]}" for k in present]
    if by in runs.columns:
        values, codes = np.unique(runs.columns[by], return_inverse=True)
        return codes.astype(np.int64), [f"{by} = {value:.4g}" for value in values]
    message = f"by={by!r} names no column of the runs{did_you_mean(by, runs.columns)}"
    raise DataError(message, code="data-missing-column", column=by)


# Outliers -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Outliers(Shown):
    """Runs far from the law, the farthest first.

    Attributes
    ----------
    rows : tuple of int
    score : tuple of float
        Residual over the robust standard deviation; positive where the run is worse (its loss higher) than the law.
    sigma : float
        The robust standard deviation, in the space of the objective.
    cut : float
    n : int
    """

    rows: tuple[int, ...]
    score: tuple[float, ...]
    sigma: float
    cut: float
    n: int

    def __str__(self) -> str:
        if not self.rows:
            return f"no run of {self.n} lies beyond {self.cut:g} robust standard deviations ({self.sigma:.3g})"
        listed = ", ".join(f"row {row} ({score:+.1f})" for row, score in zip(self.rows[:10], self.score, strict=False))
        more = f", and {len(self.rows) - 10} more" if len(self.rows) > 10 else ""
        return f"{len(self.rows)} of {self.n} runs beyond {self.cut:g} robust standard deviations: {listed}{more}"


def outliers(made: Fit, *, cut: float = _FAR) -> Outliers:
    """Runs whose residual is beyond `cut` robust standard deviations.

    Parameters
    ----------
    made : Fit
    cut : float

    Returns
    -------
    Outliers

    Raises
    ------
    OptionError
        Code ``option``: `cut` is not above zero.

    Examples
    --------
    >>> import isoloss as iso
    >>> from isoloss import diagnostics
    >>> table = iso.simulate.sweep(settings=1, seed=0)
    >>> table["loss"][7] *= 1.1
    >>> diagnostics.outliers(iso.fit("chinchilla", table)).rows[0]
    7
    """
    if not (math.isfinite(cut) and cut > 0.0):
        message = f"cut={cut!r} is not above zero"
        raise OptionError(message, argument="cut")
    present, made = made.problem.present, made.counted()
    exact = noiseless(made.problem, made.vector)  # what is left is rounding, and no run's fault
    worse = np.zeros(made.runs.n) if exact else -made.residuals
    sigma = robust_sigma(worse, made.problem.weights)
    with np.errstate(divide="ignore", invalid="ignore"):
        score = np.nan_to_num((worse - np.median(worse)) / sigma, posinf=np.inf, neginf=-np.inf)
    far = np.flatnonzero(np.abs(score) > cut)
    far = far[np.argsort(-np.abs(score[far]), kind="stable")]
    return Outliers(
        rows=tuple(present[far].tolist()), score=tuple(score[far].tolist()), sigma=sigma, cut=cut, n=made.runs.n
    )


# Rungs --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Rungs(Shown):
    """The residuals of a fit by rung, from the smallest up.

    Attributes
    ----------
    by : str
    low, high : (k,) float64
        Range of the variable in each rung.
    runs : (k,) int64
    excess : (k,) float64
        Median of ln(loss / law).
    p : (k,) float64
        Of a rung so far above the law by chance (one-sided), times the number of rungs.
    undertuned : tuple of int
        Rungs with p below 0.05.
    """

    by: str
    low: F64
    high: F64
    runs: NDArray[np.int64]
    excess: F64
    p: F64
    undertuned: tuple[int, ...]

    def __str__(self) -> str:
        lines = []
        for k in range(len(self.runs)):
            mark = "  under-tuned?" if k in self.undertuned else ""
            low, high = shown(self.by, float(self.low[k])), shown(self.by, float(self.high[k]))
            reach = low if low == high else f"{low} .. {high}"
            runs = f"{self.runs[k]} run{'' if self.runs[k] == 1 else 's'}"
            excess = 100.0 * float(self.excess[k])
            lines.append(f"{self.by} {reach}: {runs}, median {excess:+.2f} %, p = {self.p[k]:.2g}{mark}")
        return "\n".join(lines)

    __repr__ = __str__


def undertuned(made: Fit, *, by: str = "C", groups: int | None = None) -> Rungs:
    """Rungs whose losses lie above the law by more than chance.

    The mean of a rung's residuals, those beyond 3.5 robust standard deviations drawn in, is judged by that deviation of
    all residuals.

    Parameters
    ----------
    made : Fit
    by : str
        Column that makes the rungs; see `isoloss.Rollout`.
    groups : int, optional

    Returns
    -------
    Rungs

    Raises
    ------
    DataError
        As `isoloss.Rollout.rungs`.

    Examples
    --------
    >>> import isoloss as iso
    >>> from isoloss import diagnostics
    >>> table = iso.simulate.sweep(settings=1, seed=0)
    >>> table["loss"][table["N"] == sorted(set(table["N"]))[3]] *= 1.01
    >>> diagnostics.undertuned(iso.fit("chinchilla", table), by="N").undertuned
    (3,)
    """
    made = made.counted()
    rungs = Rollout(by=by, min_groups=1, groups=groups).rungs(made.runs)
    exact = noiseless(made.problem, made.vector)
    loss = made.runs.columns["loss"]
    excess = np.zeros(made.runs.n) if exact else np.log(loss / made.problem.predict(made.vector)[0])
    values = made.runs.columns[by]
    count = int(rungs.max()) + 1
    parts = [rungs == k for k in range(count)]
    sigma = robust_sigma(excess, made.problem.weights)
    p = np.array([min(1.0, count * _above(excess[part], sigma)) for part in parts])
    return Rungs(
        by=by,
        low=np.array([values[part].min() for part in parts]),
        high=np.array([values[part].max() for part in parts]),
        runs=np.array([int(part.sum()) for part in parts]),
        excess=np.array([float(np.median(excess[part])) for part in parts]),
        p=p,
        undertuned=tuple(np.flatnonzero(p < 0.05).tolist()),
    )


def _above(excess: F64, sigma: float) -> float:
    """One-sided p of a mean residual at least so far above zero; outliers count as 3.5 deviations."""
    if sigma <= 0.0:
        return 0.0 if np.mean(excess) > 0.0 else 1.0
    z = float(np.mean(np.clip(excess / sigma, -_FAR, _FAR))) * math.sqrt(len(excess))
    return 1.0 - NormalDist().cdf(z)
