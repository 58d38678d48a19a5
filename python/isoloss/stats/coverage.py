r"""How often the intervals of a study like yours hold the truth.

Losses are simulated at the very runs of a fit, from the fitted law with noise of the size its residuals show; each
simulated study is fitted and resampled as the real one would be, and how often each kind of interval contains
the value the losses were simulated from is counted. The answer is for a true law and noise of that kind: no
simulation knows what the law has missed.

All studies and all their draws are batches of fits, each from the warm start alone. Beside the intervals of draws
there are the two that need none: Wald intervals from the sandwich covariance with Student's quantile, and profile
intervals, which contain the truth where a likelihood-ratio test does not reject it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isoloss.engine.problem import F64, Problem, Solved, seed_number
from isoloss.engine.watch import Progress, Watch
from isoloss.errors import DataError, FitError, OptionError
from isoloss.stats.inference import covariance
from isoloss.stats.intervals import check_level, ends, t_quantile
from isoloss.stats.noise import NoiseModel
from isoloss.stats.profiles import likelihood_limit, likelihood_ratio, no_likelihood
from isoloss.stats.resampling import (
    MOST_LEFT_OUT,
    Residuals,
    Units,
    around,
    case_counts,
    chosen_method,
    components,
    default_interval,
    degrees_of_freedom,
    draw_targets,
    estimated,
    model_of,
    natural,
    rank_deficient,
    residuals_of,
    units_of,
)
from isoloss.units import complete_compute, parse_number

if TYPE_CHECKING:
    from isoloss.fit.object import Fit

__all__ = ["Coverage", "Row", "coverage", "run_studies"]

_NUMBERS = 4_000_000  # losses held at once: studies are taken some at a time
_OF_DRAWS = ("percentile", "expanded", "bca")
_NO_NOISE = NoiseModel(size=0.0, slope=0.0, scale=(), middle=0.0, low=0.0, high=0.0, pool=np.zeros(1))
_WALD = {"HC1": "residual", "HC3": "wild"}  # degrees of freedom as for draws of that method
LOSS = "loss"
NEW_RUN = "new run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Coverage of one kind of interval.

    Attributes
    ----------
    interval : str
        A kind of `isoloss.stats.intervals`, ``"wald"`` or ``"profile"``.
    covered : mapping of str to float
        Share of the studies whose interval contains the truth, by parameter, ``"loss"`` and ``"new run"``.
    width : mapping of str to float
        Median width; NaN for profile intervals, whose ends are not computed.
    studies : int
        Studies that gave this interval.
    """

    interval: str
    covered: Mapping[str, float]
    width: Mapping[str, float]
    studies: int


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Coverage:
    """Measured coverage of the intervals for one design; made by `Fit.coverage`.

    Attributes
    ----------
    level : float
        What the intervals claim.
    method, by : str
        How runs were resampled.
    default : str
        The kind of interval that such draws give by default.
    rows : tuple of Row
    studies, draws : int
        Simulated studies, and draws of each.
    failed : int
        Studies whose fit did not converge; they are left out.
    truth : mapping of str to float
        What the losses were simulated from.
    """

    level: float
    method: str
    by: str
    default: str
    rows: tuple[Row, ...]
    studies: int
    draws: int
    failed: int
    truth: Mapping[str, float]

    def __getitem__(self, interval: str) -> Row:
        for row in self.rows:
            if row.interval == interval:
                return row
        message = f"no interval {interval!r} among {', '.join(row.interval for row in self.rows)}"
        raise OptionError(message, argument="interval")

    @property
    def error(self) -> float:
        """Standard error of a share at the level claimed."""
        return math.sqrt(self.level * (1.0 - self.level) / max(self.studies - self.failed, 1))

    def __str__(self) -> str:
        names = list(dict.fromkeys(name for row in self.rows for name in row.covered))
        table = [["coverage, %", *names]]
        for row in self.rows:
            mark = " (default)" if row.interval == self.default else ""
            cells = [f"{100 * row.covered[name]:.1f}" if name in row.covered else "" for name in names]
            table.append([row.interval + mark, *cells])
        widths = [max(len(line[k]) for line in table) for k in range(len(names) + 1)]
        head = (
            f"{self.studies:,} studies of {100 * self.level:g} % intervals, {self.draws:,} {self.method} draws each by "
        )
        lines = [f"{head}{self.by}; standard error {100 * self.error:.1f} %"]
        lines += [
            "  ".join([f"{line[0]:<{widths[0]}}", *(f"{c:>{w}}" for c, w in zip(line[1:], widths[1:], strict=True))])
            for line in table
        ]
        if self.failed:
            lines.append(f"{self.failed:,} studies did not converge and are left out")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"Coverage({self.studies:,} studies, {self.method} by {self.by}: {len(self.rows)} intervals)"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self) if cycle else str(self))

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        names = ("level", "method", "by", "default", "studies", "draws", "failed")

        def plain(values: Mapping[str, float]) -> dict[str, float | None]:
            return {name: None if math.isnan(value) else value for name, value in values.items()}

        return {
            **{name: getattr(self, name) for name in names},
            "truth": dict(self.truth),
            "rows": [
                {
                    "interval": row.interval,
                    "covered": plain(row.covered),
                    "width": plain(row.width),
                    "studies": row.studies,
                }
                for row in self.rows
            ],
        }


