r"""What a bootstrap draw is made of: other weights of the runs, or other losses.

A *unit* is what is resampled as one: a run, a group of runs, or all rows that share a value of a column. With
e_i the residual of a run in the space of the objective and e_(i) its residual from the fit without its unit:

``case``
    Units drawn with replacement (Efron 1979).
``wild``
    Losses around the fit: e_(i) times a random number of mean zero and variance one that all rows of a unit share:
    plus or minus one (Davidson and Flachaire 2008), with fewer than twelve units Webb's (2023) six points, since signs
    alone make few different draws then. With e_(i), which under least squares is e_i / (1 - h_i), the variance
    estimated is the jackknife's (HC3; CR3 for groups).
``residual``
    Losses around the fit: residuals half way between e_i and e_(i), whose squares have about the right mean (HC2),
    drawn with replacement from all runs, each divided by the size of the noise where it was and multiplied by
    the size where it goes (`isoloss.stats.noise`).
``parametric``
    Normal noise of the same size; for groups, a part that the rows of a group share and one of their own. Pass
    counts are drawn from the binomial distribution.
``seed-noise``
    Normal noise as large as repeated runs of the same settings differ: what another random seed would do, and no more.
``jackknife``
    Each unit, or block of units, left out in turn.

Weights are read as precisions: a run of weight w has noise of the size s / sqrt(w), under absolute errors and
quantiles, whose sums take sizes and not squares, s / w. So e_i and e_(i) sqrt(w_i) are what runs have in common, and
``residual``, ``parametric`` and ``seed-noise`` draw these and divide them by sqrt(w_i) where they go. Only ratios of
weights matter: s is the noise of a run of the middle weight, and it is the noise of a new run. ``wild``, ``case`` and
``jackknife`` do without that reading.

Units are numbered by the values in their rows, so that the order of rows does not decide what is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from isoloss import _core
from isoloss.engine.problem import F64, Problem
from isoloss.engine.watch import Watch
from isoloss.errors import DataError, OptionError, did_you_mean
from isoloss.runs.checkpoints import same_rows
from isoloss.stats.noise import NoiseModel, noise_model
from isoloss.stats.rank import estimated, rank_deficient

if TYPE_CHECKING:
    from isoloss.runs.reading import Runs

__all__ = [
    "AROUND_THE_FIT",
    "METHODS",
    "MOST_LEFT_OUT",
    "Chunk",
    "Residuals",
    "Units",
    "around",
    "blocks_left_out",
    "case_counts",
    "chosen_method",
    "chunk_seed",
    "chunk_sizes",
    "components",
    "default_interval",
    "degrees_of_freedom",
    "draw_targets",
    "estimated",
    "leave_out",
    "model_of",
    "replicate_noise",
    "residuals_of",
    "trust_of",
    "units_of",
]

METHODS = (
    "auto",
    "case",
    "run-cluster",
    "wild",
    "wild-cluster",
    "residual",
    "parametric",
    "seed-noise",
    "jackknife",
)
AROUND_THE_FIT = ("wild", "residual", "parametric", "seed-noise")
_LOPSIDED = ("quantile", "expectile", "asymmetric_huber")
_BY_SIZE = ("absolute", "quantile")
_RATIOS = (1e-100, 1e100)  # of weights, so that squares of residuals stay numbers
_WEBB_BELOW = 12
_WEBB = np.array([-math.sqrt(1.5), -1.0, -math.sqrt(0.5), math.sqrt(0.5), 1.0, math.sqrt(1.5)])
MOST_LEFT_OUT = 400  # units; with more of them the correction is below one part in eighty
_AT_ONCE = 1_000_000  # predictions that are made where a part of them is asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """What is resampled as one.

    Attributes
    ----------
    by : str
        ``"row"``, ``"group"`` or the name of a column.
    codes : (n,) int64
        Unit of each run.
    count : int
    order : (n,) int64
        Rows sorted by their values.
    """

    by: str
    codes: NDArray[np.int64]
    count: int
    order: NDArray[np.int64]

    @property
    def grouped(self) -> bool:
        """Whether a unit may hold several rows."""
        return self.by != "row"

    def without(self) -> F64:
        """(count, n) weights that leave each unit out in turn."""
        return np.asarray(self.codes[None, :] != np.arange(self.count)[:, None], dtype=np.float64)


def units_of(runs: Runs, problem: Problem, by: str | None) -> Units:
    """The units of runs, by row, by group, or by a column.

    Raises
    ------
    DataError
        Codes ``data-missing-column``, ``data-too-few-points``.
    """
    if by is None:
        by = "row" if runs.group is None else "group"
    keys = (problem.target, *reversed(problem.columns))
    order = np.lexsort(keys if problem.weights is None else (problem.weights, *keys)).astype(np.int64)
    if by == "row":
        codes = np.empty(runs.n, dtype=np.int64)
        codes[order] = np.arange(runs.n)
        return Units(by=by, codes=codes, count=runs.n, order=order)
    if by == "group":
        if runs.group is None:
            message = "by='group': these runs have no group; name one with read(..., group=...)"
            raise DataError(message, code="data-missing-column", column="group")
        values: NDArray[Any] = runs.group
    elif by in runs.columns:
        values = runs.columns[by]
    else:
        message = f"by={by!r} names no column of the runs{did_you_mean(by, runs.columns)}"
        raise DataError(message, code="data-missing-column", column=by)
    labels, codes = np.unique(values, return_inverse=True)
    if len(labels) < 2:
        message = f"resampling by {by!r} needs at least two groups; there is {len(labels)}"
        raise DataError(message, code="data-too-few-points", groups=len(labels))
    # Numbered by their first row in sorted order, whatever their labels.
    _, first = np.unique(codes.ravel()[order], return_index=True)
    rank = np.empty(len(labels), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(labels))
    return Units(by=by, codes=rank[codes.ravel()], count=len(labels), order=order)


def chosen_method(method: str, units: Units, problem: Problem) -> str:
    """The method meant, checked against the data and the objective.

    Raises
    ------
    OptionError
        Code ``option``: unknown, or not valid for these runs or this objective.
    """
    if method not in METHODS:
        known = ", ".join(METHODS)
        message = f"method={method!r} is not a way to resample{did_you_mean(str(method), METHODS)}; known: {known}"
        raise OptionError(message, argument="method")
    kind = problem.objective.kind
    if method == "auto":
        if kind == "binomial":
            return "case" if units.grouped else "parametric"
        if units.count <= estimated(problem):
            return "case"
        if kind in _LOPSIDED:
            return "case" if units.grouped else "residual"
        return "wild"
    if method in ("run-cluster", "wild-cluster"):
        if not units.grouped:
            message = f"method={method!r} needs groups: read(..., group=...) or by= a column"
            raise OptionError(message, argument="method")
        return {"run-cluster": "case", "wild-cluster": "wild"}[method]
    if method == "wild" and kind in (*_LOPSIDED, "binomial"):
        message = f"method='wild' turns residuals around, which {problem.objective.name} does not allow; use 'case'"
        raise OptionError(message, argument="method")
    if kind == "binomial" and method in ("residual", "seed-noise"):
        message = f"method={method!r} is not for pass counts; use 'parametric' or 'case'"
        raise OptionError(message, argument="method")
    if method == "residual" and units.grouped:
        message = "method='residual' takes rows for independent, which those of a group are not; use 'wild' or 'case'"
        raise OptionError(message, argument="method")
    return method


def default_interval(method: str) -> str:
    """The kind of interval that covers best with a method; docs/coverage.md has the figures."""
    return {"case": "percentile", "jackknife": "jackknife"}.get(method, "expanded")


def degrees_of_freedom(method: str, units: Units, problem: Problem) -> float:
    """Degrees of freedom behind the size of the noise.

    Units beyond the parameters. Left-out residuals have paid for the parameters already: their variance is the
    jackknife's, which goes with units less one (MacKinnon, Nielsen and Webb 2023).
    """
    return float(max(units.count - (1 if method == "wild" else estimated(problem)), 1))


# Residuals -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Residuals:
    """Fitted values and residuals in the space of the objective, ready to be resampled.

    Attributes
    ----------
    base : (n,) float64
        T(prediction).
    outer : (n,) float64
        T(loss) minus the prediction of the fit without the row's unit.
    half : (n,) float64
        Half way between that and the plain residual.
    alive : (n,) bool
        Rows that count.
    trust : (n,) float64
        How many times smaller the noise of each row is than that of a run of the middle weight.
    left_out : (units, p) float64 or None
        Parameters without each unit; NaN where that fit failed.
    """

    base: F64
    outer: F64
    half: F64
    alive: NDArray[np.bool_]
    trust: F64
    left_out: F64 | None


def trust_of(problem: Problem) -> F64:
    """(n,) how many times smaller the noise of each row is, by its weight, than that of a run of the middle weight."""
    weights = problem.weights
    if weights is None or problem.objective.kind == "binomial" or not weights.any():
        return np.ones(problem.target.shape[-1])
    alive = weights > 0.0
    middle = np.quantile(weights[alive], 0.5, method="lower")
    with np.errstate(over="ignore"):
        ratio = np.clip(weights / middle, *_RATIOS)
    return np.where(alive, ratio if problem.objective.kind in _BY_SIZE else np.sqrt(ratio), 1.0)


def leave_out(problem: Problem, params: F64, units: Units, watch: Watch) -> F64 | None:
    """(units, p) the fit without each unit, NaN where it failed; None where there are too many units to matter."""
    if units.count > MOST_LEFT_OUT:
        return None
    weights = units.without()
    lacking = rank_deficient(problem, weights, params)
    if problem.weights is not None:
        weights *= problem.weights
    solved = problem.solve(
        np.tile(params, (units.count, 1)),
        weights=weights,
        weight_index=np.arange(units.count, dtype=np.int64),
        threads=watch.threads or None,
    )
    return np.where((solved.ok & ~lacking)[:, None], solved.params, np.nan)


def residuals_of(
    problem: Problem, params: F64, units: Units, watch: Watch, *, left_out: F64 | None = None
) -> Residuals:
    """Residuals of a fit, corrected for the part of the noise that the fit has taken up.

    `left_out` are the fits without each unit, where they are known already.
    """
    goal = problem.objective
    alive = np.ones(len(problem.target), dtype=np.bool_) if problem.weights is None else problem.weights > 0.0
    base = goal.transform(problem.predict(params)[0])
    plain = goal.transform(problem.target) - base
    if left_out is None:
        left_out = leave_out(problem, params, units, watch)
    n, q = int(alive.sum()), estimated(problem)
    inflated = plain * (n / max(n - q, 1))
    if left_out is None:
        outer = inflated
        half = plain * math.sqrt(n / max(n - q, 1))
    else:
        outer = goal.transform(problem.target) - goal.transform(_without_own_unit(problem, left_out, units))
        outer = np.where(np.isfinite(outer), outer, inflated)
        half = 0.5 * (plain + outer)
    return Residuals(
        base=np.where(alive, base, goal.transform(problem.target)),
        outer=np.where(alive, outer, 0.0),
        half=np.where(alive, half, 0.0),
        alive=alive,
        trust=trust_of(problem),
        left_out=left_out,
    )


def _without_own_unit(problem: Problem, left_out: F64, units: Units) -> F64:
    """(n,) what the fit without a row's unit predicts there; NaN where there is no such fit."""
    made = np.full(len(problem.target), np.nan)
    known = np.flatnonzero(np.isfinite(left_out[:, 0]))
    if not len(known):
        return made
    if len(known) * len(made) <= _AT_ONCE:  # all units at all rows is more work and yet one call
        place = np.full(units.count, -1)
        place[known] = np.arange(len(known))
        rows = np.flatnonzero(place[units.codes] >= 0)
        every = problem.expression.evaluate(problem.columns, left_out[known])
        made[rows] = every[place[units.codes[rows]], rows]
        return made
    for unit in known:
        rows = np.flatnonzero(units.codes == unit)
        made[rows] = problem.predict(left_out[unit], rows)[0]
    return made


