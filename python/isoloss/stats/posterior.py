r"""Draws from the posterior distribution of a law's parameters.

The likelihood is the objective's own: normal errors for squares, Laplace's for absolute errors, binomial for counts.
The size of the noise is integrated out with the prior 1/sigma, which leaves

    p(theta | losses) ~ prior(theta) S(theta)^(-n/2)   and   prior(theta) S(theta)^(-n)

for a sum S of squares and of absolute errors over n runs. The prior is flat in the logarithm of positive parameters,
within a factor of a thousand of the estimate, and in the value of others, within their bounds; that is the same in any
units. Normal priors of the values themselves can be given by name; one takes the place of the flat prior, cut to the
same range. Weights are read as precisions: the noise of a run is sigma over the square root of its weight, under
absolute errors over the weight.

Two samplers, neither of which needs gradients:

``laplace``
    Importance resampling (Rubin 1988): multivariate t around the optimum with the curvature's covariance, moved to the
    weighted mean and covariance twice. The effective number of draws is that of the weights (Kong 1992).
``ensemble``
    Affine-invariant walkers (Goodman and Weare 2010), four ensembles of 32, all of which are evaluated at once.
    The ensembles are the chains; the effective number of draws is counted walker by walker.

R-hat and the effective sample size are those of `isoloss.stats.mixing`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from isoloss.checks import level_between, whole
from isoloss.engine.problem import F64, Problem, seed_number
from isoloss.engine.watch import thread_number
from isoloss.errors import FitError, Notice, OptionError, did_you_mean, missing_extra
from isoloss.stats.bands import Band
from isoloss.stats.draws import Basis, Draws
from isoloss.stats.inference import transform_slopes
from isoloss.stats.intervals import percentiles
from isoloss.stats.mixing import effective_size, r_hat
from isoloss.stats.noise import noiseless
from isoloss.stats.profiles import residual_df
from isoloss.units import format_number

if TYPE_CHECKING:
    from isoloss.fit.data import FitData
    from isoloss.law.object import BoundLaw

__all__ = ["Posterior", "posterior"]

METHODS = ("laplace", "ensemble")
_REACH = math.log(1000.0)
_BATCHES = 4
_TAIL = 5.0  # degrees of freedom of the proposals
_ENSEMBLES, _WALKERS = 4, 32
_STRETCH = 2.0
_BURN = 1000
_LEAST_STEPS = 20  # kept of each walker, to tell how far they are apart
_FEW = 400.0  # effective draws below which tails are noise
_MIXED = 1.01
_SETTLED_BY_PRIOR = ("not-identified", "design-ray", "few-units")
_KINDS = {"squared": 0.5, "absolute": 1.0}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Posterior:
    """Draws from a posterior; made by `Fit.posterior`.

    Attributes
    ----------
    params : (chains, draws, p) float64
        Natural values, fixed and tied parameters included.
    names : tuple of str
    log_density : (chains, draws) float64
        Unnormalised, in the coordinates that are sampled.
    ess, r_hat : mapping of str to float
        Of every parameter that moves.
    method : str
    seed : int
    prior : mapping of str to (mean, sd)
        The normal priors that were given.
    bound : BoundLaw
        The law with the estimates of the fit.
    basis : Basis
        Ranges of the runs, for `predict`.
    warnings : tuple of Notice
    """

    params: F64
    names: tuple[str, ...]
    log_density: F64
    ess: Mapping[str, float]
    r_hat: Mapping[str, float]
    method: str
    seed: int
    prior: Mapping[str, tuple[float, float]]
    bound: BoundLaw
    basis: Basis
    warnings: tuple[Notice, ...]

    @property
    def flat(self) -> F64:
        """(m, p) all draws of all chains."""
        return self.params.reshape(-1, len(self.names))

    def __len__(self) -> int:
        return int(self.params.shape[0] * self.params.shape[1])

    def __getitem__(self, name: str) -> F64:
        """(m,) the draws of one parameter."""
        if name not in self.names:
            message = f"no parameter {name!r} among {', '.join(self.names)}{did_you_mean(name, self.names)}"
            raise OptionError(message, name=name)
        return self.flat[:, self.names.index(name)]

    def conf_int(self, level: float = 0.95) -> dict[str, tuple[float, float]]:
        """Credible intervals with equal tails."""
        low, high = percentiles(self.flat, level_between(level))
        return {name: (float(a), float(b)) for name, a, b in zip(self.names, low, high, strict=True)}

    def std(self) -> dict[str, float]:
        """Standard deviation of each parameter."""
        return dict(zip(self.names, np.std(self.flat, axis=0, ddof=1).tolist(), strict=True))

    def predict(self, *, level: float = 0.95, **columns: ArrayLike | str) -> Band:
        """Predicted loss with a credible interval of the law.

        Parameters
        ----------
        level : float
        **columns
            Variables by role, as for `Fit.predict`.
        """
        where: dict[str, Any] = dict(columns)
        return self.as_draws().predict(level=level, **where)

    def as_draws(self) -> Draws:
        """The same draws as `Draws`, for plans and figures."""
        m = len(self)
        return Draws(
            params=self.flat,
            names=self.names,
            value=-self.log_density.ravel(),
            index=np.arange(m, dtype=np.int64),
            status=np.zeros(m, dtype=np.uint8),
            won_by_start=(m,),
            method=f"posterior ({self.method})",
            by="row",
            units=m,
            seed=self.seed,
            bound=self.bound,
            warnings=self.warnings,
            basis=self.basis,
        )

    def to_arviz(self) -> Any:
        """The draws for ArviZ: groups ``posterior`` and ``sample_stats`` (``lp``).

        Returns
        -------
        arviz.InferenceData, or xarray.DataTree from ArviZ 1.0 on

        Raises
        ------
        MissingExtraError
            When ArviZ is not installed.
        """
        try:
            import arviz
        except ModuleNotFoundError as error:
            if error.name != "arviz":
                raise
            raise missing_extra("arviz", "arviz") from None
        groups: dict[str, Any] = {
            "posterior": {name: self.params[:, :, j] for j, name in enumerate(self.names)},
            "sample_stats": {"lp": self.log_density},
        }
        if int(arviz.__version__.split(".")[0]) >= 1:
            return arviz.from_dict(groups)
        return arviz.from_dict(**groups)

    def summary(self, *, level: float = 0.95) -> str:
        """Intervals, effective sizes and R-hat, for a terminal."""
        rows = [("", "mean", "sd", f"{100 * level:g} % low", "high", "ess", "r_hat")]
        spread, centre = self.std(), self.flat.mean(axis=0)
        for j, (name, (low, high)) in enumerate(self.conf_int(level).items()):
            if name not in self.ess:
                continue
            numbers = (format_number(float(centre[j]), 5), format_number(spread[name], 3))
            ends = (format_number(low, 4), format_number(high, 4))
            rows.append((name, *numbers, *ends, f"{self.ess[name]:,.0f}", f"{self.r_hat[name]:.3f}"))
        widths = [max(len(row[k]) for row in rows) for k in range(7)]
        chains = f"{self.params.shape[0]:,} chains"
        lines = [f"{len(self):,} posterior draws in {chains}, {self.method}, seed {self.seed}"]
        lines += [f"  {row[0]:<{widths[0]}}" + "".join(f"  {row[k]:>{widths[k]}}" for k in range(1, 7)) for row in rows]
        return "\n".join([*lines, *(f"  {notice}" for notice in self.warnings)])

    def __repr__(self) -> str:
        return f"Posterior({len(self):,} draws of {self.bound.law.name}, {self.method})"

    def __str__(self) -> str:
        return self.summary()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self) if cycle else self.summary())


class _Target:
    """The log density in the coordinates that are sampled: logarithms of positive parameters, values of others."""

    def __init__(self, problem: Problem, estimate: F64, prior: Mapping[str, tuple[float, float]], threads: int) -> None:
        own = problem.parameters
        self.problem, self.estimate, self.threads = problem, estimate, threads
        self.free = np.flatnonzero(own.free)
        self.names = [own.names[j] for j in self.free]
        self.positive = own.positive[self.free]
        with np.errstate(divide="ignore"):
            lower = np.where(self.positive, np.log(np.maximum(own.lower[self.free], 0.0)), own.lower[self.free])
            upper = np.where(self.positive, np.log(own.upper[self.free]), own.upper[self.free])
        self.centre = self.working(estimate[None, :])[0]
        self.lower = np.where(self.positive, np.maximum(lower, self.centre - _REACH), lower)
        self.upper = np.where(self.positive, np.minimum(upper, self.centre + _REACH), upper)
        self.alive = np.ones(problem.target.shape[-1], dtype=np.bool_)
        if problem.weights is not None:
            self.alive = problem.weights > 0.0
        self.n = int(self.alive.sum())
        self.prior = {own.index(name, "prior"): pair for name, pair in prior.items()}
        judged = {int(own.tied[j]) for j in self.prior}
        self.slanted = np.array([bool(self.positive[k]) and int(j) in judged for k, j in enumerate(self.free)])

    def working(self, params: F64) -> F64:
        values = params[:, self.free]
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.positive, np.log(np.where(self.positive, values, 1.0)), values)

    def natural(self, z: F64) -> F64:
        """(m, p) all parameters."""
        params = np.tile(self.estimate, (len(z), 1))
        with np.errstate(over="ignore"):
            params[:, self.free] = np.where(self.positive, np.exp(np.where(self.positive, z, 0.0)), z)
        return np.ascontiguousarray(params[:, self.problem.parameters.tied])

    def __call__(self, z: F64) -> F64:
        """(m,) log density; minus infinity outside the prior's range."""
        problem = self.problem
        inside = np.all((z >= self.lower) & (z <= self.upper), axis=1)
        params = self.natural(np.where(inside[:, None], z, self.centre))
        with np.errstate(all="ignore"):
            made = problem.expression.evaluate(problem.columns, params, threads=self.threads)
            losses = problem.objective.losses(made, problem.target)
            losses = losses if problem.weights is None else problem.weights * losses
            total = np.sum(np.where(self.alive, losses, 0.0), axis=1)
            power = _KINDS.get(problem.objective.kind)
            density = -total if power is None else -power * self.n * np.log(total)
        for j, (mean, sd) in self.prior.items():
            density = density - 0.5 * ((params[:, j] - mean) / sd) ** 2
        # Normal in the value is not so in the logarithm that is sampled: the density gains the slope of exp, once.
        density = density + z[:, self.slanted].sum(axis=1)
        return np.where(inside & np.isfinite(density), density, -np.inf)

    def covariance(self) -> F64:
        """A first guess at the spread, from the curvature of weighted squares; (q, q), in the units of `centre`."""
        problem, root = self.problem, self.problem.parameters.tied
        weight = np.ones_like(problem.target) if problem.weights is None else problem.weights / problem.weights.max()
        if problem.objective.kind == "absolute":  # its weights divide sizes, not variances
            weight = weight**2
        rows = np.flatnonzero(self.alive)
        selection = np.asarray(root[:, None] == self.free[None, :], dtype=np.float64)
        unit = np.where(self.positive, self.estimate[self.free], 1.0)
        gram, total = np.zeros((len(unit), len(unit))), 0.0
        with np.errstate(all="ignore"):  # what is not finite is refused when it is factored
            for at in problem.derivatives(self.estimate, rows):
                slope, _ = transform_slopes(at.value, problem.objective)
                jacobian = slope[:, None] * (at.gradient @ selection) * unit
                share = weight[at.rows]
                gram += (share[:, None] * jacobian).T @ jacobian
                total += float(np.sum(share * problem.objective.residuals(at.value, problem.target[at.rows]) ** 2))
            scale = np.sqrt(np.diag(gram))
            scale = np.where(scale > 0.0, scale, 1.0)
            even = gram / scale / scale[:, None]
            if not np.all(np.isfinite(even)):
                return np.full_like(gram, np.nan)
            inner = np.linalg.pinv(even, rcond=1e-12, hermitian=True)
            cov = total / max(self.n - len(unit), 1) * inner / scale / scale[:, None]
        # A direction that the data leave open shall not send the proposals out of the prior's range.
        size, room = np.sqrt(np.diag(cov)), np.where(self.positive, 1.0, (self.upper - self.lower) / 4.0)
        shrink = np.where(size > room, room / np.maximum(size, 1e-300), 1.0)
        return np.asarray(cov * shrink * shrink[:, None])

    def factor(self, cov: F64) -> F64:
        """(q, q) root of a covariance, whatever the units; a parameter without spread is given some.

        Raises
        ------
        FitError
            Code ``covariance-unavailable``: it is not finite, or has no root.
        """
        # Another unit of a variable adds multiples of exponents to logarithms of amplitudes. A triangular root with
        # the exponents first moves in the same way, so that the same numbers make the same draws in any unit.
        order = np.argsort(self.positive, kind="stable")
        own = np.where(self.positive, 1.0, np.maximum(np.abs(self.centre), 1e-300))
        with np.errstate(invalid="ignore"):
            size = np.sqrt(np.diag(cov))
            size = np.where(size > 1e-14 * own, size, 1e-8 * own)
        even = cov / size / size[:, None]
        if np.all(np.isfinite(even)):
            try:
                root = np.empty_like(even)
                root[order] = np.linalg.cholesky((even + 1e-10 * np.eye(len(size)))[np.ix_(order, order)])
                return np.asarray(size[:, None] * root)
            except np.linalg.LinAlgError:
                pass
        message = (
            "no posterior draws: the curvature at the optimum does not tell how far they should reach, as where a "
            "derivative of the law is not finite; fix a parameter, or use bootstrap()"
        )
        raise FitError(message, code="covariance-unavailable", reason="no finite curvature")


