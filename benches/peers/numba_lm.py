"""Levenberg–Marquardt for this one law in Numba, as a good programmer writes it in an afternoon.

One thread, compiled before it is timed; normal equations summed point by point, Cholesky of the 5 x 5 system, damping
after Nielsen. `curvature=False` is the textbook: Gauss–Newton on the root residual sign(r) sqrt(2 rho(r)). With
`curvature=True` it is isoloss's own idea, the true second derivatives, so that the share of the speed that is the
method and the share that is the machine can be told apart.
"""

import numba
import numpy as np
from common import F64, Case

from peers import Peer


@numba.njit(fastmath=True, error_model="numpy")
def _model(x, size, tokens, target, counts, delta, curvature, hessian, slope):
    """Objective (times 1 for Huber, 1/2 for squares), its gradient and its curvature."""
    floor = np.exp(x[0])
    value = 0.0
    hessian[:] = 0.0
    slope[:] = 0.0
    j = np.empty(5)
    for i in range(len(target)):
        w = counts[i]
        if w == 0.0:
            continue
        u, v = size[i], tokens[i]
        first, second = np.exp(x[1] - x[2] * u), np.exp(x[3] - x[4] * v)
        p = floor + first + second
        r = np.log(p) - target[i]
        over = 1.0 / p
        j[0] = floor * over
        j[1] = first * over
        j[2] = -j[1] * u
        j[3] = second * over
        j[4] = -j[3] * v
        a = abs(r)
        if delta == 0.0 or a <= delta:
            value += 0.5 * w * r * r
            c2 = w * r
            c1 = w
        else:
            rho = delta * (a - 0.5 * delta)
            value += w * rho
            c2 = w * (delta if r > 0.0 else -delta)
            c1 = 0.0 if curvature else 0.5 * w * delta * delta / rho
        if curvature:
            c1 -= c2
            hessian[0, 0] += c2 * j[0]
            hessian[1, 1] += c2 * j[1]
            hessian[2, 1] += c2 * j[2]
            hessian[2, 2] -= c2 * j[2] * u
            hessian[3, 3] += c2 * j[3]
            hessian[4, 3] += c2 * j[4]
            hessian[4, 4] -= c2 * j[4] * v
        for m in range(5):
            slope[m] += c2 * j[m]
            c = c1 * j[m]
            for k in range(m + 1):
                hessian[m, k] += c * j[k]
    return value


@numba.njit(fastmath=True, error_model="numpy")
def _solve(hessian, slope, damping, factor, step):
    """step = -(hessian + damping) \\ slope by Cholesky; False where that is not positive definite."""
    for m in range(5):
        for k in range(m + 1):
            total = hessian[m, k] + (damping[m] if m == k else 0.0)
            for i in range(k):
                total -= factor[m, i] * factor[k, i]
            if m == k:
                if not total > 1e-14 * abs(hessian[m, m]):
                    return False
                factor[m, m] = np.sqrt(total)
            else:
                factor[m, k] = total / factor[k, k]
    for m in range(5):
        total = -slope[m]
        for k in range(m):
            total -= factor[m, k] * step[k]
        step[m] = total / factor[m, m]
    for m in range(4, -1, -1):
        total = step[m]
        for k in range(m + 1, 5):
            total -= factor[k, m] * step[k]
        step[m] = total / factor[m, m]
    return True


@numba.njit(error_model="numpy")
def _fit(starts, all_counts, size, tokens, target, delta, curvature, out):
    hessian, fresh = np.empty((5, 5)), np.empty((5, 5))
    slope, fresh_slope, step, damping, trial = np.empty(5), np.empty(5), np.empty(5), np.empty(5), np.empty(5)
    factor = np.empty((5, 5))
    for problem in range(len(starts)):
        counts = all_counts[problem]
        x = starts[problem].copy()
        value = _model(x, size, tokens, target, counts, delta, curvature, hessian, slope)
        strength, grow, small = 1e-3, 2.0, 0
        for _ in range(1000):
            largest = 0.0
            for m in range(5):
                largest = max(largest, abs(hessian[m, m]))
            for m in range(5):
                # The identity where second derivatives count (they can be negative), Marquardt's scaling otherwise.
                damping[m] = strength * (largest if curvature else hessian[m, m])
            if not _solve(hessian, slope, damping, factor, step):
                strength = max(10.0 * strength, 1e-10)
                continue
            model = 0.0
            for m in range(5):
                trial[m] = x[m] + step[m]
                model += 0.5 * step[m] * (damping[m] * step[m] - slope[m])
            tried = _model(trial, size, tokens, target, counts, delta, curvature, fresh, fresh_slope)
            gain = value - tried
            if gain > 0.0:
                small = small + 1 if gain <= 1e-13 * value else 0
                x, trial = trial, x
                hessian, fresh = fresh, hessian
                slope, fresh_slope = fresh_slope, slope
                value = tried
                bend = 2.0 * gain / model - 1.0
                strength *= max(0.1, 1.0 - bend * bend * bend)
                grow = 2.0
            else:
                strength *= grow
                grow *= 2.0
            if model <= 1e-14 * value or small >= 2 or strength > 1e20:
                break
        out[problem] = x


def solver(case: Case, curvature: bool):
    size, tokens, target = (np.ascontiguousarray(column) for column in case.columns)

    def fit(starts: F64, counts: F64) -> F64:
        out = np.empty_like(starts)
        _fit(np.ascontiguousarray(starts), counts, size, tokens, target, case.delta, curvature, out)
        return out

    fit(case.start[None, :], case.counts[:1])  # compiles
    return fit


def peers(case: Case, quick: bool) -> list[Peer]:
    count = 200 if quick else 1000
    return [
        Peer("Numba LM, one thread", count, solver(case, False)),
        Peer("Numba with isoloss's method", count, solver(case, True)),
    ]
