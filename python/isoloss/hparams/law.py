"""`HParamLaw`, what `isoloss.fit_hparams` gives: learning rate, batch and plateau at any N and D."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from isoloss.errors import Notice, OptionError
from isoloss.hparams.between import Between, between_of
from isoloss.hparams.digest import summarise
from isoloss.hparams.plateau import HParamPlateau, plateau_of, positive, relative
from isoloss.hparams.powers import NAMES, Powers, from_joint
from isoloss.hparams.predictions import HParams, Regret, check_identified, outside, predict_at
from isoloss.hparams.shape import SHARED, Choice, Joint, Shape
from isoloss.hparams.surface import Convexity, Surface, cost, surfaces
from isoloss.hparams.sweep import Sweep
from isoloss.objective import Objective
from isoloss.plain import plain_dict

if TYPE_CHECKING:
    from os import PathLike

    from isoloss.hparams.alternatives import Alternatives, Comparison
    from isoloss.hparams.critical import CriticalBatch
    from isoloss.hparams.holdout import Holdout
    from isoloss.hparams.plots import HParamPlots
    from isoloss.hparams.sensitivity import Sensitivity

__all__ = ["SURFACE_WITHIN", "HParamLaw", "Settings"]

SURFACE_WITHIN = 0.01
_OPTIMUM = [SHARED.index("ln_lr"), SHARED.index("ln_batch")]


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
    between : Between
        The cells' own optima and how they scatter around the power laws.
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
    between: Between
    surfaces: tuple[Surface | None, ...]
    scores: dict[Choice, float]
    luck: float
    settings: Settings
    warnings: tuple[Notice, ...]
    seconds: float

    # What one does with it -------------------------------------------------------------------------------------

    def predict(self, *, N: Any, D: Any, kind: str = "new-cell", level: float = 0.95) -> HParams:
        """Best learning rate and batch.

        Parameters
        ----------
        N : float, text such as ``"7B"``, or array_like
            Parameters, counted as in the runs. Mixtures of experts: the total, if the runs had it so.
        D : float, text or array_like
            Tokens; broadcast against N.
        kind : {"new-cell", "mean"}
            What the interval is for: where the optimum of one training at N and D lies, which scatters around the power
            laws as those of the measured cells do; or the power laws themselves.
        level : float

        Returns
        -------
        HParams

        Raises
        ------
        DataError
            N or D is not a number above zero; code ``not-identified``: the cells cannot tell how the optimum moves
            that way, as a sweep of one N cannot tell another N.
        OptionError
            The level is not between 0 and 1, or the kind is unknown.

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
            self.between,
            positive("N", N),
            positive("D", D),
            level,
            kind=kind,
            seed=self.settings.seed,
            sweep=self.sweep,
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
        size, tokens = self._point(N, D)
        found = plateau_of(
            self.joint.shape,
            *self.new_cells(),
            size,
            tokens,
            relative("within", within),
            reference,
            self.luck,
            level,
        )
        return replace(found, warnings=(*found.warnings, *outside(size, tokens, self.sweep)))

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
        size, tokens = self._point(N, D)
        draws, around = self.new_cells()
        lr, batch = positive("lr", lr), positive("batch", batch)
        found = []
        for shape in (self.joint.shape, draws):
            x, y = shape.optimum(size, tokens)
            lead = (-1,) + (1,) * np.broadcast(lr, batch).ndim if x.ndim else ()
            moved = replace(shape, values=shape.values.reshape(*lead, 10)) if lead else shape
            found.append(moved.excess(np.log(lr) - x.reshape(lead), np.log(batch) - y.reshape(lead)))
        low, high = around.interval(found[1], found[0], level)
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

    def convexity(self, threshold: float | str = SURFACE_WITHIN) -> Convexity:
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
        own = self.surfaces if within == SURFACE_WITHIN else surfaces(self.sweep, within)
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

    def holdout(
        self,
        by: str = "cell",
        *,
        recipe: str | None = None,
        within: float | str = 0.0025,
        reference: str = "run",
        draws: int = 400,
        level: float = 0.95,
    ) -> Holdout:
        """Predictions for cells that were left out; see `isoloss.hparams.holdout.holdout_of`."""
        from isoloss.hparams.holdout import holdout_of

        used = self.settings.recipe if recipe is None else recipe
        return holdout_of(self, by, used, relative("within", within), reference, draws, level)

    def critical_batch(self, *, N: Any, D: Any, overhead: float = 0.2, level: float = 0.95) -> CriticalBatch:
        """The batch above which a larger one costs data; see `isoloss.hparams.critical.critical_batch_of`."""
        from isoloss.hparams.critical import critical_batch_of

        return critical_batch_of(self, *self._point(N, D), overhead, level)

    def new_cells(self) -> tuple[Shape, Between]:
        """The surface of new cells: the refits, their optimum moved as the optima of cells scatter.

        Returns
        -------
        shapes : Shape
            (m, 10)
        between : Between
            Around the power laws of the joint surface.
        """
        joint = self.joint
        around = self.between
        if self.powers.recipe != "joint":
            around = between_of(around.optimum, around.error, from_joint(joint), self.sweep, joint.fixed)
        values = joint.draws.values.copy()
        values[:, _OPTIMUM] += around.draws(len(values), self.settings.seed)
        return replace(joint.draws, values=values), around

    def _point(self, N: Any, D: Any) -> tuple[float, float]:
        """One N and one D at which the cells can tell the optimum."""
        size, tokens = _one("N", N), _one("D", D)
        check_identified(size, tokens, self.sweep)
        return size, tokens

    def _target(self, N: Any, D: Any) -> tuple[float, float]:
        """Where answers are compared: as asked, by default in the cell of the most compute."""
        c = int(np.argmax(self.sweep.N * self.sweep.D))
        return self._point(self.sweep.N[c] if N is None else N, self.sweep.D[c] if D is None else D)

    def rerun(self, *, n_threads: int | None = None) -> HParamLaw:
        """Fit the same runs with the same settings again; the same bits with the same version."""
        from isoloss.hparams.fit import fit_settings

        return fit_settings(self.sweep.runs, self.settings, n_threads=n_threads)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the law, its runs and its draws to a JSON file, whole or not at all; `isoloss.load` reads it."""
        from isoloss.store import save

        save(self, "isoloss.hparams", path)

    def report(self, path: str | PathLike[str], *, at: Any = None, within: float | str = 0.0025) -> None:
        """Write one self-contained HTML page; see `isoloss.report.hparams.write_report`."""
        from isoloss.report.hparams import write_report

        write_report(self, path, at=at, within=relative("within", within))

    @property
    def plot(self) -> HParamPlots:
        """Figures: ``landscape``, ``slices``, ``optimum``; see `isoloss.hparams.plots.HParamPlots`."""
        from isoloss.hparams.plots import HParamPlots

        return HParamPlots(self)

    def to_dict(self) -> dict[str, Any]:
        """The law as plain data, ready for JSON; without runs and draws."""
        joint, powers = self.joint, self.powers
        low, high = self.between.interval(powers.draws, powers.values, 0.95)
        return plain_dict(
            {
                "recipe": powers.recipe,
                "lr": {"c": powers.c, "N": float(powers.values[1]), "D": float(powers.values[2])},
                "batch": {"d": powers.d, "N": float(powers.values[4]), "D": float(powers.values[5])},
                "intervals": {
                    name: [float(low[j]), float(high[j])]
                    for j, name in enumerate(NAMES)
                    if name not in ("lr_c", "batch_d")
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
                "between_octaves": dict(zip(("lr", "batch"), self.between.octaves, strict=True)),
                "draws": len(powers.draws),
                "seed": self.settings.seed,
                "sha256": self.sweep.runs.source.sha256,
                "seconds": self.seconds,
                "warnings": [notice.to_dict() for notice in self.warnings],
            }
        )

    # Display ---------------------------------------------------------------------------------------------------

    def __reduce__(self) -> tuple[Any, ...]:
        from isoloss.store import from_plain, to_plain

        return from_plain, (to_plain(self, "isoloss.hparams"),)

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
