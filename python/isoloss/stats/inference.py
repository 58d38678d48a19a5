r"""Error bars from curvature: the sandwich covariance of an M-estimator.

With r_i the residual of run i in the space of the objective, w_i its weight and rho the function that is
summed, the estimate solves sum_i w_i rho'(r_i) grad r_i = 0, and its covariance is estimated by

    bread^-1 meat bread^-1,
    bread = sum_i w_i (rho''(r_i) g_i g_i^T + rho'(r_i) hess r_i),      g_i = grad r_i,
    meat  = sum_i (w_i rho'(r_i))^2 g_i g_i^T,

times n / (n - q) for the q parameters estimated (Huber 1967; White 1982). When runs come in groups the terms of the
meat are summed within each group first, and the factor is G/(G - 1) (n - 1)/(n - q) (Liang and Zeger 1986). That is
``HC1``. Instead of a factor, ``HC2`` and ``HC3`` correct each term u_g of the meat for its own leverage,

    u_g -> (1 - A_g bread^-1)^(-1/2) u_g   or   (1 - A_g bread^-1)^-1 u_g,   A_g = sum_i w_i rho''(r_i) g_i g_i^T,

over the runs of the group (MacKinnon and White 1985; for groups Bell and McCaffrey 2002, CR2 and CR3). HC3 is about the
jackknife's covariance.

Where this would mislead it is refused with a reason: absolute and pinball losses have no curvature in their residuals,
nor has a Huber objective whose delta almost no residual lies within; and a bread that is not positive definite has no
inverse to use. The smooth losses, expectiles and pass counts are covered as they stand; for those that are not
symmetric the parameters meant are the ones that minimise the expected objective.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isoloss.engine.problem import F64, Derivatives, Problem
from isoloss.errors import OptionError
from isoloss.objective import Objective

__all__ = ["KINDS", "Covariance", "correlation", "covariance", "transform_slopes"]

KINDS = ("HC1", "HC2", "HC3")
_LEAST_LEFT = 1e-6  # of a term that determines a direction alone
_HUBERS = ("huber", "asymmetric_huber")


@dataclass(frozen=True, slots=True, kw_only=True)
class Covariance:
    """A covariance, or why there is none.

    Attributes
    ----------
    cov : (p, p) float64 or None
        In natural parameters. Zero for fixed parameters; NaN for those at a bound.
    kind : str
        How it was estimated.
    reason : str or None
        Why `cov` is None.
    note : str
        What to keep in mind about it; empty if nothing.
    """

    cov: F64 | None
    kind: str
    reason: str | None
    note: str = ""


def covariance(
    problem: Problem,
    params: F64,
    at_bound: NDArray[np.int8],
    groups: NDArray[np.int64] | None,
    *,
    kind: str = "HC1",
) -> Covariance:
    """The sandwich covariance at an optimum.

    Parameters
    ----------
    problem : Problem
        With one target row.
    params : (p,) float64
        The optimum, natural values.
    at_bound : (p,) int8
        Non-zero where a parameter sits on a bound; such parameters are held there.
    groups : (n,) int64 or None
        Group of each run, for the cluster-robust form.
    kind : {"HC1", "HC2", "HC3"}
        Correction for small samples.

    Raises
    ------
    OptionError
        Code ``option``: an unknown kind.
    """
    if kind not in KINDS:
        message = f"kind={kind!r} is not a correction of the covariance; known: {', '.join(KINDS)}"
        raise OptionError(message, argument="kind")
    label = "sandwich" if groups is None else "cluster-robust sandwich"
    if kind != "HC1":
        label += f" ({kind if groups is None else kind.replace('HC', 'CR')})"
    try:
        sample = _sample(problem, params, at_bound, groups)
        cov = _sandwich(sample, kind)
    except _RefusedError as refused:
        return Covariance(cov=None, kind=label, reason=str(refused))
    own = problem.parameters
    held = np.asarray(at_bound[own.tied] != 0) & ~own.fixed[own.tied]
    cov[held, :] = np.nan
    cov[:, held] = np.nan
    return Covariance(cov=cov, kind=label, reason=None, note=_note(problem.objective, sample.residual))


class _RefusedError(Exception):
    """Why there is no covariance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sample:
    """The runs that count, and the parameters that move.

    Attributes
    ----------
    names : tuple of str
        The q parameters estimated.
    selection : (p, q) float64
        Column k carries the k-th parameter estimated and all that are tied to it.
    weight : (n,) float64
    rows : (m,) int64
        Runs that carry weight; absent ones may lie outside the law's domain and are never looked at.
    residual : (m,) float64
    codes : (m,) int64
        Group of each run; its own where there are none.
    count : int
        Groups.
    grouped : bool
    """

    problem: Problem
    params: F64
    names: tuple[str, ...]
    selection: F64
    weight: F64
    rows: NDArray[np.intp]
    residual: F64
    codes: NDArray[np.intp]
    count: int
    grouped: bool

    def blocks(self) -> Iterator[_Block]:
        """What the moments are summed from, block by block."""
        for at in self.problem.derivatives(self.params, self.rows):
            goal = self.problem.objective
            slope, bend = transform_slopes(at.value, goal)
            d1, d2 = goal.slopes(at.value, self.problem.target[at.rows])
            w, codes = self.weight[at.rows], self.codes[at.place]
            yield _Block(at=at, slope=slope, bend=bend, d1=d1, d2=d2, w=w, codes=codes)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    """Some runs: derivatives of the law, of the transform (slope, bend) and of rho (d1, d2), weights and groups."""

    at: Derivatives
    slope: F64
    bend: F64
    d1: F64
    d2: F64
    w: F64
    codes: NDArray[np.intp]


