"""What a fitted law of loss curves says of a schedule, and how it fares on curves it has not seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from isoloss.curves.object import Curve
from isoloss.curves.schedule import Schedule
from isoloss.errors import OptionError
from isoloss.stats.draws import Draws

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from isoloss.curves.fit import CurveFit

__all__ = ["CurveError", "CurveHoldout", "CurvePrediction", "compare_curve", "default_steps"]

F64 = NDArray[np.float64]
_POINTS = 500  # predicted losses of a curve where no steps are asked for
_DRAWS = 200  # resamples behind a band where none are attached; they lie around the optimum and start from it


def default_steps(schedule: Schedule) -> NDArray[np.int64]:
    """Steps spread evenly from the end of the warm-up to the end."""
    return np.unique(np.linspace(schedule.warmup + 1, schedule.steps, _POINTS).round().astype(np.int64))


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class CurvePrediction:
    """The loss that a fitted law predicts along a schedule.

    Attributes
    ----------
    schedule : Schedule
    step : (n,) ndarray of int64
    loss : (n,) ndarray of float64
        Nats per token.
    low, high : (n,) ndarray or None
        Percentiles over resamples, once `band` was asked for.
    level : float or None
    resampled : str
        What was resampled for the band.
    law : str
    fit : CurveFit
    """

    schedule: Schedule
    step: NDArray[np.int64]
    loss: F64
    law: str
    fit: CurveFit
    constants: dict[str, float]
    low: F64 | None = None
    high: F64 | None = None
    level: float | None = None
    resampled: str = ""

    @property
    def final(self) -> float:
        """Loss at the last of the steps."""
        return float(self.loss[-1])

    def band(
        self, level: float = 0.95, *, draws: Draws | None = None, interval: str | None = None, seed: int = 0
    ) -> CurvePrediction:
        """The same prediction with an interval over draws (of the mean curve, not of a new run).

        Parameters
        ----------
        level : float
        draws : Draws, optional
            Those attached to the fit by default, else 200 new ones of `seed`.
        interval : str, optional
            As for `Draws.conf_int`.
        seed : int
        """
        found = draws or self.fit.draws or self.fit.bootstrap(_DRAWS, starts=0, seed=seed)
        every = self.fit.evaluate(found.params, self.schedule, self.step, self.constants)
        left_out = found.basis.left_out
        without = None if left_out is None else self.fit.evaluate(left_out, self.schedule, self.step, self.constants)
        low, high = found.ends(every, self.loss, level, interval, without)
        what = f"{len(found):,} draws of {found.units} {'curves' if found.by == 'group' else found.by + 's'}"
        return replace(self, low=low, high=high, level=level, resampled=what)

    def plot(self, *, band: float | None = None, draws: Draws | None = None, ax: Axes | None = None) -> Axes:
        """Draw the predicted curve over those the law was fitted to.

        Parameters
        ----------
        band : float, optional
            Level of a band to draw, such as 0.95.
        draws : Draws, optional
            For the band, as in `band`.
        ax : matplotlib.axes.Axes, optional
            Where to draw; new axes by default.

        Raises
        ------
        MissingExtraError
            When matplotlib is not installed.
        """
        from isoloss.curves.plots import plot_prediction

        made = self if band is None else self.band(band, draws=draws)
        return plot_prediction(made, self.fit.curves, ax=ax)

    def to_frame(self) -> dict[str, Any]:
        """Columns step, lr, loss and, with a band, low and high."""
        columns: dict[str, Any] = {"step": self.step, "lr": self.schedule.values[self.step], "loss": self.loss}
        return columns if self.low is None else {**columns, "low": self.low, "high": self.high}

    def __repr__(self) -> str:
        return f"<CurvePrediction of {self.law}: {self.schedule.name}, final loss {self.final:.4f}>"

    def __str__(self) -> str:
        lines = [f"{self.law} along {self.schedule.name}"]
        text = f"  loss {self.final:.4f}"
        if self.low is not None and self.high is not None:
            text += f" [{self.low[-1]:.4f}, {self.high[-1]:.4f}]"
        lines.append(f"{text} at step {int(self.step[-1]):,}, {len(self.step):,} steps predicted")
        if self.level is not None:
            lines.append(f"  {100 * self.level:g} % band from {self.resampled}")
        return "\n".join(lines)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self) if cycle else str(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveError:
    """How one curve was predicted.

    Attributes
    ----------
    run, schedule : str
    n : int
        Number of losses.
    mae, worst : float
        Mean and largest absolute error [nats per token].
    mape : float
        Mean absolute error as a share of the loss.
    final : float
        Predicted less observed loss at the last logged step.
    r2 : float
        1 - (squared errors) / (squared distances from the curve's mean).
    """

    run: str
    schedule: str
    n: int
    mae: float
    worst: float
    mape: float
    final: float
    r2: float


def compare_curve(curve: Curve, predicted: F64) -> CurveError:
    """The errors of a prediction at the logged steps of a curve."""
    error = predicted - curve.loss
    spread = float(np.sum((curve.loss - curve.loss.mean()) ** 2))
    return CurveError(
        run=curve.run,
        schedule=curve.kind,
        n=curve.n,
        mae=float(np.mean(np.abs(error))),
        worst=float(np.max(np.abs(error))),
        mape=float(np.mean(np.abs(error / curve.loss))),
        final=float(error[-1]),
        r2=1.0 - float(np.sum(error**2)) / spread if spread > 0.0 else float("nan"),
    )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CurveHoldout:
    """How a fitted law predicts whole curves; means are over curves, so that long ones do not count more.

    Attributes
    ----------
    errors : tuple of CurveError
    law : str
    seen : tuple of str
        Runs among them that the law was fitted to.
    """

    errors: tuple[CurveError, ...]
    law: str
    seen: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.errors)

    def __iter__(self) -> Iterator[CurveError]:
        return iter(self.errors)

    def __getitem__(self, run: str) -> CurveError:
        for error in self.errors:
            if error.run == run:
                return error
        raise OptionError(f"no run {run!r} among {', '.join(e.run for e in self.errors)}", run=run)

    def _mean(self, name: str) -> float:
        return float(np.mean([getattr(error, name) for error in self.errors]))

    @property
    def mae(self) -> float:
        """Mean absolute error [nats per token]."""
        return self._mean("mae")

    @property
    def worst(self) -> float:
        """The largest absolute error of all [nats per token]."""
        return max(error.worst for error in self.errors)

    @property
    def mape(self) -> float:
        """Mean absolute error as a share of the loss."""
        return self._mean("mape")

    @property
    def final(self) -> float:
        """Mean of predicted less observed loss at the last step: the signed bias."""
        return self._mean("final")

    @property
    def r2(self) -> float:
        """Mean coefficient of determination."""
        return self._mean("r2")

    def table(self) -> dict[str, list[Any]]:
        """Columns by name, a row for each curve."""
        names = CurveError.__dataclass_fields__
        return {name: [getattr(error, name) for error in self.errors] for name in names}

    def __repr__(self) -> str:
        return f"<CurveHoldout of {self.law}: {len(self)} curves, MAE {self.mae:.5f}, R2 {self.r2:.5f}>"

    def __str__(self) -> str:
        rows = [("run", "losses", "MAE", "worst", "final", "R2")]
        rows += [
            (e.run, f"{e.n:,}", f"{e.mae:.5f}", f"{e.worst:.5f}", f"{e.final:+.5f}", f"{e.r2:.5f}") for e in self.errors
        ]
        if len(self) > 1:
            ends = (f"{self.mae:.5f}", f"{self.worst:.5f}", f"{self.final:+.5f}", f"{self.r2:.5f}")
            rows.append(("mean (worst: of all)", "", *ends))
        widths = [max(len(row[k]) for row in rows) for k in range(6)]
        lines = [f"{self.law} on {len(self)} {'curve' if len(self) == 1 else 'curves'}, errors in nats per token"]
        lines += [f"  {row[0]:<{widths[0]}}" + "".join(f"  {row[k]:>{widths[k]}}" for k in range(1, 6)) for row in rows]
        if self.seen:
            lines.append(f"  fitted to, not held out: {', '.join(self.seen)}")
        return "\n".join(lines)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self) if cycle else str(self))
