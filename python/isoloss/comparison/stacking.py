r"""A weighted mixture of laws whose interval holds what the user's own held-out runs say it should.

Weights w_k = exp(a_k) / sum exp(a_j) make the mean of the logarithms of the laws' held-out predictions closest to those
measured, in squares (stacking; Wolpert 1992, Breiman 1996). They are found by the same engine as every other fit. A law
that never predicts better than another gets next to nothing, and less than 5 % is nothing.

The interval of a prediction is that of the mixture of all laws' bootstrap draws with the noise of a run, each law
counted by its weight: it holds the spread of parameters, of runs, and between laws. It is then widened to so many half
widths of the mixture's 95 % interval that of the user's own held-out runs the wanted share lies inside (split conformal
prediction; Lei et al. 2018). It is never narrowed, and beyond the farthest held-out distance it has been checked
against nothing: the result says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isoloss.checks import level_between
from isoloss.errors import FitError, Notice, serious, without_repeats
from isoloss.fit.object import Fit, fit
from isoloss.law.object import law
from isoloss.objective import SquaredError
from isoloss.runs.reading import read
from isoloss.shown import Shown
from isoloss.stats.bands import samples
from isoloss.units import complete_compute, format_number, parse_number

if TYPE_CHECKING:
    from isoloss.comparison.compare import Comparison
    from isoloss.comparison.contest import Trial
    from isoloss.engine.problem import F64
    from isoloss.stats.draws import Draws

__all__ = ["Ensemble", "Forecast", "ensemble", "stack"]

_NOTHING = 0.05  # weight below which a law is left out: else it would be all of a 95 % interval's tail, and little else
_SCORED = 0.95  # level in whose half widths held-out runs are scored
_STEEP = 12.0  # bound of a_k: weights down to exp(-12)
_LEAST = 19  # held-out runs of which one may lie outside a 95 % interval
_FEW = 10  # held-out runs that a distance needs beyond it to count as checked


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Forecast(Shown):
    """A prediction of new runs by an ensemble.

    Attributes
    ----------
    estimate, low, high : float or ndarray
    level : float
    distance : float or ndarray
        Decades beyond the largest run by the variable of the rollout.
    checked : bool or ndarray of bool
        Whether runs as far out were held out and covered.
    by_law : mapping of str to float or ndarray
        What each law alone predicts.
    warnings : tuple of Notice
        The serious ones of the ensemble.
    """

    estimate: Any
    low: Any
    high: Any
    level: float
    distance: Any
    checked: Any
    by_law: Mapping[str, Any]
    warnings: tuple[Notice, ...] = ()

    def __str__(self) -> str:
        parts = (np.ravel(x) for x in (self.estimate, self.low, self.high, self.distance, self.checked))
        lines = [
            f"{format_number(float(e), 4)} [{format_number(float(a), 4)}, {format_number(float(b), 4)}], "
            f"{float(d):.1f} decades out" + ("" if ok else ": farther than any run that was held out")
            for e, a, b, d, ok in zip(*parts, strict=True)
        ]
        return "\n".join([*lines, *map(str, self.warnings)])


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Ensemble:
    """Laws mixed by stacking; made by `Comparison.ensemble`.

    Attributes
    ----------
    weights : mapping of str to float
        They add up to one.
    fits : mapping of str to Fit
        To all runs.
    draws : mapping of str to Draws
    factor : float
        By which intervals are widened about the estimate, in ln loss, at the level of 95 %.
    reach : float
        Decades to which at least ten held-out runs back the factor.
    held_out : int
        Number of held-out predictions behind weights and factor.
    by : str
        Variable of the rollout.
    warnings : tuple of Notice
    """

    weights: Mapping[str, float]
    fits: Mapping[str, Fit]
    draws: Mapping[str, Draws]
    scores: F64
    reach: float
    held_out: int
    by: str
    top: float
    warnings: tuple[Notice, ...] = ()

    @property
    def factor(self) -> float:
        """By which 95 % intervals are widened."""
        return max(1.0, _reached(self.scores, _SCORED))

    def predict(self, *, level: float = 0.95, **columns: ArrayLike | str) -> Forecast:
        """Losses of new runs.

        Parameters
        ----------
        level : float
        **columns
            Variables by role: numbers, texts such as ``"70B"``, or arrays that broadcast. N, D and C complete each
            other.

        Returns
        -------
        Forecast

        Raises
        ------
        OptionError
            Code ``option``: the level is not between 0 and 1.
        LawError, DataError
            A variable is missing, unknown, or cannot take the value.
        """
        level = level_between(level)
        given = {
            name: np.asarray(parse_number(value, name) if isinstance(value, str) else value, dtype=np.float64)
            for name, value in columns.items()
        }
        arrays = complete_compute(given)
        shape = np.broadcast_shapes(*(np.shape(value) for value in arrays.values()))
        flat = {name: np.ascontiguousarray(np.broadcast_to(value, shape)).ravel() for name, value in arrays.items()}
        alone = {name: np.ravel(made.bound(**_own(made, flat))) for name, made in self.fits.items()}
        drawn = {name: samples(self.draws[name], flat, "new-run") for name in self.fits}
        centre, low, high = _widened(self.weights, alone, drawn, level, self.scores)
        values = flat.get(self.by)
        far = np.full(len(centre), np.nan) if values is None else np.maximum(np.log10(values / self.top), 0.0)

        def shaped(array: NDArray[Any]) -> Any:
            return array.reshape(shape) if shape else array.reshape(-1)[0].item()

        return Forecast(
            estimate=shaped(np.exp(centre)),
            low=shaped(np.exp(centre - low)),
            high=shaped(np.exp(centre + high)),
            level=level,
            distance=shaped(far),
            checked=shaped(far <= self.reach),
            by_law={name: shaped(value) for name, value in alone.items()},
            warnings=serious(self.warnings),
        )

    def __str__(self) -> str:
        listed = ", ".join(f"{name} {100 * w:.0f} %" for name, w in self.weights.items())
        lines = [
            f"ensemble of {len(self.weights)}: {listed}",
            f"95 % intervals widened by {self.factor:.2f}, from {self.held_out} held-out predictions",
            f"checked to {self.reach:.1f} decades of {self.by} beyond the runs fitted",
        ]
        return "\n".join([*lines, *(str(notice) for notice in self.warnings)])

    def __repr__(self) -> str:
        return f"Ensemble({', '.join(f'{name}: {w:.2f}' for name, w in self.weights.items())})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self) if cycle else str(self))


def _own(made: Fit, flat: Mapping[str, F64]) -> dict[str, F64]:
    return {name: flat[name] for name in made.law.variables if name in flat}


def _mixture(
    weights: Mapping[str, float], alone: Mapping[str, F64], drawn: Mapping[str, F64], level: float
) -> tuple[F64, F64, F64]:
    """Ln of the estimate, and how far the mixture's quantiles lie below and above it."""
    centre = np.sum([weights[name] * np.log(alone[name]) for name in weights], axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        values = np.concatenate([np.log(drawn[name]) for name in weights])
    share = np.concatenate([np.full(len(drawn[name]), weights[name] / len(drawn[name])) for name in weights])
    low, high = (_weighted_quantile(values, share, q) for q in ((1.0 - level) / 2.0, (1.0 + level) / 2.0))
    tiny = 1e-12
    return centre, np.maximum(centre - low, tiny), np.maximum(high - centre, tiny)


def _weighted_quantile(values: F64, share: F64, q: float) -> F64:
    """(k,) quantile over the first axis of (m, k) values that count by `share`; draws without a value lie far out."""
    order = np.argsort(values, axis=0, kind="stable")  # NaN last
    reached = np.cumsum(share[order], axis=0)
    at = np.minimum((reached < q * reached[-1]).sum(axis=0), len(values) - 1)
    found = np.take_along_axis(values, np.take_along_axis(order, at[None, :], axis=0), axis=0)[0]
    return np.asarray(np.where(np.isfinite(found), found, np.inf if q > 0.5 else -np.inf))


def _widened(
    weights: Mapping[str, float], alone: Mapping[str, F64], drawn: Mapping[str, F64], level: float, scores: F64
) -> tuple[F64, F64, F64]:
    """Ln of the estimate, and how far the interval lies below and above it once held-out runs have widened it."""
    centre, low, high = _mixture(weights, alone, drawn, level)
    # The scores are in half widths of one level, and so it is that level's that they stretch, whatever is asked for.
    _, below, above = _mixture(weights, alone, drawn, _SCORED)
    reached = _reached(scores, level)
    return centre, np.maximum(low, reached * below), np.maximum(high, reached * above)


def _reached(scores: F64, level: float) -> float:
    """The least score that the wanted share of held-out runs does not pass."""
    rank = math.ceil((len(scores) + 1) * level)
    ordered = np.sort(scores)
    # So few held-out runs that no finite score is sure: the largest seen is the best there is.
    return float(ordered[min(rank, len(ordered)) - 1])


def stack(log_predictions: F64, log_loss: F64) -> F64:
    """Weights of laws that make their mean closest to the measured losses, in squares.

    Parameters
    ----------
    log_predictions : (k, n) float64
        Of n held-out runs by k laws.
    log_loss : (n,) float64

    Returns
    -------
    (k,) float64
        Not negative, adding up to one.

    Examples
    --------
    >>> import numpy as np
    >>> from isoloss.comparison.stacking import stack
    >>> truth = np.linspace(0.5, 1.5, 20)
    >>> stack(np.stack([truth + 0.1, truth - 0.1, truth + 0.8]), truth).round(2).tolist()
    [0.5, 0.5, 0.0]
    """
    k = len(log_predictions)
    if k == 1:
        return np.ones(1)
    if len(np.unique(log_predictions, axis=1).T) < k - 1:  # more weights than runs to tell them by: the best law alone
        return np.asarray(np.eye(k)[np.argmin(np.mean((log_predictions - log_loss) ** 2, axis=1))])
    text = " + ".join(f"exp(a{j}) * x{j}" for j in range(k - 1)) + f" + x{k - 1}"
    total = " + ".join(f"exp(a{j})" for j in range(k - 1)) + " + 1"
    names = [f"x{j}" for j in range(k)]
    # Differences from the mean of the laws keep the numbers small, and change no weight.
    middle = log_predictions.mean(axis=0)
    scale = max(float(np.abs(log_predictions - middle).max()), 1e-300)
    columns = {name: (row - middle) / scale for name, row in zip(names, log_predictions, strict=True)}
    roles: dict[str, Any] = {name: name for name in names}
    runs = read({**columns, "loss": (log_loss - middle) / scale}, **roles)
    mixing = law(f"({text}) / ({total})", vars=names, bounds={f"a{j}": (-_STEEP, _STEEP) for j in range(k - 1)})
    # Corners of the simplex, its middle, and the automatic points.
    corners = np.zeros((k + 1, k - 1))
    corners[np.arange(k - 1), np.arange(k - 1)] = _STEEP / 2.0
    corners[k - 1] = -_STEEP / 2.0
    made = fit(mixing, runs, objective=SquaredError(space="raw"), starts=corners)
    raised = np.exp(np.array([*made.params.values(), 0.0]))
    return np.asarray(raised / raised.sum())


def ensemble(compared: Comparison) -> Ensemble:
    """Stack the laws of a comparison; see `isoloss.comparison.compare.Comparison.ensemble`."""
    # Baselines are yardsticks: a straight line may fill a gap among the held-out runs, and leads astray beyond them.
    yardsticks = {score.law for score in compared.scores if score.baseline}
    proper = [name for name in compared.fits if name not in yardsticks]
    # As in the ranking, splits in which no law predicted say nothing about any.
    used = [k for k in range(len(compared.splits)) if any(compared.trials[name][k].ok for name in proper)]
    trials = {name: [compared.trials[name][k] for k in used] for name in proper}
    able = [
        name
        for name in proper
        if used and compared.fits[name].success and all(one.ok and one.draws is not None for one in trials[name])
    ]
    if not able:
        message = "no law has predictions and draws in every split in which some law has, so there is nothing to mix"
        raise FitError(message, code="ensemble-empty")
    loss = compared.runs.columns["loss"]
    first = trials[able[0]]
    rows = np.concatenate([found.rows for found in first])
    measured = np.log(loss[rows])
    predicted = np.stack([np.concatenate([np.log(f.prediction) for f in trials[name]]) for name in able])
    found = stack(predicted, measured)
    keep = found >= min(_NOTHING, found.max())
    weights = {name: float(w) for name, w, kept in zip(able, found / found[keep].sum(), keep, strict=True) if kept}
    scores = _scores(weights, trials, measured)
    distance = np.concatenate([compared.splits[k].distance[f.rows] for k, f in zip(used, first, strict=True)])
    reach = float(np.sort(distance)[-min(_FEW, len(distance))])
    drawn = {
        name: compared.fits[name].bootstrap(compared.draws, seed=compared.seed, n_threads=compared.n_threads)
        for name in weights
    }
    return Ensemble(
        weights=weights,
        fits={name: compared.fits[name] for name in weights},
        draws=drawn,
        scores=scores,
        reach=reach,
        held_out=len(rows),
        by=compared.rollout.by,
        top=float(compared.runs.columns[compared.rollout.by].max()),
        warnings=without_repeats(
            serious(*(compared.fits[name].warnings for name in weights)),
            _notices(scores, len(used), len(np.unique(rows))),
        ),
    )


def _scores(weights: Mapping[str, float], trials: Mapping[str, Sequence[Trial]], measured: F64) -> F64:
    """By how many half widths of the mixture's 95 % interval each held-out run lies off its estimate."""
    parts = []
    for k in range(len(next(iter(trials.values())))):
        alone = {name: trials[name][k].prediction for name in weights}
        drawn = {name: d for name in weights if (d := trials[name][k].draws) is not None}
        parts.append(_mixture(weights, alone, drawn, _SCORED))
    centre, low, high = (np.concatenate(side) for side in zip(*parts, strict=True))
    off = measured - centre
    return np.asarray(np.where(off < 0.0, -off / low, off / high))


def _notices(scores: F64, splits: int, runs: int) -> tuple[Notice, ...]:
    found = []
    factor = _reached(scores, _SCORED)
    if factor > 3.0:
        message = (
            f"held-out runs lie up to {factor:.1f} times outside the laws' own intervals: "
            "none of these laws describes the runs to their noise"
        )
        found.append(Notice(code="laws-misfit", severity="warning", message=message, details={"factor": factor}))
    if splits < 2 or runs < _LEAST:
        what = "a single split stands" if splits < 2 else f"{splits} splits stand"
        message = f"{what} behind the weights and the width of the intervals"
        if runs < _LEAST:
            message += (
                f", with {runs} runs held out; a {100 * _SCORED:g} % interval is sure of its share from {_LEAST} on"
            )
        details = {"splits": splits, "runs": runs}
        found.append(Notice(code="few-splits", severity="warning", message=message, details=details))
    return tuple(found)
