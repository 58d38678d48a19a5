r"""What runs tell about a target: Fisher information, by draw of the parameters.

With g_i the derivatives of T(L), in the space of the objective, at run i by the q free parameters, and sigma_i the size
of a run's noise there, independent runs have the information :math:`M = \sum_i g_i g_i^T / \sigma_i^2`, and the target,
of derivatives c, has the variance :math:`c^T M^{-1} c`. Rows of a group share a part of their noise, of variance
tau^2; the group's information is then that of generalised least squares. A run that is added is a group of its own.

A robust objective has the same M up to a factor, which is the same before and after, so ratios of variances keep their
meaning. Parameters at a bound are held there, as in the covariance of a fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from isoloss.engine.problem import F64
from isoloss.engine.watch import Watch
from isoloss.errors import DataError, LawError, OptionError
from isoloss.stats.design import open_ray
from isoloss.stats.inference import transform_slopes
from isoloss.stats.noise import NoiseModel
from isoloss.stats.rank import estimated
from isoloss.stats.resampling import Units, components, model_of, residuals_of, trust_of, units_of

if TYPE_CHECKING:
    from isoloss.design.target import Target
    from isoloss.fit.object import Fit

__all__ = ["Model", "Noise", "columns_of", "model_for", "noise_of"]

_RIDGE = 1e-10  # information about every scaled parameter that is there before any run: inverses exist
_OPEN = 1e-7  # least eigenvalue of the scaled information at which the runs leave a direction open


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """The size of a run's noise.

    Attributes
    ----------
    model : NoiseModel
    shared, own : float
        Shares of the variance, adding up to one: what the rows of a group have in common, and each row's own.
    units : Units
    """

    model: NoiseModel
    shared: float
    own: float
    units: Units

    def at(self, columns: Mapping[str, F64]) -> F64:
        """(k,) standard deviations at values of the variables."""
        return self.model.at(columns, next(iter(columns.values())).shape)


def noise_of(fit: Fit) -> Noise:
    """The noise that the residuals of a fit show.

    Raises
    ------
    DataError
        Code ``data-too-few-points``: there are no residuals.
    OptionError
        Code ``option``: an objective of pass counts.
    """
    problem = fit.problem
    if problem.objective.kind == "binomial":
        message = "the runs are pass counts, whose noise depends on trials that a plan does not know"
        raise OptionError(message, argument="fit")
    q = estimated(problem)
    if fit.n <= q:
        message = f"{fit.n} runs leave no residual of {q} parameters to take noise from"
        raise DataError(message, code="data-too-few-points", points=fit.n, parameters=q)
    units = units_of(fit.runs, problem, None)
    found = residuals_of(problem, fit.vector, units, Watch())
    model = model_of(problem, found)
    if not units.grouped:
        return Noise(model=model, shared=0.0, own=1.0, units=units)
    shared, own = components(found, units)
    total = shared**2 + own**2
    share = shared**2 / total if total > 0.0 else 0.0
    return Noise(model=model, shared=share, own=1.0 - share, units=units)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What one law makes of the runs and of the candidates, at several draws of its parameters.

    Attributes
    ----------
    name : str
        Of the law.
    base : (s, q, q) float64
        Information of the runs there are, in parameters scaled to have one unit of it.
    rows : (s, k, q) float64
        Scaled derivatives at the candidates, over the size of the noise there: each adds its outer product.
    slope : (s, q) float64
        Scaled derivatives of the target.
    left_out : int
        Draws at which target or derivatives are not finite.
    open : float
        Share of the draws at which the runs leave the target open.
    """

    name: str
    base: F64
    rows: F64
    slope: F64
    left_out: int
    open: float

    def inverse(self, chosen: list[int]) -> F64:
        """(s, q, q) inverse of the information of the runs and the chosen candidates."""
        extra = self.rows[:, chosen, :]
        return np.asarray(np.linalg.inv(self.base + np.einsum("skq,skr->sqr", extra, extra)))

    def variance(self, chosen: list[int]) -> F64:
        """(s,) variance of the target."""
        return np.asarray(np.einsum("sq,sqr,sr->s", self.slope, self.inverse(chosen), self.slope))