def posterior(
    fit: FitData,
    n: int,
    *,
    method: str,
    prior: Mapping[str, tuple[float, float]] | None,
    seed: int | np.random.Generator,
    n_threads: int | None,
) -> Posterior:
    """Draw from the posterior; see `isoloss.Fit.posterior`."""
    if method not in METHODS:
        message = f"method={method!r} is not a sampler{did_you_mean(str(method), METHODS)}; known: {', '.join(METHODS)}"
        raise OptionError(message, argument="method")
    n = whole("n", n, 100, 1_000_000)
    kind = fit.objective.kind
    spent = kind in _KINDS and (residual_df(fit.problem) < 1 or noiseless(fit.problem, fit.vector))
    if kind not in (*_KINDS, "binomial") or fit.runs.group is not None or spent:
        reason = f"{fit.objective.name} is no likelihood: fit with squared or absolute errors"
        if fit.runs.group is not None:
            reason = "rows of a group are not independent; use bootstrap()"
        elif kind in _KINDS:
            reason = "the residuals vanish" if residual_df(fit.problem) > 0 else "the runs leave no residual"
        raise FitError(f"there is no posterior: {reason}", code="no-likelihood")
    if not fit.problem.parameters.free.any():
        message = "all parameters are fixed: there is nothing to draw"
        raise OptionError(message, argument="fix")
    given = dict(prior or {})
    pairs: dict[str, Any] = dict(given)
    for name, pair in pairs.items():
        if len(pair) != 2 or not all(map(math.isfinite, pair)) or not pair[1] > 0.0:
            message = f"prior gives {name!r} {pair!r}; it needs (mean, sd) with sd above zero"
            raise OptionError(message, argument="prior")
    target = _Target(fit.problem, fit.vector, given, thread_number(n_threads))
    number = seed_number(seed)
    rng = np.random.default_rng(number)
    chains, density, ess = (_laplace if method == "laplace" else _ensemble)(target, int(n), rng)
    sizes = {name: effective_size(chains[:, :, k]) for k, name in enumerate(target.names)} if ess is None else (
        dict.fromkeys(target.names, ess)
    )  # fmt: skip
    if method == "ensemble":
        chains, density = _by_ensemble(chains), _by_ensemble(density)
    mixing = {name: r_hat(chains[:, :, k]) for k, name in enumerate(target.names)}
    params = target.natural(chains.reshape(-1, chains.shape[2])).reshape(*chains.shape[:2], -1)
    return Posterior(
        params=params,
        names=fit.names,
        log_density=density,
        ess=sizes,
        r_hat=mixing,
        method=method,
        seed=number,
        prior=given,
        bound=fit.bound,
        basis=Basis(objective=fit.objective, ranges=fit.ranges),
        warnings=(
            *(
                notice
                for notice in fit.warnings
                # A prior may well settle what the runs leave open.
                if (notice.severity == "serious" and not (given and notice.code in _SETTLED_BY_PRIOR))
                or notice.code == "checkpoints-as-runs"
            ),
            *_notices(target, chains, sizes, mixing, method),
        ),
    )


