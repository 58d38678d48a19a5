"""A law of loss curves fitted to whole curves: what `isoloss.fit` gives for `isoloss.read_curves`.

It is a `Fit` like any other, whose rows are the logged losses, and knows schedules besides: it predicts the curve of a
schedule that was never run, is judged on curves it has not seen, and proposes the schedule of the least final loss.

Losses of one run lie on a curve and err together. So a bootstrap resamples runs. Where there are fewer than eight, a
resample would often lack the only schedule that shows what annealing does; then stretches of consecutive losses, each
a twentieth of a run, are resampled instead, and the draws say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isoloss.curves.best_schedule import BestSchedule, best_schedule
from isoloss.curves.object import Curves
from isoloss.curves.predict import CurveHoldout, CurvePrediction, compare_curve, default_steps
from isoloss.curves.rows import curve_runs, features, points
from isoloss.curves.schedule import Schedule
from isoloss.errors import Notice, OptionError
from isoloss.fit.object import Fit
from isoloss.inner import ground
from isoloss.runs.object import BLOCK
from isoloss.stats.draws import Draws

if TYPE_CHECKING:
    from isoloss.engine.posing import Settings
    from isoloss.engine.watch import Watch
    from isoloss.law.object import Law

__all__ = ["BestSchedule", "CurveFit", "CurveHoldout", "CurvePrediction", "default_steps", "fit_curves", "with_curves"]

F64 = NDArray[np.float64]
_FEW = 8  # runs below which resampling them says little


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class CurveFit(Fit):
    """A law fitted to loss curves; made by ``isoloss.fit(law, curves)``.

    Attributes
    ----------
    curves : Curves
        What it was fitted to; all other attributes are those of `Fit`.
    """

    curves: Curves

    def evaluate(self, params: F64, schedule: Schedule, step: NDArray[np.int64], constants: Mapping[str, float]) -> F64:
        """(m, n) losses along a schedule for (m, p) parameters."""
        given = {**features(self.law, schedule, step, constants), **points(self.law, schedule, step)}
        expression, found = ground(self.law, self.bound.constants, given)
        return expression.evaluate([found[name] for name in expression.variables], np.atleast_2d(params))

    def predict(self, frame: Any = None, *, step: ArrayLike | None = None, **columns: Any) -> Any:
        """Loss along a schedule.

        Parameters
        ----------
        frame : Schedule, or what `Fit.predict` takes
        step : (n,) array_like of int, optional
            Steps of the schedule; 500 from the end of the warm-up to the last by default.
        **columns
            Values of what else the law needs, such as ``N``; by default what all fitted curves share.

        Returns
        -------
        CurvePrediction
            For a schedule; else as `Fit.predict`.

        Raises
        ------
        OptionError
            Code ``option``: a step outside the schedule.
        DataError
            Code ``data-missing-role``: the law needs a value that neither schedule nor curves give. Code
            ``curve-zero-tail``.

        Examples
        --------
        >>> import isoloss as iso
        >>> curves = iso.read_curves(iso.simulate.curves(["cosine", "constant"], steps=8_000))
        >>> wsd = iso.schedules.wsd(steps=8_000, peak=3e-4, decay=0.2, warmup=500)
        >>> round(iso.fit("annealing", curves).predict(wsd).final, 2)
        3.14
        """
        if not isinstance(frame, Schedule):
            where: dict[str, Any] = dict(columns) if step is None else {**columns, "step": step}
            return Fit.predict(self, frame, **where)
        steps = default_steps(frame) if step is None else frame.check(np.atleast_1d(np.asarray(step)), least=1)
        constants = self._constants(columns)
        loss = self.evaluate(self.vector, frame, steps, constants)[0]
        return CurvePrediction(schedule=frame, step=steps, loss=loss, law=self.law.name, fit=self, constants=constants)

    def _constants(self, given: Mapping[str, Any]) -> dict[str, float]:
        """What the law needs besides the schedule: as given, else what all curves share."""
        from isoloss.units import parse_number

        shared: dict[str, float] = {}
        for name in self.curves[0].constants:
            values = {curve.constants.get(name) for curve in self.curves}
            if len(values) == 1:
                shared[name] = self.curves[0].constants[name]
        for name in given:
            if name not in self.law.variables:
                message = f"{name!r} is no variable of the law {self.law.name!r} ({', '.join(self.law.variables)})"
                raise OptionError(message, argument=name)
        return shared | {name: parse_number(value, name) for name, value in given.items()}

    def holdout(self, curves: Curves) -> CurveHoldout:
        """Errors on whole curves.

        Parameters
        ----------
        curves : Curves
            Those that the law was fitted to are named in the result.

        Returns
        -------
        CurveHoldout
            For each curve and their mean: mean absolute error, worst case, error of the final loss, R2.

        Examples
        --------
        >>> import isoloss as iso
        >>> curves = iso.read_curves(iso.simulate.curves(steps=8_000))
        >>> fit = iso.fit("annealing", curves.where(schedule=["cosine", "constant"]))
        >>> fit.holdout(curves.where(schedule="wsd")).mae < 0.05
        True
        """
        if not isinstance(curves, Curves):
            message = f"curves is a {type(curves).__name__}; give what read_curves returns"
            raise OptionError(message, argument="curves")
        errors = []
        for curve in curves:
            predicted = self.evaluate(self.vector, curve.schedule, curve.step, curve.constants)[0]
            errors.append(compare_curve(curve, predicted))
        seen = tuple(run for run in curves.runs if run in self.curves.runs)
        return CurveHoldout(errors=tuple(errors), law=self.law.name, seen=seen)

    def bootstrap(self, n: int = 4000, *, by: str | None = None, **options: Any) -> Draws:
        """Refit to resampled runs.

        Parameters
        ----------
        n : int
        by : str, optional
            ``"group"`` resamples runs, the default from eight runs up; ``"block"`` stretches of a twentieth of a run,
            the default for fewer; ``"row"`` single losses, which understates the uncertainty.
        **options
            As for `Fit.bootstrap`.

        Returns
        -------
        Draws

        Examples
        --------
        >>> import isoloss as iso
        >>> curves = iso.read_curves(iso.simulate.curves(["cosine"], steps=8_000))
        >>> iso.fit("annealing", curves).bootstrap(50, seed=0).by
        'block'
        """
        few = len(self.curves) < _FEW
        draws = Fit.bootstrap(self, n, by=(BLOCK if few else "group") if by is None else by, **options)
        if by is not None or not few:
            return draws
        message = f"{len(self.curves)} runs are too few to resample; stretches of a twentieth of a run were"
        notice = Notice(code="curves-few", severity="info", message=message, details={"runs": len(self.curves)})
        return replace(draws, warnings=(*draws.warnings, notice))

    def optimize_schedule(
        self, *, steps: int, peak: float, warmup: int | None = None, floor: float | None = None, **columns: float
    ) -> BestSchedule:
        """The non-increasing schedule of the least final loss under the fitted law.

        Parameters
        ----------
        steps : int
        peak : float
            The highest learning rate, which the warm-up ends at.
        warmup : int, optional
            Steps of warm-up; by default the share that the fitted curves have.
        floor : float, optional
            The least learning rate; by default the least that the fitted curves saw after their warm-up, below which
            the law has no evidence.
        **columns
            As for `predict`.

        Returns
        -------
        BestSchedule
            The schedule, its loss, those of constant, cosine and WSD schedules between the same limits, and a bound on
            what is left to gain.

        Examples
        --------
        >>> import isoloss as iso
        >>> curves = iso.read_curves(iso.simulate.curves(["cosine", "constant"], steps=8_000))
        >>> best = iso.fit("annealing", curves).optimize_schedule(steps=8_000, peak=3e-4)
        >>> best.loss < min(best.rivals.values())
        True
        """
        return best_schedule(
            self, steps=steps, peak=peak, warmup=warmup, floor=floor, constants=self._constants(columns)
        )

    def rerun(self, *, n_threads: int | None = None) -> CurveFit:
        """Fit the same law to the same curves with the same settings again; the same bits with the same version."""
        from isoloss.engine.watch import Watch

        return fit_curves(self.law, self.curves, self.settings, Watch(n_threads=n_threads))


def fit_curves(law: Law, curves: Curves, settings: Settings, watch: Watch) -> CurveFit:
    """Fit a law to curves as the settings say; see `isoloss.fit`."""
    from isoloss.fit.run import run

    return with_curves(run(law, curve_runs(law, curves), settings, watch), curves)


def with_curves(fit: Fit, curves: Curves) -> CurveFit:
    """A fit to the rows of curves that knows the curves."""
    return CurveFit(**{name: getattr(fit, name) for name in Fit.__dataclass_fields__}, curves=curves)