def _sample(problem: Problem, params: F64, at_bound: NDArray[np.int8], groups: NDArray[np.int64] | None) -> _Sample:
    """What a covariance is taken from, unless a glance tells that there is none."""
    own = problem.parameters
    estimated = np.flatnonzero(own.free & (at_bound[own.tied] == 0))
    q = len(estimated)
    if q == 0:
        raise _RefusedError("no parameter is free to move")
    rows = problem.present
    n = len(rows)
    residual = problem.objective.residuals(problem.predict(params)[0], problem.target)[rows]
    reason = _refusal(problem.objective, residual, n, q)
    if reason is not None:
        raise _RefusedError(reason)
    codes, count = np.arange(n), n
    if groups is not None:
        labels, codes = np.unique(groups[rows], return_inverse=True)
        count = len(labels)
        if count <= q:
            raise _RefusedError(f"{count} groups cannot give the covariance of {q} parameters")
    return _Sample(
        problem=problem,
        params=params,
        names=tuple(own.names[j] for j in estimated),
        selection=np.asarray(own.tied[:, None] == estimated[None, :], dtype=np.float64),
        weight=np.ones_like(problem.target) if problem.weights is None else problem.weights,
        rows=rows,
        residual=residual,
        codes=codes,
        count=count,
        grouped=groups is not None,
    )


def _sandwich(sample: _Sample, kind: str) -> F64:
    """(p, p) the covariance; zero for what is not estimated."""
    # Where the law is steep beyond what a double holds, the moments are not finite, which is refused below.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        gram, bread, meat = _moments(sample)
    # Unit scale for each parameter: A may be 1e3 and alpha 0.3, and neither should decide what is singular.
    scale = np.sqrt(np.diag(gram))
    if np.all(np.isfinite(scale)) and np.any(scale == 0.0):
        flat = ", ".join(name for name, size in zip(sample.names, scale, strict=True) if not size > 0.0)
        raise _RefusedError(f"the loss does not respond to {flat or 'the parameters'}")
    _finite(scale, bread, meat)
    bread, meat = bread / scale / scale[:, None], meat / scale / scale[:, None]
    n, q = len(sample.rows), len(scale)
    spectrum = np.linalg.eigvalsh(bread)
    if not spectrum[0] > 1e-13 * q * abs(spectrum[-1]):
        raise _RefusedError(
            "the curvature at the optimum is not positive definite: the data do not pin all parameters down"
        )
    if kind == "HC1":
        count = sample.count
        factor = count / (count - 1) * (n - 1) / (n - q) if sample.grouped else n / (n - q)
    else:
        factor = 1.0
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            meat = _corrected(sample, scale, bread, {"HC2": -0.5, "HC3": -1.0}[kind])
        _finite(meat)
    inverse = np.linalg.inv(bread)
    small = factor * (inverse @ meat @ inverse) / scale / scale[:, None]
    return np.asarray(sample.selection @ (0.5 * (small + small.T)) @ sample.selection.T)


