"""Whether one law's errors on held-out runs are smaller than another's, by flipping signs. Private."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from isoloss.engine.problem import F64

__all__ = ["paired_p"]

_FLIPS = 9_999
_EXACT = 12  # units up to which all sign patterns are tried


def paired_p(difference: F64, units: NDArray[np.int64], seed: int) -> float:
    """Two-sided p of the hypothesis that the mean difference is zero.

    The signs of whole units are flipped (runs of one group err together), in every way where there are few, else at
    random (Davison and Hinkley 1997, section 4.3).

    Parameters
    ----------
    difference : (k,) float64
        Of two laws' squared errors at the same held-out runs.
    units : (k,) int64
        What errs together.
    seed : int

    Examples
    --------
    >>> import numpy as np
    >>> from isoloss.comparison.paired import paired_p
    >>> paired_p(np.ones(8), np.arange(8), 0) == 2 / 2**8
    True
    """
    _, codes = np.unique(units, return_inverse=True)
    # In order, so that the order of runs does not decide which signs meet.
    total = np.sort(np.bincount(codes, weights=difference))
    k = len(total)
    if k < 2 or not np.any(total):
        return 1.0
    if k <= _EXACT:
        signs = 1.0 - 2.0 * ((np.arange(2**k)[:, None] >> np.arange(k)) & 1)
    else:
        rng = np.random.default_rng([seed, k])
        signs = np.vstack([np.ones(k), 1.0 - 2.0 * rng.integers(0, 2, (_FLIPS, k))])
    sums = np.abs(signs @ total)
    return float(np.mean(sums >= sums[0] * (1.0 - 1e-12)))
