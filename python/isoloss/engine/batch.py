"""Many problems that are solved together, and the starts of each. Private.

Problems either share their columns, or each owns its rows: a *panel*, held as flat columns and offsets, as Arrow holds
lists. The starts are the same points for all, of which each problem finds its own linear parameters (`Projected`), or
points of its own (`Given`). A single problem is a batch of one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isoloss.engine.panels import sums
from isoloss.engine.problem import F64, Problem, Solved
from isoloss.engine.starts import project
from isoloss.engine.status import Status
from isoloss.engine.watch import Watch

__all__ = ["CANCELLED", "Batch", "BatchStarts", "Given", "Projected"]

CANCELLED = int(Status["CANCELLED"])
_CACHED = 65_536  # weights

Index = NDArray[np.int64]
Rows = NDArray[np.intp] | slice


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Aligned inputs of B problems.

    Attributes
    ----------
    problem : Problem
        Shared columns; or, with offsets, flat ones of which each problem owns a stretch.
    size : int
        B.
    offsets : (B + 1,) int64 or None
    labels : (B,) array or None
        What the user calls the problems.
    """

    problem: Problem
    size: int
    offsets: Index | None = None
    labels: NDArray[Any] | None = None

    @property
    def points(self) -> NDArray[np.int64]:
        """(B,) points of each problem that carry weight."""
        weights = self.problem.weights
        if self.offsets is not None:
            if weights is None:
                return np.diff(self.offsets)
            return sums((weights > 0.0).astype(np.float64), self.offsets).astype(np.int64)
        each = self.problem.target.shape[-1] if weights is None else _positive(np.atleast_2d(weights))
        return np.array(np.broadcast_to(each, self.size), dtype=np.int64)

    def part(self, first: int, last: int) -> Batch:
        """Some of the problems."""
        whole = self.problem
        if first == 0 and last == self.size:
            return self
        if self.offsets is None:

            def rows(array: F64) -> F64:
                return array[first:last] if array.ndim == 2 else array

            offsets, columns = None, whole.columns
        else:
            begin, end = (int(self.offsets[at]) for at in (first, last))

            def rows(array: F64) -> F64:
                return array[begin:end]

            offsets = self.offsets[first : last + 1] - begin
            columns = tuple(rows(column) for column in whole.columns)
        weights = None if whole.weights is None else rows(whole.weights)
        problem = replace(whole, columns=columns, target=rows(whole.target), weights=weights)
        return Batch(problem=problem, size=last - first, offsets=offsets)

    def pick(self, rows: NDArray[np.intp]) -> Batch:
        """Some of the problems, by their places."""
        whole = self.problem
        if len(rows) == self.size:
            return self
        if self.offsets is None:
            offsets, columns = None, whole.columns

            def taken(array: F64) -> F64:
                return np.asarray(array[rows]) if array.ndim == 2 else array
        else:
            sizes = np.diff(self.offsets)[rows]
            offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
            at = np.arange(offsets[-1]) + np.repeat(self.offsets[rows] - offsets[:-1], sizes)
            columns = tuple(column[at] for column in whole.columns)

            def taken(array: F64) -> F64:
                return np.asarray(array[at])

        weights = None if whole.weights is None else taken(whole.weights)
        problem = replace(whole, columns=columns, target=taken(whole.target), weights=weights)
        return Batch(problem=problem, size=len(rows), offsets=offsets)

    def solve(self, starts: BatchStarts, watch: Watch, deltas: F64 | None = None) -> Solved:
        """All starts of each problem, problem-major.

        Parameters
        ----------
        starts : Projected or Given
            S of each problem.
        watch : Watch
        deltas : (B,) float64, optional
            A width of the objective for each problem.

        Returns
        -------
        Solved
            B * S rows; start s of problem b is row ``b * S + s``.
        """
        if self.offsets is not None:
            return self._solve_panel(starts, watch, deltas)
        target_index, weight_index = self.indices(starts.count)
        return self.problem.solve(
            starts.all(self, watch.threads or None),
            target_index=target_index,
            weight_index=weight_index,
            deltas=None if deltas is None else np.repeat(deltas, starts.count),
            watch=watch,
        )

    def indices(self, count: int) -> tuple[Index | None, Index | None]:
        """(B * count,) which row of the targets and of the weights each start takes; None where all share one."""
        index = np.repeat(np.arange(self.size, dtype=np.int64), count)
        weights = self.problem.weights
        return (
            index if self.problem.target.ndim == 2 else None,
            index if weights is not None and weights.ndim == 2 else None,
        )

    def _solve_panel(self, starts: BatchStarts, watch: Watch, deltas: F64 | None) -> Solved:
        """As `solve`: every problem owns its rows, so each start is a batch of its own."""
        count, before = starts.count, watch.before
        tries: list[Solved] = []
        for s in range(count):
            watch.before = before + s * self.size
            points = starts.at(self, s, watch.threads or None)
            tries.append(self.problem.solve(points, offsets=self.offsets, deltas=deltas, watch=watch))
            if watch.stopped:
                break
        undone = replace(tries[-1], status=np.full(self.size, CANCELLED, dtype=np.uint8))
        tries += [undone] * (count - len(tries))
        # Start-major to problem-major: row s * B + b becomes b * S + s.
        return Solved.concat(tries).take(np.arange(count * self.size).reshape(count, self.size).T.ravel())


