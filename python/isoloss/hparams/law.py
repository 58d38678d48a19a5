"""`fit_hparams` and its result, `HParamLaw`: from the runs of a sweep to learning rate, batch and plateau anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from isoloss.engine.problem import seed_number
from isoloss.errors import Notice, OptionError, did_you_mean
from isoloss.hparams.digest import notices, summarise
from isoloss.hparams.joint import SHARED, Choice, Joint, fit_joint
from isoloss.hparams.plateau import HParamPlateau, plateau_of, positive, relative
from isoloss.hparams.powers import NAMES, RECIPES, Powers, from_joint, from_recipe
from isoloss.hparams.predictions import HParams, Regret, predict_at
from isoloss.hparams.surface import Convexity, Surface, cost, surfaces
from isoloss.hparams.sweep import Sweep, sweep_of
from isoloss.objective import Objective
from isoloss.runs.reading import as_runs
from isoloss.stats.intervals import percentiles

if TYPE_CHECKING:
    from os import PathLike

    from isoloss.hparams.alternatives import Alternatives, Comparison
    from isoloss.hparams.critical import CriticalBatch
    from isoloss.hparams.holdout import Holdout
    from isoloss.hparams.plots import HParamPlots
    from isoloss.hparams.sensitivity import Sensitivity

__all__ = ["HParamLaw", "fit_hparams"]

_SURFACE_WITHIN = 0.01
_BATCH_LAWS = {"D": "D", "N,D": "N, D", "D,N": "N, D"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What was asked of `fit_hparams` beyond the runs: enough to repeat it bit for bit."""

    recipe: str
    threshold: float | None
    batch_on: str
    asymmetric: bool
    objective: Objective | None
    by: tuple[str, ...]
    tolerance: float
    diverged: float
    draws: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class HParamLaw:
    """Best learning rate and batch against N and D, and what other settings cost; made by `isoloss.fit_hparams`.

    Attributes
    ----------
    powers : Powers
        The power laws of the chosen recipe; ``str(powers)`` is their formula, ``powers.exponents`` a mapping.
    joint : Joint
        The joint surface of all cells; plateau and regret are read off it, whatever the recipe.
    sweep : Sweep
        The runs by cell.
    surfaces : tuple of Surface or None
        Each cell's own quadratic.
    scores : mapping of Choice to float
        Mean cost of the predictions for cells left out, for each choice that was tried; empty where nothing was open.
    luck : float
        By how much, relatively, the best run of a cell lies below the joint surface, on average.
    settings : Settings
    warnings : tuple of Notice
    seconds : float
    """

    powers: Powers
    joint: Joint
    sweep: Sweep
    surfaces: tuple[Surface | None, ...]
    scores: dict[Choice, float]
    luck: float
    settings: Settings
    warnings: tuple[Notice, ...]
    seconds: float

    # What one does with it -------------------------------------------------------------------------------------

    def predict(self, *, N: Any, D: Any, level: float = 0.95) -> HParams:
        """Best learning rate and batch.

        Parameters
        ----------
        N : float, text such as ``"7B"``, or array_like
            Parameters, counted as in the runs. Mixtures of experts: the total, if the runs had it so.
        D : float, text or array_like
            Tokens; broadcast against N.
        level : float
            Of the percentile intervals over refits to resampled cells.

        Returns
        -------
        HParams

        Raises
        ------
        DataError
            N or D is not a number above zero.
        OptionError
            The level is not between 0 and 1.

        Examples
        --------
        >>> import isoloss as iso
        >>> runs = iso.read(iso.simulate.sweep(N=[1e8, 3e8, 1e9], tokens_per_parameter=[10, 40, 160]))
        >>> best = iso.fit_hparams(runs, draws=100).predict(N="1B", D="20B")
        >>> 0.5 < best.lr / float(iso.simulate.best_lr(1e9, 20e9)) < 2.0
        True
        """
        return predict_at(
            self.powers,
            positive("N", N),
            positive("D", D),
            level,
            sizes=self.sweep.N,
            tokens=self.sweep.D,
            seq_len=self.sweep.runs.seq_len,
        )

    def plateau(
        self, *, N: Any, D: Any, within: float | str = 0.0025, reference: str = "surface", level: float = 0.95
    ) -> HParamPlateau:
        """All settings that cost at most so much.

        Parameters
        ----------
        N, D : float or text
        within : float or text
            Relative excess loss, as 0.002 or ``"0.2%"``.
        reference : {"surface", "run"}
            Counted from the least value of the surface, or from the best run that a sweep like the measured ones
            finds: that run owes its place to luck as well, so that the plateau around it is smaller.
        level : float
            Of the intervals.

        Returns
        -------
        HParamPlateau

        Raises
        ------
        DataError, OptionError
            N or D is not a number above zero; `within` is not a share; an unknown reference.

        Examples
        --------
        >>> import isoloss as iso
        >>> runs = iso.read(iso.simulate.sweep(N=[1e8, 3e8, 1e9], tokens_per_parameter=[10, 40, 160]))
        >>> flat = iso.fit_hparams(runs, draws=100).plateau(N="1B", D="20B", within="0.2%")
        >>> flat.contains(flat.lr, flat.batch), flat.box.octaves[0] > flat.safe_box.octaves[0]
        (True, True)
        """
        if reference not in ("surface", "run"):
            message = f"reference={reference!r} is neither 'surface' nor 'run'"
            raise OptionError(message, argument="reference")
        return plateau_of(
            self.joint.shape,
            self.joint.draws,
            _one("N", N),
            _one("D", D),
            relative("within", within),
            reference,
            self.luck,
            level,
        )

    def regret(self, lr: Any, batch: Any, N: Any, D: Any, *, level: float = 0.95) -> Regret:
        """What a setting costs: relative excess over the least loss of the joint surface.

        Parameters
        ----------
        lr, batch : float, text or array_like
            Batch in tokens.
        N, D : float or text
        level : float

        Returns
        -------
        Regret
            With the excess measured in the cell at this N and D, if there is one.

        Examples
        --------
        >>> import isoloss as iso
        >>> runs = iso.read(iso.simulate.sweep(N=[1e8, 3e8, 1e9], tokens_per_parameter=[10, 40, 160]))
        >>> hp = iso.fit_hparams(runs, draws=100)
        >>> best = hp.predict(N="1B", D="20B")
        >>> float(hp.regret(4 * best.lr, best.batch, "1B", "20B")) > float(
        ...     hp.regret(best.lr / 4, best.batch, "1B", "20B")
        ... )
        True
        """
        size, tokens = _one("N", N), _one("D", D)
        lr, batch = positive("lr", lr), positive("batch", batch)
        found = []
        for shape in (self.joint.shape, self.joint.draws):
            x, y = shape.optimum(size, tokens)
            lead = (-1,) + (1,) * np.broadcast(lr, batch).ndim if x.ndim else ()
            moved = replace(shape, values=shape.values.reshape(*lead, 10)) if lead else shape
            found.append(moved.excess(np.log(lr) - x.reshape(lead), np.log(batch) - y.reshape(lead)))
        low, high = percentiles(found[1], level)
        c = self.sweep.nearest(size, tokens)
        near = abs(np.log(self.sweep.N[c] / size)) < 0.02 and abs(np.log(self.sweep.D[c] / tokens)) < 0.02
        scalar = np.ndim(found[0]) == 0
        return Regret(
            estimate=float(found[0]) if scalar else found[0],
            low=float(low) if scalar else low,
            high=float(high) if scalar else high,
            level=level,
            cell=self.sweep.name(c) if near else "",
            measured=cost(self.sweep, self.surfaces, c, lr, batch) if near and scalar else None,
        )

    def convexity(self, threshold: float | str = _SURFACE_WITHIN) -> Convexity:
        """Whether each cell is convex near its best run.

        Parameters
        ----------
        threshold : float or text
            Excess up to which runs are used.

        Returns
        -------
        Convexity
        """
        within = relative("threshold", threshold)
        own = self.surfaces if within == _SURFACE_WITHIN else surfaces(self.sweep, within)
        names = tuple(self.sweep.name(c) for c in range(self.sweep.cells))
        return Convexity(names=names, surfaces=tuple(own), threshold=within)

    def sensitivity(self, choice: str | None = None, *, N: Any = None, D: Any = None) -> Sensitivity:
        """How the answer moves with each arbitrary choice; see `isoloss.hparams.sensitivity.sensitivity_of`."""
        from isoloss.hparams.sensitivity import sensitivity_of

        return sensitivity_of(self, choice, *self._target(N, D))

    def alternatives(self, *, N: Any = None, D: Any = None, level: float = 0.95) -> Alternatives:
        """The answers of all recipes side by side; see `isoloss.hparams.alternatives.alternatives_of`."""
        from isoloss.hparams.alternatives import alternatives_of

        return alternatives_of(self, *self._target(N, D), level)

    def compare(self, *, holdout: bool = False) -> Comparison:
        """Every published law of the registry on these cells; see `isoloss.hparams.alternatives.comparison_of`."""
        from isoloss.hparams.alternatives import comparison_of

        return comparison_of(self, holdout=holdout)

    def holdout(self, by: str = "cell", *, recipe: str | None = None, within: float | str = 0.0025) -> Holdout:
        """Predictions for cells that were left out; see `isoloss.hparams.holdout.holdout_of`."""
        from isoloss.hparams.holdout import holdout_of

        return holdout_of(self, by, self.settings.recipe if recipe is None else recipe, relative("within", within))

    def critical_batch(self, *, N: Any, D: Any, overhead: float = 0.2, level: float = 0.95) -> CriticalBatch:
        """The batch above which a larger one costs data; see `isoloss.hparams.critical.critical_batch_of`."""
        from isoloss.hparams.critical import critical_batch_of

        return critical_batch_of(self, _one("N", N), _one("D", D), overhead, level)

    def _target(self, N: Any, D: Any) -> tuple[float, float]:
        """Where answers are compared: as asked, by default in the cell of the most compute."""
        c = int(np.argmax(self.sweep.N * self.sweep.D))
        return (
            float(self.sweep.N[c]) if N is None else _one("N", N),
            float(self.sweep.D[c]) if D is None else _one("D", D),
        )

    def report(self, path: str | PathLike[str], *, at: Any = None, within: float | str = 0.0025) -> None:
        """Write one self-contained HTML page; see `isoloss.hparams.report.write_report`."""
        from isoloss.hparams.report import write_report

        write_report(self, path, at=at, within=relative("within", within))

    @property
    def plot(self) -> HParamPlots:
        """Figures: ``landscape``, ``slices``, ``optimum``; see `isoloss.hparams.plots.HParamPlots`."""
        from isoloss.hparams.plots import HParamPlots

        return HParamPlots(self)

    def to_dict(self) -> dict[str, Any]:
        """The law as plain data, ready for JSON; without runs and draws."""
        joint, powers = self.joint, self.powers
        low, high = percentiles(powers.draws, 0.95)
        return {
            "recipe": powers.recipe,
            "lr": {"c": powers.c, "N": float(powers.values[1]), "D": float(powers.values[2])},
            "batch": {"d": powers.d, "N": float(powers.values[4]), "D": float(powers.values[5])},
            "intervals": {
                name: [float(low[j]), float(high[j])] for j, name in enumerate(NAMES) if name not in ("lr_c", "batch_d")
            },
            "shape": dict(zip(SHARED[6:], joint.shape.values[6:].tolist(), strict=True)),
            "threshold": joint.choice.threshold,
            "batch_on": joint.choice.batch_size_law,
            "runs": self.sweep.runs.n,
            "cells": self.sweep.cells,
            "fitted": len(joint.kept),
            "diverged": int(self.sweep.diverged.sum()),
            "residual": joint.rms,
            "luck": self.luck,
            "draws": len(powers.draws),
            "seed": self.settings.seed,
            "sha256": self.sweep.runs.source.sha256,
            "seconds": self.seconds,
            "warnings": [notice.to_dict() for notice in self.warnings],
        }

    # Display ---------------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        return f"HParamLaw({self.powers.recipe}: {self.powers})"

    def __str__(self) -> str:
        return self.summary()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self) if cycle else str(self))

    def summary(self, *, level: float = 0.95) -> str:
        """The law in words and numbers, for a terminal."""
        return summarise(self, level)


