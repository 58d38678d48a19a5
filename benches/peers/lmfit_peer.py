"""lmfit: MINPACK under named parameters, with an analytic Jacobian of the weighted root residual."""

import lmfit
import numpy as np
from common import F64, Case

from peers import Peer
from peers.model import residual_and_jacobian, root_residual
from peers.scipy_peers import each

NAMES = ("e", "a", "alpha", "b", "beta")


def peers(case: Case, quick: bool) -> list[Peer]:
    columns, delta = case.columns, case.delta

    def one(start: F64, counts: F64) -> F64:
        held = counts > 0.0
        size, tokens, target = (column[held] for column in columns)
        root = np.sqrt(counts[held])

        def residual(parameters: lmfit.Parameters) -> F64:
            x = np.array([parameters[name].value for name in NAMES])
            return root * root_residual(residual_and_jacobian(x, size, tokens, target)[0], delta)[0]

        def slopes(parameters: lmfit.Parameters) -> F64:
            x = np.array([parameters[name].value for name in NAMES])
            r, jacobian = residual_and_jacobian(x, size, tokens, target)
            return (root * root_residual(r, delta)[1])[:, None] * jacobian

        parameters = lmfit.Parameters()
        for name, value in zip(NAMES, start, strict=True):
            parameters.add(name, value=value)
        minimizer = lmfit.Minimizer(residual, parameters, calc_covar=False)
        result = minimizer.leastsq(Dfun=slopes, ftol=1e-12, xtol=1e-12, max_nfev=2000)
        return np.array([result.params[name].value for name in NAMES])

    return [Peer("lmfit leastsq, analytic Jacobian", 16 if quick else 64, each(one))]
