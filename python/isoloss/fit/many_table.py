"""What `fit_many` gives: columns of results, a row for each problem."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isoloss.engine.basins import ELSEWHERE, SAME, optima_by_row
from isoloss.engine.batch import CANCELLED
from isoloss.engine.problem import F64, Solved
from isoloss.engine.status import Status, succeeded
from isoloss.errors import LawError, Notice, did_you_mean
from isoloss.fit.judgement import NEAR
from isoloss.fit.many_notices import flagged, notices, rivals
from isoloss.law.object import Law
from isoloss.runs.table import make_frame

__all__ = ["Columns", "FitTable"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class FitTable:
    """Results of `fit_many`, a row for each problem.

    Attributes
    ----------
    params : (B, p) float64
        Natural values, in the order of `names`; of the best start. NaN where a row was not finished.
    names : tuple of str
        The law's parameters.
    value : (B,) float64
        Objective: a sum over points.
    status : (B,) uint8
        Codes of `Status`, each with a message.
    iterations : (B,) uint32
        Of the best start.
    at_bound : (B, p) int8
        -1 at the lower bound, +1 at the upper, 0 inside.
    optima : (B,) uint32
        Distinct optima among the starts; they differ by more than one part in a million of the objective.
    share : (B,) float64
        Share of the starts that ended at the best one.
    gap : (B,) float64
        Relative excess of the runner-up's objective over the best; NaN without a runner-up.
    starts : int
        Starts tried for each problem.
    law : Law
    points : (B,) int64
        Points of each problem that carry weight.
    free : int
        Parameters estimated in each.
    rival : (B,) bool
        Whether another optimum is less than 1 % worse and has a parameter that differs by 2 % or more.
    labels : (B,) array or None
        Sorted labels of the problems, where they were given by groups.
    delta : (B,) float64 or None
        Width of each problem's objective, where ``delta="auto"`` took it from the problem's data.
    delta_settled : (B,) bool or None
        Whether that width is the fixed point of fit and sigma; else it is the last one tried.
    """

    params: F64
    names: tuple[str, ...]
    value: F64
    status: NDArray[np.uint8]
    iterations: NDArray[np.uint32]
    at_bound: NDArray[np.int8]
    optima: NDArray[np.uint32]
    share: F64
    gap: F64
    starts: int
    law: Law
    points: NDArray[np.int64]
    free: int
    rival: NDArray[np.bool_]
    labels: NDArray[Any] | None = None
    delta: F64 | None = None
    delta_settled: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.value)

    @property
    def success(self) -> NDArray[np.bool_]:
        """(B,) whether each row is an optimum to working precision."""
        return succeeded(self.status)

    @property
    def cancelled(self) -> NDArray[np.bool_]:
        """(B,) whether an interrupt came before a row was finished."""
        return np.asarray(self.status == Status["CANCELLED"])

    @property
    def flagged(self) -> dict[str, NDArray[np.bool_]]:
        """(B,) which problems each code of a notice concerns; codes that concern none are absent.

        Examples
        --------
        >>> import numpy as np
        >>> import isoloss as iso
        >>> N = np.geomspace(1e7, 1e10, 8)
        >>> law = iso.law("E + A / N**alpha", positive=["E", "A"], bounds={"alpha": (0, 2)})
        >>> weights = np.ones((3, 8))
        >>> weights[1, 3:] = 0.0
        >>> table = iso.fit_many(law, {"N": N}, 1.8 + 400 / N**0.34, weights=weights)
        >>> table.flagged["few-units"].tolist()
        [False, True, False]
        >>> print(*table.warnings)
        serious [few-units]: 1 of 3 problems have no more points than the 3 parameters: ...; the worst is problem 1
        """
        return flagged(self)

    @property
    def warnings(self) -> tuple[Notice, ...]:
        """A notice for each code of `flagged`: how many problems it concerns, and which is the worst.

        They are those of a single fit that follow from the columns: ``interrupted``, ``fit-failed``, ``few-units``,
        ``delta-not-settled``, ``few-starts-at-best``, ``rival-optimum`` and ``at-bound``. What needs derivatives or
        residuals of each problem, such as ``not-identified`` and ``misfit``, is told by `isoloss.fit` alone.
        """
        return notices(self, self.flagged)

    def __getitem__(self, name: str) -> F64:
        """(B,) one parameter."""
        if name not in self.names:
            message = f"no parameter {name!r} among {', '.join(self.names)}{did_you_mean(name, self.names)}"
            raise LawError(message, code="law-unknown-name", name=name)
        return self.params[:, self.names.index(name)]

    def to_frame(self, backend: str | None = None) -> Any:
        """A frame with a column for each parameter, and for everything else that a row has.

        Parameters
        ----------
        backend : {"polars", "pandas", "pyarrow", "dict"}, optional
            Library of the frame; by default the first of these that is installed. A dict of arrays needs none.

        Returns
        -------
        frame or dict
            With a first column ``group`` where problems have labels.

        Examples
        --------
        >>> import isoloss as iso
        >>> table = iso.fit_many("E + A / N**alpha", {"N": [1e7, 1e8, 1e9, 1e10]}, [4.0, 3.0, 2.5, 2.3])
        >>> list(table.to_frame("dict"))
        ['E', 'A', 'alpha', 'value', 'success', 'status', 'iterations', 'optima', 'share', 'gap']
        """
        codes = np.array([status.name.lower() for status in Status])
        columns: dict[str, ArrayLike] = {} if self.labels is None else {"group": self.labels}
        columns |= {name: self.params[:, j] for j, name in enumerate(self.names)}
        columns |= {
            "value": self.value,
            "success": self.success,
            "status": codes[self.status],
            "iterations": self.iterations,
            "optima": self.optima,
            "share": self.share,
            "gap": self.gap,
        }
        if self.delta is not None and self.delta_settled is not None:
            columns |= {"delta": self.delta, "delta_settled": self.delta_settled}
        if backend is None:
            backend = next((name for name in ("polars", "pandas", "pyarrow") if find_spec(name)), "dict")
        return make_frame(columns, backend)

    def __repr__(self) -> str:
        good = int(self.success.sum())
        return f"FitTable({len(self):,} fits of {self.law.name}: {', '.join(self.names)}; {good:,} converged)"

    def __str__(self) -> str:
        lines = [repr(self)]
        finished = self.params[~self.cancelled]
        if len(finished):
            low, middle, high = np.nanquantile(finished, [0.05, 0.5, 0.95], axis=0)
            width = max(len(name) for name in self.names)
            lines += [
                f"  {name:<{width}}  median {m:.6g}, 90 % within [{a:.6g}, {b:.6g}]"
                for name, a, m, b in zip(self.names, low, middle, high, strict=True)
            ]
        for code, count in zip(*np.unique(self.status, return_counts=True), strict=True):
            lines.append(f"  {count:,} {Status(int(code)).message}")
        return "\n".join([*lines, *map(str, self.warnings)])


@dataclass(frozen=True, slots=True)
class Columns:
    """Results by problem, filled part by part."""

    params: F64
    value: F64
    status: NDArray[np.uint8]
    iterations: NDArray[np.uint32]
    at_bound: NDArray[np.int8]
    optima: NDArray[np.uint32]
    share: F64
    gap: F64
    rival: NDArray[np.bool_]
    delta: F64
    delta_settled: NDArray[np.bool_]

    @classmethod
    def unfinished(cls, size: int, p: int) -> Columns:
        """Columns of problems none of which is finished."""
        return cls(
            params=np.full((size, p), np.nan),
            value=np.full(size, np.nan),
            status=np.full(size, CANCELLED, dtype=np.uint8),
            iterations=np.zeros(size, dtype=np.uint32),
            at_bound=np.zeros((size, p), dtype=np.int8),
            optima=np.zeros(size, dtype=np.uint32),
            share=np.zeros(size),
            gap=np.full(size, np.nan),
            rival=np.zeros(size, dtype=np.bool_),
            delta=np.full(size, np.nan),
            delta_settled=np.zeros(size, dtype=np.bool_),
        )

    def put(self, first: int, tries: Solved, rounding: F64) -> None:
        """Write down the best start of each problem from row `first` on; tries are problem-major."""
        size = len(rounding)
        count = len(tries.value) // size
        score = tries.score().reshape(size, count)
        converged = np.where(tries.ok.reshape(size, count), score, np.inf)
        # Of the starts that converged, or of all where none did.
        some = np.isfinite(converged).any(axis=1)
        best = np.where(some, np.argmin(converged, axis=1), np.argmin(score, axis=1)) + np.arange(size) * count
        rows = slice(first, first + size)
        self.params[rows] = tries.params[best]
        self.value[rows] = tries.value[best]
        self.iterations[rows] = tries.iterations[best]
        self.at_bound[rows] = tries.at_bound[best]
        self.optima[rows], self.share[rows], self.gap[rows] = optima_by_row(converged, rounding)
        if count > 1:
            least = converged.min(axis=1)
            with np.errstate(invalid="ignore"):  # none converged: infinity less infinity
                limit = least + np.maximum(SAME * np.abs(least), rounding)
            params = tries.params.reshape(size, count, -1)
            self.rival[rows] = rivals(converged, params, self.gap[rows], limit, NEAR, ELSEWHERE)
        # Last, so that a row which an interrupt cuts short stays unfinished; as does one that lacks a start.
        cut = (tries.status == CANCELLED).reshape(size, count).any(axis=1)
        self.status[rows] = np.where(cut, CANCELLED, tries.status[best])

    def blank(self) -> None:
        """Leave nothing that could be mistaken for a result in rows that are not finished."""
        rows = self.status == CANCELLED
        self.params[rows] = self.value[rows] = self.gap[rows] = self.delta[rows] = np.nan
        self.delta_settled[rows] = self.rival[rows] = False
        self.iterations[rows] = self.at_bound[rows] = self.optima[rows] = self.share[rows] = 0
