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

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isoloss.engine.problem import F64, Problem
from isoloss.errors import OptionError
from isoloss.objective import Objective

__all__ = ["KINDS", "Covariance", "correlation", "covariance", "transform_slopes"]

KINDS = ("HC1", "HC2", "HC3")
_LEAST_LEFT = 1e-6  # of a term that determines a direction alone
_HUBERS = ("huber", "asymmetric_huber")
_BLOCK = 50_000  # runs whose second derivatives are held at once


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
    correction = kind
    kind = "sandwich" if groups is None else "cluster-robust sandwich"
    if correction != "HC1":
        kind += f" ({correction if groups is None else correction.replace('HC', 'CR')})"
    own = problem.parameters
    root = own.tied
    moves = own.free & (at_bound[root] == 0)
    estimated = np.flatnonzero(moves)
    q = len(estimated)
    if q == 0:
        return Covariance(cov=None, kind=kind, reason="no parameter is free to move")
    # Column k of the selection carries the k-th estimated parameter and all that are tied to it.
    selection = np.asarray(root[:, None] == estimated[None, :], dtype=np.float64)

    weight = np.ones_like(problem.target) if problem.weights is None else problem.weights
    present = np.flatnonzero(weight > 0.0)  # absent rows may lie outside the law's domain: they are never looked at
    n = len(present)
    residual = problem.objective.residuals(problem.predict(params)[0], problem.target)
    reason = _refusal(problem.objective, residual[present], n, q)
    if reason is not None:
        return Covariance(cov=None, kind=kind, reason=reason)
    codes, count = None, n
    if groups is not None:
        labels, codes = np.unique(groups[present], return_inverse=True)
        count = len(labels)
        if count <= q:
            reason = f"{count} groups cannot give the covariance of {q} parameters"
            return Covariance(cov=None, kind=kind, reason=reason)

    # Where the law is steep beyond what a double holds, the moments are not finite, which is refused below.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        gram, bread, meat = _moments(problem, params, selection, weight, present, codes, count)
    # Unit scale for each parameter: A may be 1e3 and alpha 0.3, and neither should decide what is singular.
    scale = np.sqrt(np.diag(gram))
    if not np.all(np.isfinite(scale)):
        return Covariance(cov=None, kind=kind, reason="a derivative of the law is not finite at the optimum")
    if np.any(scale == 0.0):
        flat = ", ".join(own.names[j] for j, s in zip(estimated, scale, strict=True) if not s > 0.0)
        return Covariance(cov=None, kind=kind, reason=f"the loss does not respond to {flat or 'the parameters'}")
    if not (np.all(np.isfinite(bread)) and np.all(np.isfinite(meat))):
        return Covariance(cov=None, kind=kind, reason="a derivative of the law is not finite at the optimum")
    bread = bread / scale / scale[:, None]
    meat = meat / scale / scale[:, None]
    spectrum = np.linalg.eigvalsh(bread)
    if not spectrum[0] > 1e-13 * q * abs(spectrum[-1]):
        reason = "the curvature at the optimum is not positive definite: the data do not pin all parameters down"
        return Covariance(cov=None, kind=kind, reason=reason)
    inverse = np.linalg.inv(bread)
    if correction == "HC1":
        factor = n / (n - q) if groups is None else count / (count - 1) * (n - 1) / (n - q)
    else:
        factor = 1.0
        power = {"HC2": -0.5, "HC3": -1.0}[correction]
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            meat = _corrected(problem, params, selection / scale, weight, present, codes, count, bread, power)
        if not np.all(np.isfinite(meat)):
            return Covariance(cov=None, kind=kind, reason="a derivative of the law is not finite at the optimum")
    small = factor * (inverse @ meat @ inverse) / scale / scale[:, None]
    cov = selection @ (0.5 * (small + small.T)) @ selection.T
    held = np.asarray(at_bound[root] != 0) & ~own.fixed[root]
    cov[held, :] = np.nan
    cov[:, held] = np.nan
    return Covariance(cov=cov, kind=kind, reason=None, note=_note(problem.objective, residual[present]))


def _moments(
    problem: Problem,
    params: F64,
    selection: F64,
    weight: F64,
    present: NDArray[np.intp],
    codes: NDArray[np.intp] | None,
    count: int,
) -> tuple[F64, F64, F64]:
    """Sums over runs, (q, q) each: of w g g^T, the bread and the meat; in blocks, since second derivatives are wide."""
    q = selection.shape[1]
    gram, bread, meat = np.zeros((q, q)), np.zeros((q, q)), np.zeros((q, q))
    sums = np.zeros((count if codes is not None else 0, q))
    for first in range(0, len(present), _BLOCK):
        rows = present[first : first + _BLOCK]
        columns = [np.ascontiguousarray(column[rows]) for column in problem.columns]
        value, gradient, hessian = problem.expression.derivatives(columns, params)
        slope, bend = transform_slopes(value, problem.objective)
        d1, d2 = problem.objective.slopes(value, problem.target[rows])
        w = weight[rows]
        inner = gradient @ selection
        g = slope[:, None] * inner
        gram += (w[:, None] * g).T @ g
        curved = selection.T @ np.einsum("n,nij->ij", w * d1 * slope, hessian) @ selection
        bread += ((w * d2)[:, None] * g).T @ g + curved + ((w * d1 * bend)[:, None] * inner).T @ inner
        score = (w * d1)[:, None] * g
        if codes is None:
            meat += score.T @ score
        else:
            np.add.at(sums, codes[first : first + _BLOCK], score)
    return gram, bread, meat if codes is None else sums.T @ sums


def _corrected(
    problem: Problem,
    params: F64,
    selection: F64,
    weight: F64,
    present: NDArray[np.intp],
    codes: NDArray[np.intp] | None,
    count: int,
    bread: F64,
    power: float,
) -> F64:
    """(q, q) the meat with each term corrected for its leverage; selection and bread in scaled parameters."""
    q = selection.shape[1]
    factor = np.linalg.cholesky(bread)
    upright = np.linalg.inv(factor)
    terms, own = np.zeros((count, q)), np.zeros((count, q, q))
    for first in range(0, len(present), _BLOCK):
        rows = present[first : first + _BLOCK]
        columns = [np.ascontiguousarray(column[rows]) for column in problem.columns]
        value, gradient, _ = problem.expression.derivatives(columns, params)
        slope, _ = transform_slopes(value, problem.objective)
        d1, d2 = problem.objective.slopes(value, problem.target[rows])
        w = weight[rows]
        # In coordinates in which the bread is the identity.
        g = (slope[:, None] * gradient @ selection) @ upright.T
        where = np.arange(first, first + len(rows)) if codes is None else codes[first : first + _BLOCK]
        np.add.at(terms, where, (w * d1)[:, None] * g)
        np.add.at(own, where, (w * d2)[:, None, None] * g[:, :, None] * g[:, None, :])
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