def _notices(
    target: _Target, chains: F64, sizes: Mapping[str, float], mixing: Mapping[str, float], method: str
) -> tuple[Notice, ...]:
    notices = []
    few = min(sizes, key=sizes.__getitem__)
    mixed = max(mixing, key=mixing.__getitem__)
    if sizes[few] < _FEW or mixing[mixed] > _MIXED:
        other = ", or method='ensemble'" if method == "laplace" else ""
        message = (
            f"{sizes[few]:,.0f} effective draws of {few}, R-hat {mixing[mixed]:.3f} of {mixed}: take more draws{other}"
        )
        details = {"ess": sizes[few], "r_hat": mixing[mixed]}
        notices.append(Notice(code="posterior-few-draws", severity="warning", message=message, details=details))
    room = 0.05 * (target.upper - target.lower)
    flat = chains.reshape(-1, chains.shape[2])
    with np.errstate(invalid="ignore"):
        near = np.mean((flat < target.lower + room) | (flat > target.upper - room), axis=0)
    for k, name in enumerate(target.names):
        if target.positive[k] and math.isfinite(room[k]) and near[k] > 0.02:
            message = (
                f"the posterior of {name} runs to the end of its prior's range: the data do not bound it; give prior="
            )
            notices.append(
                Notice(code="posterior-open", severity="warning", message=message, details={"parameter": name})
            )
    return tuple(notices)


