"""Sweeps simulated from published laws, for demonstrations, tests and power studies.

What comes out of this module is *simulated*: nobody trained these models. Each run of the sweep has
the loss

    loss = floor(N, D) * (1 + excess(lr / lr*, batch / batch*)) * exp(noise * z),   z ~ Normal(0, 1)

- The floor is the Chinchilla law ``E + A / N**alpha + B / D**beta`` with a published set of
  coefficients from the registry (by default those of Besiroglu et al. 2024, arXiv:2404.10102).
- The best settings are those of the Step Law (Li et al. 2025, arXiv:2503.04715, table 2): the laws
  ``steplaw_lr`` and ``steplaw_batch`` of the registry.
- The excess is convex in ``x = log2(lr / lr*)`` and ``y = log2(batch / batch*)``: a parabola with
  another curvature on each side of ``x = 0``, because a learning rate that is too high costs about
  three times as much as one that is too low. The curvatures are one-sided least-squares parabolas
  through the released dense Step Law sweep (17 cells, within two doublings of the best setting),
  rounded to two digits.
- The noise is one independent draw per run: what a change of the random seed of training does.

Divergence at very high learning rates is left out: within the swept range the excess stays smooth.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isoloss import laws
from isoloss.curves.simulate import curves

__all__ = [
    "BATCH_CURVATURE",
    "LR_CURVATURE",
    "best_batch",
    "best_lr",
    "curves",
    "excess",
    "floor",
    "sweep",
    "truth",
]

F64 = NDArray[np.float64]

LR_CURVATURE: Final[tuple[float, float]] = (0.0026, 0.0087)
"""Relative excess loss per squared doubling of the learning rate (below, above the best)."""

BATCH_CURVATURE: Final[float] = 0.0044
"""Relative excess loss per squared doubling of the batch size, on either side."""


def truth(source: str = "besiroglu2024") -> dict[str, float]:
    """Coefficients of the Chinchilla law that a sweep is simulated from.

    Parameters
    ----------
    source : str
        Key of a published set of the registered Chinchilla law.

    Returns
    -------
    dict of str to float
        Parameter values by name, in the order of the law's parameters.

    Raises
    ------
    KeyError
        When the registry has no such published set.

    Examples
    --------
    >>> from isoloss import simulate
    >>> list(simulate.truth())
    ['E', 'A', 'alpha', 'B', 'beta']
    """
    law = laws.get("chinchilla")
    published = law.published[source].params
    return {name: float(published[name]) for name in law.parameters}


def best_lr(N: ArrayLike, D: ArrayLike) -> F64:
    """Best peak learning rate by the published Step Law.

    Parameters
    ----------
    N, D : array_like
        Parameters and tokens seen; arrays broadcast.

    Returns
    -------
    ndarray
        Learning rates, in the broadcast shape of `N` and `D`.

    References
    ----------
    Li et al. 2025, "Predictable Scale: Part I", arXiv:2503.04715.

    Examples
    --------
    >>> from isoloss import simulate
    >>> f"{simulate.best_lr(1e9, 1e11):.2e}"
    '1.63e-03'
    """
    return np.asarray(laws.get("steplaw_lr").bind("table2")(N=N, D=D))


def best_batch(D: ArrayLike) -> F64:
    """Best batch size in tokens by the published Step Law.

    Parameters
    ----------
    D : array_like
        Tokens seen.

    Returns
    -------
    ndarray
        Batch sizes in tokens per optimiser step, in the shape of `D`.

    References
    ----------
    Li et al. 2025, "Predictable Scale: Part I", arXiv:2503.04715.

    Examples
    --------
    >>> from isoloss import simulate
    >>> f"{simulate.best_batch(1e11):.2e}"
    '1.11e+06'
    """
    return np.asarray(laws.get("steplaw_batch").bind("table2")(D=D))


def excess(lr_ratio: ArrayLike, batch_ratio: ArrayLike) -> F64:
    """Relative loss above the floor for settings away from the best ones.

    Parameters
    ----------
    lr_ratio, batch_ratio : array_like
        Learning rate and batch size over their best values; arrays broadcast.

    Returns
    -------
    ndarray
        ``loss / floor - 1``: zero at the best setting, positive elsewhere, convex in the logarithms.

    Examples
    --------
    Twice the best learning rate costs more than half of it:

    >>> from isoloss import simulate
    >>> simulate.excess([0.5, 1.0, 2.0], 1.0).tolist()
    [0.0026, 0.0, 0.0087]
    """
    x = np.log2(np.asarray(lr_ratio, dtype=np.float64))
    y = np.log2(np.asarray(batch_ratio, dtype=np.float64))
    below, above = LR_CURVATURE
    return np.asarray(np.where(x > 0.0, above, below) * x**2 + BATCH_CURVATURE * y**2)


def floor(N: ArrayLike, D: ArrayLike, *, source: str = "besiroglu2024") -> F64:
    """Noise-free loss at the best learning rate and batch size.

    Parameters
    ----------
    N, D : array_like
        Parameters and tokens seen; arrays broadcast.
    source : str
        Key of a published set of the registered Chinchilla law.

    Returns
    -------
    ndarray
        Loss in nats per token.

    Raises
    ------
    KeyError
        When the registry has no such published set.

    Examples
    --------
    >>> from isoloss import simulate
    >>> bool(simulate.floor(70e9, 1.4e12) < simulate.floor(7e9, 1.4e11))
    True
    """
    bound = laws.get("chinchilla").bind(**truth(source))
    size, tokens = np.broadcast_arrays(np.asarray(N, dtype=np.float64), np.asarray(D, dtype=np.float64))
    return np.asarray(bound(N=size, D=tokens), dtype=np.float64)


def sweep(
    *,
    N: ArrayLike | None = None,
    tokens_per_parameter: ArrayLike = (5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0),
    settings: int = 5,
    step: float = 2.0,
    noise: float = 1e-3,
    replicas: int = 1,
    source: str = "besiroglu2024",
    seed: int | np.random.Generator = 0,
) -> dict[str, NDArray[Any]]:
    """Simulate a sweep of training runs over N, D, learning rate and batch size.

    Every pair of size and tokens per parameter is one cell; in each cell `settings` learning rates
    times `settings` batch sizes are run. Both come from a grid that is fixed for the whole sweep
    (powers of `step`), as in real sweeps, so that no run sits exactly on the best setting.

    Parameters
    ----------
    N : array_like, optional
        Model sizes; by default eight sizes from 60M to 4B, evenly spaced in their logarithms.
    tokens_per_parameter : array_like
        Ratios D / N, crossed with the sizes.
    settings : int
        Number of learning rates, and of batch sizes, in each cell.
    step : float
        Ratio between neighbours on the learning-rate and the batch grid.
    noise : float
        Standard deviation of the logarithm of the loss between runs that differ by seed alone.
    replicas : int
        Runs of each setting, each with its own noise.
    source : str
        Published set of the Chinchilla law for the floor.
    seed : int or numpy.random.Generator
        Seed or generator of the noise.

    Returns
    -------
    dict of str to ndarray
        Columns ``N``, ``D`` (tokens), ``lr``, ``batch`` (tokens), ``loss`` (nats per token), ``run``
        (number of the setting, shared by its replicas) and ``seed`` (number of the replica), all of
        shape (n,) with n = sizes x ratios x settings**2 x replicas.

    Raises
    ------
    ValueError
        When a size or ratio is not positive and finite, `settings` or `replicas` is below 1, `step`
        is not above 1 or `noise` is negative.

    Examples
    --------
    >>> from isoloss import simulate
    >>> table = simulate.sweep(seed=0)
    >>> sorted(table), table["loss"].shape
    (['D', 'N', 'batch', 'loss', 'lr', 'run', 'seed'], (1400,))
    """
    sizes = _axis("N", np.geomspace(6e7, 4e9, 8) if N is None else N)
    ratios = _axis("tokens_per_parameter", tokens_per_parameter)
    for name, count in (("settings", settings), ("replicas", replicas)):
        if count < 1:
            raise ValueError(f"{name} must be at least 1, not {count}")
    if not step > 1.0 or not np.isfinite(step):
        raise ValueError(f"step must be a ratio above 1, not {step}")
    if not noise >= 0.0 or not np.isfinite(noise):
        raise ValueError(f"noise must be zero or positive, not {noise}")
    generator = np.random.default_rng(seed)

    cell_N = np.repeat(sizes, ratios.size)
    cell_D = cell_N * np.tile(ratios, sizes.size)
    lr = _nearest_on_grid(best_lr(cell_N, cell_D), settings, step)
    batch = _nearest_on_grid(best_batch(cell_D), settings, step)
    shape = (cell_N.size, settings, settings, replicas)
    columns: dict[str, NDArray[Any]] = {
        "N": np.broadcast_to(cell_N[:, None, None, None], shape).reshape(-1),
        "D": np.broadcast_to(cell_D[:, None, None, None], shape).reshape(-1),
        "lr": np.broadcast_to(lr[:, :, None, None], shape).reshape(-1),
        "batch": np.broadcast_to(batch[:, None, :, None], shape).reshape(-1),
    }
    above = excess(
        columns["lr"] / best_lr(columns["N"], columns["D"]),
        columns["batch"] / best_batch(columns["D"]),
    )
    quiet = floor(columns["N"], columns["D"], source=source) * (1.0 + above)
    columns["loss"] = quiet * np.exp(noise * generator.standard_normal(quiet.size))
    columns["run"] = np.repeat(np.arange(quiet.size // replicas), replicas)
    columns["seed"] = np.tile(np.arange(replicas), quiet.size // replicas)
    return columns


def _axis(name: str, values: ArrayLike) -> F64:
    axis = np.atleast_1d(np.asarray(values, dtype=np.float64)).reshape(-1)
    if axis.size == 0 or not np.all(np.isfinite(axis) & (axis > 0.0)):
        raise ValueError(f"{name} must hold positive, finite numbers, not {axis.tolist()}")
    return axis


def _nearest_on_grid(centres: F64, count: int, step: float) -> F64:
    """Return, for each centre, the `count` powers of `step` nearest to it: shape (cells, count)."""
    position = np.log(centres) / np.log(step)
    first = np.round(position - (count - 1) / 2.0)
    return np.asarray(step ** (first[:, None] + np.arange(count)))
