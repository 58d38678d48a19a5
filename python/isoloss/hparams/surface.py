r"""What a setting costs in a measured cell, three ways, and whether the cell is convex.

The excess of a setting (lr, batch) over the best run of the cell is read off

* the *nearest* run of the grid, in (log2 lr, log2 batch): what Li et al. (2025, arXiv:2503.04715) report;
* the *interpolated* one: linear on the triangle of the Delaunay triangulation around the setting. On a regular grid the
  two diagonals of a rectangle are equally good; the mean over all triangles that qualify is taken;
* the cell's own *surface*: a quadratic in the logarithms through the runs near the best, with the excess counted from
  the least value of the surface. It has no luck of the best run in it.

The quadratic also tells whether the cell is convex: the lesser eigenvalue of its Hessian, with a standard error by the
delta method (the gradient of an eigenvalue with eigenvector v is v v').
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np

from isoloss.engine.problem import F64
from isoloss.fit.many import fit_many
from isoloss.hparams.sweep import Sweep
from isoloss.law.object import law
from isoloss.shown import Shown

__all__ = ["Convexity", "Cost", "Surface", "cost", "surfaces"]

_QUADRATIC = "c0 + c1 * x + c2 * y + c3 * x**2 + c4 * x * y + c5 * y**2"
_LEAST_RUNS = 7  # one more than the quadratic has coefficients
_NEIGHBOURS = (14, 40)  # runs among which the triangle around a setting is looked for first, and then


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """A quadratic through the runs near the best of one cell.

    Attributes
    ----------
    cell : int
    runs : int
        Runs it goes through.
    lr, batch : float
        Where it is least; NaN where it has no least value.
    loss : float
        There.
    hessian : (2, 2) float64
        Of the logarithm of the loss in (ln lr, ln batch).
    curvature : float
        Lesser eigenvalue of the Hessian.
    curvature_error : float
        Its standard error.
    """

    cell: int
    runs: int
    lr: float
    batch: float
    loss: float
    hessian: F64
    curvature: float
    curvature_error: float

    @property
    def convex(self) -> bool:
        """Whether the quadratic is convex."""
        return self.curvature > 0.0

    @property
    def p_value(self) -> float:
        """Chance of a lesser eigenvalue this far below zero, or further, if the cell were just flat."""
        if not self.curvature_error > 0.0:
            return 0.0 if self.curvature < 0.0 else 1.0
        return NormalDist().cdf(self.curvature / self.curvature_error)

    def excess(self, lr: float, batch: float) -> float:
        """Relative excess over the least value of the surface; NaN where it has none."""
        if not self.convex:
            return float("nan")
        step = np.array([math.log(lr / self.lr), math.log(batch / self.batch)])
        return math.expm1(0.5 * float(step @ self.hessian @ step))


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Convexity(Shown):
    """Whether the cells of a sweep are convex in (ln lr, ln batch) near their best run.

    Attributes
    ----------
    names : tuple of str
    surfaces : tuple of Surface or None
        None where a cell has too few runs near its best.
    threshold : float
        Excess up to which runs are used.
    """

    names: tuple[str, ...]
    surfaces: tuple[Surface | None, ...]
    threshold: float

    @property
    def tested(self) -> int:
        """Cells with runs enough."""
        return sum(surface is not None for surface in self.surfaces)

    @property
    def convex(self) -> int:
        """Cells whose quadratic is convex."""
        return sum(surface is not None and surface.convex for surface in self.surfaces)

    @property
    def refuted(self) -> tuple[str, ...]:
        """Cells that are not convex beyond chance: p below 0.05 divided by the number of cells (Bonferroni)."""
        level = 0.05 / max(self.tested, 1)
        pairs = zip(self.names, self.surfaces, strict=True)
        return tuple(name for name, surface in pairs if surface is not None and surface.p_value < level)

    def __str__(self) -> str:
        head = f"{self.convex} of {self.tested} cells convex within {100 * self.threshold:g} % of their best run"
        few = len(self.names) - self.tested
        lines = [f"{head}; {few} with too few runs" if few else head]
        for name, surface in zip(self.names, self.surfaces, strict=True):
            if surface is None:
                lines.append(f"  {name}: too few runs")
            else:
                error = f" ± {surface.curvature_error:.4f}" if np.isfinite(surface.curvature_error) else ""
                verdict = "" if surface.convex else f", p {surface.p_value:.3f}"
                lines.append(f"  {name}: least curvature {surface.curvature:+.4f}{error}, {surface.runs} runs{verdict}")
        return "\n".join(lines)


def surfaces(sweep: Sweep, threshold: float = 0.01, *, n_threads: int | None = None) -> list[Surface | None]:
    """The quadratic of each cell, all in one batch; None where a cell has too few different settings near its best."""
    near = (sweep.excess <= threshold) & ~sweep.diverged
    usable = []
    for c in range(sweep.cells):
        rows = np.flatnonzero(near & (sweep.cell == c))
        settings: F64 = np.unique(np.round(np.column_stack([sweep.ln_lr[rows], sweep.ln_batch[rows]]), 6), axis=0)
        if len(settings) >= _LEAST_RUNS and np.linalg.matrix_rank(_design(settings)) == 6:
            usable.append((c, rows))
    found: list[Surface | None] = [None] * sweep.cells
    if not usable:
        return found
    origin = [(sweep.ln_lr[rows].mean(), sweep.ln_batch[rows].mean()) for _, rows in usable]
    x = [sweep.ln_lr[rows] - o[0] for (_, rows), o in zip(usable, origin, strict=True)]
    y = [sweep.ln_batch[rows] - o[1] for (_, rows), o in zip(usable, origin, strict=True)]
    target = [np.log(sweep.loss[rows]) for _, rows in usable]
    sizes = np.cumsum([0, *(len(t) for t in target)])
    weights = np.concatenate([sweep.weights[rows] for _, rows in usable])
    table = fit_many(
        law(_QUADRATIC, vars=["x", "y"], name="quadratic"),
        {"x": np.concatenate(x), "y": np.concatenate(y)},
        np.concatenate(target),
        weights=weights,
        offsets=sizes,
        starts=np.zeros(6),
        objective="squared_raw",
        n_threads=n_threads,
    )
    for k, (c, rows) in enumerate(usable):
        w = weights[sizes[k] : sizes[k + 1]]
        X = _design(np.column_stack([x[k], y[k]]))
        spare = len(rows) - 6
        variance = float(table.value[k]) / spare if spare > 0 else float("nan")
        found[c] = _surface(c, len(rows), table.params[k], origin[k], variance * np.linalg.inv((X.T * w) @ X))
    return found


def _design(settings: Any) -> F64:
    x, y = (column - column.mean() for column in settings.T)
    return np.column_stack([np.ones_like(x), x, y, x * x, x * y, y * y])


def _surface(c: int, runs: int, params: F64, origin: tuple[float, float], covariance: F64) -> Surface:
    _, c1, c2, c3, c4, c5 = params
    hessian = np.array([[2 * c3, c4], [c4, 2 * c5]])
    values, vectors = np.linalg.eigh(hessian)
    v = vectors[:, 0]
    gradient = np.array([2 * v[0] ** 2, 2 * v[0] * v[1], 2 * v[1] ** 2])
    error = float(np.sqrt(gradient @ covariance[3:, 3:] @ gradient))
    lr = batch = loss = float("nan")
    if values[0] > 0.0:
        at = -np.linalg.solve(hessian, np.array([c1, c2]))
        lr, batch = math.exp(at[0] + origin[0]), math.exp(at[1] + origin[1])
        loss = math.exp(params[0] + 0.5 * float(np.array([c1, c2]) @ at))
    return Surface(
        cell=c,
        runs=runs,
        lr=lr,
        batch=batch,
        loss=loss,
        hessian=hessian,
        curvature=float(values[0]),
        curvature_error=error,
    )


class Cost(NamedTuple):
    """Relative excess of a setting in a measured cell, by the three definitions; NaN where one does not apply."""

    nearest: float
    interpolated: float
    surface: float


def cost(sweep: Sweep, own: Sequence[Surface | None], c: int, lr: float, batch: float) -> Cost:
    """What a setting costs in cell `c`.

    Parameters
    ----------
    sweep : Sweep
    own : sequence of Surface or None
        From `surfaces`.
    c : int
    lr, batch : float
        Batch in tokens.
    """
    rows = sweep.rows(c)
    points = np.column_stack([sweep.ln_lr[rows] - math.log(lr), sweep.ln_batch[rows] - math.log(batch)]) / math.log(2.0)
    excess = sweep.excess[rows]
    near = float(excess[np.argmin((points**2).sum(axis=1))])
    surface = own[c]
    return Cost(near, _interpolated(points, excess), float("nan") if surface is None else surface.excess(lr, batch))


def _interpolated(points: F64, values: F64) -> float:
    """Linear interpolation at the origin on the Delaunay triangulation; NaN outside the convex hull."""
    angles = np.sort(np.arctan2(points[:, 1], points[:, 0]))
    if len(points) < 3 or np.diff(angles, append=angles[0] + 2.0 * np.pi).max() > np.pi + 1e-9:
        return float("nan")  # all points lie on one side
    order = np.argsort((points**2).sum(axis=1), kind="stable")
    for count in (*_NEIGHBOURS, len(points)):
        found = _triangles(points, values, order[:count])
        if np.isfinite(found) or count >= len(points):
            return found
    return float("nan")


def _triangles(points: F64, values: F64, among: Any) -> float:
    """Mean over the triangles around the origin whose circumcircle holds no point."""
    corners = np.array(list(combinations(among.tolist(), 3)))
    a, b, c = (points[corners[:, k]] for k in range(3))
    shares = np.column_stack([_cross(b, c), _cross(c, a), _cross(a, b)])
    area = shares.sum(axis=1)
    flat = np.abs(area) < 1e-9
    shares = shares / np.where(flat, 1.0, area)[:, None]
    around = ~flat & (shares >= -1e-12).all(axis=1)
    corners, shares, a, b, c = corners[around], shares[around], a[around], b[around], c[around]
    u, v = b - a, c - a
    twice = 2.0 * _cross(u, v)
    uu, vv = (u**2).sum(axis=1), (v**2).sum(axis=1)
    offset = np.column_stack([v[:, 1] * uu - u[:, 1] * vv, u[:, 0] * vv - v[:, 0] * uu]) / twice[:, None]
    radius = (offset**2).sum(axis=1)
    nearest = ((points[None, :, :] - (a + offset)[:, None, :]) ** 2).sum(axis=2).min(axis=1, initial=np.inf)
    empty = nearest >= radius * (1.0 - 1e-9) - 1e-12
    if not empty.any():
        return float("nan")
    return float((shares[empty] * values[corners[empty]]).sum(axis=1).mean())


def _cross(u: F64, v: F64) -> F64:
    return np.asarray(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0])
