r"""The plateau: all settings of learning rate and batch that cost at most so much.

With w = x - ridge y the surface is e(w, y) = exp(g(w) + b y^2) - 1, g(w) = a (exp(k w) - 1 - k w) / k^2, so the plateau
of width t is where g(w) + b y^2 <= T = ln(1 + t). For every w with g(w) <= T it holds \|y\| <= sqrt((T - g(w)) / b):
the outline is known in closed form but for the two ends of w, and (w, y) -> (x, y) keeps areas.

Four descriptions of it: the *outline*; the *box*, the least rectangle in (lr, batch) that holds it; the *safe box*, the
largest rectangle inside it, so that its learning rates and batches may be combined freely; the *area* in octaves
squared, an octave being a factor of two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss.engine.problem import F64
from isoloss.errors import DataError, Notice, OptionError
from isoloss.hparams.between import Between
from isoloss.hparams.shape import Shape
from isoloss.plain import plain_dict
from isoloss.units import format_number, format_si, real_numbers

__all__ = ["Box", "HParamPlateau", "plateau_of", "positive", "relative"]

_OCTAVE = math.log(2.0)
_POINTS = 361  # values of w along the outline
_HALVINGS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A rectangle of settings.

    Attributes
    ----------
    lr : (low, high)
    batch : (low, high)
        In tokens.
    """

    lr: tuple[float, float]
    batch: tuple[float, float]

    @property
    def octaves(self) -> tuple[float, float]:
        """Widths in log2 of learning rate and batch."""
        return math.log2(self.lr[1] / self.lr[0]), math.log2(self.batch[1] / self.batch[0])

    @property
    def area(self) -> float:
        """In octaves squared."""
        return self.octaves[0] * self.octaves[1]

    def holds(self, lr: float, batch: float) -> bool:
        """Whether a setting lies inside."""
        return self.lr[0] <= lr <= self.lr[1] and self.batch[0] <= batch <= self.batch[1]

    def __str__(self) -> str:
        lr, batch = (tuple(format_number(v, 3) for v in self.lr), tuple(format_si(v) for v in self.batch))
        return f"lr {lr[0]} .. {lr[1]}, batch {batch[0]} .. {batch[1]} tokens"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class HParamPlateau:
    """Settings that cost at most `within` of the least loss; made by `HParamLaw.plateau`.

    Attributes
    ----------
    N, D : float
    within : float
        Relative excess loss.
    reference : {"surface", "run"}
        What the excess is counted from: the least value of the surface, or the best run that a sweep like the measured
        ones finds, which luck puts below it.
    lr, batch : float
        The best setting; batch in tokens.
    outline : (m, 2) float64
        Learning rate and batch along the edge, closed.
    box : Box
        The least rectangle that holds the plateau.
    safe_box : Box
        The largest rectangle inside it.
    area : float
        In octaves squared.
    area_interval : (low, high)
        Of the area that all cells share; how single cells differ in it is left out.
    ridge : float
        Exponent along the valley: lr proportional to batch**ridge.
    ridge_interval : (low, high)
    level : float
        Of the intervals.
    probability_of_best : float
        Share of the draws in which the best setting given here lies on the plateau. Draws are of new cells: refits to
        resampled cells, the optimum moved as those of single cells scatter.
    warnings : tuple of Notice
    """

    N: float
    D: float
    within: float
    reference: str
    lr: float
    batch: float
    outline: F64
    box: Box
    safe_box: Box
    area: float
    area_interval: tuple[float, float]
    ridge: float
    ridge_interval: tuple[float, float]
    level: float
    probability_of_best: float
    limit: float
    shape: Shape
    draws: Shape
    warnings: tuple[Notice, ...] = ()

    def contains(self, lr: Any, batch: Any) -> Any:
        """Whether settings lie on the plateau of the estimates.

        Parameters
        ----------
        lr, batch : float or array_like
            Batch in tokens; they broadcast.

        Returns
        -------
        bool or ndarray of bool
        """
        inside = self._excess(self.shape, lr, batch) <= self.limit
        return bool(inside) if np.ndim(inside) == 0 else inside

    def probability(self, lr: Any, batch: Any) -> Any:
        """Share of the draws in which settings lie on the plateau.

        Parameters
        ----------
        lr, batch : float or array_like
            Batch in tokens; they broadcast.

        Returns
        -------
        float or ndarray of float64
            NaN without draws.
        """
        shape = np.broadcast_shapes(np.shape(lr), np.shape(batch))
        if len(self.draws.values) == 0:
            return float("nan") if shape == () else np.full(shape, np.nan)
        lead = Shape(
            values=self.draws.values.reshape(-1, *(1 for _ in shape), self.draws.values.shape[-1]),
            pivot=self.draws.pivot,
        )
        share = (self._excess(lead, lr, batch) <= self.limit).mean(axis=0)
        return float(share) if shape == () else share

    def _excess(self, shape: Shape, lr: Any, batch: Any) -> F64:
        x, y = shape.optimum(self.N, self.D)
        lr, batch = (np.asarray(positive(name, v)) for name, v in (("lr", lr), ("batch", batch)))
        return shape.excess(np.log(lr) - x, np.log(batch) - y)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON; without the outline."""
        boxes = {
            name: {"lr": list(box.lr), "batch": list(box.batch), "octaves": list(box.octaves)}
            for name, box in (("box", self.box), ("safe_box", self.safe_box))
        }
        return plain_dict(
            {
                "N": self.N,
                "D": self.D,
                "within": self.within,
                "reference": self.reference,
                "lr": self.lr,
                "batch": self.batch,
                **boxes,
                "area_octaves2": self.area,
                "area_interval": list(self.area_interval),
                "ridge": self.ridge,
                "ridge_interval": list(self.ridge_interval),
                "level": self.level,
                "probability_of_best": self.probability_of_best,
                "warnings": [notice.to_dict() for notice in self.warnings],
            }
        )

    def __repr__(self) -> str:
        return f"HParamPlateau(N={self.N:g}, D={self.D:g}, within={self.within:g}: {self.box})"

    def __str__(self) -> str:
        low, high = (format_number(v, 3) for v in self.area_interval)
        steep = ", ".join(format_number(v, 2) for v in self.ridge_interval)
        best = f"lr {format_number(self.lr, 3)}, batch {format_si(self.batch)} tokens"
        counted = "the least loss" if self.reference == "surface" else "the best run of a sweep"
        lines = [
            f"plateau at N {format_si(self.N)}, D {format_si(self.D)}: at most {100 * self.within:g} % above {counted}",
            f"  inside     {self.box}",
            f"  safe       {self.safe_box}, in any combination",
            f"  area       {format_number(self.area, 3)} octaves² [{low}, {high}]",
            f"  ridge      lr proportional to batch^{format_number(self.ridge, 2)} [{steep}]",
            f"  P(inside)  {self.probability_of_best:.2f} for {best}",
        ]
        return "\n".join([*lines, *(f"  {notice}" for notice in self.warnings)])

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self) if cycle else str(self))


def positive(name: str, value: Any) -> Any:
    """A number or array above zero, texts such as ``"7B"`` included.

    Raises
    ------
    DataError
        Codes ``number-syntax``, ``data-nonnumeric``, ``data-nonpositive``.
    """
    number = real_numbers(name, value)
    if not np.all(np.isfinite(number) & (number > 0.0)):
        worst = float(number.ravel()[np.argmin(np.where(np.isfinite(number.ravel()), number.ravel(), -np.inf))])
        raise DataError(
            f"{name}={worst:g} is not a number above zero", code="data-nonpositive", column=name, value=worst
        )
    return float(number) if number.ndim == 0 else number


_MOST_WITHIN = 0.1  # of the loss: thresholds, up to which surfaces are fitted, are a few per cent at most


def relative(name: str, value: Any) -> float:
    """A share such as 0.002, or the text ``"0.2%"``.

    Raises
    ------
    OptionError
        Code ``option``: not a number above zero and below one.

    Examples
    --------
    >>> relative("within", "0.2%"), relative("within", 0.0025)
    (0.002, 0.0025)
    """
    try:
        if isinstance(value, str):
            text = value.strip()
            number = float(text[:-1]) / 100.0 if text.endswith("%") else float(text)
        else:
            number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0.0 < number < 1.0:
        message = f"{name}={value!r} is not a share between 0 and 1, such as 0.002 or '0.2%'"
        raise OptionError(message, argument=name)
    if number > _MOST_WITHIN:
        percent = f"{value}%" if not isinstance(value, str) else "0.2%"
        message = f"{name}={value!r} is {100 * number:g} % of the loss, where no surface was fitted; write {percent!r}"
        raise OptionError(message, argument=name)
    return number


def plateau_of(
    shape: Shape,
    draws: Shape,
    between: Between,
    N: float,
    D: float,
    within: float,
    reference: str,
    luck: float,
    level: float,
) -> HParamPlateau:
    """The plateau of a joint surface; see `isoloss.hparams.HParamLaw.plateau`.

    `draws` are surfaces of new cells around the power laws, as `between` has them;
    `luck` is by how much, relatively, the best run of a sweep lies below the surface.
    """
    warnings: tuple[Notice, ...] = ()
    # Counted from the best run, floor (1 - luck): loss <= (1 + t)(1 - luck) floor.
    limit = within if reference == "surface" else (1.0 + within) * (1.0 - luck) - 1.0
    if limit <= 0.0:
        message = (
            f"the best run of a cell lies {100 * luck:.2g} % below its surface by luck, so no setting can be expected "
            f"within {100 * within:g} % of it; the plateau is the best setting alone"
        )
        warnings = (Notice(code="plateau-below-noise", severity="warning", message=message),)
        limit = 1e-12
    at = shape.optimum(N, D)
    lr, batch = math.exp(float(at[0])), math.exp(float(at[1]))
    w, y = _outline(shape.values[None, :], limit)
    ridge = float(shape.values[6])
    x = w[0] + ridge * y[0]
    edge_y, edge_x = np.concatenate([y[0], -y[0][::-1]]), np.concatenate([x, (w[0] - ridge * y[0])[::-1]])
    outline = np.column_stack([lr * np.exp(edge_x), batch * np.exp(edge_y)])
    area = float(_areas(w, y)[0])
    areas = _areas(*_outline(draws.values, limit)) if len(draws.values) else np.empty(0)
    area_interval, ridge_interval = (
        tuple(float(end) for end in between.interval(samples, estimate, level))
        for samples, estimate in ((areas, area), (draws.values[:, 6], ridge))
    )
    made = HParamPlateau(
        N=N,
        D=D,
        within=within,
        reference=reference,
        lr=lr,
        batch=batch,
        outline=np.vstack([outline, outline[:1]]),
        box=_box(lr, batch, edge_x.min(), edge_x.max(), edge_y.min(), edge_y.max()),
        safe_box=_box(lr, batch, *_largest_inside(edge_x, edge_y)),
        area=area,
        area_interval=area_interval,  # type: ignore[arg-type]
        ridge=ridge,
        ridge_interval=ridge_interval,  # type: ignore[arg-type]
        level=level,
        probability_of_best=float("nan"),
        limit=limit,
        shape=shape,
        draws=draws,
        warnings=warnings,
    )
    object.__setattr__(made, "probability_of_best", made.probability(lr, batch))
    return made


def _box(lr: float, batch: float, x0: float, x1: float, y0: float, y1: float) -> Box:
    return Box(
        lr=(lr * math.exp(x0), lr * math.exp(x1)),
        batch=(batch * math.exp(y0), batch * math.exp(y1)),
    )


def _outline(values: F64, limit: float) -> tuple[F64, F64]:
    """(B, m) w along the plateau and the half-widths in y there, for (B, 10) parameters."""
    a, k, b = (values[:, j, None] for j in (7, 8, 9))
    T = math.log1p(limit)
    low, high = (_end(a, k, T, side) for side in (-1.0, 1.0))
    # Denser towards the ends, where the outline turns: a cosine.
    share = 0.5 * (1.0 - np.cos(np.linspace(0.0, np.pi, _POINTS)))
    w = low + (high - low) * share
    return w, np.sqrt(np.maximum(T - _g(a, k, w), 0.0) / b)


def _g(a: F64, k: F64, w: F64) -> F64:
    return np.asarray(a * (np.expm1(k * w) - k * w) / k**2)


def _end(a: F64, k: F64, T: float, side: float) -> F64:
    """Where g reaches T on one side, by halving in units of the parabola's own end."""
    near, far = np.zeros_like(a), np.sqrt(2.0 * T / a)
    for _ in range(_HALVINGS):  # below the optimum g grows more slowly than the parabola
        short = _g(a, k, side * far) < T
        if not short.any():
            break
        far = np.where(short, 2.0 * far, far)
    for _ in range(_HALVINGS):
        middle = 0.5 * (near + far)
        inside = _g(a, k, side * middle) <= T
        near, far = np.where(inside, middle, near), np.where(inside, far, middle)
    return np.asarray(side * near)


