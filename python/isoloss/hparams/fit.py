"""`fit_hparams`: from the runs of a sweep to a law of learning rate, batch and plateau."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import Any

import numpy as np

from isoloss.checks import whole
from isoloss.engine.problem import seed_number
from isoloss.errors import OptionError, did_you_mean, out_of_memory
from isoloss.hparams.between import between_of, own_optima
from isoloss.hparams.digest import notices
from isoloss.hparams.joint import fit_joint
from isoloss.hparams.law import SURFACE_WITHIN, HParamLaw, Settings
from isoloss.hparams.plateau import relative
from isoloss.hparams.powers import RECIPES, from_joint, from_recipe
from isoloss.hparams.surface import surfaces
from isoloss.hparams.sweep import Sweep, sweep_of
from isoloss.objective import Objective
from isoloss.runs.reading import Runs, as_runs

__all__ = ["fit_hparams", "fit_settings", "fit_sweep"]

_BATCH_LAWS = {"D": "D", "N,D": "N, D", "D,N": "N, D"}


@out_of_memory("fit_hparams")
def fit_hparams(
    runs: Any,
    *,
    recipe: str = "joint",
    threshold: float | str | None = None,
    batch_on: str = "N,D",
    asymmetric: bool = True,
    objective: Objective | None = None,
    by: str | Sequence[str] = (),
    tolerance: float = 0.02,
    diverged: float = 0.25,
    draws: int = 1000,
    seed: int | np.random.Generator = 0,
    n_threads: int | None = None,
) -> HParamLaw:
    """Fit the best learning rate and batch size as power laws of N and D, and the surface around them.

    Parameters
    ----------
    runs : Runs or anything that `isoloss.read` takes
        With N, D, lr, batch and loss. Runs of one N and D, which differ in lr and batch, are a *cell*.
    recipe : {"joint", "steplaw", "within", "argmin", "surfaces"}
        Where the power laws come from: the joint surface of all cells, or a plain recipe (`isoloss.hparams.powers`).
    threshold : float or text, optional
        Excess, by the surface, at which a run counts half. By default the one whose predictions for cells left out
        cost least.
    batch_on : {"N,D", "D"}
        What the best batch depends on; the Step Law has it on D alone.
    asymmetric : bool
        Whether too high and too low a learning rate may cost differently.
    objective : Objective, optional
        Of the joint fit, on the logarithm of the loss (``space="raw"``); ``Huber(1e-3)`` by default.
    by : str or sequence of str
        Further columns that tell cells apart: activated parameters of mixtures of experts, say.
    tolerance : float
        Sizes, or token counts, closer than this, relatively, are one.
    diverged : float
        Excess above which a run counts as diverged and is never fitted.
    draws : int
        Refits to resampled cells, for intervals; 0 for none. They end after 100, with a serious notice of code
        ``not-identified``, where these show that the runs do not determine the optimum.
    seed : int or numpy Generator
    n_threads : int, optional
        The results do not depend on it.

    Returns
    -------
    HParamLaw

    Raises
    ------
    DataError
        ``data-missing-role``, ``data-nonpositive``, ``hparams-too-few-runs``, ``hparams-too-many-cells``.
    OptionError
        Another argument is not understood.

    References
    ----------
    Li et al. (2025), arXiv:2503.04715: the plateau, its power laws and the recipe ``"steplaw"``.

    Examples
    --------
    >>> import isoloss as iso
    >>> runs = iso.read(iso.simulate.sweep(N=[1e8, 3e8, 1e9], tokens_per_parameter=[10, 40, 160]))
    >>> hp = iso.fit_hparams(runs, draws=100)
    >>> abs(hp.powers.exponents["lr_N"] - (-0.713)) < 0.1
    True
    """
    began = perf_counter()
    if recipe not in RECIPES:
        message = f"recipe={recipe!r} is none of {', '.join(RECIPES)}{did_you_mean(str(recipe), RECIPES)}"
        raise OptionError(message, argument="recipe")
    draws = whole("draws", draws)
    chosen = _BATCH_LAWS.get(str(batch_on).replace(" ", ""))
    if chosen is None:
        raise OptionError(f"batch_on={batch_on!r} is neither 'D' nor 'N,D'", argument="batch_on")
    if objective is not None and getattr(objective, "space", "raw") != "raw":
        message = "objective: residuals are of the logarithm of the loss already; give one with space='raw'"
        raise OptionError(message, argument="objective")
    settings = Settings(
        recipe=recipe,
        threshold=None if threshold is None else relative("threshold", threshold),
        batch_on=chosen,
        asymmetric=asymmetric,
        objective=objective,
        by=(by,) if isinstance(by, str) else tuple(by),
        tolerance=tolerance,
        diverged=diverged,
        draws=int(draws),
        seed=seed_number(seed),
    )
    return fit_settings(as_runs(runs, settings.by), settings, began=began, n_threads=n_threads)


def fit_settings(
    runs: Runs, settings: Settings, *, began: float | None = None, n_threads: int | None = None
) -> HParamLaw:
    """Fit with settings as they are kept; private to the package."""
    began = perf_counter() if began is None else began
    sweep = sweep_of(runs, by=settings.by, tolerance=settings.tolerance, diverged=settings.diverged)
    return fit_sweep(sweep, settings, began=began, n_threads=n_threads)


def fit_sweep(
    sweep: Sweep, settings: Settings, *, began: float | None = None, n_threads: int | None = None
) -> HParamLaw:
    """Fit runs that are sorted into cells; private to the package."""
    began = perf_counter() if began is None else began
    joint, scores = fit_joint(
        sweep,
        threshold=settings.threshold,
        batch_size_law=settings.batch_on,
        asymmetric=settings.asymmetric,
        objective=settings.objective,
        draws=settings.draws,
        seed=settings.seed,
        n_threads=n_threads,
    )
    own = surfaces(sweep, SURFACE_WITHIN, n_threads=n_threads)
    if settings.recipe == "joint":
        powers = from_joint(joint)
    else:
        powers = from_recipe(settings.recipe, sweep, own, draws=settings.draws, seed=settings.seed, n_threads=n_threads)
    optimum, error = own_optima(sweep, joint, n_threads=n_threads)
    between = between_of(optimum, error, powers, sweep, joint.fixed)
    luck = 1.0 - float(np.exp(np.mean(np.log(sweep.loss[sweep.best] / joint.floor))))
    return HParamLaw(
        powers=powers,
        joint=joint,
        sweep=sweep,
        between=between,
        surfaces=tuple(own),
        scores=scores,
        luck=max(luck, 0.0),
        settings=settings,
        warnings=tuple(notices(sweep, joint, own, between)),
        seconds=perf_counter() - began,
    )
