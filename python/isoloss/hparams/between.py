r"""How far the optima of single cells lie from the power laws, beyond what noise explains.

Refits to resampled cells tell how well the power laws are known: the mean optimum at N and D. The optimum of *one* new
training lies around that mean, because power laws are not the whole truth and every cell has its own luck. Where it
lies must be known to choose its learning rate, so the interval of a prediction carries both.

Each cell's own optimum (x_c, y_c) = (ln lr, ln batch) comes from its own runs under the shared shape: three numbers a
cell, the third its floor. With the covariance S_c of its errors, and the deviation e_c from the power laws,

    e_c ~ Normal(0, T + S_c),

T the covariance between cells, by maximum likelihood (the EM steps of Dempster, Laird and Rubin 1977 for random
effects). Deviations of cells that the laws were fitted to are too small by sqrt(1 - h_c), h_c the leverage of the cell
in the power laws, and are scaled up first. A draw of a new cell is a draw of the laws and a deviation of Normal(0, T).
Since T, and the spread of the refits too, are known from few cells only, intervals are *expanded* percentiles
(`isoloss.stats.intervals`), for as many degrees of freedom as there are cells beyond exponents. By simulation with 6,
12 and 20 cells they hold the optimum of a new cell in 94 to 97 of 100 studies, among the cells and a decade beyond;
percentiles over the refits alone held it in 37 to 65 among the cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss.engine.problem import F64
from isoloss.fit.many import fit_many
from isoloss.hparams.powers import Powers
from isoloss.hparams.settle import COUNTS
from isoloss.hparams.shape import SHARED, Joint, excess_text, nearness
from isoloss.hparams.sweep import Sweep
from isoloss.law.object import law
from isoloss.objective import Objective
from isoloss.stats.intervals import ends

__all__ = ["Between", "between_of", "own_optima"]

_CELL = law(
    "f + " + excess_text("((x - p) - ridge * (y - q))", "(y - q)"),
    vars=["x", "y"],
    positive=["a", "k", "b"],
    name="hparam_cell",
)
_ROUNDS = 4  # of moving to the own optima, half way each
_STREAM = 0x6365_6C6C  # apart from the stream of the resamples
_STEPS = 400  # of EM, at most
_STAYS = 1e-6  # relative, of the trace
_TINY = 1e-14  # keeps exact runs, without any scatter, from dividing by zero
_AWAY = 3.0  # how far from the power laws, in logarithms, the optimum of a cell is looked for
_LEAST_RUNS = 5  # two more than a cell's own numbers


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Between:
    """Optima of the cells, and how they scatter around the power laws.

    Attributes
    ----------
    optimum : (c, 2) float64
        ln lr and ln batch of each cell's own optimum, under the shared shape; NaN where the cell has too few runs.
    error : (c, 2, 2) float64
        Covariance of their errors.
    deviation : (c, 2) float64
        From the power laws.
    covariance : (2, 2) float64
        T: between cells, errors taken off; NaN where no cell is left beyond those that the exponents need.
    df : int
        Degrees of freedom behind it.
    """

    optimum: F64
    error: F64
    deviation: F64
    covariance: F64
    df: int

    @property
    def known(self) -> bool:
        """Whether there are cells enough to tell."""
        return self.df > 0

    @property
    def octaves(self) -> tuple[float, float]:
        """Standard deviations of the log2 of the best learning rate and of the best batch."""
        lr, batch = np.sqrt(np.diag(self.covariance)) / np.log(2.0)
        return float(lr), float(batch)

    def draws(self, n: int, seed: int) -> F64:
        """(n, 2) deviations of new cells in ln lr and ln batch; zero where there are not cells enough to tell."""
        if not self.known:
            return np.zeros((n, 2))
        rng = np.random.default_rng([seed, _STREAM])
        # Cholesky's factor, written out: that of a matrix of two rows, with zeros where there is no scatter.
        (v, c), (_, w) = self.covariance
        first = np.sqrt(max(v, 0.0))
        second = c / first if first > 0.0 else 0.0
        factor = np.array([[first, 0.0], [second, np.sqrt(max(w - second**2, 0.0))]])
        return np.asarray(rng.standard_normal((n, 2)) @ factor.T)

    def interval(self, samples: F64, estimate: Any, level: float) -> tuple[F64, F64]:
        """Expanded percentiles over draws, the first axis; plain ones where there are not cells enough to tell."""
        kind = "expanded" if self.known else "percentile"
        return ends(kind, samples, np.asarray(estimate), level, df=float(self.df))


def own_optima(sweep: Sweep, joint: Joint, *, n_threads: int | None = None) -> tuple[F64, F64]:
    """(c, 2) ln lr and ln batch of each cell's own optimum under the shared shape, and (c, 2, 2) their covariances.

    Runs count by how near they are to the cell's own optimum. Around that of the power laws, an optimum beside it would
    seem further away, or less far, by as much as the shared surface is too flat, or too steep, for the cell.
    """
    centre = np.column_stack(joint.shape.optimum(sweep.N, sweep.D))
    optimum, error = _own(sweep, joint, centre, n_threads)
    for _ in range(_ROUNDS):
        centre = np.where(np.isfinite(optimum), 0.5 * (centre + optimum), centre)
        optimum, error = _own(sweep, joint, centre, n_threads)
    return optimum, error


def _own(sweep: Sweep, joint: Joint, centre: F64, n_threads: int | None) -> tuple[F64, F64]:
    """Optima and their covariances from the runs around (c, 2) given places."""
    near = nearness(sweep, joint.shape, joint.choice.threshold, centre)
    optimum, error = np.full((sweep.cells, 2), np.nan), np.full((sweep.cells, 2, 2), np.nan)
    rows_of = [np.flatnonzero((sweep.cell == c) & (near > COUNTS)) for c in range(sweep.cells)]
    usable = [c for c, rows in enumerate(rows_of) if len(rows) >= _LEAST_RUNS]
    if not usable:
        return optimum, error
    rows = np.concatenate([rows_of[c] for c in usable])
    # The errors of an optimum do not depend on the scale of the weights.
    cell, weights = sweep.cell[rows], near[rows] * (sweep.weights[rows] / sweep.weights.max())
    x, y = sweep.ln_lr[rows] - centre[cell, 0], sweep.ln_batch[rows] - centre[cell, 1]
    target = np.log(sweep.loss[rows] / joint.floor[cell])
    shared = dict(zip(SHARED[6:], joint.shape.values[6:].tolist(), strict=True))
    table = fit_many(
        _CELL,
        {"x": x, "y": y},
        target,
        weights=weights,
        offsets=np.cumsum([0, *(len(rows_of[c]) for c in usable)]),
        starts=np.array([shared.get(name, 0.0) for name in _CELL.parameters]),
        objective=joint.choice.objective,
        fix=shared,
        bounds={"p": (-_AWAY, _AWAY), "q": (-_AWAY, _AWAY)},
        n_threads=n_threads,
    )
    p, q, f = (table.params[:, table.names.index(name)] for name in "pqf")
    ridge, a, k, b = shared.values()
    # Gradients in p, q and f of the law at the optimum of each cell, one row a run.
    place = np.searchsorted(usable, cell)
    u, v = x - p[place], y - q[place]
    w = k * (u - ridge * v)
    steep = a * np.expm1(w) / k
    J = np.column_stack([-steep, ridge * steep - 2.0 * b * v, np.ones_like(v)])
    residual = target - f[place] - a * (np.expm1(w) - w) / k**2 - b * v**2
    variance = _variance(joint.choice.objective, residual, weights, 3 * len(usable))
    for i, c in enumerate(usable):
        if table.success[i]:
            mine = place == i
            # Their size cancels between bread and meat, and its square may overflow.
            share = weights[mine] / weights[mine].max()
            bread = np.linalg.pinv((J[mine].T * share) @ J[mine])
            meat = (J[mine].T * share**2) @ J[mine]
            optimum[c] = centre[c] + (p[i], q[i])
            error[c] = variance * (bread @ meat @ bread)[:2, :2]
    return optimum, error


def _variance(objective: Objective, residual: F64, weights: F64, fitted: int) -> float:
    """What squared errors of one run are worth to a robust fit: E rho'^2 / (E rho'')^2 (Huber 1964), over all cells."""
    slope, bend = objective.of_residual(residual)
    spare = max(float(weights.sum()) - fitted, 1.0) / float(weights.sum())
    flat = float(np.average(bend, weights=weights))
    if not flat > 0.0:  # absolute errors: the density at zero is not to be had from a few residuals
        return float(np.average(residual**2, weights=weights)) / spare
    return float(np.average(slope**2, weights=weights)) / (spare * flat) ** 2


