"""Runs of a hyper-parameter sweep, sorted into cells: all runs of one model size on one number of tokens.

Within a cell only the learning rate and the batch size differ, so the *relative excess* of a run, its loss over the
least loss of its cell minus one, says what its setting costs. Sizes and token counts that differ by less than a
tolerance belong together: D is a whole number of batches, and so never quite the same for two batch sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isoloss.engine.problem import F64
from isoloss.errors import DataError, OptionError
from isoloss.runs.reading import Runs
from isoloss.units import format_si

__all__ = ["TWINS", "Sweep", "clusters", "free_powers", "levels", "sweep_of"]

TWINS = 0.02
"""Settings closer than this, in logarithms, are one setting written twice (3.453e-4 and 3.45e-4)."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Sweep:
    """Runs by cell.

    Attributes
    ----------
    runs : Runs
    ln_lr, ln_batch : (n,) float64
        Natural logarithms of the peak learning rate and of the batch in tokens.
    loss : (n,) float64
    weights : (n,) float64
    cell : (n,) int64
        Number of each run's cell; cells are in the order of N, then D.
    N, D : (c,) float64
        Geometric means of the runs of each cell.
    labels : tuple of str
        What tells cells apart beyond N and D, else empty texts.
    best : (c,) int64
        Row of the least loss in each cell.
    excess : (n,) float64
        loss / least loss of the cell - 1.
    diverged : (n,) bool
        Whether the excess is above the limit given to `sweep_of`.
    """

    runs: Runs
    ln_lr: F64
    ln_batch: F64
    loss: F64
    weights: F64
    cell: NDArray[np.int64]
    N: F64
    D: F64
    labels: tuple[str, ...]
    best: NDArray[np.int64]
    excess: F64
    diverged: NDArray[np.bool_]

    @property
    def cells(self) -> int:
        """Number of cells."""
        return len(self.N)

    def rows(self, c: int) -> NDArray[np.intp]:
        """Rows of one cell."""
        return np.flatnonzero(self.cell == c)

    def name(self, c: int) -> str:
        """A cell in words."""
        extra = f" {self.labels[c]}" if self.labels[c] else ""
        return f"N {format_si(float(self.N[c]))} D {format_si(float(self.D[c]))}{extra}"

    def edges(self) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
        """(c,) and (c,): -1 or +1 where the best run has the lowest or highest learning rate, or batch, of its cell."""
        found = []
        for column in (self.ln_lr, self.ln_batch):
            side = np.zeros(self.cells, dtype=np.int8)
            for c in range(self.cells):
                grid = levels(column[self.rows(c)])
                if len(grid) > 1:
                    at = column[self.best[c]]
                    side[c] = -1 if at <= grid[0] + TWINS else (1 if at >= grid[-1] - TWINS else 0)
            found.append(side)
        return found[0], found[1]

    def spacing(self) -> tuple[float, float]:
        """Median step of the grids of ln lr and of ln batch, over the cells."""
        out = []
        for column in (self.ln_lr, self.ln_batch):
            steps = [np.diff(levels(column[self.rows(c)])) for c in range(self.cells)]
            joined = np.concatenate(steps)
            out.append(float(np.median(joined)) if len(joined) else float("nan"))
        return out[0], out[1]

    def nearest(self, N: float, D: float) -> int:
        """The cell nearest to a size and number of tokens, in logarithms."""
        return int(np.argmin(np.log(self.N / N) ** 2 + np.log(self.D / D) ** 2))


def levels(values: F64) -> F64:
    """Distinct values in order; those within `TWINS` of each other are one, their mean.

    Examples
    --------
    >>> import numpy as np
    >>> levels(np.log([0.000345, 0.0003453, 0.000691])).size
    2
    """
    codes = clusters(values, TWINS)
    return np.asarray(np.bincount(codes, weights=values) / np.bincount(codes))


def clusters(values: F64, tolerance: float) -> NDArray[np.int64]:
    """Number of the cluster of each value, in ascending order: a gap above the tolerance starts a new one."""
    order = np.argsort(values, kind="stable")
    codes = np.empty(len(values), dtype=np.int64)
    codes[order] = np.cumsum(np.diff(values[order], prepend=values[order[0]]) > tolerance)
    return codes