def _laplace(target: _Target, n: int, rng: np.random.Generator) -> tuple[F64, F64, float | None]:
    """Importance resampling in four batches; the effective number of draws is that of all weights."""
    mean, cov = target.centre, target.covariance()
    q = len(mean)
    size = max(2 * n, 4000)
    for last in (False, False, True):
        factor = target.factor(cov)
        normal = rng.standard_normal((size, q))
        stretch = np.sqrt(_TAIL / rng.chisquare(_TAIL, size))
        z = mean + (normal * stretch[:, None]) @ factor.T
        distance = np.sum((normal * stretch[:, None]) ** 2, axis=1)
        proposal = -0.5 * (_TAIL + q) * np.log1p(distance / _TAIL)
        density = target(z)
        log_weight = density - proposal
        weight = np.exp(log_weight - log_weight.max())
        weight /= weight.sum()
        if not last:
            mean = weight @ z
            spread = (weight[:, None] * (z - mean)).T @ (z - mean)
            cov = 1.2 * spread + 0.01 * cov  # so that a few heavy draws do not end the search
    each = n // _BATCHES
    part = size // _BATCHES
    chains, densities = [], []
    for k in range(_BATCHES):
        rows = slice(k * part, (k + 1) * part)
        own = weight[rows] / weight[rows].sum()
        chosen = rng.choice(part, each, p=own)
        chains.append(z[rows][chosen])
        densities.append(density[rows][chosen])
    return np.array(chains), np.array(densities), float(min(1.0 / np.sum(weight**2), n))


