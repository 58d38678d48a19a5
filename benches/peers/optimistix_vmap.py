"""Optimistix under `vmap`, 64 bits, one thread.

The method, tolerance and batch size are those that were fastest while every fit still came within 1e-6 of the best.
"""

import lineax
import numpy as np
import optimistix as optx
from common import Case

from peers import Peer
from peers.jax_lm import batched, root


def peers(case: Case, quick: bool) -> list[Peer]:
    both = root(case)
    count = 256 if quick else 1024
    # One scale for the objective, as for SciPy: tolerances are partly absolute.
    scale = 1.0 / float(case.value(case.start, np.ones(len(case.data.loss)))[0])
    tolerances = {"rtol": 1e-6, "atol": 1e-6}
    limits = {"max_steps": 500, "throw": False}

    def least_squares(x, counts):
        solver = optx.Dogleg(**tolerances, linear_solver=lineax.Normal(lineax.Cholesky()))
        return optx.least_squares(lambda x, w: np.sqrt(scale) * both(x, w)[0], solver, x, counts, **limits).value

    def bfgs(x, counts):
        def value(x, counts):
            r = both(x, counts)[0]
            return (0.5 if case.delta else 1.0) * scale * (r @ r)

        return optx.minimise(value, optx.BFGS(**tolerances), x, counts, **limits).value

    return [
        Peer("Optimistix Dogleg, vmap", count, batched(least_squares, 64)),
        Peer("Optimistix BFGS, vmap", count, batched(bfgs, 16)),
    ]