def _areas(w: F64, y: F64) -> F64:
    """Area in octaves squared: both signs of y, the trapezoid rule in w."""
    return np.asarray((np.diff(w, axis=1) * (y[:, 1:] + y[:, :-1])).sum(axis=1) / _OCTAVE**2)


def _largest_inside(edge_x: F64, edge_y: F64) -> tuple[float, float, float, float]:
    """The largest rectangle inside the plateau, as x0, x1, y0, y1: on a grid of x0 < 0 < x1, refined twice.

    The plateau is convex, so a rectangle lies inside if its corners do: y then runs over what both sides allow.
    """
    middle = len(edge_x) // 2
    upper, lower = (edge_x[:middle], edge_y[:middle]), (edge_x[middle:][::-1], edge_y[middle:][::-1])

    def span(x: F64) -> tuple[F64, F64]:
        return _cut(lower, upper, x, low=True), _cut(lower, upper, x, low=False)

    x0 = np.linspace(edge_x.min(), 0.0, 97)
    x1 = np.linspace(0.0, edge_x.max(), 97)
    best = (0.0, 0.0, 0.0, 0.0)
    for _ in range(3):
        low0, high0 = span(x0)
        low1, high1 = span(x1)
        bottom, top = np.maximum.outer(low0, low1), np.minimum.outer(high0, high1)
        size = np.where(top > bottom, (x1[None, :] - x0[:, None]) * (top - bottom), 0.0)
        i, j = np.unravel_index(np.argmax(size), size.shape)
        best = (float(x0[i]), float(x1[j]), float(bottom[i, j]), float(top[i, j]))
        step0, step1 = x0[1] - x0[0], x1[1] - x1[0]
        x0 = np.linspace(max(x0[i] - step0, edge_x.min()), min(x0[i] + step0, 0.0), 49)
        x1 = np.linspace(max(x1[j] - step1, 0.0), min(x1[j] + step1, edge_x.max()), 49)
    return best


def _cut(lower: tuple[F64, F64], upper: tuple[F64, F64], x: F64, *, low: bool) -> F64:
    """Least or greatest y of the plateau at x: the outline is convex, so each side is a function of x."""
    all_x = np.concatenate([lower[0], upper[0][::-1]])
    all_y = np.concatenate([lower[1], upper[1][::-1]])
    left, right = int(np.argmin(all_x)), int(np.argmax(all_x))
    # Going round from the leftmost to the rightmost point is one side of the outline, and back the other.
    around = np.roll(np.arange(len(all_x)), -left)
    at = int(np.flatnonzero(around == right)[0])
    one, two = around[: at + 1], np.append(around[at:], around[0])[::-1]
    sides = [np.interp(x, all_x[side], all_y[side]) for side in (one, two)]
    return np.asarray(np.minimum(*sides) if low else np.maximum(*sides))
