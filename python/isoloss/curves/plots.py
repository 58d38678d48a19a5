"""Figures of schedules, loss curves and what a fitted law predicts of them. Colours as in `isoloss.plot`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from isoloss.plot import INK, MUTED, OPTIMUM, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from isoloss.curves.object import Curves
    from isoloss.curves.predict import CurvePrediction
    from isoloss.curves.schedule import Schedule

__all__ = ["plot_curves", "plot_prediction", "plot_schedule"]

_MOST = 2000  # points of a line: more than a screen has pixels


def _plain(axes: Axes, vertical: str) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, which="major", color="#E6E6E6", lw=0.6, zorder=0)
    axes.set_axisbelow(True)
    axes.set_xlabel("step")
    axes.set_ylabel(vertical)


def _corners(schedule: Schedule) -> Any:
    """Steps to draw: spread over the schedule, and each side of its sharpest changes."""
    steps = np.unique(np.linspace(0, schedule.steps, min(_MOST, schedule.steps + 1)).astype(np.int64))
    sharp = np.argsort(np.abs(schedule.drops))[-50:]
    return np.unique(np.concatenate([steps, sharp, np.maximum(sharp - 1, 0)]))


def plot_schedule(schedule: Schedule, *, ax: Axes | None, label: str | None) -> Axes:
    """The learning rate against the step."""
    axes = new_axes() if ax is None else ax
    steps = _corners(schedule)
    axes.plot(steps, schedule.values[steps], lw=1.4, label=schedule.kind if label is None else label)
    _plain(axes, "learning rate")
    return axes


def plot_curves(curves: Curves, *, ax: Axes | None) -> Axes:
    """The losses against the step."""
    from matplotlib import colormaps

    axes = new_axes() if ax is None else ax
    for place, curve in zip(np.linspace(0.0, 0.9, max(len(curves), 2)), curves, strict=False):
        axes.plot(curve.step, curve.loss, lw=1.0, color=colormaps["viridis"](place), label=curve.run)
    _plain(axes, "loss (nats per token)")
    axes.legend(frameon=False, fontsize=8)
    return axes


def plot_prediction(made: CurvePrediction, curves: Curves | None, *, ax: Axes | None) -> Axes:
    """The predicted curve over the curves it was learnt from, with the schedule beneath."""
    axes = new_axes() if ax is None else ax
    seen: list[float] = []
    for number, curve in enumerate(curves or ()):
        label = "fitted to" if number == 0 else None
        axes.plot(curve.step, curve.loss, lw=0.8, color=MUTED, alpha=0.7, zorder=1, label=label)
        seen += curve.loss[len(curve.loss) // 10 :].tolist()
    if made.low is not None and made.high is not None:
        what = f"{100 * (made.level or 0.0):g} % band"
        axes.fill_between(made.step, made.low, made.high, color=OPTIMUM, alpha=0.25, lw=0, zorder=2, label=what)
    axes.plot(made.step, made.loss, lw=1.6, color=OPTIMUM, zorder=3, label=f"{made.law}: {made.schedule.kind}")
    _plain(axes, "loss (nats per token)")
    # The fast fall of the first steps would squeeze everything else.
    late = np.concatenate([made.loss[len(made.loss) // 10 :], seen])
    room = 0.08 * float(late.max() - late.min())
    axes.set_ylim(float(late.min()) - 2.5 * room, float(late.max()) + room)
    below = axes.twinx()
    steps = _corners(made.schedule)
    below.fill_between(steps, made.schedule.values[steps], color=INK, alpha=0.08, lw=0)
    below.set_ylim(0.0, 4.0 * made.schedule.peak)
    below.set_yticks([0.0, made.schedule.peak])
    below.set_ylabel("learning rate", color=MUTED, fontsize=8, loc="bottom")
    below.tick_params(colors=MUTED, labelsize=7)
    below.spines[["top", "left"]].set_visible(False)
    axes.set_zorder(below.get_zorder() + 1)
    axes.patch.set_visible(False)
    axes.legend(frameon=False, fontsize=8.5, loc="upper right")
    return axes