@dataclass(frozen=True, slots=True)
class Projected:
    """The same points for every problem, whose linear parameters each problem finds for itself.

    Attributes
    ----------
    points : (S, p) float64
        From `isoloss.engine.starts.candidates`, NaN where a projection fills in.
    """

    points: F64

    @property
    def count(self) -> int:
        """Starts of each problem."""
        return len(self.points)

    def pick(self, rows: Rows) -> Projected:  # noqa: ARG002 - all problems share the points
        """Those of some problems."""
        return self

    def at(self, batch: Batch, s: int, threads: int | None) -> F64:
        """(B, p) start s of every problem of a panel."""
        row = self.points[s : s + 1]
        return project(batch.problem, row, offsets=batch.offsets, repeats=batch.size, threads=threads)

    def all(self, batch: Batch, threads: int | None) -> F64:
        """(B * S, p) all starts of problems that share their columns, problem-major."""
        target_index, weight_index = batch.indices(self.count)
        return project(
            batch.problem,
            self.points,
            target_index=target_index,
            weight_index=weight_index,
            repeats=batch.size,
            threads=threads,
        )


@dataclass(frozen=True, slots=True)
class Given:
    """Points of its own for every problem.

    Attributes
    ----------
    points : (B, S, p) float64
    """

    points: F64

    @property
    def count(self) -> int:
        """Starts of each problem."""
        return int(self.points.shape[1])

    def pick(self, rows: Rows) -> Given:
        """Those of some problems."""
        return Given(self.points[rows])

    def at(self, batch: Batch, s: int, threads: int | None) -> F64:  # noqa: ARG002 - called as that of Projected
        """(B, p) start s of every problem."""
        return self.points[:, s, :]

    def all(self, batch: Batch, threads: int | None) -> F64:  # noqa: ARG002 - called as that of Projected
        """(B * S, p) all starts, problem-major."""
        return self.points.reshape(-1, self.points.shape[2])


BatchStarts = Projected | Given


def _positive(weights: F64) -> Index:
    """(B,) weights above zero of each problem, some problems at a time: without copies larger than a cache."""
    found = np.empty(len(weights), dtype=np.int64)
    step = max(1, _CACHED // max(weights.shape[1], 1))
    for first in range(0, len(weights), step):
        some = weights[first : first + step] > 0.0
        found[first : first + step] = some.view(np.uint8).sum(axis=-1, dtype=np.uint32)
    return found