def _one(name: str, value: Any) -> float:
    number = positive(name, value)
    if isinstance(number, np.ndarray):
        raise OptionError(f"{name} is an array; here it is one number", argument=name)
    return float(number)


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
        Refits to resampled cells, for intervals; 0 for none.
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
    count: Any = draws
    if not isinstance(count, (int, np.integer)) or isinstance(count, bool) or count < 0:
        raise OptionError(f"draws={draws!r} is not a whole number from 0 up", argument="draws")
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
    sweep = sweep_of(as_runs(runs, settings.by), by=settings.by, tolerance=tolerance, diverged=diverged)
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
    own = surfaces(sweep, _SURFACE_WITHIN, n_threads=n_threads)
    if settings.recipe == "joint":
        powers = from_joint(joint)
    else:
        powers = from_recipe(settings.recipe, sweep, own, draws=settings.draws, seed=settings.seed, n_threads=n_threads)
    luck = 1.0 - float(np.exp(np.mean(np.log(sweep.loss[sweep.best] / joint.floor))))
    return HParamLaw(
        powers=powers,
        joint=joint,
        sweep=sweep,
        surfaces=tuple(own),
        scores=scores,
        luck=max(luck, 0.0),
        settings=settings,
        warnings=tuple(notices(sweep, joint, own)),
        seconds=perf_counter() - began,
    )