def sweep_of(runs: Runs, *, by: Sequence[str] = (), tolerance: float = 0.02, diverged: float = 0.25) -> Sweep:
    """Sort runs into cells.

    Parameters
    ----------
    runs : Runs
        With N, D, lr, batch (in tokens) and loss above zero.
    by : sequence of str
        Further columns whose distinct values make cells of their own (activated parameters of mixtures of experts).
    tolerance : float
        Sizes, or token counts, within this relative distance of the next belong together.
    diverged : float
        Relative excess above which a run counts as diverged.

    Raises
    ------
    DataError
        ``data-missing-role``; ``data-nonpositive`` for a loss that is not above zero.
    OptionError
        A tolerance or limit that is not a number above zero.
    """
    for name, number in (("tolerance", tolerance), ("diverged", diverged)):
        if not (np.isfinite(number) and number > 0.0):
            raise OptionError(f"{name}={number!r} is not a number above zero", argument=name)
    runs.require("N", "D", "lr", "batch", "loss")
    if runs.weights is not None and not np.all(runs.weights > 0.0):
        runs = runs.where(np.asarray(runs.weights) > 0.0)  # a run of weight zero counts as absent
    N, D, lr, batch, loss = (np.asarray(column) for column in runs.require("N", "D", "lr", "batch", "loss"))
    if not np.all(loss > 0.0):
        row = int(np.argmin(loss))
        column = runs.column_of.get("loss", "loss")
        message = f"column {column!r}, row {row}: {float(loss[row])!r} is not above zero, as a relative excess needs"
        raise DataError(message, code="data-nonpositive", column=column, row=row, value=float(loss[row]))
    keys = [clusters(np.log(N), tolerance), clusters(np.log(D), tolerance)]
    others = [np.unique(column, return_inverse=True)[1].ravel() for column in runs.require(*by)] if by else []
    table, cell = np.unique(np.column_stack([*keys, *others]), axis=0, return_inverse=True)
    cell = cell.ravel().astype(np.int64)
    count = np.bincount(cell, minlength=len(table)).astype(np.float64)
    best = np.array([rows[np.argmin(loss[rows])] for rows in (np.flatnonzero(cell == c) for c in range(len(table)))])
    with np.errstate(over="ignore"):  # infinitely worse than the best of its cell is diverged
        excess = loss / loss[best][cell] - 1.0
    columns = [runs.columns[name] for name in by]
    labels = tuple(
        ", ".join(f"{name} {column[row]:.4g}" for name, column in zip(by, columns, strict=True)) for row in best
    )
    return Sweep(
        runs=runs,
        ln_lr=np.log(lr),
        ln_batch=np.log(batch),
        loss=loss,
        weights=np.ones(runs.n) if runs.weights is None else np.asarray(runs.weights),
        cell=cell,
        N=np.exp(np.bincount(cell, weights=np.log(N)) / count),
        D=np.exp(np.bincount(cell, weights=np.log(D)) / count),
        labels=labels,
        best=best.astype(np.int64),
        excess=excess,
        diverged=excess > diverged,
    )


def free_powers(N: F64, D: F64) -> tuple[str, ...]:
    """Which of the exponents of N and D the cells cannot tell, and are held at zero.

    Examples
    --------
    >>> import numpy as np
    >>> free_powers(np.array([1e8, 1e8, 1e8]), np.array([1e9, 2e9, 4e9]))
    ('lr_N', 'batch_N')
    """
    n, d = np.log(N) - np.log(N).mean(), np.log(D) - np.log(D).mean()
    many, size, data = len(N) > 2, np.ptp(n) > 0.05, np.ptp(d) > 0.05
    # At one ratio of tokens to parameters the two exponents cannot be told apart: D carries both.
    along = size and data and (not many or abs(float(n @ d)) > 0.999 * float(np.sqrt((n @ n) * (d @ d))))
    fixed = () if size and not along else ("lr_N", "batch_N")
    return fixed if data else (*fixed, "lr_D", "batch_D")