def model_of(problem: Problem, residuals: Residuals) -> NoiseModel:
    """The noise around the fit, of a run of the middle weight."""
    return noise_model(
        residuals.half * residuals.trust,
        tuple(problem.expression.variables),
        problem.columns,
        residuals.alive,
        centre=problem.objective.kind not in _LOPSIDED,
    )


def components(residuals: Residuals, units: Units) -> tuple[float, float]:
    """Standard deviations of the part of the noise that a unit shares and of each row's own, at the middle weight."""
    e, codes = (residuals.half * residuals.trust)[residuals.alive], units.codes[residuals.alive]
    size = np.bincount(codes, minlength=units.count).astype(np.float64)
    some = size > 0
    mean = np.bincount(codes, weights=e, minlength=units.count)[some] / size[some]
    label = np.cumsum(some) - 1
    within = float(np.sum((e - mean[label[codes]]) ** 2)) / max(len(e) - int(some.sum()), 1)
    typical = float(1.0 / np.mean(1.0 / size[some]))
    shared = max(float(np.mean(mean**2)) - within / typical, 0.0)
    return math.sqrt(shared), math.sqrt(within)


def replicate_noise(problem: Problem) -> tuple[float, int]:
    """Standard deviation among runs of the same settings, at the middle weight, and its degrees of freedom.

    Raises
    ------
    DataError
        Code ``data-no-replicates``.
    """
    y = problem.objective.transform(problem.target)
    alive = np.isfinite(y) if problem.weights is None else problem.weights > 0.0
    cell = same_rows([column[alive] for column in problem.columns])
    share = trust_of(problem)[alive] ** 2
    mean = np.bincount(cell, weights=share * y[alive]) / np.bincount(cell, weights=share)
    df = int(alive.sum()) - len(mean)
    if df < 1:
        message = (
            "no two runs share all settings: what another seed would change is not known; give noise= or use 'residual'"
        )
        raise DataError(message, code="data-no-replicates")
    return math.sqrt(float(np.sum(share * (y[alive] - mean[cell]) ** 2)) / df), df


