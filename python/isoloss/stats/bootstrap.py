"""The bootstrap from start to end: units, residuals, draws, one batch of fits, and the pick of each draw. Private.

Every draw is solved from the optimum of the full data and from a few different points, because a warm start alone hides
second basins. The least objective among the converged starts is the draw. A start that ran out of steps below
it might be on its way to a better basin: it is given more steps, and if it still has not arrived the draw is counted as
failed rather than taken from the worse basin.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from isoloss.checks import whole
from isoloss.engine.basins import rounding
from isoloss.engine.problem import F64, Problem, Solved, seed_number
from isoloss.engine.status import Status
from isoloss.engine.watch import OnInterrupt, Progress, Watch
from isoloss.errors import DataError, FitError, Notice, OptionError, serious, without_repeats
from isoloss.runs.checkpoints import alike_within_groups, checkpoints_notice, looks_like_checkpoints
from isoloss.stats.draws import RANK_DEFICIENT, Basis, Draws
from isoloss.stats.inference import covariance
from isoloss.stats.intervals import least_draws
from isoloss.stats.noise import NoiseModel, noiseless
from isoloss.stats.resampling import (
    AROUND_THE_FIT,
    Chunk,
    Residuals,
    Units,
    around,
    blocks_left_out,
    case_counts,
    chosen_method,
    chunk_seed,
    chunk_sizes,
    components,
    default_interval,
    degrees_of_freedom,
    draw_targets,
    estimated,
    model_of,
    replicate_noise,
    residuals_of,
    units_of,
)

if TYPE_CHECKING:
    from isoloss.fit.data import FitData

__all__ = ["bootstrap"]

_MOST_NUMBERS = 2_000_000  # in one matrix of resampling weights or losses: NumPy is not interrupted while it makes one
_FEWEST_DRAWS = 32  # at once even so, which fill the lanes of two cores
_MOST_DRAWS = 100_000_000
_CANCELLED = int(Status["CANCELLED"])
_SAME = 1e-9  # relative difference of objectives below which two starts are tied, unless that is less than rounding
_FEW_DF = 3
_USUAL = 0.95  # level whose ends the draws should reach
_ROUNDS = 2  # calls with all steps given to starts that ran out of them below the best


def bootstrap(
    fit: FitData,
    n: int,
    *,
    method: str,
    by: str | None,
    seed: int | np.random.Generator,
    starts: int,
    noise: float | None,
    studentize: bool,
    n_threads: int | None,
    progress: Progress | None,
    on_interrupt: OnInterrupt = "raise",
) -> Draws:
    """Refit to resampled runs; see `isoloss.Fit.bootstrap`."""
    watch = Watch(progress, on_interrupt, n_threads)
    n, starts = whole("n", n, 1, _MOST_DRAWS), whole("starts", starts, 0, 1000)
    if not np.isfinite(fit.value):
        message = f"there is no optimum to resample around: {fit.status.message}"
        raise FitError(message, code="fit-failed")
    units = units_of(fit.runs, fit.problem, by)
    chosen = chosen_method(method, units, fit.problem)
    if chosen != "seed-noise" and noise is not None:
        message = f"noise={noise!r} is for method='seed-noise', not for {chosen!r}"
        raise OptionError(message, argument="noise")
    number = seed_number(seed)
    source = _Source(fit, chosen, units, number, noise, watch)
    points = _starting_points(fit, int(starts))
    total = min(int(n), units.count) if chosen == "jackknife" else int(n)
    solved, deficient = _solve(source, points, total, watch)
    return _pick(fit, source, solved, deficient, studentize=studentize, watch=watch)


class _Source:
    """What every chunk of draws is made from."""

    __slots__ = ("at", "df", "fit", "method", "model", "residuals", "seed", "spread", "units")

    def __init__(self, fit: FitData, method: str, units: Units, seed: int, noise: float | None, watch: Watch) -> None:
        self.fit, self.method, self.units, self.seed = fit, method, units, seed
        problem = fit.problem
        n, q = fit.n, estimated(problem)
        self.df = degrees_of_freedom(method, units, problem)
        self.model: NoiseModel | None = None
        self.residuals: Residuals | None = None
        self.spread: tuple[float, float] | None = None
        self.at = np.zeros(n)
        if method in AROUND_THE_FIT and n <= q:
            message = f"{n} runs leave no residual of {q} parameters to resample; use method='case' or fix parameters"
            raise DataError(message, code="data-too-few-points", points=n, parameters=q)
        if n <= q:
            return
        self.residuals = residuals_of(problem, fit.vector, units, watch)
        if problem.objective.kind == "binomial":
            return
        self.model = model_of(problem, self.residuals)
        columns = dict(zip(problem.expression.variables, problem.columns, strict=True))
        self.at = self.model.at(columns, problem.target.shape)
        if method == "parametric" and units.grouped:
            self.spread = components(self.residuals, units)
        elif method == "seed-noise":
            self._seed_noise(noise)

    def _seed_noise(self, noise: float | None) -> None:
        if noise is None:
            size, df = replicate_noise(self.fit.problem)
            self.df = float(df)
        else:
            size = float(noise)
            self.df = float("inf")
            if not np.isfinite(size) or size < 0.0:
                message = f"noise={noise!r} is not a standard deviation, zero or above"
                raise OptionError(message, argument="noise")
        self.spread = (size, 0.0) if self.units.grouped else (0.0, size)

    def chunk(self, first: int, size: int, watch: Watch) -> Chunk:
        """Draws from `first` on."""
        problem, seed = self.fit.problem, chunk_seed(self.seed, first)
        if self.method == "case":
            return case_counts(problem, self.fit.vector, self.units, seed, size, watch)
        if self.method == "jackknife":
            return blocks_left_out(problem, self.fit.vector, self.units, self.seed, size)
        if self.residuals is None:
            raise FitError("there are no residuals to resample", code="fit-failed")
        model = self.model if self.model is not None else _NO_NOISE
        target = draw_targets(problem, self.method, size, seed, self.residuals, self.units, model, self.at, self.spread)
        return Chunk(weights=None, target=target, deficient=np.zeros(size, dtype=np.bool_))


_NO_NOISE = NoiseModel(size=0.0, slope=0.0, scale=(), middle=0.0, low=0.0, high=0.0, pool=np.zeros(1))


def _starting_points(fit: FitData, extra: int) -> F64:
    """(1 + extra, p): the optimum, then other optima and start points in about equal parts."""
    rivals = min(fit.rivals, (extra + 1) // 2)
    cold = fit.reserve[fit.rivals :]
    wanted = min(extra - rivals, len(cold))
    spread = cold[np.linspace(0, len(cold) - 1, wanted).astype(np.intp)] if wanted else cold[:0]
    return np.concatenate([fit.vector[None, :], fit.reserve[:rivals], spread])


def _most_numbers(width: int) -> int:
    """How many numbers to draw at once for problems of `width` rows."""
    return max(_MOST_NUMBERS, _FEWEST_DRAWS * width)


def _solve(source: _Source, points: F64, n: int, watch: Watch) -> tuple[Solved, NDArray[np.bool_]]:
    """All draws from all points, draw-major, and which resamples are rank-deficient."""
    each = len(points)
    width = source.fit.problem.target.shape[-1]
    most = n * width if source.method == "jackknife" else _most_numbers(width)  # its blocks are made at once
    parts: list[Solved] = []
    lacking: list[NDArray[np.bool_]] = []
    watch.total = n * each
    try:
        for first, size in chunk_sizes(n, width, most):
            chunk = source.chunk(first, size, watch)
            watch.before = first * each
            parts.append(_solved(source.fit.problem, chunk, points, watch))
            lacking.append(chunk.deficient)
            if watch.stopped:
                break
    except KeyboardInterrupt:
        # Between two calls of the engine; inside of one it is the engine that hears it.
        if not watch.partial:
            raise
    del lacking[len(parts) :], parts[len(lacking) :]
    missing = n - sum(len(some) for some in lacking)
    if missing:
        parts.append(_unfinished(missing, points))
        lacking.append(np.zeros(missing, dtype=np.bool_))
    return Solved.concat(parts), np.concatenate(lacking)


def _solved(problem: Problem, chunk: Chunk, points: F64, watch: Watch) -> Solved:
    """One chunk from all points; starts that ran out of steps below the best of their draw are given more."""
    size, each = len(chunk), len(points)
    index = np.repeat(np.arange(size, dtype=np.int64), each)
    asked = problem if chunk.target is None else around(problem, chunk.target)
    weight_index, target_index = (index, None) if chunk.target is None else (None, index)
    solved = asked.solve(
        np.tile(points, (size, 1)),
        weights=chunk.weights,
        weight_index=weight_index,
        target_index=target_index,
        watch=watch,
    )
    floor = float(rounding(problem)[0])
    for _ in range(_ROUNDS):
        rows = _promising(solved, size, floor)
        if watch.stopped or len(rows) == 0:
            break
        again = asked.solve(
            solved.params[rows],
            weights=chunk.weights,
            weight_index=None if weight_index is None else weight_index[rows],
            target_index=None if target_index is None else target_index[rows],
            threads=watch.threads or None,
        )
        better = np.flatnonzero(~(again.value > solved.value[rows]))
        solved = solved.put(rows[better], again.take(better))
    return solved


def _slack(least: F64, floor: float) -> F64:
    """(draws,) by how much objectives may differ from the least of their draw and still be tied with it."""
    return np.maximum(_SAME * np.abs(np.where(np.isfinite(least), least, 0.0)), floor)


def _promising(solved: Solved, draws: int, floor: float) -> NDArray[np.intp]:
    """Rows that stopped early at an objective lower, by more than `floor`, than any converged start of their draw."""
    value = np.where(np.isfinite(solved.value), solved.value, np.inf)
    least = np.where(solved.ok, value, np.inf).reshape(draws, -1).min(axis=1)
    bar = np.repeat(least - _slack(least, floor), len(value) // draws)
    early = ~solved.ok & np.isfinite(value) & (solved.status != _CANCELLED)
    return np.flatnonzero(early & (value < bar))


def _unfinished(draws: int, points: F64) -> Solved:
    """Draws that an interrupt kept from being solved."""
    rows = draws * len(points)
    return Solved(
        params=np.tile(points, (draws, 1)),
        value=np.full(rows, np.nan),
        status=np.full(rows, _CANCELLED, dtype=np.uint8),
        iterations=np.zeros(rows, dtype=np.uint32),
        at_bound=np.zeros((rows, points.shape[1]), dtype=np.int8),
    )


def _pick(
    fit: FitData, source: _Source, solved: Solved, deficient: NDArray[np.bool_], *, studentize: bool, watch: Watch
) -> Draws:
    """The least objective among the converged starts of each draw."""
    n = len(deficient)
    score = np.where(solved.ok, solved.score(), np.inf).reshape(n, -1)
    best = np.argmin(score, axis=1)
    rows = np.arange(n)
    least = score[rows, best]
    # A draw that lacks a start may lack its best one; so may one with a start still on its way down below the others.
    cut = (solved.status == _CANCELLED).reshape(n, -1).any(axis=1)
    each = score.shape[1]
    unsettled = np.zeros(n, dtype=np.bool_)
    floor = float(rounding(fit.problem)[0])
    on_its_way = _promising(solved, n, floor)
    unsettled[on_its_way // each] = True
    kept = np.isfinite(least) & ~deficient & ~cut & ~unsettled
    # Equal to rounding is a tie, which the earlier start wins: only real improvements count for the later ones.
    winner = np.argmax(score <= (least + _slack(least, floor))[:, None], axis=1)
    at = rows * each + best
    status = solved.status[at].copy()
    status[on_its_way // each] = solved.status[on_its_way]
    status[deficient] = RANK_DEFICIENT
    status[cut] = _CANCELLED
    params = np.ascontiguousarray(solved.params[at][kept])
    residuals = source.residuals
    cov, covs = _covariances(fit, source, params, np.flatnonzero(kept), n, watch) if studentize else (None, None)
    few = (*_few_units(source), *_no_noise(source))
    rare = _few_draws(int(kept.sum()), source.method)
    alike = checkpoints(fit, source)
    doubts = serious(fit.warnings)
    basis = Basis(
        interval=default_interval(source.method),
        df=source.df,
        calibrated=not (few or alike or any(notice.code != "unit-doubtful" for notice in doubts)),
        positive=fit.problem.parameters.positive.copy(),
        left_out=None if residuals is None else residuals.left_out,
        cov=cov,
        covs=covs,
        noise=source.model,
        objective=fit.objective,
        ranges=fit.ranges,
    )
    return Draws(
        params=params,
        names=fit.names,
        value=solved.value[at][kept],
        index=np.flatnonzero(kept).astype(np.int64),
        status=status,
        won_by_start=tuple(np.bincount(winner[kept], minlength=each).tolist()),
        method=source.method,
        by=source.units.by,
        units=source.units.count,
        seed=source.seed,
        bound=fit.bound,
        # What makes the fit doubtful makes its draws doubtful.
        warnings=without_repeats(
            doubts, _left_out(source.method, kept, cut, deficient, unsettled), rare, few, alike, _no_errors(covs)
        ),
        basis=basis,
    )


def _left_out(
    method: str,
    kept: NDArray[np.bool_],
    cut: NDArray[np.bool_],
    deficient: NDArray[np.bool_],
    unsettled: NDArray[np.bool_],
) -> tuple[Notice, ...]:
    """What to say about draws that are not there."""
    n = len(kept)
    notices: tuple[Notice, ...] = ()
    undone = int(cut.sum())
    if undone:
        message = f"interrupted: {n - undone:,} of {n:,} draws were finished"
        counted = {"finished": n - undone, "draws": n}
        notices = (Notice(code="interrupted", severity="serious", message=message, details=counted),)
    failed = int(n - kept.sum()) - undone
    if failed:
        few = int((deficient & ~cut).sum())
        early = int((unsettled & ~deficient & ~cut).sum())
        parts = [f"{few:,} of them for too few distinct points or none that tell all parameters apart"] if few else []
        parts += [f"{early:,} because a start ran out of steps below the best of the others"] if early else []
        reason = f", {', '.join(parts)}" if parts else ""
        message = f"{failed:,} of {n:,} draws failed and are left out{reason}"
        if method == "jackknife":
            message = (
                f"{failed:,} of {n:,} blocks could not be left out{reason}; the jackknife's error lacks their part and "
                "makes no confidence interval"
            )
        details = {"failed": failed, "draws": n, "rank_deficient": few, "unsettled": early}
        severe = failed > 0.05 * n or method == "jackknife"
        notices += (
            Notice(code="draws-failed", severity="serious" if severe else "warning", message=message, details=details),
        )
    return notices


def _few_draws(draws: int, method: str) -> tuple[Notice, ...]:
    """Draws without a quantile at the ends of the usual interval."""
    least = least_draws(_USUAL)
    if method == "jackknife" or draws >= least:
        return ()
    message = (
        f"{draws:,} draws have no quantiles at the ends of a {100 * _USUAL:g} % interval, which takes {least} at "
        "least; their spread is only a hint"
    )
    details = {"draws": draws, "least": least}
    return (Notice(code="few-draws", severity="serious", message=message, details=details),)


def _few_units(source: _Source) -> tuple[Notice, ...]:
    """Too few units for any percentile to be stretched to what is not known about the noise."""
    units, q = source.units, estimated(source.fit.problem)
    if source.method == "seed-noise" or units.count - q >= _FEW_DF:
        return ()
    what = "runs" if units.by == "row" else f"groups (by {units.by})"
    message = (
        f"{units.count} {what} for {q} parameters leave too few degrees of freedom for a confidence interval; the "
        "spread of the draws is only a hint"
    )
    details = {"units": units.count, "parameters": q}
    return (Notice(code="few-units", severity="serious", message=message, details=details),)


def _no_noise(source: _Source) -> tuple[Notice, ...]:
    """Runs that show no noise at all: draws from them have no spread, which is no certainty."""
    fit = source.fit
    if source.method == "seed-noise" or fit.n <= estimated(fit.problem) or not noiseless(fit.problem, fit.vector):
        return ()
    message = (
        "the law goes through every run: the draws have next to no spread, since the runs show no noise to resample"
    )
    return (Notice(code="no-noise", severity="serious", message=message, details={"runs": fit.n}),)


def _no_errors(covs: F64 | None) -> tuple[Notice, ...]:
    """Draws without standard errors, which studentised intervals lack."""
    lost = 0 if covs is None else int(np.isnan(covs).all(axis=(1, 2)).sum())
    if covs is None or lost == 0:
        return ()
    message = f"{lost:,} of {len(covs):,} draws have no standard errors; studentised intervals are made of the others"
    severe = lost > 0.05 * len(covs)
    details = {"failed": lost, "draws": len(covs)}
    return (Notice(code="draws-failed", severity="serious" if severe else "warning", message=message, details=details),)


def _covariances(
    fit: FitData, source: _Source, params: F64, draws: NDArray[np.intp], n: int, watch: Watch
) -> tuple[F64, F64]:
    """Covariance of the estimates and of each draw, for studentised intervals.

    Raises
    ------
    OptionError
        Code ``option``: the fit itself has no covariance.
    """
    groups = source.units.codes if source.units.grouped else None
    inside = np.zeros(len(fit.names), dtype=np.int8)
    own = covariance(fit.problem, fit.vector, inside, groups)
    if own.cov is None:
        message = f"studentize=True: the fit has no standard errors ({own.reason})"
        raise OptionError(message, argument="studentize")
    covs = np.full((len(params), len(fit.names), len(fit.names)), np.nan)
    place = {int(draw): k for k, draw in enumerate(draws)}
    for first, size in chunk_sizes(n, fit.problem.target.shape[-1], _most_numbers(fit.problem.target.shape[-1])):
        chunk = source.chunk(first, size, watch)
        for k in range(size):
            row = place.get(first + k)
            if row is None:
                continue
            asked = replace(
                fit.problem,
                target=fit.problem.target if chunk.target is None else chunk.target[k],
                weights=fit.problem.weights if chunk.weights is None else chunk.weights[k],
            )
            found = covariance(asked, params[row], inside, groups).cov
            if found is not None:
                covs[row] = found
    return own.cov, covs


def checkpoints(fit: FitData, source: _Source) -> tuple[Notice, ...]:
    """Rows resampled one by one that look like checkpoints of the same run."""
    if source.units.grouped:
        return ()
    known = source.residuals is not None and not noiseless(fit.problem, fit.vector)
    residual = np.where(source.residuals.alive, source.residuals.half, np.nan) if known and source.residuals else None
    found = looks_like_checkpoints(fit.runs, residual)
    if residual is not None and fit.runs.group is not None:  # which by="row" passes over
        found = alike_within_groups(fit.runs, residual)
    if found is None:
        return ()
    return (checkpoints_notice(found, "serious"),)
