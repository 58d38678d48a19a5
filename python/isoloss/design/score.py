r"""Whether a plan does what it promises: studies simulated with and without the runs it adds.

For each law that might be true, losses of the runs there are and of those to be added are drawn around that law as it
was fitted to the real runs, with normal noise of the size its residuals show. The law of the plan is fitted to each
study and resampled as a real one would be. How wide the target's interval is, how often it holds the target of the true
law, and by how much the estimate is off on average, before and after, is what one would buy.

Where the truth is the law that is fitted, the interval should hold its level; where it is another one, no number of
runs helps against the wrong law, and the bias says how much is lost by it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from isoloss.checks import level_between, several, whole
from isoloss.design.information import Noise, columns_of, noise_of
from isoloss.design.next_runs import Design
from isoloss.engine.posing import as_law
from isoloss.engine.problem import F64, Problem, seed_number
from isoloss.engine.watch import Progress, Watch
from isoloss.errors import FitError, OptionError
from isoloss.fit.object import Fit, fit
from isoloss.law.object import Law
from isoloss.plain import plain_dict
from isoloss.runs.table import make_frame
from isoloss.shown import Shown
from isoloss.stats.intervals import ends
from isoloss.stats.resampling import (
    AROUND_THE_FIT,
    Units,
    chosen_method,
    default_interval,
    degrees_of_freedom,
    residuals_of,
    trust_of,
)
from isoloss.stats.studies import targets_of
from isoloss.stats.tally import solve
from isoloss.units import format_number

__all__ = ["DesignScore", "score_design"]

_AT_ONCE = 20_000  # draws that are fitted in one call


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class DesignScore(Shown):
    """What simulated studies gave; made by `score_design`.

    Attributes
    ----------
    target : str
    law : str
        The one that was fitted.
    truth : tuple of str
        By row: the law that the losses were simulated from.
    width_before, width_after : (r,) float64
        Median width of the target's interval, without and with the runs that are added: high minus low, of logarithms
        where `factor`.
    covered_before, covered_after : (r,) float64
        Share of the studies whose interval holds the true target.
    bias_before, bias_after : (r,) float64
        Mean of the estimates, over the studies, minus the true target.
    error_before, error_after : (r,) float64
        Root mean square of the estimates minus the true target.
    shrinkage : (r,) float64
        By how much the median width shrank.
    expected : float
        What the plan expected under the fitted law.
    failed : (r,) int64
        Studies in which a fit did not converge, or had no target; they are left out.
    studies, draws : int
    level : float
    factor : bool
    frame : str
    """

    target: str
    law: str
    truth: tuple[str, ...]
    width_before: F64
    width_after: F64
    covered_before: F64
    covered_after: F64
    bias_before: F64
    bias_after: F64
    error_before: F64
    error_after: F64
    shrinkage: F64
    expected: float
    failed: F64
    studies: int
    draws: int
    level: float
    factor: bool
    frame: str

    @property
    def table(self) -> Any:
        """A row for each truth, as a frame of the kind the runs came in (a dict of arrays if they were one)."""
        return make_frame(
            {"truth": np.array(self.truth), **{name: getattr(self, name) for name in _COLUMNS}}, self.frame
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return plain_dict({name: getattr(self, name) for name in self.__dataclass_fields__})

    def __str__(self) -> str:
        error = math.sqrt(self.level * (1.0 - self.level) / self.studies)
        lines = [
            f"{self.studies:,} studies of {100 * self.level:g} % intervals for {self.target}, fitted by {self.law}",
            f"expected to shrink by {100 * self.expected:.0f} %; standard error of a share {100 * error:.1f} %",
        ]
        rows = [("truth", "width", "shrinks", "holds the truth", "bias", "error")]
        for k, truth in enumerate(self.truth):
            rows.append(
                (
                    truth,
                    f"{self._size(self.width_before[k])} -> {self._size(self.width_after[k])}",
                    f"{100 * self.shrinkage[k]:.0f} %",
                    f"{100 * self.covered_before[k]:.0f} % -> {100 * self.covered_after[k]:.0f} %",
                    f"{self._size(self.bias_before[k])} -> {self._size(self.bias_after[k])}",
                    f"{self._size(self.error_before[k])} -> {self._size(self.error_after[k])}",
                )
            )
        widths = [max(len(row[j]) for row in rows) for j in range(len(rows[0]))]
        lines += [
            "  " + "  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows
        ]
        lines += [] if not self.factor else ["width: high over low; bias and root mean square error: factors"]
        lost = int(self.failed.sum())
        lines += [f"{lost:,} studies did not converge and are left out"] if lost else []
        return "\n".join(lines)

    def _size(self, value: float) -> str:
        return format_number(math.exp(min(value, 700.0)) if self.factor else float(value), 3)


_COLUMNS = (
    "width_before",
    "width_after",
    "shrinkage",
    "covered_before",
    "covered_after",
    "bias_before",
    "bias_after",
    "error_before",
    "error_after",
    "failed",
)


def score_design(
    plan: Design,
    truths: Iterable[str | Law] | None = None,
    *,
    studies: int = 200,
    draws: int = 199,
    level: float = 0.95,
    seed: int | np.random.Generator = 0,
    n_threads: int | None = None,
    progress: Progress | None = None,
) -> DesignScore:
    """Simulate a plan before it is paid for.

    Parameters
    ----------
    plan : Design
    truths : iterable of str or Law, optional
        Laws that might be true, each fitted to the runs there are; by default those the plan was made for.
    studies, draws : int
        Simulated studies for each truth, and bootstrap draws of each.
    level : float
        Of the intervals.
    seed : int or numpy Generator
    n_threads : int, optional
        The result does not depend on it.
    progress : callable, optional
        Called as ``progress(done, total)`` after each batch of studies; True stops with KeyboardInterrupt.

    Returns
    -------
    DesignScore

    Raises
    ------
    OptionError
        Code ``option``: no truth, a number out of its range, a parameter that the truth does not have, or too few
        groups to resample around the fit.
    FitError
        Code ``target-undetermined``: the target has no value under a truth.

    Examples
    --------
    >>> import isoloss as iso
    >>> fit = iso.fit("chinchilla", iso.simulate.sweep(settings=1, noise=0.003, seed=0))
    >>> plan = iso.next_runs(
    ...     fit, iso.Target.loss(N="70B", D="1.4T"), candidates=iso.grid(C=[1e20, 1e21], tpp=[5, 20, 80]), budget=3e21
    ... )
    >>> made = iso.score_design(plan, truths=["chinchilla"], studies=40, draws=99)
    >>> bool(made.width_after[0] < made.width_before[0]), bool(made.covered_after[0] > 0.8)
    (True, True)
    """
    studies, draws = whole("studies", studies, 2, 1_000_000), whole("draws", draws, 2, 1_000_000)
    level, number = level_between(level), seed_number(seed)
    if not isinstance(plan, Design):
        raise OptionError(f"plan={plan!r:.80} is no plan: isoloss.next_runs gives one", argument="plan")
    made = plan.fit.counted()
    given = list(plan.by_law) if truths is None else several("truths", truths, (str, Law), "laws")
    laws = [as_law(one) for one in given]
    if not laws:
        raise OptionError("truths=[]: name a law that might be true", argument="truths")
    watch = Watch(progress, n_threads=n_threads)
    watch.total = studies * len(laws)
    rows = []
    for k, law in enumerate(laws):
        truth = made if law.name == made.law.name else _fitted(law, made, number, n_threads)
        rows.append(_score(plan, made, truth, studies, draws, level, number, watch, k * studies))
    return DesignScore(
        target=str(plan.target),
        law=made.law.name,
        truth=tuple(law.name for law in laws),
        **{name: np.array([row[name] for row in rows]) for name in _COLUMNS},
        expected=float(plan.shrinkage[-1]),
        studies=studies,
        draws=draws,
        level=level,
        factor=plan.factor,
        frame=made.runs.frame,
    )


def _fitted(law: Law, made: Fit, seed: int, n_threads: int | None) -> Fit:
    return fit(law, made.runs, objective=made.objective, weights=made.settings.weights, seed=seed, n_threads=n_threads)


def _score(
    plan: Design,
    made: Fit,
    truth: Fit,
    studies: int,
    draws: int,
    level: float,
    seed: int,
    watch: Watch,
    before: int,
) -> dict[str, Any]:
    """One row: the same losses with and without the runs that are added."""
    if plan.target.kind == "parameter" and truth.law.name != made.law.name:
        message = (
            f"truths: {plan.target.name!r} is a parameter of {made.law.name!r}, and says nothing of {truth.law.name!r}"
        )
        raise OptionError(message, argument="truths")
    plan.target.check(truth.bound)
    value = float(plan.target.values(truth.bound, truth.vector[None, :])[0])
    if not np.isfinite(value):
        message = f"{plan.target} has no value under {truth.law.name!r}"
        raise FitError(message, code="target-undetermined", law=truth.law.name)
    noise = noise_of(truth)
    losses = _simulated(truth, noise, plan.columns, studies, seed)
    n = made.runs.n
    designs = {
        "before": (made.problem, losses[:, :n], noise.units),
        "after": (_augmented(made, plan.columns), losses, _units(noise.units, len(plan))),
    }
    found = {}
    for k, (name, (problem, target, units)) in enumerate(designs.items()):
        found[name] = _studies(plan, made, problem, target, units, draws, level, seed + k, watch)
        if watch.progress is not None and watch.progress(before + (k + 1) * studies // 2, watch.total) is True:
            raise KeyboardInterrupt
    good = np.isfinite(found["before"]).all(axis=1) & np.isfinite(found["after"]).all(axis=1)
    row: dict[str, Any] = {"failed": int(np.sum(~good))}
    for name, values in found.items():
        estimate, low, high = values[good].T
        row[f"width_{name}"] = float(np.median(high - low)) if len(low) else math.nan
        row[f"covered_{name}"] = float(np.mean((low <= value) & (value <= high))) if len(low) else math.nan
        row[f"bias_{name}"] = float(np.mean(estimate)) - value if len(low) else math.nan
        row[f"error_{name}"] = float(np.sqrt(np.mean((estimate - value) ** 2))) if len(low) else math.nan
    before_it = row["width_before"] or math.nan  # no width: a level next to zero
    return {**row, "shrinkage": 1.0 - row["width_after"] / before_it}


def _simulated(truth: Fit, noise: Noise, columns: Mapping[str, F64], studies: int, seed: int) -> F64:
    """(studies, n + k) losses of the runs there are, then of those to be added."""
    problem, goal = truth.problem, truth.objective
    both = [np.concatenate(pair) for pair in zip(problem.columns, columns_of(truth, columns), strict=True)]
    k = len(both[0]) - truth.runs.n
    rng = np.random.default_rng([seed, 2])
    size = noise.at(dict(zip(problem.expression.variables, both, strict=True)))
    size = size / np.concatenate([trust_of(problem), np.ones(k)])
    units = _units(noise.units, k)
    made = math.sqrt(noise.own) * rng.standard_normal((studies, len(size)))
    if noise.shared > 0.0:
        made += math.sqrt(noise.shared) * rng.standard_normal((studies, units.count))[:, units.codes]
    middle = goal.transform(problem.expression.evaluate(both, truth.vector[None, :])[0])
    return np.asarray(goal.inverse(middle + size * made))


def _units(units: Units, k: int) -> Units:
    """What is resampled as one, with k runs more that stand alone."""
    n = len(units.codes)
    return replace(
        units,
        codes=np.concatenate([units.codes, units.count + np.arange(k)]),
        count=units.count + k,
        order=np.concatenate([units.order, n + np.arange(k)]),
    )


def _augmented(made: Fit, columns: Mapping[str, F64]) -> Problem:
    """The problem with more rows, of the weight of the middle run; their losses are to come."""
    problem, there = made.problem, columns_of(made, columns)
    k, weights = len(there[0]), problem.weights
    if weights is not None:
        middle = np.quantile(weights[weights > 0.0], 0.5, method="lower")
        weights = np.concatenate([weights, np.full(k, middle)])
    return replace(
        problem,
        columns=tuple(np.concatenate(pair) for pair in zip(problem.columns, there, strict=True)),
        target=np.concatenate([problem.target, np.full(k, problem.target[0])]),
        weights=weights,
    )


def _studies(
    plan: Design,
    made: Fit,
    problem: Problem,
    losses: F64,
    units: Units,
    draws: int,
    level: float,
    seed: int,
    watch: Watch,
) -> F64:
    """(studies, 3) estimate and interval of the target in each study; NaN where it has none."""
    method = chosen_method("auto", units, problem)
    if method not in AROUND_THE_FIT:
        message = f"{units.count} {'runs' if units.by == 'row' else 'groups'} are too few to resample around the fit"
        raise OptionError(message, argument="plan")
    kind, df = default_interval(method), degrees_of_freedom(method, units, problem)
    threads = watch.threads or None
    fitted = solve(problem, losses, np.tile(made.vector, (len(losses), 1)), threads)
    streams = np.random.SeedSequence([seed, 3]).generate_state(len(losses), np.uint64)
    found = np.full((len(losses), 3), np.nan)
    keep = np.flatnonzero(fitted.ok)
    found[keep, 0] = plan.target.values(made.bound, fitted.params[keep])
    keep = keep[np.isfinite(found[keep, 0])]
    block = max(1, _AT_ONCE // draws)
    for first in range(0, len(keep), block):
        part = keep[first : first + block]
        drawn = []
        for k in part:
            own = replace(problem, target=np.ascontiguousarray(losses[k]))
            residuals = residuals_of(own, fitted.params[k], units, watch)
            drawn.append(targets_of(own, method, draws, int(streams[k]), residuals, units))
        solved = solve(problem, np.concatenate(drawn), np.repeat(fitted.params[part], draws, axis=0), threads)
        values = np.where(solved.ok, plan.target.values(made.bound, solved.params), np.nan).reshape(len(part), draws)
        for k, row in zip(part, values, strict=True):
            found[k, 1:] = ends(kind, row[np.isfinite(row)], found[k, 0], level, df=df)
    return found
