"""The census of a multi-start: how many different optima there are, and how often each was reached.

Two starts ended in the same optimum when their objective values agree to one part in a million; parameters are no
guide, since scaling laws have long flat valleys. Starts that did not converge are counted apart.

An optimum need not be a point. Where the runs leave parameters open the objective is level along some directions, and
the starts end anywhere on that stretch: one optimum by its value, and yet no estimate. The census says so, and along
what (`Basins.level`); where the starts reached one value at parameters apart without that, it says where.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isoloss.engine.panels import means, sums
from isoloss.engine.problem import F64, Problem, Solved
from isoloss.engine.status import Status
from isoloss.shown import Shown

__all__ = ["ELSEWHERE", "SAME", "Basins", "Optimum", "census", "ends_apart", "optima_by_row", "rounding", "winner"]

SAME = 1e-6  # relative difference of objective values below which two optima count as one
ELSEWHERE = 0.02  # relative difference of a parameter that makes another law of the same form
_MOST_LISTED = 20
_SHOWN = 0.005  # of the largest part in a direction: one that would print as zero


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimum:
    """One distinct optimum.

    Attributes
    ----------
    value : float
        Objective.
    count : int
        Number of starts that ended here.
    params : mapping of str to float
        Of its best start.
    """

    value: float
    count: int
    params: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return {"value": self.value, "count": self.count, "params": dict(self.params)}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Basins(Shown):
    """All starts of one fit, sorted by where they ended.

    Attributes
    ----------
    starts : int
        Number of starts.
    optima : tuple of Optimum
        Distinct optima in order of their objective values; the first twenty.
    distinct : int
        Number of distinct optima, also those not listed.
    failed : int
        Starts that did not converge.
    hopeless : int
        Those among the failed at which the law has no value, so that they were never tried.
    screened : int
        Points that the start rule set aside after one evaluation, not counted in `starts`; see `isoloss.engine.starts`.
    challengers : int
        Further points tried afterwards, around the best optimum and, where the starts were given, by the automatic
        rule; not counted in `starts`. An optimum that only they reached is listed with a count of zero.
    level : tuple of mapping of str to float
        Where the best optimum is no point: directions along which parameters move without changing the objective, as
        relative changes, the largest of size one. The notice ``not-identified`` tells why.
    ranges : mapping of str to (float, float)
        Between which values the starts at the best optimum ended, of parameters that differ by more than 2 %; those at
        a bound are left out.
    """

    starts: int
    optima: tuple[Optimum, ...]
    distinct: int
    failed: int
    hopeless: int = 0
    screened: int = 0
    challengers: int = 0
    level: tuple[Mapping[str, float], ...] = ()
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def share(self) -> float:
        """Share of all starts that ended at the best optimum."""
        return self.optima[0].count / self.starts if self.optima else 0.0

    @property
    def gap(self) -> float | None:
        """Relative excess of the runner-up's objective over the best; None without a runner-up."""
        if len(self.optima) < 2:
            return None
        best, second = self.optima[0].value, self.optima[1].value
        return (second - best) / abs(best) if best else float("inf")

    def __str__(self) -> str:
        if not self.optima:
            return f"{self.starts:,} starts, none converged"
        noun = "start" if self.starts == 1 else "starts"
        optima = "optimum" if self.distinct == 1 else "optima"
        text = f"{self.starts:,} {noun}, {self.distinct:,} distinct {optima}, {100 * self.share:.0f} % at the best"
        if self.level:
            text += f", which is no point but level along {' and along '.join(map(_along, self.level))}"
        elif self.ranges:
            text += f", but there at different parameters ({self.ended})"
        if self.gap is not None:
            text += f", runner-up {_worse(self.gap)}"
        if self.failed:
            without = f" ({self.hopeless:,} without a value)" if self.hopeless else ""
            text += f", {self.failed:,} not converged{without}"
        if self.screened:
            text += f", {self.screened:,} screened out"
        return text

    @property
    def ended(self) -> str:
        """Where the starts at the best optimum ended, in words; empty where at one point."""
        return ", ".join(f"{name} {low:.4g} to {high:.4g}" for name, (low, high) in self.ranges.items())

    @property
    def challenge(self) -> str:
        """What became of the best optimum when it was challenged, in words."""
        if not self.challengers:
            return "by no further point"
        if not self.optima:
            return f"by {self.challengers:,} further points, none of which converged"
        outcome = "one of which found the best optimum" if self.optima[0].count == 0 else "none better"
        return f"by {self.challengers:,} further points, {outcome}"

    def challenged(self, tried: int, better: Optimum | None) -> Basins:
        """The same census with the challengers told of, and the optimum that one of them found put first."""
        if better is None:
            return replace(self, challengers=tried)
        optima = (better, *self.optima)[:_MOST_LISTED]
        return replace(self, challengers=tried, optima=optima, distinct=self.distinct + 1)

    def spread(self, level: Sequence[Mapping[str, float]], ranges: Mapping[str, tuple[float, float]]) -> Basins:
        """The same census with what is known of the best optimum that is no point."""
        return replace(self, level=tuple(level), ranges=ranges)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return {
            "starts": self.starts,
            "distinct": self.distinct,
            "failed": self.failed,
            "hopeless": self.hopeless,
            "screened": self.screened,
            "challengers": self.challengers,
            "level": [dict(direction) for direction in self.level],
            "ranges": {name: list(ends) for name, ends in self.ranges.items()},
            "optima": [optimum.to_dict() for optimum in self.optima],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Basins:
        """Inverse of `to_dict`."""
        optima = tuple(
            Optimum(value=float(o["value"]), count=int(o["count"]), params=dict(o["params"])) for o in data["optima"]
        )
        return cls(
            starts=int(data["starts"]),
            distinct=int(data["distinct"]),
            failed=int(data["failed"]),
            hopeless=int(data["hopeless"]),
            screened=int(data["screened"]),
            challengers=int(data["challengers"]),
            level=tuple({name: float(x) for name, x in direction.items()} for direction in data["level"]),
            ranges={name: (float(low), float(high)) for name, (low, high) in data["ranges"].items()},
            optima=optima,
        )


def _worse(gap: float) -> str:
    if gap < 1.0:
        return f"{100.0 * gap:.2g} % worse"
    return f"{gap:.0f} times worse" if gap < 1000.0 else "far worse"


def _along(direction: Mapping[str, float]) -> str:
    ordered = sorted(direction.items(), key=lambda item: -abs(item[1]))
    return ", ".join(f"{name} {x:+.2f}" for name, x in ordered if abs(x) >= _SHOWN)


def ends_apart(solved: Solved, problem: Problem, best: int, skip: Collection[str]) -> dict[str, tuple[float, float]]:
    """Between which values the starts at the best optimum ended, of parameters that differ notably.

    Parameters
    ----------
    solved : Solved
        A row for each start.
    problem : Problem
    best : int
        The row of the best.
    skip : collection of str
        Parameters to leave out.
    """
    value = float(solved.value[best])
    with np.errstate(invalid="ignore"):
        alike = solved.ok & (solved.value - value <= max(SAME * abs(value), float(rounding(problem)[0])))
    if not alike.any():
        return {}
    low, high = solved.params[alike].min(axis=0), solved.params[alike].max(axis=0)
    apart = problem.parameters.free & (high - low > ELSEWHERE * np.maximum(np.abs(low), np.abs(high)))
    return {
        name: (float(low[j]), float(high[j])) for j, name in enumerate(problem.names) if apart[j] and name not in skip
    }


def winner(solved: Solved) -> int:
    """The start of least objective; among equals one that converged."""
    score = solved.score()
    least = score.min()
    equals = score <= least + 1e-10 * abs(least)
    converged = np.flatnonzero(equals & solved.ok)
    pool = converged if len(converged) else np.flatnonzero(equals)
    return int(pool[np.argmin(score[pool])])


def rounding(problem: Problem, offsets: NDArray[np.int64] | None = None, deltas: F64 | None = None) -> F64:
    """Differences of the objective below this are rounding, judged by the objective of a constant.

    Parameters
    ----------
    problem : Problem
        With one row of targets and weights or several; or flat ones, with offsets.
    offsets : (B + 1,) int64, optional
        Which rows are whose.
    deltas : (B,) float64, optional
        A width for each problem, where the objective's own is one.

    Returns
    -------
    (B,) float64
        Or (1,), where all problems have the same targets, weights and width.
    """
    goal, target, weights = problem.objective, problem.target, problem.weights
    if offsets is None:
        middle = target.mean(axis=-1, keepdims=True)
        each = None if deltas is None else deltas[:, None]
    else:
        sizes = np.diff(offsets)
        middle = np.repeat(means(target, offsets), sizes)
        each = None if deltas is None else np.repeat(deltas, sizes)
    if each is None:
        losses = goal.losses(middle, target)
    else:  # a loss with a width is the width's square times one of the residual in widths
        losses = each**2 * goal.rho(goal.residuals(middle, target) / each)
    counted = np.where(np.isfinite(losses), losses if weights is None else weights * losses, 0.0)
    return 1e-14 * np.atleast_1d(counted.sum(axis=-1) if offsets is None else sums(counted, offsets))


def census(solved: Solved, problem: Problem, screened: int = 0) -> Basins:
    """Sort the starts of one problem into optima.

    Parameters
    ----------
    solved : Solved
        A row for each start.
    problem : Problem
        With one target row.
    screened : int
        Points set aside before.
    """
    ok = np.flatnonzero(solved.ok)
    order = ok[np.argsort(solved.value[ok], kind="stable")]
    value = solved.value[order]
    ends = _ends(value[None, :], rounding(problem))[0].tolist()
    edges = [0, *ends]
    listed = [
        Optimum(
            value=float(value[first]),
            count=int(last - first),
            params=dict(zip(problem.names, solved.params[order[first]].tolist(), strict=True)),
        )
        for first, last in zip(edges[:-1][:_MOST_LISTED], edges[1:][:_MOST_LISTED], strict=True)
    ]
    return Basins(
        starts=len(solved.value),
        optima=tuple(listed),
        distinct=len(ends),
        failed=len(solved.value) - len(ok),
        hopeless=int(np.count_nonzero(solved.status == Status["NON_FINITE_START"])),
        screened=screened,
    )


def optima_by_row(score: F64, rounding: F64) -> tuple[NDArray[np.uint32], F64, F64]:
    """The census of many problems in numbers: optima, share of the starts at the best, and gap to the runner-up.

    Parameters
    ----------
    score : (B, S) float64
        Objective of each start; infinite where it did not converge.
    rounding : (B,) float64
        Differences below this are rounding error.

    Examples
    --------
    >>> import numpy as np
    >>> from isoloss.engine.basins import optima_by_row
    >>> optima_by_row(np.array([[1.0, 2.0, 1.0, np.inf]]), np.zeros(1))
    (array([2], dtype=uint32), array([0.5]), array([1.]))
    """
    ordered = np.sort(score, axis=1)
    size, starts = ordered.shape
    ends = _ends(ordered, rounding)
    optima = np.count_nonzero(np.diff(ends, axis=1, prepend=0), axis=1)
    at_best = ends[:, 0] if ends.shape[1] else np.zeros(size, dtype=np.intp)
    best, second = ordered[:, 0], ordered[np.arange(size), np.minimum(at_best, starts - 1)]
    with np.errstate(all="ignore"):  # a best of zero, or next to it; none at all
        excess = np.where(best == 0.0, np.inf, (second - best) / np.abs(best))
    return optima.astype(np.uint32), at_best / starts, np.where(optima > 1, excess, np.nan)


def _ends(ordered: F64, rounding: F64) -> NDArray[np.intp]:
    """(B, G) where each optimum's starts end in rows of sorted values (B, S), infinite where one did not converge.

    A row with fewer optima than another repeats its last end.
    """
    finite = np.count_nonzero(np.isfinite(ordered), axis=1)
    rows = np.arange(len(ordered))
    end = np.zeros(len(ordered), dtype=np.intp)
    ends: list[NDArray[np.intp]] = []
    while (end < finite).any():
        first = ordered[rows, np.minimum(end, ordered.shape[1] - 1)]
        limit = first + np.maximum(SAME * np.abs(first), rounding)
        if len(ordered) == 1:  # of one problem there may be very many starts
            alike = np.searchsorted(ordered[0], limit, side="right")
        else:
            alike = np.count_nonzero(ordered <= limit[:, None], axis=1)
        end = np.where(end < finite, np.clip(alike, end + 1, finite), end)
        ends.append(end)
    return np.stack(ends, axis=1) if ends else np.zeros((len(ordered), 0), dtype=np.intp)
