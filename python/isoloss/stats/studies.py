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

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from isoloss.checks import level_between, whole
from isoloss.engine.problem import F64, Problem, seed_number
from isoloss.engine.watch import Progress, Watch
from isoloss.errors import DataError, FitError, OptionError
from isoloss.stats.coverage import Coverage
from isoloss.stats.noise import NoiseModel, noiseless
from isoloss.stats.rank import rank_deficient
from isoloss.stats.resampling import (
    MOST_LEFT_OUT,
    Residuals,
    Units,
    around,
    case_counts,
    chosen_method,
    components,
    degrees_of_freedom,
    draw_targets,
    estimated,
    model_of,
    residuals_of,
    units_of,
)
from isoloss.stats.tally import Tally, solve
from isoloss.units import complete_compute, parse_number

if TYPE_CHECKING:
    from isoloss.fit.data import FitData

__all__ = ["coverage", "run_studies", "targets_of"]

_NUMBERS = 4_000_000  # losses held at once: studies are taken some at a time
_NO_NOISE = NoiseModel(size=0.0, slope=0.0, scale=(), middle=0.0, low=0.0, high=0.0, pool=np.zeros(1))


def coverage(
    fit: FitData,
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
    """Simulate the design of a fit; see `isoloss.Fit.coverage`."""
    studies, draws = whole("studies", studies, 2, 1_000_000), whole("draws", draws, 2, 1_000_000)
    if not np.isfinite(fit.value):
        message = f"there is no optimum to simulate from: {fit.status.message}"
        raise FitError(message, code="fit-failed")
    problem, watch = fit.problem, Watch(progress, n_threads=n_threads)
    if fit.n <= estimated(problem):
        message = f"{fit.n} runs leave no residual of {estimated(problem)} parameters to take noise from"
        raise DataError(message, code="data-too-few-points", points=fit.n, parameters=estimated(problem))
    if problem.objective.kind != "binomial" and noiseless(problem, fit.vector):
        raise DataError("the law goes through every run: there is no noise to simulate", code="no-noise")
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
        level=level_between(level),
        method=method,
        place=place,
        seed=seed_number(seed),
        watch=watch,
    )


def _named(problem: Problem) -> dict[str, F64]:
    return dict(zip(problem.expression.variables, problem.columns, strict=True))


def _largest(fit: FitData) -> list[F64]:
    """The variables of the run of most compute."""
    problem = fit.problem
    size = np.ones(fit.runs.n)
    for name in ("N", "D") if "C" not in fit.runs.columns else ("C",):
        if name in fit.runs.columns:
            size = size * fit.runs.columns[name]
    row = int(np.argmax(size))
    return [column[row : row + 1].copy() for column in problem.columns]


def _point(fit: FitData, at: Mapping[str, ArrayLike | str]) -> list[F64]:
    """The variables of a point given by name."""
    fit.bound(**dict(at))  # checks names and values
    given = {
        name: np.atleast_1d(np.asarray(parse_number(v, name) if isinstance(v, str) else v, dtype=np.float64))
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
    kinds: Collection[str] | None = None,
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
    kinds : collection of str, optional
        Intervals to count, of ``"percentile"``, ``"expanded"``, ``"bca"``, ``"wald"``, ``"profile"``; all by default.
    """
    chosen = chosen_method(method, units, problem)
    if chosen == "seed-noise":
        message = "method='seed-noise' claims no coverage of the law: it leaves out what the runs do not repeat"
        raise OptionError(message, argument="method")
    n = problem.target.shape[-1]
    block = max(1, min(studies, _NUMBERS // max(n * max(draws, units.count), 1)))
    tally = Tally(problem, truth, place, level, chosen, degrees_of_freedom(chosen, units, problem), kinds)
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
    tally: Tally,
    target: F64,
    units: Units,
    draws: int,
    seed: int,
    watch: Watch,
    new: F64 | None,
) -> None:
    problem, truth, method = tally.problem, tally.truth, tally.method
    threads = watch.threads or None
    fitted = solve(problem, target, np.tile(truth, (len(target), 1)), threads)
    keep = np.flatnonzero(fitted.ok)
    tally.failed += len(target) - len(keep)
    if len(keep) == 0:
        return
    target, params, value = target[keep], fitted.params[keep], fitted.value[keep]
    new = None if new is None else new[keep]
    left_out = _leave_out(problem, truth, target, params, units, threads)
    tally.without_draws(target, params, value, units, threads)
    if method == "jackknife":
        if left_out is not None:
            tally.jackknife(params, left_out)
        return
    weights = None
    models: list[NoiseModel | None] = []
    if method == "case":
        chunk = case_counts(problem, truth, units, seed, draws, watch)
        weights = chunk.weights
        drawn = np.repeat(target, draws, axis=0)
        lost = np.tile(chunk.deficient, len(target))
    else:
        streams = np.random.SeedSequence(seed).generate_state(len(target), np.uint64)
        parts = []
        for k, losses in enumerate(target):
            own = replace(problem, target=losses)
            found = residuals_of(own, params[k], units, watch, left_out=_row(left_out, k))
            models.append(_model(own, found))
            parts.append(targets_of(own, method, draws, int(streams[k]), found, units))
        drawn = np.concatenate(parts)
        lost = np.zeros(len(drawn), dtype=np.bool_)
    solved = solve(problem, drawn, np.repeat(params, draws, axis=0), threads, weights=weights)
    samples = np.where((solved.ok & ~lost)[:, None], solved.params, np.nan).reshape(len(target), draws, -1)
    for k in range(len(target)):
        kept = samples[k][np.isfinite(samples[k, :, 0])]
        tally.with_draws(params[k], kept, _row(left_out, k))
        if new is not None and models:
            tally.new_run(params[k], kept, models[k], float(new[k]), int(streams[k]))


def _row(array: F64 | None, k: int) -> F64 | None:
    return None if array is None else array[k]


def _model(problem: Problem, found: Residuals) -> NoiseModel | None:
    return None if problem.objective.kind == "binomial" else model_of(problem, found)


def targets_of(problem: Problem, method: str, draws: int, seed: int, found: Residuals, units: Units) -> F64:
    """(draws, n) losses around the fit of a study, by a method of `isoloss.stats.resampling.AROUND_THE_FIT`."""
    used = _model(problem, found) or _NO_NOISE
    scale = used.at(_named(problem), problem.target.shape)
    spread = components(found, units) if method == "parametric" and units.grouped else None
    return draw_targets(problem, method, draws, seed, found, units, used, scale, spread)


def _leave_out(problem: Problem, truth: F64, target: F64, params: F64, units: Units, threads: int | None) -> F64 | None:
    """(studies, units, p) the fits without each unit, NaN where they failed."""
    if units.count > MOST_LEFT_OUT:
        return None
    weights = units.without()
    lacking = rank_deficient(problem, weights, truth)
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