def coverage(
    fit: Fit,
    studies: int,
    *,
    draws: int,
    level: float,
    method: str,
    by: str | None,
    at: Mapping[str, ArrayLike | str] | None,
    seed: int | np.random.Generator,
    n_threads: int | None,
    progress: Progress | None,
) -> Coverage:
    """Simulate the design of a fit; see `isoloss.fit.object.Fit.coverage`."""
    asked: tuple[tuple[str, Any], ...] = (("studies", studies), ("draws", draws))
    for name, value in asked:
        if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or not 2 <= value <= 1_000_000:
            message = f"{name}={value!r} is not a whole number from 2 to 1,000,000"
            raise OptionError(message, argument=name)
    if not np.isfinite(fit.value):
        message = f"there is no optimum to simulate from: {fit.status.message}"
        raise FitError(message, code="fit-failed")
    problem, watch = fit.problem, Watch(progress, n_threads=n_threads)
    if fit.n <= estimated(problem):
        message = f"{fit.n} runs leave no residual of {estimated(problem)} parameters to take noise from"
        raise DataError(message, code="data-too-few-points", points=fit.n, parameters=estimated(problem))
    units = units_of(fit.runs, problem, by)
    found = residuals_of(problem, fit.vector, units, watch)
    model = None if problem.objective.kind == "binomial" else model_of(problem, found)
    place = _largest(fit) if at is None else _point(fit, at)

    def simulate(count: int, stream: int) -> F64:
        spread = components(found, units) if units.grouped and model is not None else None
        scale = np.zeros(fit.runs.n) if model is None else model.at(_named(problem), problem.target.shape)
        used = _NO_NOISE if model is None else model
        return draw_targets(problem, "parametric", count, stream, found, units, used, scale, spread)

    return run_studies(
        problem,
        fit.vector,
        units,
        simulate,
        studies=int(studies),
        draws=int(draws),
        level=check_level(level),
        method=method,
        place=place,
        seed=seed_number(seed),
        watch=watch,
    )


def _named(problem: Problem) -> dict[str, F64]:
    return dict(zip(problem.expression.variables, problem.columns, strict=True))


def _largest(fit: Fit) -> list[F64]:
    """The variables of the run of most compute."""
    problem = fit.problem
    size = np.ones(fit.runs.n)
    for name in ("N", "D") if "C" not in fit.runs.columns else ("C",):
        if name in fit.runs.columns:
            size = size * fit.runs.columns[name]
    row = int(np.argmax(size))
    return [column[row : row + 1].copy() for column in problem.columns]


def _point(fit: Fit, at: Mapping[str, ArrayLike | str]) -> list[F64]:
    """The variables of a point given by name."""
    fit.bound(**dict(at))  # checks names and values
    given = {
        name: np.atleast_1d(np.asarray(parse_number(v) if isinstance(v, str) else v, dtype=np.float64))
        for name, v in at.items()
    }
    whole = complete_compute(given)
    columns = [np.ascontiguousarray(whole[name]) for name in fit.problem.expression.variables]
    if any(column.shape != (1,) for column in columns):
        message = "at= takes one point: a number for each variable"
        raise OptionError(message, argument="at")
    return columns


