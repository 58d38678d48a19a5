"""Counts of the simulated studies whose intervals hold the truth, by kind of interval. Private to `isoloss.stats`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from isoloss.engine.problem import F64, Problem, Solved
from isoloss.stats.coverage import Coverage, Row
from isoloss.stats.inference import covariance
from isoloss.stats.intervals import ends, t_quantile
from isoloss.stats.noise import NoiseModel
from isoloss.stats.profiles import likelihood_limit, likelihood_ratio, no_likelihood
from isoloss.stats.resampling import Units, around, default_interval, degrees_of_freedom

__all__ = ["LOSS", "NEW_RUN", "Tally", "solve"]

_OF_DRAWS = ("percentile", "expanded", "bca")
_WALD = {"HC1": "residual", "HC3": "wild"}  # degrees of freedom as for draws of that method
LOSS = "loss"
NEW_RUN = "new run"


def solve(problem: Problem, target: F64, starts: F64, threads: int | None, *, weights: F64 | None = None) -> Solved:
    """Every row of losses from its start; rows of weights are taken in turn."""
    rows = np.arange(len(target), dtype=np.int64)
    index = None if weights is None else rows % len(weights)
    return around(problem, target).solve(
        starts, weights=weights, weight_index=index, target_index=rows, threads=threads
    )


class Tally:
    """Counts by kind of interval and statistic."""

    def __init__(
        self,
        problem: Problem,
        truth: F64,
        place: Sequence[F64],
        level: float,
        method: str,
        df: float,
        kinds: Collection[str] | None,
    ) -> None:
        self.problem, self.truth, self.place = problem, truth, list(place)
        self.level, self.method, self.df = level, method, df
        self.kinds = frozenset((*_OF_DRAWS, "wald", "profile") if kinds is None else kinds)
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
        """Count one interval of every statistic."""
        self.hits.setdefault(interval, []).append((low <= self.true) & (self.true <= high))
        self.widths.setdefault(interval, []).append(high - low)

    def with_draws(self, params: F64, samples: F64, left_out: F64 | None) -> None:
        """Intervals of one study from its draws."""
        estimate, drawn = self.of(params[None, :])[0], self.of(samples)
        without = None if left_out is None or "bca" not in self.kinds else self.of(left_out)
        for kind in _OF_DRAWS:
            if kind not in self.kinds or (kind == "bca" and without is None):
                continue
            low, high = ends(kind, drawn, estimate, self.level, df=self.df, left_out=without)
            self.add(kind, low, high)

    def new_run(self, params: F64, samples: F64, model: NoiseModel | None, loss: float, seed: int) -> None:
        """The band for a new run, whose loss is known here."""
        if model is None:
            return
        goal = self.problem.objective
        where = dict(zip(self.problem.expression.variables, self.place, strict=True))
        mean = goal.transform(self.of(samples)[:, -1:])
        noise = model.at(where, (1,)) * model.draw(np.random.default_rng(seed), len(mean))
        drawn = goal.inverse(mean + noise)
        kind = default_interval(self.method)
        low, high = ends(kind, drawn, self.of(params[None, :])[0, -1:], self.level, df=self.df)
        self.new.append((bool(low[0] <= loss <= high[0]), float(high[0] - low[0])))

    def jackknife(self, params: F64, left_out: F64) -> None:
        """Intervals of some studies from the fits without each unit."""
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
        if "wald" in self.kinds:
            self._wald(target, params, units)
        if "profile" in self.kinds and not units.grouped and no_likelihood(self.problem) is None:
            self._profiles(target, value, threads)

    def _wald(self, target: F64, params: F64, units: Units) -> None:
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
                with np.errstate(invalid="ignore"):  # a variance lost to rounding
                    error = np.append(np.sqrt(np.diag(found))[self.free], np.sqrt(slope[0] @ found @ slope[0]))
                estimate = self.of(at[None, :])[0]
                # Positive parameters in their logarithms, where they are nearer to normal.
                half = t * np.where(self.curved, error / estimate, error)
                middle = np.where(self.curved, np.log(np.where(self.curved, estimate, 1.0)), estimate)
                ends_of = [
                    np.where(self.curved, np.exp(np.minimum(end, 700.0)), end) for end in (middle - half, middle + half)
                ]
                self.add(f"wald {kind}", ends_of[0], ends_of[1])

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
            solved = solve(held, target, np.tile(self.truth, (len(target), 1)), threads)
            ratio = likelihood_ratio(problem, solved.value, value)
            hits[:, k] = np.where(solved.ok, ratio <= limit, np.nan)
        self.hits.setdefault("profile", []).extend(hits)
        self.widths.setdefault("profile", []).extend(np.full(hits.shape, np.nan))

    def coverage(self, studies: int, draws: int, by: str) -> Coverage:
        """The shares."""
        rows = []
        for kind, hits in self.hits.items():
            table, widths = np.array(hits, dtype=np.float64), np.array(self.widths[kind])
            known = ~np.all(np.isnan(table), axis=0)
            if not known.any():  # as profiles where all parameters are fixed
                continue
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
