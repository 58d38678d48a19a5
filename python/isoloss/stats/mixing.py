"""How well chains of draws have mixed: R-hat and the effective number of draws, rank-normalised.

Each chain is cut in two, and values are replaced by normal scores of their ranks, so that neither heavy tails nor a
drift within a chain goes unseen (Vehtari, Gelman, Simpson, Carpenter and Buerkner 2021).
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from isoloss.engine.problem import F64

__all__ = ["effective_size", "r_hat"]


def _split(chains: F64) -> F64:
    half = chains.shape[1] // 2
    return np.concatenate([chains[:, :half], chains[:, chains.shape[1] - half :]])


def _ranked(chains: F64) -> F64:
    """Normal scores of the ranks, ties averaged."""
    _, place, count = np.unique(chains, return_inverse=True, return_counts=True)
    middle = np.cumsum(count) - 0.5 * (count - 1)
    score = np.vectorize(NormalDist().inv_cdf)((middle - 0.375) / (chains.size + 0.25))
    return np.asarray(score[place.ravel()].reshape(chains.shape))


def _ratio(chains: F64) -> float:
    n = chains.shape[1]
    within = float(np.mean(np.var(chains, axis=1, ddof=1)))
    between = float(np.var(chains.mean(axis=1), ddof=1))
    return math.sqrt((n - 1) / n + between / within) if within > 0.0 else math.nan


def r_hat(chains: F64) -> float:
    """Rank-normalised split R-hat, of the draws and of their distance from the median (Vehtari et al. 2021).

    Parameters
    ----------
    chains : (chains, draws) float64

    Examples
    --------
    >>> import numpy as np
    >>> from isoloss.stats.mixing import r_hat
    >>> chains = np.random.default_rng(0).standard_normal((4, 500))
    >>> r_hat(chains) < 1.01, r_hat(chains + np.arange(4)[:, None]) > 1.5
    (True, True)
    """
    split = _split(chains)
    return max(_ratio(_ranked(split)), _ratio(_ranked(np.abs(split - np.median(split)))))


def effective_size(chains: F64) -> float:
    """Bulk effective sample size: rank-normalised, by Geyer's initial monotone sequence (Vehtari et al. 2021).

    Parameters
    ----------
    chains : (chains, draws) float64
    """
    split = _ranked(_split(chains))
    m, n = split.shape
    centred = split - split.mean(axis=1, keepdims=True)
    length = 1 << (2 * n - 1).bit_length()
    power = np.abs(np.fft.rfft(centred, length, axis=1)) ** 2
    covariance = np.fft.irfft(power, length, axis=1)[:, :n] / n
    within = float(np.mean(covariance[:, 0])) * n / (n - 1)
    total = within * (n - 1) / n + float(np.var(split.mean(axis=1), ddof=1))
    if not total > 0.0:
        return math.nan
    rho = 1.0 - (within - covariance.mean(axis=0) * n / (n - 1)) / total
    rho[0] = 1.0
    pairs = rho[: n - n % 2].reshape(-1, 2).sum(axis=1)
    negative = np.flatnonzero(pairs < 0.0)
    pairs = np.minimum.accumulate(pairs[: negative[0]] if len(negative) else pairs)
    tau = max(2.0 * float(pairs.sum()) - 1.0, 1.0 / math.log10(m * n))
    return float(m * n / tau)