def columns_of(fit: Fit, columns: Mapping[str, F64]) -> list[F64]:
    """Candidates as the fitted law reads them.

    Raises
    ------
    LawError
        Code ``law-missing-name``: the candidates lack a variable of the law.
    """
    names = fit.problem.expression.variables
    missing = [name for name in names if name not in columns]
    if missing:
        message = f"law {fit.law.name!r} needs {', '.join(missing)} of every candidate: grid(..., {missing[0]}=[...])"
        raise LawError(message, code="law-missing-name", names=missing)
    return [np.ascontiguousarray(columns[name]) for name in names]


def model_for(fit: Fit, params: F64, target: Target, columns: Mapping[str, F64], noise: Noise) -> Model:
    """The model of a fit at draws (s, p) of its parameters."""
    problem, own = fit.problem, fit.problem.parameters
    held = np.array([name in fit.at_bound for name in own.names], dtype=np.bool_)
    moving = np.flatnonzero(own.free & ~held[own.tied])
    selection = np.asarray(own.tied[:, None] == moving[None, :], dtype=np.float64)
    named = dict(zip(problem.expression.variables, problem.columns, strict=True))
    there = columns_of(fit, columns)
    size = noise.at(named) / trust_of(problem)
    size_there = noise.at(dict(zip(problem.expression.variables, there, strict=True)))
    # Of exact losses there is no noise: any size will do, and the ratios stay what they are.
    size, size_there = np.where(size > 0.0, size, 1.0), np.where(size_there > 0.0, size_there, 1.0)

    def rows(at: list[F64], theta: F64) -> F64:
        value, gradient, _ = problem.expression.derivatives(at, theta)
        slope, _ = transform_slopes(value, problem.objective)
        return np.asarray(slope[:, None] * gradient @ selection)

    with np.errstate(all="ignore"):
        here = np.array([rows(list(problem.columns), theta) for theta in params]) / size[:, None]
        ahead = np.array([rows(there, theta) for theta in params]) / size_there[:, None]
        slope = target.slopes(fit.bound, params, selection)
    alive = problem.present
    base = _information(here[:, alive], noise.units.codes[alive], noise)
    good = np.isfinite(base).all(axis=(1, 2)) & np.isfinite(ahead).all(axis=(1, 2)) & np.isfinite(slope).all(axis=1)
    base, ahead, slope = base[good], ahead[good], slope[good]
    scale = np.sqrt(np.einsum("sqq->sq", base))
    scale = np.where(scale > 0.0, scale, 1.0)
    base = base / scale[:, :, None] / scale[:, None, :]
    return Model(
        name=fit.law.name,
        base=base + _RIDGE * np.eye(base.shape[1]),
        rows=np.ascontiguousarray(ahead / scale[:, None, :]),
        slope=slope / scale,
        left_out=int(np.sum(~good)),
        open=_share_open(fit, target, base, slope / scale),
    )


def _share_open(fit: Fit, target: Target, base: F64, slope: F64) -> float:
    """The share of the draws at which information (s, q, q) says nothing of a target with slopes (s, q)."""
    # On a ray of sizes and tokens the law itself is all that tells its terms apart: how near draws come to a direction
    # without information is an accident of where in that valley their fits end.
    if len(base) == 0 or (target.kind == "allocation" and open_ray(fit.runs, fit.problem, fit.vector) is not None):
        return 1.0
    values, vectors = np.linalg.eigh(base)
    parts = np.einsum("sq,sqk->sk", slope, vectors) ** 2 / np.maximum(values, _RIDGE)
    lost = np.sum(np.where(values < _OPEN, parts, 0.0), axis=1)
    return float(np.mean(lost > 0.5 * parts.sum(axis=1)))


def _information(rows: F64, codes: NDArray[np.int64], noise: Noise) -> F64:
    """(s, q, q) information of rows (s, n, q) that are divided by the whole size of their noise.

    With shares r of the variance common to a group of m rows and 1 - r of each alone, the inverse of the correlation is
    (1 - r 11^T / (1 - r + r m)) / (1 - r) (Sherman and Morrison 1950).
    """
    own = max(noise.own, 1e-6)
    full = np.einsum("snq,snr->sqr", rows, rows) / own
    if noise.shared <= 0.0:
        return np.asarray(full)
    count = np.bincount(codes, minlength=noise.units.count).astype(np.float64)
    member = np.asarray(codes[:, None] == np.arange(noise.units.count), dtype=np.float64)
    sums = np.einsum("snq,ng->sgq", rows, member)
    weight = noise.shared / (own * (own + noise.shared * count))
    return np.asarray(full - np.einsum("sgq,g,sgr->sqr", sums, weight, sums))
