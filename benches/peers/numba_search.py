"""The search by numba: naive, with the whole expression in the innermost loop, and hoisted by hand."""

import sys
from typing import Any

import numpy as np
from common import MissingError

# numba looks for the package `coverage`, and would find the folder of that name beside this one.
sys.modules.setdefault("coverage", None)  # type: ignore[arg-type]

try:
    import numba
except ModuleNotFoundError:
    numba = None


def naive() -> Any:
    """Compiled `f(parameters, N, D, lr, batch, within)`; best, cell and count by (N, D)."""
    if numba is None:
        raise MissingError("numba not installed")

    @numba.njit(fastmath=False, error_model="numpy")
    def search(p, N, D, lr, batch, within):  # type: ignore[no-untyped-def]
        E, A, alpha, B, beta, c1, p0, p1, p2, c2, q0, q1 = p
        best = np.empty((len(N), len(D)))
        cell = np.empty((len(N), len(D)), np.int64)
        count = np.empty((len(N), len(D)), np.int64)
        for a in range(len(N)):
            for b in range(len(D)):
                least = np.inf
                at = 0
                for i in range(len(lr)):
                    for j in range(len(batch)):
                        x = (
                            E
                            + A * N[a] ** -alpha
                            + B * D[b] ** -beta
                            + c1 * (np.log(lr[i]) - (p0 + p1 * np.log(N[a]) + p2 * np.log(D[b]))) ** 2
                            + c2 * (np.log(batch[j]) - (q0 + q1 * np.log(D[b]))) ** 2
                        )
                        if x < least:
                            least = x
                            at = i * len(batch) + j
                limit = least + within * abs(least)
                inside = 0
                for i in range(len(lr)):
                    for j in range(len(batch)):
                        x = (
                            E
                            + A * N[a] ** -alpha
                            + B * D[b] ** -beta
                            + c1 * (np.log(lr[i]) - (p0 + p1 * np.log(N[a]) + p2 * np.log(D[b]))) ** 2
                            + c2 * (np.log(batch[j]) - (q0 + q1 * np.log(D[b]))) ** 2
                        )
                        inside += x <= limit
                best[a, b] = least
                cell[a, b] = at
                count[a, b] = inside
        return best, cell, count

    return search


def hoisted() -> Any:
    """As `naive`, with what does not change taken out of each loop by hand."""
    if numba is None:
        raise MissingError("numba not installed")

    @numba.njit(fastmath=False, error_model="numpy")
    def search(p, N, D, lr, batch, within):  # type: ignore[no-untyped-def]
        E, A, alpha, B, beta, c1, p0, p1, p2, c2, q0, q1 = p
        best = np.empty((len(N), len(D)))
        cell = np.empty((len(N), len(D)), np.int64)
        count = np.empty((len(N), len(D)), np.int64)
        log_lr, log_batch = np.log(lr), np.log(batch)
        for a in range(len(N)):
            for b in range(len(D)):
                base = E + A * N[a] ** -alpha + B * D[b] ** -beta
                u = base + c1 * (log_lr - (p0 + p1 * np.log(N[a]) + p2 * np.log(D[b]))) ** 2
                v = c2 * (log_batch - (q0 + q1 * np.log(D[b]))) ** 2
                least = np.inf
                at = 0
                for i in range(len(lr)):
                    for j in range(len(batch)):
                        x = u[i] + v[j]
                        if x < least:
                            least = x
                            at = i * len(batch) + j
                limit = least + within * abs(least)
                inside = 0
                for i in range(len(lr)):
                    for j in range(len(batch)):
                        inside += u[i] + v[j] <= limit
                best[a, b] = least
                cell[a, b] = at
                count[a, b] = inside
        return best, cell, count

    return search