def between_of(optimum: F64, error: F64, powers: Powers, sweep: Sweep, fixed: tuple[str, ...]) -> Between:
    """Deviations of cells from what laws that were fitted to them say, and the covariance between cells.

    Parameters
    ----------
    optimum, error : (c, 2), (c, 2, 2) float64
        From `own_optima`.
    powers : Powers
        Fitted to these cells.
    sweep : Sweep
    fixed : tuple of str
        Exponents that are held.
    """
    deviation = optimum - np.log(np.column_stack(powers.at(sweep.N, sweep.D)))
    ok = np.isfinite(deviation).all(axis=1) & np.isfinite(error).all(axis=(1, 2))
    columns = [np.ones(int(ok.sum()))]
    columns += [np.log(column[ok]) for column, name in ((sweep.N, "lr_N"), (sweep.D, "lr_D")) if name not in fixed]
    X = np.column_stack(columns)
    df = len(X) - X.shape[1]
    if df < 1:
        return Between(optimum=optimum, error=error, deviation=deviation, covariance=np.full((2, 2), np.nan), df=0)
    basis, _ = np.linalg.qr(X)
    leverage = np.minimum((basis**2).sum(axis=1), 0.9)
    e = deviation[ok] / np.sqrt(1.0 - leverage)[:, None]
    S = error[ok]
    T = np.einsum("ci,cj->ij", e, e) / len(e)
    for _ in range(_STEPS):
        gain = T @ np.linalg.inv(T + S + _TINY * np.eye(2))
        mean = np.einsum("cij,cj->ci", gain, e)
        moved = (np.einsum("ci,cj->ij", mean, mean) + (T - gain @ T).sum(axis=0)) / len(e)
        done = abs(np.trace(moved - T)) <= _STAYS * np.trace(T)
        T = 0.5 * (moved + moved.T)
        if done:
            break
    return Between(optimum=optimum, error=error, deviation=deviation, covariance=T, df=df)
