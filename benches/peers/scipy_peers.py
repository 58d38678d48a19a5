"""SciPy's optimisers with analytic derivatives, the objective scaled to one at the warm start."""

import numpy as np
from common import F64, Case
from scipy import optimize

from peers import Peer
from peers.model import loss_slope, residual_and_jacobian, shares


def scaled_objective(case: Case, counts: F64, scale: float):
    """Value and gradient of scale · objective, over the points that a draw holds."""
    held = counts > 0.0
    size, tokens, target = (column[held] for column in case.columns)
    weight = scale * counts[held] * (1.0 if case.delta else 2.0)
    delta = case.delta

    def both(x: F64) -> tuple[float, F64]:
        p, q0, q1, q2 = shares(x, size, tokens)
        rho, slope = loss_slope(np.log(p) - target, delta)
        c = weight * slope
        c1, c2 = c * q1, c * q2
        return weight @ rho, np.array([c @ q0, c1.sum(), -(c1 @ size), c2.sum(), -(c2 @ tokens)])

    return both


def each(work):
    """Fits of one problem at a time."""

    def fit(starts: F64, counts: F64) -> F64:
        with np.errstate(all="ignore"):
            return np.array([work(start, count) for start, count in zip(starts, counts, strict=True)])

    return fit


def minimizer(case: Case, method: str, **options: float):
    scale = 1.0 / float(case.value(case.start, np.ones(len(case.data.loss)))[0])

    def one(start: F64, counts: F64) -> F64:
        both = scaled_objective(case, counts, scale)
        return optimize.minimize(both, start, jac=True, method=method, options=options).x

    return each(one)


def bfgs(case: Case):
    return minimizer(case, "BFGS", gtol=1e-7, maxiter=3000)


def published(case: Case):
    """L-BFGS-B as in the published fits: the plain sum, differences for slopes, default tolerances."""
    size, tokens, target = case.columns

    def one(start: F64, counts: F64) -> F64:
        def value(x: F64) -> float:
            r = np.logaddexp(np.logaddexp(x[1] - x[2] * size, x[3] - x[4] * tokens), x[0]) - target
            return counts @ loss_slope(r, case.delta)[0]

        return optimize.minimize(value, start, method="L-BFGS-B").x

    return each(one)


def repeated(case: Case, **options):
    """least_squares takes a loss but no weights: a draw's points are repeated."""
    columns = case.columns

    def one(start: F64, counts: F64) -> F64:
        size, tokens, target = (np.repeat(column, counts.astype(np.intp)) for column in columns)
        return optimize.least_squares(
            lambda x: residual_and_jacobian(x, size, tokens, target)[0],
            start,
            jac=lambda x: residual_and_jacobian(x, size, tokens, target)[1],
            ftol=1e-12,
            xtol=1e-12,
            gtol=1e-12,
            max_nfev=1000,
            **options,
        ).x

    return each(one)


def minpack(case: Case):
    """MINPACK's lmder through leastsq, the shortest way to it, with square roots of counts as weights."""
    columns = case.columns

    def one(start: F64, counts: F64) -> F64:
        held = counts > 0.0
        size, tokens, target = (column[held] for column in columns)
        root = np.sqrt(counts[held])
        return optimize.leastsq(
            lambda x: root * residual_and_jacobian(x, size, tokens, target)[0],
            start,
            Dfun=lambda x: root[:, None] * residual_and_jacobian(x, size, tokens, target)[1],
            ftol=1e-12,
            xtol=1e-12,
        )[0]

    return each(one)


def peers(case: Case, quick: bool) -> list[Peer]:
    few = 24 if quick else 96
    found = [
        Peer("SciPy BFGS, analytic gradient", few, bfgs(case)),
        Peer(
            "SciPy L-BFGS-B, tight", few, minimizer(case, "L-BFGS-B", ftol=1e-15, gtol=1e-9, maxiter=9999, maxfun=9999)
        ),
    ]
    if case.delta:
        robust = repeated(case, loss="huber", f_scale=case.delta, x_scale="jac")
        return [*found, Peer("SciPy least_squares, loss='huber'", few, robust)]
    return [*found, Peer("SciPy leastsq (MINPACK)", 4 * few, minpack(case))]