def _ensemble(target: _Target, n: int, rng: np.random.Generator) -> tuple[F64, F64, float | None]:
    """The stretch move on four ensembles at once; each walker is a chain."""
    q = len(target.centre)
    factor = target.factor(target.covariance())
    shape = (_ENSEMBLES, _WALKERS)
    z = target.centre + 0.5 * rng.standard_normal((*shape, q)) @ factor.T
    density = target(z.reshape(-1, q)).reshape(shape)
    lost = ~np.isfinite(density)
    z[lost] = target.centre + 1e-3 * (rng.standard_normal((int(lost.sum()), q)) @ factor.T)
    density = target(z.reshape(-1, q)).reshape(shape)
    keep = max(_LEAST_STEPS, math.ceil(n / (_ENSEMBLES * _WALKERS)))
    thin = max(1, _BURN // keep)
    half = _WALKERS // 2
    kept, densities = [], []
    ensembles = np.arange(_ENSEMBLES)[:, None]
    for step in range(_BURN + keep * thin):
        for first in (0, half):
            move, rest = slice(first, first + half), half - first
            partner = z[ensembles, rest + rng.integers(0, half, (_ENSEMBLES, half))]
            draw = rng.random((_ENSEMBLES, half))
            stretch = ((_STRETCH - 1.0) * draw + 1.0) ** 2 / _STRETCH
            proposed = partner + stretch[:, :, None] * (z[:, move] - partner)
            new = target(proposed.reshape(-1, q)).reshape(_ENSEMBLES, half)
            with np.errstate(invalid="ignore"):
                chance = (q - 1.0) * np.log(stretch) + new - density[:, move]
            taken = np.log(rng.random((_ENSEMBLES, half))) < chance
            z[:, move] = np.where(taken[:, :, None], proposed, z[:, move])
            density[:, move] = np.where(taken, new, density[:, move])
        if step >= _BURN and (step - _BURN) % thin == thin - 1:
            kept.append(z.reshape(-1, q).copy())
            densities.append(density.ravel().copy())
    return np.stack(kept, axis=1), np.stack(densities, axis=1), None


def _by_ensemble(walkers: F64) -> F64:
    """(walkers, steps, ...) to (ensembles, steps times walkers, ...), step after step."""
    steps, rest = walkers.shape[1], walkers.shape[2:]
    parts = walkers.reshape(_ENSEMBLES, _WALKERS, steps, *rest)
    return np.ascontiguousarray(parts.swapaxes(1, 2)).reshape(_ENSEMBLES, _WALKERS * steps, *rest)