def _finite(*moments: F64) -> None:
    if not all(np.all(np.isfinite(array)) for array in moments):
        raise _RefusedError("a derivative of the law is not finite at the optimum")


def _moments(sample: _Sample) -> tuple[F64, F64, F64]:
    """Sums over runs, (q, q) each: of w g g^T, the bread and the meat."""
    selection = sample.selection
    q = selection.shape[1]
    gram, bread, meat = np.zeros((q, q)), np.zeros((q, q)), np.zeros((q, q))
    sums = np.zeros((sample.count if sample.grouped else 0, q))
    for block in sample.blocks():
        w, d1 = block.w, block.d1
        inner = block.at.gradient @ selection
        g = block.slope[:, None] * inner
        gram += (w[:, None] * g).T @ g
        curved = selection.T @ np.einsum("n,nij->ij", w * d1 * block.slope, block.at.hessian) @ selection
        bread += ((w * block.d2)[:, None] * g).T @ g + curved + ((w * d1 * block.bend)[:, None] * inner).T @ inner
        score = (w * d1)[:, None] * g
        if sample.grouped:
            np.add.at(sums, block.codes, score)
        else:
            meat += score.T @ score
    return gram, bread, sums.T @ sums if sample.grouped else meat


def _corrected(sample: _Sample, scale: F64, bread: F64, power: float) -> F64:
    """(q, q) the meat with each term corrected for its leverage; meat and bread in scaled parameters."""
    selection = sample.selection / scale
    q = len(scale)
    factor = np.linalg.cholesky(bread)
    upright = np.linalg.inv(factor)
    terms, own = np.zeros((sample.count, q)), np.zeros((sample.count, q, q))
    for block in sample.blocks():
        # In coordinates in which the bread is the identity.
        g = (block.slope[:, None] * block.at.gradient @ selection) @ upright.T
        np.add.at(terms, block.codes, (block.w * block.d1)[:, None] * g)
        np.add.at(own, block.codes, (block.w * block.d2)[:, None, None] * g[:, :, None] * g[:, None, :])
    size, axes = np.linalg.eigh(own)
    stretch = np.clip(1.0 - size, _LEAST_LEFT, None) ** power
    terms = np.einsum("gij,gj,gkj,gk->gi", axes, stretch, axes, terms)
    meat = terms.T @ terms
    return np.asarray(factor @ meat @ factor.T)


def correlation(cov: F64) -> F64:
    """(p, p) correlations; NaN in the rows and columns of parameters without spread."""
    spread = np.sqrt(np.diag(cov))
    scale = np.where(spread > 0.0, spread, np.nan)
    return np.asarray(cov / scale[:, None] / scale[None, :])


def _refusal(objective: Objective, residual: F64, n: int, q: int) -> str | None:
    """Why curvature gives no honest error bars here, or None."""
    if objective.kind == "absolute":
        return "absolute error has no curvature in its residuals; use bootstrap()"
    if objective.kind == "quantile":
        return "quantiles have no curvature in their residuals; use bootstrap()"
    if n <= q:
        return f"{n} runs leave no residual to judge {q} parameters by"
    if objective.kind in _HUBERS:
        inside = int(np.count_nonzero(np.abs(residual) <= objective.width))
        if inside < min(3 * q, n):  # with all of them inside it is least squares
            few = f"only {inside} of {n} residuals lie within delta = {objective.width:g}"
            return f"{few} (needs {3 * q}); use bootstrap()"
    return None


def _note(objective: Objective, residual: F64) -> str:
    """Second derivatives of a Huber objective come from the residuals inside delta alone."""
    if objective.kind not in _HUBERS:
        return ""
    inside = int(np.count_nonzero(np.abs(residual) <= objective.width))
    if 2 * inside >= len(residual):
        return ""
    return f"rough, with {inside} of {len(residual)} residuals within delta: prefer bootstrap()"


def transform_slopes(value: F64, objective: Objective) -> tuple[F64, F64]:
    """First and second derivative of the space's transform at the predictions."""
    if objective.space == "raw":
        return np.ones_like(value), np.zeros_like(value)
    with np.errstate(divide="ignore", invalid="ignore"):
        if objective.space == "log":
            return 1.0 / value, -1.0 / value**2
        spread = value * (1.0 - value)
        return 1.0 / spread, (2.0 * value - 1.0) / spread**2