# Draws ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Some draws: weights or losses for each, and which of them cannot determine the parameters."""

    weights: F64 | None
    target: F64 | None
    deficient: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.deficient)


def chunk_sizes(n: int, width: int, most: int) -> Iterator[tuple[int, int]]:
    """(first, size) of the chunks of n draws: one, unless its numbers would not fit in memory comfortably."""
    chunk = max(1, min(n, most // max(width, 1)))
    for first in range(0, n, chunk):
        yield first, min(chunk, n - first)


def chunk_seed(seed: int, first: int) -> int:
    """The seed of the chunk that begins with draw `first`."""
    return seed if first == 0 else int(np.random.SeedSequence([seed, first]).generate_state(1, np.uint64)[0])


def case_counts(problem: Problem, params: F64, units: Units, seed: int, size: int, watch: Watch) -> Chunk:
    """Units drawn with replacement; `params`, (p,), is the fit around which their rank is judged."""
    counts = _core.resample_counts(seed, size, units.codes, units.count, threads=watch.threads)
    deficient = rank_deficient(problem, counts, params)
    if problem.weights is not None:
        counts *= problem.weights
    return Chunk(weights=counts, target=None, deficient=deficient)


def blocks_left_out(problem: Problem, params: F64, units: Units, seed: int, n: int) -> Chunk:
    """Each block of units left out in turn: n blocks, or each unit where there are no more."""
    blocks = min(n, units.count)
    place = np.arange(units.count)
    if blocks < units.count:
        place = np.random.default_rng(seed).permutation(units.count) % blocks
    weights = np.asarray(place[units.codes][None, :] != np.arange(blocks)[:, None], dtype=np.float64)
    deficient = rank_deficient(problem, weights, params)
    if problem.weights is not None:
        weights *= problem.weights
    return Chunk(weights=weights, target=None, deficient=deficient)


def target_noise(
    method: str, size: int, seed: int, residuals: Residuals, units: Units, model: NoiseModel, at: F64, spread: Any
) -> F64:
    """(size, n) noise to add to the fitted values, for `wild`, `residual`, `parametric` and `seed-noise`.

    Parameters
    ----------
    at : (n,) float64
        Size of the noise of each row under the model, if its weight were the middle one.
    spread : (float, float)
        Standard deviations of the part a unit shares and of a row's own: for `parametric` by groups, and `seed-noise`.
    """
    rng = np.random.default_rng(seed)
    if method == "wild":
        sign = (
            _WEBB[rng.integers(0, len(_WEBB), (size, units.count))]
            if units.count < _WEBB_BELOW
            else 2.0 * rng.integers(0, 2, (size, units.count)) - 1.0
        )
        return sign[:, units.codes] * residuals.outer
    order = units.order[residuals.alive[units.order]]
    made = np.zeros((size, len(residuals.base)))
    if method == "residual":
        rows = np.cumsum(residuals.alive) - 1
        pool = model.pool[rows[order]]  # sorted by the values in the rows
        made[:, order] = pool[rng.integers(0, len(pool), (size, len(pool)))]
        return made * (at / residuals.trust)
    own = rng.standard_normal((size, len(order)))
    if spread is None:
        made[:, order] = own
        return made * (at / residuals.trust)
    shared, alone = spread
    made[:, order] = alone * own
    if shared > 0.0:
        made += shared * rng.standard_normal((size, units.count))[:, units.codes] * residuals.alive
    return made / residuals.trust


def draw_targets(
    problem: Problem,
    method: str,
    size: int,
    seed: int,
    residuals: Residuals,
    units: Units,
    model: NoiseModel,
    at: F64,
    spread: Any,
) -> F64:
    """(size, n) losses around the fit."""
    if problem.objective.kind == "binomial":
        trials = np.ones(len(problem.target)) if problem.weights is None else problem.weights
        whole = np.maximum(np.round(trials), 0.0)
        chance = np.clip(problem_mean(problem, residuals), 0.0, 1.0)
        rng = np.random.default_rng(seed)
        order = units.order
        hits = np.zeros((size, len(whole)))
        hits[:, order] = rng.binomial(whole[order].astype(np.int64), chance[order], (size, len(whole)))
        return np.where(whole > 0.0, hits / np.maximum(whole, 1.0), problem.target)
    noise = target_noise(method, size, seed, residuals, units, model, at, spread)
    made = problem.objective.inverse(residuals.base + noise)
    return np.where(residuals.alive, made, problem.target)


def problem_mean(problem: Problem, residuals: Residuals) -> F64:
    """Predictions of the fit, in natural values."""
    return problem.objective.inverse(residuals.base)


def around(problem: Problem, target: F64) -> Problem:
    """The same problem with other losses, a row for each draw."""
    return replace(problem, target=np.ascontiguousarray(target))
