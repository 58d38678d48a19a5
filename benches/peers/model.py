"""The Chinchilla law on log loss in NumPy, as a careful user writes it for an optimiser: residuals and slopes."""

import numpy as np
from common import F64


def shares(x: F64, size: F64, tokens: F64) -> tuple[F64, F64, F64, F64]:
    """The prediction, and the three terms over it."""
    floor = np.exp(x[0])
    first, second = np.exp(x[1] - x[2] * size), np.exp(x[3] - x[4] * tokens)
    p = floor + first + second
    return p, floor / p, first / p, second / p


def residual_and_jacobian(x: F64, size: F64, tokens: F64, target: F64) -> tuple[F64, F64]:
    """(n,) log residuals and their (n, 5) slopes in ln E, ln A, alpha, ln B, beta."""
    p, q0, q1, q2 = shares(x, size, tokens)
    return np.log(p) - target, np.stack([q0, q1, -q1 * size, q2, -q2 * tokens], axis=1)


def loss_slope(r: F64, delta: float) -> tuple[F64, F64]:
    """rho(r) and its slope: Huber, or r² / 2 for delta zero."""
    if delta == 0.0:
        return 0.5 * r * r, r
    cut = np.clip(r, -delta, delta)
    return np.abs(cut) * (np.abs(r) - 0.5 * np.abs(cut)), cut


def root_residual(r: F64, delta: float) -> tuple[F64, F64]:
    """sign(r) sqrt(2 rho(r)), whose squares sum to twice the objective, and its slope."""
    if delta == 0.0:
        return r, np.ones_like(r)
    rho, slope = loss_slope(r, delta)
    root = np.sqrt(2.0 * rho)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.copysign(root, r), np.where(np.abs(r) > delta, np.abs(slope) / root, 1.0)
