"""Fitting the shared surface to a sweep at one threshold: the problem as the engine takes it, and the weights of runs.

A run whose excess *by the surface itself* is e counts 2^-((e / t)^4), t the threshold: hardly less than one inside,
half at t, nothing beyond 1.5 t. (Taking the runs whose own excess is below a threshold would select on the outcome,
keep the lucky runs at the rim, and make the surface too flat; it only serves as the first round. A hard limit in place
of the weights can make two surfaces choose each other's runs for ever.) The weights are moved half way to their new
values in each round until the surface stays.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isoloss.engine.problem import F64
from isoloss.engine.status import Status
from isoloss.errors import DataError
from isoloss.fit.many import fit_many
from isoloss.hparams.shape import NARROW, SHARED, Choice, Shape, excess_text, nearness
from isoloss.hparams.sweep import Sweep
from isoloss.law.object import Law, law

__all__ = ["COUNTS", "Posed", "Settled", "settle"]

_OUTSIDE = 3.0  # how far outside the settings, in logarithms, an optimum may lie
_ROUNDS = 15  # of weighing runs by the surface, at most
_STAYS = 1e-3  # the surface stays when no parameter moves by more
COUNTS = 0.03
"""Runs of less weight are left out, which saves time."""


@lru_cache(maxsize=4)  # it is read and derived once for all rounds, thresholds and draws
def _law(cells: int) -> Law:
    w = "((x - ln_lr - lr_N * n - lr_D * d) - ridge * (y - ln_batch - batch_N * n - batch_D * d))"
    y = "(y - ln_batch - batch_N * n - batch_D * d)"
    floors = " + ".join(f"f{c} * c{c}" for c in range(cells))
    return law(
        f"{floors} + {excess_text(w, y)}",
        vars=["x", "y", "n", "d", *(f"c{c}" for c in range(cells))],
        positive=["a", "k", "b"],
        bounds={"k": (NARROW, 10.0), "a": (1e-9, 1e3), "b": (1e-9, 1e3), "ridge": (-3.0, 3.0)},
        name="hparam_surface",
    )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Posed:
    """The runs below one threshold as the engine takes them."""

    law: Law
    columns: Mapping[str, F64]
    target: F64
    rows: NDArray[np.int64]
    cell: NDArray[np.int64]
    weights: F64
    pivot: F64
    start: F64

    @classmethod
    def of(cls, sweep: Sweep, rows: NDArray[np.intp], threshold: float, near: F64 | None = None) -> Posed:
        """Rows of a sweep below a threshold, weighted by how near they are."""
        cell = sweep.cell[rows]
        n, d = np.log(sweep.N), np.log(sweep.D)
        best = sweep.best
        pivot = np.array([n.mean(), d.mean(), sweep.ln_lr[best].mean(), sweep.ln_batch[best].mean()])
        columns = {
            "x": sweep.ln_lr[rows] - pivot[2],
            "y": sweep.ln_batch[rows] - pivot[3],
            "n": n[cell] - pivot[0],
            "d": d[cell] - pivot[1],
            **{f"c{c}": (cell == c).astype(np.float64) for c in range(sweep.cells)},
        }
        made = _law(sweep.cells)
        start = {f"f{c}": float(np.log(sweep.loss[row])) for c, row in enumerate(best)}
        # Curvatures such that the threshold is reached where the kept runs end.
        wide = [max(float(np.std(columns[name])), 0.1) for name in ("x", "y")]
        start |= {"a": 0.5 * threshold / wide[0] ** 2, "k": 0.6, "b": 0.25 * threshold / wide[1] ** 2, "ridge": 0.3}
        start |= dict.fromkeys(SHARED[:6], 0.0)
        return cls(
            law=made,
            columns=columns,
            target=np.log(sweep.loss[rows]),
            rows=rows.astype(np.int64),
            cell=cell,
            weights=sweep.weights[rows] * (1.0 if near is None else near),
            pivot=pivot,
            start=np.array([start[name] for name in made.parameters]),
        )

    def solve(
        self, choice: Choice, fixed: tuple[str, ...], weights: F64, starts: F64, n_threads: int | None
    ) -> tuple[F64, NDArray[np.bool_], F64, Any]:
        """(B, 10) shared parameters, (B,) whether converged, (B, c) floors, and the table."""
        held = dict.fromkeys(fixed, 0.0)
        if choice.batch_size_law == "D":
            held["batch_N"] = 0.0
        if not choice.asymmetric:
            held["k"] = NARROW
        table = fit_many(
            self.law,
            self.columns,
            self.target,
            weights=weights * self.weights,
            starts=starts,
            objective=choice.objective,
            fix=held,
            # An optimum far outside the settings that were tried is no optimum: it would say that there is none.
            bounds={
                name: (float(self.columns[of].min()) - _OUTSIDE, float(self.columns[of].max()) + _OUTSIDE)
                for name, of in (("ln_lr", "x"), ("ln_batch", "y"))
            },
            n_threads=n_threads,
        )
        index = [table.names.index(name) for name in SHARED]
        floors = [table.names.index(f"f{c}") for c in range(len(self.columns) - 4)]
        return table.params[:, index], table.success, table.params[:, floors], table


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Settled:
    """A surface and the runs it chose."""

    posed: Posed
    values: F64
    params: F64
    floors: F64
    table: Any

    @property
    def shape(self) -> Shape:
        """The shared parameters."""
        return Shape(values=self.values, pivot=self.posed.pivot)

    def at_bound(self, names: Collection[str]) -> list[str]:
        """Those of some shared parameters that ended at a bound."""
        touched = self.table.at_bound[0]
        return [name for name in SHARED if name in names and touched[self.table.names.index(name)]]

    def start_in(self, posed: Posed) -> F64:
        """The same surface as a start for other runs; all runs share one pivot."""
        start = posed.start.copy()
        names = list(posed.law.parameters)
        for name, value in zip(self.table.names, self.params, strict=True):
            start[names.index(name)] = value
        return start


def settle(sweep: Sweep, choice: Choice, fixed: tuple[str, ...], n_threads: int | None) -> Settled:
    """Fit the runs near the best of their cells, then all by their weights on the surface, until it stays."""
    rows = np.flatnonzero((sweep.excess <= choice.threshold) & ~sweep.diverged)
    posed = Posed.of(sweep, rows, choice.threshold)
    # Several starts: the asymmetry is where a second optimum could hide.
    starts = np.repeat(posed.start[None, None, :], 3, axis=1)
    starts[0, :, list(posed.law.parameters).index("k")] = (0.6, 0.1, 2.0)
    found = _solved(posed, choice, fixed, starts, n_threads)
    weights: F64 | None = None
    for _ in range(_ROUNDS):
        near = nearness(sweep, found.shape, choice.threshold)
        weights = near if weights is None else 0.5 * (weights + near)
        rows = np.flatnonzero(weights > COUNTS)
        # A surface that leaves a cell without runs has run away from them: the round before is the better answer.
        if len(np.unique(sweep.cell[rows])) < sweep.cells or len(rows) < sweep.cells + len(SHARED):
            break
        posed = Posed.of(sweep, rows, choice.threshold, weights[rows])
        before, found = found, _solved(posed, choice, fixed, found.start_in(posed), n_threads)
        if np.abs(found.values - before.values).max() < _STAYS:
            break
    return found


def _solved(posed: Posed, choice: Choice, fixed: tuple[str, ...], starts: F64, n_threads: int | None) -> Settled:
    values, ok, floors, table = posed.solve(choice, fixed, np.ones((1, len(posed.rows))), starts, n_threads)
    if not ok[0]:
        message = f"no surface fits these runs: {Status(int(table.status[0])).message}"
        raise DataError(message, code="hparams-too-few-runs")
    return Settled(posed=posed, values=values[0], params=table.params[0], floors=floors[0], table=table)
