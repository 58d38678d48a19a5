"""The picture of a law: what it says, drawn from its published coefficients (or from stated ones, for its shape).

Used by the directives of `law_pages`; nothing drawn is kept in the repository. Sizes and other second variables are
coloured with *viridis*, as in `isoloss.plot`; several published sets are told apart by line style as well.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from isoloss import Law
from isoloss.units import ROLES, format_number, format_si

RANGES = {
    "N": (1e7, 1e12),
    "D": (1e9, 1e13),
    "C": (1e18, 1e25),
    "U": (1e8, 1e12),
    "S": (1e3, 1e6),
    "batch": (1e5, 1e7),
    "lr": (1e-5, 1e-2),
}
"""What is drawn of a variable unless a page says otherwise."""

COUNTS = frozenset({"N", "D", "U", "S", "batch"})
STYLES = ("-", "--", ":", "-.")
STYLE = {
    "svg.hashsalt": "isoloss",  # the same picture has the same bytes
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.labelcolor": "#222222",
    "xtick.color": "#7A7A7A",
    "ytick.color": "#7A7A7A",
}


@dataclass
class Picture:
    """What to draw of a law.

    Parameters
    ----------
    law : Law
    x : str
        The variable along the axis; the law's first by default.
    span : (low, high)
    lines : (name, values)
        Second variable, one line a value.
    at : mapping of str to float
        Values of the variables that are left.
    sets : tuple of str
        Published sets; the first by default.
    params : mapping of str to float
        Coefficients to show the shape of a law with that has no published set.
    x_scale, y_scale : {"log", "linear"}
    """

    law: Law
    x: str = ""
    span: tuple[float, float] | None = None
    lines: tuple[str, tuple[float, ...]] | None = None
    at: dict[str, float] = field(default_factory=dict)
    sets: tuple[str, ...] = ()
    params: dict[str, float] = field(default_factory=dict)
    x_scale: str = "log"
    y_scale: str = "linear"

    def __post_init__(self) -> None:
        law = self.law
        self.x = self.x or law.variables[0]
        if self.span is None:
            self.span = RANGES[self.x]
        rest = [name for name in law.variables if name != self.x and name not in self.at]
        if self.lines is None and rest:
            self.lines = (rest[0], tuple(np.geomspace(*RANGES[rest[0]], 5)))
        missing = [name for name in rest if self.lines is None or name != self.lines[0]]
        if missing:
            raise ValueError(f"picture of {law.name}: say :at: for {', '.join(missing)}")
        if not self.sets and not self.params:
            self.sets = tuple(law.published)[:1]
        if not self.sets and not self.params:
            raise ValueError(f"picture of {law.name}: no published set, say :params:")

    @property
    def caption(self) -> str:
        """Where the coefficients come from."""
        if self.params:
            given = ", ".join(f"{name} = {format_number(value)}" for name, value in self.params.items())
            return f"The shape of {self.law.name}, drawn with {given}: chosen for the picture, not published."
        told = []
        for key in self.sets:
            published = self.law.published[key]
            told.append(f"{key} ({'second hand: ' if published.second_hand else ''}{published.source})")
        return f"{self.law.name}, drawn from its published coefficients {'; '.join(told)}."

    def draw(self, path: Path) -> None:
        """Write the picture as SVG."""
        law, (low, high) = self.law, self.span
        x = np.geomspace(low, high, 240) if self.x_scale == "log" else np.linspace(low, high, 240)
        with rc_context(STYLE):
            figure = Figure(figsize=(6.2, 3.4), layout="constrained")
            FigureCanvasAgg(figure)
            axes = figure.add_subplot()
            for values, style, label in self._curves():
                for colour, extra, text in self._lines():
                    y = values(**{self.x: x, **self.at, **extra})
                    told = ", ".join(part for part in (text, label) if part)
                    axes.plot(x, np.broadcast_to(y, x.shape), style, color=colour, lw=1.4, label=told)
            axes.set(xscale=self.x_scale, yscale=self.y_scale)
            axes.set_xlabel(_axis(self.x, law.units.get(self.x, "")))
            unit = law.target_unit or "nats per token"
            axes.set_ylabel(_axis("loss" if law.target == "L" else law.target, unit))
            if len(axes.lines) > 1:
                axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
            figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})

    def _curves(self):
        if self.params:
            yield self.law.bind(self.params), "-", ""
            return
        for number, key in enumerate(self.sets):
            bound = self.law.bind(key)
            yield bound, STYLES[number % len(STYLES)], key if len(self.sets) > 1 else ""

    def _lines(self):
        from matplotlib import colormaps

        if self.lines is None:
            yield "#222222", {}, ""
            return
        name, values = self.lines
        colours = colormaps["viridis"](np.linspace(0.0, 0.85, len(values)))
        for colour, value in zip(colours, values, strict=True):
            shown = format_si(value, 3) if name in COUNTS else format_number(value, 3)
            yield colour, {name: value}, f"{name} = {shown}"


def _axis(name: str, unit: str) -> str:
    words = ROLES[name].meaning if name in ROLES else ""
    label = f"{words} {name}" if words and len(name) <= 2 else name
    return f"{label} [{unit}]" if unit and unit != "1" else label
