"""Batches in JAX: a Levenberg–Marquardt of our own under `vmap`; 64 bits, one thread.

Under `vmap` a batch lasts as long as its slowest fit. The size of the batch is the one that was fastest.
"""

from collections.abc import Callable

import jax
import numpy as np

jax.config.update("jax_enable_x64", True)
import jax.numpy as jnp
from common import F64, Case
from jax import lax

from peers import Peer


def root(case: Case) -> Callable:
    """(n,) residuals whose squares sum to the objective (Huber: twice the objective), and their (n, 5) slopes."""
    size, tokens, target = (jnp.asarray(column) for column in case.columns)
    delta = case.delta

    def both(x, counts):
        floor, first, second = jnp.exp(x[0]), jnp.exp(x[1] - x[2] * size), jnp.exp(x[3] - x[4] * tokens)
        p = floor + first + second
        r = jnp.log(p) - target
        slope = jnp.ones_like(r)
        if delta:
            a = jnp.abs(r)
            outside = a > delta
            root = jnp.sqrt(2.0 * delta * (jnp.where(outside, a, delta) - 0.5 * delta))
            r = jnp.where(outside, jnp.sign(r) * root, r)
            slope = jnp.where(outside, delta / root, 1.0)
        weight = jnp.sqrt(counts)
        jacobian = jnp.stack([floor * jnp.ones_like(r), first, -first * size, second, -second * tokens], axis=1)
        return weight * r, (weight * slope / p)[:, None] * jacobian

    return both


def _levenberg_marquardt(both: Callable, start, counts):
    """Nielsen's damping, normal equations, Marquardt's scaling; stops as the Numba version does."""

    def model(x):
        r, j = both(x, counts)
        return r @ r, j.T @ j, j.T @ r

    def unfinished(state):
        return state[-1] & (state[-2] < 1000)

    def advance(state):
        x, value, hessian, slope, strength, grow, small, count, _ = state
        damping = strength * jnp.diag(hessian)
        step = jax.scipy.linalg.cho_solve(jax.scipy.linalg.cho_factor(hessian + jnp.diag(damping)), -slope)
        expected = step @ (damping * step - slope)
        trial = x + step
        tried, hessian_there, slope_there = model(trial)
        gain = value - tried
        better = gain > 0.0
        small = jnp.where(better, jnp.where(gain <= 1e-13 * value, small + 1, 0), small)
        bend = 2.0 * gain / expected - 1.0
        strength = jnp.where(better, strength * jnp.maximum(0.1, 1.0 - bend**3), strength * grow)
        grow = jnp.where(better, 2.0, 2.0 * grow)
        x, value = jnp.where(better, trial, x), jnp.where(better, tried, value)
        hessian, slope = jnp.where(better, hessian_there, hessian), jnp.where(better, slope_there, slope)
        go = (expected > 1e-14 * value) & (small < 2) & (strength < 1e20)
        return x, value, hessian, slope, strength, grow, small, count + 1, go

    first = model(start)
    state = (start, *first, jnp.asarray(1e-3), jnp.asarray(2.0), 0, 0, jnp.asarray(True))
    return lax.while_loop(unfinished, advance, state)[0]


def batched(one: Callable, batch: int) -> Callable[[F64, F64], F64]:
    """vmap and compile; batches of one size, so that it is compiled once."""
    compiled = jax.jit(jax.vmap(one))

    def fit(starts: F64, counts: F64) -> F64:
        short = -len(starts) % batch  # the last batch is filled up with copies
        starts, counts = (np.concatenate([array, array[:1].repeat(short, axis=0)]) for array in (starts, counts))
        parts = [compiled(starts[k : k + batch], counts[k : k + batch]) for k in range(0, len(starts), batch)]
        return np.concatenate([np.asarray(part) for part in parts])[: len(starts) - short]

    return fit


def peers(case: Case, quick: bool) -> list[Peer]:
    both = root(case)
    fit = batched(lambda x, w: _levenberg_marquardt(both, x, w), 16)
    return [Peer("JAX LM, vmap", 256 if quick else 1024, fit)]
