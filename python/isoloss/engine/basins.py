"""The census of a multi-start: how many different optima there are, and how often each was reached.

Two starts ended in the same optimum when their objective values agree to one part in a million; parameters are no
guide, since scaling laws have long flat valleys. Starts that did not converge are counted apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from isoloss.engine.problem import F64, Problem, Solved
from isoloss.engine.status import Status

__all__ = ["Basins", "Optimum", "census", "noise", "winner"]

SAME = 1e-6  # relative difference of objective values below which two optima count as one
_MOST_LISTED = 20


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Basins:
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
        Points that the start rule set aside after one evaluation, not counted in `starts`; see `isoloss.starts`.
    challengers : int
        Further points tried afterwards, around the best optimum and, where the starts were given, by the automatic
        rule; not counted in `starts`. An optimum that only they reached is listed with a count of zero.
    """

    starts: int
    optima: tuple[Optimum, ...]
    distinct: int
    failed: int
    hopeless: int = 0
    screened: int = 0
    challengers: int = 0

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
        if self.gap is not None:
            text += f", runner-up {_worse(self.gap)}"
        if self.failed:
            without = f" ({self.hopeless:,} without a value)" if self.hopeless else ""
            text += f", {self.failed:,} not converged{without}"
        if self.screened:
            text += f", {self.screened:,} screened out"
        return text

    @property
    def challenge(self) -> str:
        """What became of the best optimum when it was challenged, in words."""
        if not self.challengers:
            return "by no further point"
        outcome = "one of which found the best optimum" if self.optima[0].count == 0 else "none better"
        return f"by {self.challengers:,} further points, {outcome}"

    def challenged(self, tried: int, better: Optimum | None) -> Basins:
        """The same census with the challengers told of, and the optimum that one of them found put first."""
        if better is None:
            return replace(self, challengers=tried)
        optima = (better, *self.optima)[:_MOST_LISTED]
        return replace(self, challengers=tried, optima=optima, distinct=self.distinct + 1)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return {
            "starts": self.starts,
            "distinct": self.distinct,
            "failed": self.failed,
            "hopeless": self.hopeless,
            "screened": self.screened,
            "challengers": self.challengers,
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
            hopeless=int(data.get("hopeless", 0)),
            screened=int(data.get("screened", 0)),
            challengers=int(data.get("challengers", 0)),
            optima=optima,
        )


def _worse(gap: float) -> str:
    if gap < 1.0:
        return f"{100.0 * gap:.2g} % worse"
    return f"{gap:.0f} times worse" if gap < 1000.0 else "far worse"


def winner(solved: Solved) -> int:
    """The start of least objective; among equals one that converged."""
    score = solved.score()
    least = score.min()
    equals = score <= least + 1e-10 * abs(least)
    converged = np.flatnonzero(equals & solved.ok)
    pool = converged if len(converged) else np.flatnonzero(equals)
    return int(pool[np.argmin(score[pool])])


def noise(problem: Problem) -> float:
    """Differences of the objective below this are rounding, judged by the objective of a constant."""
    weights = 1.0 if problem.weights is None else problem.weights
    # Pass fractions may have the median 0 or 1, which no law can predict.
    middle = np.mean(problem.target) if problem.objective.kind == "binomial" else np.median(problem.target)
    losses = problem.objective.losses(middle, problem.target)
    return 1e-14 * float(np.sum(np.where(np.isfinite(losses), weights * losses, 0.0)))


def census(solved: Solved, names: tuple[str, ...], rounding: float, screened: int = 0) -> Basins:
    """Sort the starts of one problem into optima.

    Parameters
    ----------
    solved : Solved
        A row for each start.
    names : tuple of str
        Parameters.
    rounding : float
        Objective values below this are rounding error, and all the same.
    screened : int
        Points set aside before.
    """
    ok = np.flatnonzero(solved.ok)
    order = ok[np.argsort(solved.value[ok], kind="stable")]
    value = solved.value[order]
    edges = _edges(value, rounding)
    listed = [
        Optimum(
            value=float(value[first]),
            count=int(last - first),
            params=dict(zip(names, solved.params[order[first]].tolist(), strict=True)),
        )
        for first, last in zip(edges[:-1][:_MOST_LISTED], edges[1:][:_MOST_LISTED], strict=True)
    ]
    return Basins(
        starts=len(solved.value),
        optima=tuple(listed),
        distinct=len(edges) - 1,
        failed=len(solved.value) - len(ok),
        hopeless=int(np.count_nonzero(solved.status == Status["NON_FINITE_START"])),
        screened=screened,
    )


def _edges(value: F64, rounding: float) -> list[int]:
    """Where each group of equal values begins in the sorted values, and the end."""
    edges = [0]
    while edges[-1] < len(value):
        first = float(value[edges[-1]])
        limit = first + max(SAME * abs(first), rounding)
        edges.append(max(int(np.searchsorted(value, limit, side="right")), edges[-1] + 1))
    return edges