# Studies -------------------------------------------------------------------------------------------------------------


def run_studies(
    problem: Problem,
    truth: F64,
    units: Units,
    simulate: Callable[[int, int], F64],
    *,
    studies: int,
    draws: int,
    level: float,
    method: str,
    place: Sequence[F64],
    seed: int,
    watch: Watch,
    new_run: Callable[[int, int], F64] | None = None,
) -> Coverage:
    """Fit and resample simulated studies, and count how often each interval holds the truth.

    Parameters
    ----------
    problem : Problem
        Runs, objective and constraints; its losses do not matter.
    truth : (p,) float64
        What the losses are simulated from.
    units : Units
        What is resampled as one.
    simulate : callable
        ``simulate(count, stream)`` gives (count, n) losses.
    place : sequence of (1,) float64
        Variables at which the loss is predicted.
    new_run : callable, optional
        ``new_run(count, stream)`` gives (count,) losses of new runs there, for the coverage of bands for new runs.
    """
    chosen = chosen_method(method, units, problem)
    if chosen == "seed-noise":
        message = "method='seed-noise' claims no coverage of the law: it leaves out what the runs do not repeat"
        raise OptionError(message, argument="method")
    n = problem.target.shape[-1]
    block = max(1, min(studies, _NUMBERS // max(n * max(draws, units.count), 1)))
    tally = _Tally(problem, truth, place, level, chosen, degrees_of_freedom(chosen, units, problem))
    watch.total = studies
    for first in range(0, studies, block):
        size = min(block, studies - first)
        stream = np.random.SeedSequence([seed, first]).generate_state(3, np.uint64)
        target = simulate(size, int(stream[0]))
        new = None if new_run is None else new_run(size, int(stream[2]))
        _some_studies(tally, target, units, draws, int(stream[1]), watch, new)
        if watch.progress is not None and watch.progress(first + size, studies):
            raise KeyboardInterrupt
    return tally.coverage(studies, draws, units.by)


def _some_studies(
    tally: _Tally, target: F64, units: Units, draws: int, seed: int, watch: Watch, new: F64 | None
) -> None:
    problem, truth, method = tally.problem, tally.truth, tally.method
    threads = watch.threads or None
    fitted = _solve(problem, target, np.tile(truth, (len(target), 1)), threads)
    keep = np.flatnonzero(fitted.ok)
    tally.failed += len(target) - len(keep)
    if len(keep) == 0:
        return
    target, params, value = target[keep], fitted.params[keep], fitted.value[keep]
    new = None if new is None else new[keep]
    left_out = _leave_out(problem, target, params, units, threads)
    tally.without_draws(target, params, value, units, threads)
    if method == "jackknife":
        if left_out is not None:
            tally.jackknife(params, left_out)
        return
    weights = None
    models: list[NoiseModel | None] = []
    if method == "case":
        chunk = case_counts(problem, units, seed, draws, watch)
        weights = chunk.weights
        drawn = np.repeat(target, draws, axis=0)
        lost = np.tile(chunk.deficient, len(target))
    else:
        streams = np.random.SeedSequence(seed).generate_state(len(target), np.uint64)
        parts = []
        for k, losses in enumerate(target):
            own = replace(problem, target=losses)
            found = residuals_of(own, params[k], units, watch, left_out=_row(left_out, k))
            model = None if problem.objective.kind == "binomial" else model_of(own, found)
            models.append(model)
            parts.append(_targets(own, method, draws, int(streams[k]), found, units, model))
        drawn = np.concatenate(parts)
        lost = np.zeros(len(drawn), dtype=np.bool_)
    solved = _solve(problem, drawn, np.repeat(params, draws, axis=0), threads, weights=weights)
    samples = np.where((solved.ok & ~lost)[:, None], solved.params, np.nan).reshape(len(target), draws, -1)
    for k in range(len(target)):
        kept = samples[k][np.isfinite(samples[k, :, 0])]
        tally.with_draws(params[k], kept, _row(left_out, k))
        if new is not None and models:
            tally.new_run(params[k], kept, models[k], float(new[k]), int(streams[k]))


def _row(array: F64 | None, k: int) -> F64 | None:
    return None if array is None else array[k]


def _targets(
    problem: Problem,
    method: str,
    draws: int,
    seed: int,
    found: Residuals,
    units: Units,
    model: NoiseModel | None,
) -> F64:
    used = _NO_NOISE if model is None else model
    scale = used.at(_named(problem), problem.target.shape)
    spread = components(found, units) if method == "parametric" and units.grouped else None
    return draw_targets(problem, method, draws, seed, found, units, used, scale, spread)


def _solve(problem: Problem, target: F64, starts: F64, threads: int | None, *, weights: F64 | None = None) -> Solved:
    """Every row of losses from its start; rows of weights are taken in turn."""
    rows = np.arange(len(target), dtype=np.int64)
    index = None if weights is None else rows % len(weights)
    return around(problem, target).solve(
        starts, weights=weights, weight_index=index, target_index=rows, threads=threads
    )


def _leave_out(problem: Problem, target: F64, params: F64, units: Units, threads: int | None) -> F64 | None:
    """(studies, units, p) the fits without each unit, NaN where they failed."""
    if units.count > MOST_LEFT_OUT:
        return None
    weights = units.without()
    lacking = rank_deficient(problem, weights)
    if problem.weights is not None:
        weights *= problem.weights
    count = units.count
    solved = around(problem, target).solve(
        np.repeat(params, count, axis=0),
        weights=weights,
        weight_index=np.tile(np.arange(count, dtype=np.int64), len(target)),
        target_index=np.repeat(np.arange(len(target), dtype=np.int64), count),
        threads=threads,
    )
    good = solved.ok & ~np.tile(lacking, len(target))
    return np.where(good[:, None], solved.params, np.nan).reshape(len(target), count, -1)


class _Tally:
    """Counts by kind of interval and statistic."""

    def __init__(
        self, problem: Problem, truth: F64, place: Sequence[F64], level: float, method: str, df: float
    ) -> None:
        self.problem, self.truth, self.place = problem, truth, list(place)
        self.level, self.method, self.df = level, method, df
        self.failed = 0
        own = problem.parameters
        self.free: NDArray[np.intp] = np.flatnonzero(own.free)
        self.names = [own.names[j] for j in self.free]
        self.statistics = [*self.names, LOSS]
        self.true = self.of(truth[None, :])[0]
        self.hits: dict[str, list[F64]] = {}
        self.widths: dict[str, list[F64]] = {}
        self.new: list[tuple[bool, float]] = []
        self.curved = np.append(own.positive[self.free], False)

    def of(self, params: F64) -> F64:
        """(m, k + 1) free parameters and the predicted loss."""
        loss = self.problem.expression.evaluate(self.place, np.ascontiguousarray(params))
        return np.column_stack([params[:, self.free], loss[:, 0]])

    def add(self, interval: str, low: F64, high: F64) -> None:
        self.hits.setdefault(interval, []).append((low <= self.true) & (self.true <= high))
        self.widths.setdefault(interval, []).append(high - low)

    def with_draws(self, params: F64, samples: F64, left_out: F64 | None) -> None:
        estimate, drawn = self.of(params[None, :])[0], self.of(samples)
        without = None if left_out is None else self.of(left_out)
        for kind in _OF_DRAWS:
            if kind == "bca" and without is None:
                continue
            low, high = ends(kind, drawn, estimate, self.level, df=self.df, left_out=without)
            self.add(kind, low, high)

    def new_run(self, params: F64, samples: F64, model: NoiseModel | None, loss: float, seed: int) -> None:
        if model is None:
            return
        goal = self.problem.objective
        where = dict(zip(self.problem.expression.variables, self.place, strict=True))
        mean = goal.transform(self.of(samples)[:, -1:])
        noise = model.at(where, (1,)) * model.draw(np.random.default_rng(seed), mean.shape)
        drawn = natural(goal, mean + noise)
        kind = default_interval(self.method)
        low, high = ends(kind, drawn, self.of(params[None, :])[0, -1:], self.level, df=self.df)
        self.new.append((bool(low[0] <= loss <= high[0]), float(high[0] - low[0])))

    def jackknife(self, params: F64, left_out: F64) -> None:
        for estimate, without in zip(params, left_out, strict=True):
            kept = without[np.isfinite(without[:, 0])]
            low, high = ends(
                "jackknife",
                self.of(kept),
                self.of(estimate[None, :])[0],
                self.level,
                df=self.df,
                logarithm=self.curved,
            )
            self.add("jackknife", low, high)

    def without_draws(self, target: F64, params: F64, value: F64, units: Units, threads: int | None) -> None:
        """Wald and profile intervals."""
        problem = self.problem
        groups = units.codes if units.grouped else None
        inside = np.zeros(len(self.truth), dtype=np.int8)
        tail = 0.5 * (1.0 - self.level)
        quantile = {kind: -t_quantile(tail, degrees_of_freedom(of, units, problem)) for kind, of in _WALD.items()}
        for losses, at in zip(target, params, strict=True):
            own = replace(problem, target=losses)
            for kind, t in quantile.items():
                found = covariance(own, at, inside, groups, kind=kind).cov
                if found is None:
                    continue
                slope = problem.expression.derivatives(self.place, at)[1]
                error = np.append(np.sqrt(np.diag(found))[self.free], np.sqrt(slope[0] @ found @ slope[0]))
                estimate = self.of(at[None, :])[0]
                # Positive parameters in their logarithms, where they are nearer to normal.
                half = t * np.where(self.curved, error / estimate, error)
                middle = np.where(self.curved, np.log(np.where(self.curved, estimate, 1.0)), estimate)
                ends_of = [
                    np.where(self.curved, np.exp(np.minimum(end, 700.0)), end) for end in (middle - half, middle + half)
                ]
                self.add(f"wald {kind}", ends_of[0], ends_of[1])
        if not units.grouped and no_likelihood(problem) is None:
            self._profiles(target, value, threads)

    def _profiles(self, target: F64, value: F64, threads: int | None) -> None:
        """A profile interval holds the truth where the likelihood-ratio test does not reject it."""
        problem, own = self.problem, self.problem.parameters
        limit = likelihood_limit(problem, self.level)
        hits = np.full((len(target), len(self.statistics)), np.nan)
        for k, j in enumerate(self.free):
            fixed = own.fixed.copy()
            fixed[j] = True
            values = own.values.copy()
            values[j] = self.truth[j]
            held = problem.with_parameters(replace(own, fixed=fixed, values=values))
            solved = _solve(held, target, np.tile(self.truth, (len(target), 1)), threads)
            ratio = likelihood_ratio(problem, solved.value, value)
            hits[:, k] = np.where(solved.ok, ratio <= limit, np.nan)
        self.hits.setdefault("profile", []).extend(hits)
        self.widths.setdefault("profile", []).extend(np.full(hits.shape, np.nan))

    def coverage(self, studies: int, draws: int, by: str) -> Coverage:
        rows = []
        for kind, hits in self.hits.items():
            table, widths = np.array(hits, dtype=np.float64), np.array(self.widths[kind])
            known = ~np.all(np.isnan(table), axis=0)
            covered = {name: float(np.nanmean(table[:, k])) for k, name in enumerate(self.statistics) if known[k]}
            width = {name: float(np.median(widths[:, k])) for k, name in enumerate(self.statistics) if known[k]}
            if self.new and kind == default_interval(self.method):
                covered[NEW_RUN] = float(np.mean([hit for hit, _ in self.new]))
                width[NEW_RUN] = float(np.median([size for _, size in self.new]))
            rows.append(Row(interval=kind, covered=covered, width=width, studies=len(table)))
        return Coverage(
            level=self.level,
            method=self.method,
            by=by,
            default=default_interval(self.method),
            rows=tuple(rows),
            studies=studies,
            draws=draws,
            failed=self.failed,
            truth=dict(zip(self.statistics, self.true.tolist(), strict=True)),
        )
