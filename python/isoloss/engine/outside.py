"""Fits that leave the range of numbers: how they are told, and the best point within it that they are given.

The solver moves positive parameters in their logarithm, which reaches farther than the numbers themselves: a term that
shrinks to a spike over one point takes its exponent and its amplitude ever higher. What such a fit returns is cut off
at the largest number, and is not where its objective was evaluated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from isoloss.engine.status import Status

if TYPE_CHECKING:
    from isoloss.engine.problem import F64, Parameters, Problem, Solved
    from isoloss.engine.watch import Watch
    from isoloss.objective.base import Objective, Wide

__all__ = ["Asked", "bring_back"]

_FAR = 1e150  # a positive parameter beyond it or its reciprocal may be cut off, or a power that stands against it
_INSIDE = (1e300, 1e150, 1e75)  # where one is kept, with its reciprocal, so that nothing is cut off
_AS_GOOD = 1e-6  # relative excess of the objective that being cut off may cost
_BLOCK = 1_000_000  # predictions that are held at once
_CURVES = 16  # curves of a panel whose predictions are taken together

Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a call of the engine asks of its B problems; the arrays are those of ``Problem.solve``."""

    starts: F64
    weights: F64 | None
    weight_index: NDArray[np.int64] | None = None
    target_index: NDArray[np.int64] | None = None
    offsets: NDArray[np.int64] | None = None
    deltas: F64 | None = None
    max_iterations: int = 0

    def of(self, problem: Problem, chosen: Rows) -> tuple[Problem, Asked]:
        """The same of some of the problems alone."""
        asked = replace(
            self,
            starts=self.starts[chosen],
            weight_index=_which(self.weights, self.weight_index, chosen),
            target_index=_which(problem.target, self.target_index, chosen),
            deltas=None if self.deltas is None else self.deltas[chosen],
        )
        if self.offsets is None:
            return problem, asked
        rows, ends = _curves(self.offsets, chosen)
        weights = None if self.weights is None else _at(self.weights, rows)
        columns = tuple(np.ascontiguousarray(column[rows]) for column in problem.columns)
        asked = replace(asked, weights=weights, offsets=ends)
        return replace(problem, columns=columns, target=_at(problem.target, rows)), asked

    def blocks(self, problem: Problem, chosen: Rows) -> Iterator[tuple[Objective, Rows]]:
        """Some of the problems in blocks of one objective that are small enough to be evaluated at once."""
        size = _CURVES if self.offsets is not None else max(1, _BLOCK // problem.target.shape[-1])
        if self.deltas is None:
            for first in range(0, len(chosen), size):
                yield problem.objective, chosen[first : first + size]
            return
        for b in chosen:
            yield replace(cast("Wide", problem.objective), delta=float(self.deltas[b])), np.array([b])


def bring_back(problem: Problem, asked: Asked, solved: Solved, watch: Watch) -> None:
    """Mark the fits that left the range, and give each the best point within it that a fit from the same start meets.

    One that runs to zero does no harm; one that is cut off while another parameter makes up for it is no optimum. Its
    status says so, also beside the point within, since what the fit makes for lies beyond.
    """
    positive = problem.parameters.positive
    edge = (solved.params >= _FAR) | (solved.params <= 1.0 / _FAR)
    edge_rows = np.flatnonzero((edge & positive).any(axis=1) & np.isfinite(solved.value))
    if not len(edge_rows):
        return
    shown = _shown(problem, asked, edge_rows, solved.params[edge_rows])
    lost = ~_as_good(shown, solved.value[edge_rows])
    rows, values = edge_rows[lost], shown[lost]
    solved.value[rows], solved.status[rows] = values, Status["OUT_OF_RANGE"]
    for end in _INSIDE:
        if not len(rows) or watch.stopped:
            return
        inside, same = asked.of(problem.with_parameters(_bounded(problem.parameters, end)), rows)
        again = inside.answer(same, watch.silent())
        values = _shown(problem, asked, rows, again.params)
        true = _as_good(values, again.value)
        better = true & ~(values >= solved.value[rows])
        solved.params[rows[better]], solved.value[rows[better]] = again.params[better], values[better]
        rows = rows[~true]


def _shown(problem: Problem, asked: Asked, chosen: Rows, params: F64) -> F64:
    """(k,) the objective of some problems at natural parameters, as anyone who evaluates the law there finds it."""
    values = np.empty(len(chosen))
    done = 0
    for goal, block in asked.blocks(problem, chosen):
        place = slice(done, done + len(block))
        done += len(block)
        if asked.offsets is None:
            n = problem.target.shape[-1]
            ends = n * np.arange(len(block) + 1)
            rows = np.tile(np.arange(n), len(block))
        else:
            rows, ends = _curves(asked.offsets, block)
        owner = np.repeat(np.arange(len(block)), np.diff(ends))
        with np.errstate(all="ignore"):
            if asked.offsets is None:
                predictions = problem.predict(params[place]).ravel()
            else:
                predictions = problem.predict(params[place], rows)[owner, np.arange(len(rows))]
            target = _cells(problem.target, asked.target_index, block, owner, rows)
            losses = goal.losses(predictions, target)
            if asked.weights is not None:
                share = _cells(asked.weights, asked.weight_index, block, owner, rows)
                losses = np.where(share > 0.0, share * losses, 0.0)
            values[place] = np.add.reduceat(losses, ends[:-1])
    return values


def _curves(offsets: NDArray[np.int64], chosen: Rows) -> tuple[Rows, NDArray[np.int64]]:
    """The rows of some curves of a panel, one curve after the other, and where each begins, with the end."""
    ends = np.concatenate([[0], np.cumsum(np.diff(offsets)[chosen])])
    return np.arange(ends[-1]) + np.repeat(offsets[chosen] - ends[:-1], np.diff(ends)), ends


def _which(table: F64 | None, index: NDArray[np.int64] | None, chosen: Rows) -> NDArray[np.int64] | None:
    """Which row of a table each of some problems takes; None where there are no rows to choose from."""
    if table is None or table.ndim == 1 or (index is None and len(table) == 1):
        return None
    return chosen.astype(np.int64) if index is None else index[chosen]


def _cells(table: F64, index: NDArray[np.int64] | None, block: Rows, owner: Rows, rows: Rows) -> F64:
    """The numbers of a table at rows of data, each for the problem that owns it."""
    if table.ndim == 1:
        return table[rows]
    which = _which(table, index, block)
    return table[0, rows] if which is None else table[which[owner], rows]


def _at(table: F64, rows: Rows) -> F64:
    return np.ascontiguousarray(table[..., rows])


def _as_good(value: F64, known: F64) -> NDArray[np.bool_]:
    """Whether one value of the objective is no higher than another, and neither is lacking."""
    return np.asarray(value <= known + _AS_GOOD * np.abs(known))


def _bounded(own: Parameters, end: float) -> Parameters:
    """The same parameters, the positive ones between a number and its reciprocal where their own bounds let them."""
    moved = own.positive & ~own.fixed & (own.lower < end) & (own.upper > 1.0 / end)
    return replace(
        own,
        lower=np.where(moved, np.maximum(own.lower, 1.0 / end), own.lower),
        upper=np.where(moved, np.minimum(own.upper, end), own.upper),
    )
