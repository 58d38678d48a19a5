"""The picture of a law of loss curves: the loss along several schedules, and the schedules beneath."""

from pathlib import Path

from law_pictures import STYLE, STYLES
from matplotlib import colormaps, rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import isoloss as iso
from isoloss.curves.fit import default_steps
from isoloss.curves.rows import features, points
from isoloss.units import format_number

STEPS, PEAK, WARMUP = 24_000, 3e-4, 2_160
ALONG = {
    "constant": iso.schedules.constant(steps=STEPS, peak=PEAK, warmup=WARMUP),
    "cosine": iso.schedules.cosine(steps=STEPS, peak=PEAK, warmup=WARMUP),
    "linear": iso.schedules.linear(steps=STEPS, peak=PEAK, to=0.1, warmup=WARMUP),
    "wsd": iso.schedules.wsd(steps=STEPS, peak=PEAK, decay=4_000, warmup=WARMUP),
    "two stages": iso.schedules.multi_step(steps=STEPS, peak=PEAK, at=[8_000], to=[0.3], warmup=WARMUP),
}


class CurvePicture:
    """What to draw of a law of curves.

    Parameters
    ----------
    law : Law
    along : sequence of str
        Names of schedules, keys of `ALONG`.
    sets, params
        As for `law_pictures.Picture`.
    at : mapping of str to float
        Values of what is no property of a schedule.
    """

    def __init__(self, law, along, sets=(), params=None, at=None):
        self.law, self.along, self.params, self.at = law, along, params or {}, at or {}
        self.key = "" if self.params else (sets or tuple(law.published))[0]

    @property
    def caption(self) -> str:
        """Where the coefficients come from."""
        schedules = f"along schedules of {STEPS:,} steps with a peak of {PEAK:g}"
        if self.params:
            given = ", ".join(f"{name} = {format_number(value)}" for name, value in {**self.params, **self.at}.items())
            return f"{self.law.name} {schedules}, drawn with {given}: chosen for the picture, not published."
        return f"{self.law.name} {schedules}, drawn from {self.key} ({self.law.published[self.key].source})."

    def draw(self, path: Path) -> None:
        """Write the picture as SVG."""
        bound = self.law.bind(self.params or self.key)
        with rc_context(STYLE):
            figure = Figure(figsize=(6.2, 4.2), layout="constrained")
            FigureCanvasAgg(figure)
            top, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
            for number, name in enumerate(self.along):
                schedule = ALONG[name]
                step = default_steps(schedule)
                look = {"color": colormaps["viridis"](0.85 * number / max(len(self.along) - 1, 1))}
                look["ls"] = STYLES[number % len(STYLES)]
                loss = bound(**features(self.law, schedule, step, self.at), **points(self.law, schedule, step))
                top.plot(step, loss, lw=1.4, label=name, **look)
                below.plot(step, schedule.values[step], lw=1.2, **look)
            top.set_ylim(top=float(loss[0]) - 0.35 * float(loss[0] - loss[-1]))
            top.set_ylabel("loss (nats per token)")
            below.set_ylabel("learning rate")
            below.set_ylim(bottom=0.0)
            below.set_xlabel("step")
            top.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
            figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})


def prediction_figure(path: Path) -> str:
    """Draw the page's prediction; returns the caption."""
    table = iso.simulate.curves(law="multi_power", source="luo2025_100m", steps=24_000, warmup=2_000, every=400)
    curves = iso.read_curves(table).where(schedule=["cosine", "constant", "two_stage"])
    wsd = iso.schedules.wsd(steps=72_000, peak=PEAK, decay=0.2, decay_to=0.1, warmup=2_000)
    with rc_context(STYLE):
        figure = Figure(figsize=(6.6, 3.8), layout="constrained")
        FigureCanvasAgg(figure)
        iso.fit("multi_power", curves).predict(wsd).plot(band=0.95, ax=figure.add_subplot())
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
    return "The predicted curve of a WSD run of 72,000 steps, from three runs of 24,000 (simulated)."
