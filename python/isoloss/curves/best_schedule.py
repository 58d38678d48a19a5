r"""The non-increasing schedule of the least final loss under a fitted law of curves.

The loss at the last step is a function of the learning rate of every step. Its derivative is exact: the law's text is
compiled once more with a shift on each of its columns, S1, S2 and what it sums over the drops, so that the engine gives
the derivative by column at every step, and the chain to the learning rates is a handful of cumulative sums, O(T).

The schedule is a chain of straight lines between knots, close together towards the end, and the values at the knots
are improved by projected gradients: steps after Barzilai and Borwein (1988) in the metric of the knots' lengths, a
nonmonotone line search (Birgin, Martinez and Raydan 2000), and the projection onto non-increasing values within the
limits by pooling adjacent violators. It begins at the best of constant, cosine and WSD schedules, so it cannot end
above them, and ends when no non-increasing schedule between the limits can gain more, to first order, than
`BestSchedule.gap`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from isoloss import _core
from isoloss.curves import shapes
from isoloss.curves.limits import least_lr, share_of_warmup
from isoloss.curves.rows import lam_of
from isoloss.curves.schedule import Schedule
from isoloss.curves.step_sums import floored
from isoloss.errors import Notice, OptionError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from isoloss.curves.fit import CurveFit

__all__ = ["BestSchedule", "FinalLoss", "best_schedule", "pooled"]

F64 = NDArray[np.float64]
_KNOTS = 64  # evenly spread, and half as many again towards the end
_MOST = 1000  # iterations
_GAP = 1e-5  # nats per token: what may be left to gain
_MEMORY = 10  # losses that the line search looks back on
_ONE = "isoloss_one"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class BestSchedule:
    """The best non-increasing schedule under a fitted law.

    Attributes
    ----------
    schedule : Schedule
    loss : float
        Its final loss under the law [nats per token].
    rivals : mapping of str to float
        Final losses of other schedules between the same limits.
    gap : float
        No non-increasing schedule between the limits is better by more than this, to first order.
    floor : float
        The least learning rate allowed.
    iterations : int
    law : str
    warnings : tuple of Notice
    """

    schedule: Schedule
    loss: float
    rivals: Mapping[str, float]
    gap: float
    floor: float
    iterations: int
    law: str
    warnings: tuple[Notice, ...] = field(default=())

    def __repr__(self) -> str:
        return f"<BestSchedule of {self.law}: final loss {self.loss:.5f}>"

    def __str__(self) -> str:
        values, peak = self.schedule.values, self.schedule.peak
        left = np.flatnonzero(values >= 0.99 * peak)
        stable = float(left[-1]) / self.schedule.steps if len(left) else 0.0
        until = f"at the peak until {100 * stable:.0f} % of the steps, {values[-1]:.3g} at the end"
        lines = [
            f"best non-increasing schedule under {self.law}: {self.schedule.steps:,} steps, peak {peak:.3g}",
            f"  final loss {self.loss:.5f}; {until}",
        ]
        lines += [f"  {name:<10}  {loss:.5f}  {loss - self.loss:+.5f}" for name, loss in self.rivals.items()]
        lines.append(f"  at most {self.gap:.1e} left to gain, to first order; learning rates from {self.floor:.3g} up")
        lines += [f"  {notice}" for notice in self.warnings]
        return "\n".join(lines)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self) if cycle else str(self))

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Draw the schedule; see `Schedule.plot`."""
        return self.schedule.plot(ax=ax, label=f"best under {self.law}")


class FinalLoss:
    """Final loss of a schedule under a law with its parameters, and its derivative by every learning rate.

    Parameters
    ----------
    fit : CurveFit
    constants : mapping
        Values of the law's further variables.
    warmup : int
        Drops up to this step do not count in S2.
    """

    def __init__(self, fit: CurveFit, constants: Mapping[str, float], warmup: int) -> None:
        self.warmup = warmup
        outer, bodies = split_sums(fit.law.expr)
        self.areas = [name for name in fit.law.variables if name not in constants]
        for name in self.areas:
            if name != "S1" and lam_of(name) is None:
                message = f"the law {fit.law.name!r} depends on {name!r}, which is no property of a schedule"
                raise OptionError(message, argument="law")
        known = {**fit.params, **fit.bound.constants, **{n: constants[n] for n in fit.law.variables if n in constants}}
        self.sums = [f"isoloss_sum_{i}" for i in range(len(bodies))]
        self.names = [*self.areas, *self.sums]
        self.outer = _shifted(outer, self.names, known)
        self.bodies = [_shifted(body, ["S1", "drop", "lr", "S"], known) for body in bodies]

    def __call__(self, lr: F64) -> tuple[float, F64]:
        """Loss and (T + 1,) derivative by the learning rates; that by step 0 is zero."""
        last = len(lr) - 1
        area = np.cumsum(lr) - lr[0]
        drops = np.concatenate([[0.0], lr[:-1] - lr[1:]])
        before = np.concatenate([[0.0], area[:-1]])
        values: dict[str, float] = {}
        slopes: dict[str, F64] = {}  # of each name by the learning rates
        one = np.concatenate([[0.0], np.ones(last)])
        for name in self.areas:
            lam = lam_of(name)
            if lam is None:
                values[name], slopes[name] = float(area[-1]), one
            else:
                weight: F64 = np.asarray((1.0 - lam ** np.arange(last + 1.0, 0.0, -1.0)) / (1.0 - lam), np.float64)
                weight[: self.warmup + 1] = 0.0
                values[name], slopes[name] = float(drops @ weight), _through_drops(weight)
        for name, body in zip(self.sums, self.bodies, strict=True):
            rows = {"S1": np.full(last, area[-1]), "drop": drops[1:], "lr": lr[1:], "S": before[1:]}
            term, by = body.at(rows)
            values[name] = float(term.sum())
            by_area, by_drop, by_lr, by_before = (np.concatenate([[0.0], by[k]]) for k in ("S1", "drop", "lr", "S"))
            # The area before step k holds the learning rates of all steps before k.
            later = by_before.sum() - np.cumsum(by_before)
            slopes[name] = one * by_area.sum() + _through_drops(by_drop) + by_lr + later * one
        loss, by = self.outer.at({name: np.array([values[name]]) for name in self.names})
        slope = np.sum([by[name][0] * slopes[name] for name in self.names], axis=0)
        slope[0] = 0.0
        return float(loss[0]), slope


def _through_drops(weight: F64) -> F64:
    """Derivative of sum(weight * drops) by the learning rates."""
    return np.concatenate([weight[1:], [0.0]]) - weight


@dataclass(frozen=True, slots=True)
class _Shifted:
    """A text in columns and known numbers, with its derivative by each column at every row."""

    expression: _core.Expression
    names: tuple[str, ...]

    def at(self, columns: Mapping[str, F64]) -> tuple[F64, dict[str, F64]]:
        """(n,) values and the derivative by each column."""
        n = len(next(iter(columns.values())))
        given = [np.ones(n) if v == _ONE else np.ascontiguousarray(columns[v]) for v in self.expression.variables]
        shifts = self.expression.parameters
        value, slope, _ = self.expression.derivatives(given, np.zeros(len(shifts)))
        by = {name: np.zeros(n) for name in self.names}
        for k, shift in enumerate(shifts):
            by[shift.removesuffix("_shift")] = np.asarray(slope)[..., k].ravel()
        return np.asarray(value).ravel(), by


def _shifted(text: str, names: list[str], known: Mapping[str, float]) -> _Shifted:
    present = {name for name in names if re.search(_word(name), text)}
    for name in present:
        text = re.sub(_word(name), f"({name} + {name}_shift)", text)
    constants = {name: value for name, value in known.items() if re.search(_word(name), text)}
    variables = [*sorted(present), _ONE]
    return _Shifted(_core.Expression(f"({text}) * {_ONE}", variables=variables, constants=constants), tuple(names))


def _word(name: str) -> str:
    return rf"(?<![\w.]){re.escape(name)}(?![\w.])"


def split_sums(text: str) -> tuple[str, list[str]]:
    """A law's text with a name in the place of each sum over drops, and what the sums are over."""
    bodies: list[str] = []
    while (found := re.search(r"\bsum_over\s*\(\s*(\w+)\s*,", text)) is not None:
        depth, end = 1, found.end()
        while depth:
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        body = text[found.end() : end - 1]
        bodies.append(re.sub(rf"\b{found[1]}\.(\w+)", r"\1", body))
        text = f"{text[: found.start()]}isoloss_sum_{len(bodies) - 1}{text[end:]}"
    return text, bodies


# The search -----------------------------------------------------------------------------------------------------


def best_schedule(
    fit: CurveFit,
    *,
    steps: int,
    peak: float,
    warmup: int | None,
    floor: float | None,
    constants: Mapping[str, float],
) -> BestSchedule:
    """See `isoloss.curves.fit.CurveFit.optimize_schedule`."""
    rise = round(share_of_warmup(fit.curves) * steps) if warmup is None else warmup
    base = shapes.constant(steps=steps, peak=peak, warmup=rise)
    least = least_lr(fit.curves) if floor is None else float(floor)
    if not 0.0 <= least < peak:
        message = f"floor={least!r} is not from 0 up to the peak {peak!r}"
        raise OptionError(message, argument="floor")
    target = FinalLoss(fit, constants, rise)
    share = least / peak
    candidates = {
        "constant": base,
        "cosine": shapes.cosine(steps=steps, peak=peak, to=share, warmup=rise),
        "linear": shapes.linear(steps=steps, peak=peak, to=share, warmup=rise),
        "wsd": shapes.wsd(
            steps=steps, peak=peak, decay_to=share, shape="exponential" if share else "linear", warmup=rise
        ),
    }
    rivals = {name: target(floored(schedule))[0] for name, schedule in candidates.items()}
    chain = _Chain.of(steps, rise, peak, least)
    top = min(rivals, key=lambda key: rivals[key])
    loss, at_knots, gap, iterations = _descend(target, chain, candidates[top].values[chain.knots])
    values = np.minimum(chain.values(at_knots), peak)
    if rivals[top] < loss:
        loss, values = rivals[top], candidates[top].values
    arguments = {"steps": steps, "peak": peak, "warmup": rise, "floor": least, "law": fit.law.name}
    return BestSchedule(
        schedule=Schedule(kind="best", values=values, warmup=rise, arguments=arguments),
        loss=loss,
        rivals=rivals,
        gap=gap,
        floor=least,
        iterations=iterations,
        law=fit.law.name,
        warnings=_warnings(fit, peak),
    )


def _warnings(fit: CurveFit, peak: float) -> tuple[Notice, ...]:
    peaks = [curve.schedule.peak for curve in fit.curves]
    if min(peaks) * 0.99 <= peak <= max(peaks) * 1.01:
        return ()
    message = f"the law was fitted to peaks of {min(peaks):.3g} to {max(peaks):.3g}; it says little about {peak:.3g}"
    return (Notice(code="extrapolated-peak", severity="warning", message=message, details={"peak": peak}),)


@dataclass(frozen=True, slots=True)
class _Chain:
    """Straight lines between knots, from the end of the warm-up to the last step."""

    knots: NDArray[np.int64]
    left: NDArray[np.int64]
    part: F64
    """Of each step from the first knot on: the knot before it and how far on to the next."""
    length: F64
    rise: F64
    """Warm-up as shares of the first knot's value."""
    low: float
    high: float

    @classmethod
    def of(cls, steps: int, warmup: int, peak: float, least: float) -> _Chain:
        first = max(warmup, 0)
        even = np.linspace(first, steps, _KNOTS)
        late = steps - np.geomspace(1.0, max((steps - first) / 4.0, 1.0), _KNOTS // 2)
        knots = np.unique(np.concatenate([even, late[late > first], [first, steps]]).round().astype(np.int64))
        step = np.arange(first, steps + 1)
        left = np.clip(np.searchsorted(knots, step, side="right") - 1, 0, len(knots) - 2)
        part = (step - knots[left]) / (knots[left + 1] - knots[left])
        length = np.asarray(np.bincount(left, 1.0 - part, len(knots)) + np.bincount(left + 1, part, len(knots)), float)
        return cls(knots, left, part, length, np.arange(first, dtype=np.float64) / max(first, 1), least, peak)

    def values(self, at_knots: F64) -> F64:
        """Learning rate of every step."""
        body = at_knots[self.left] * (1.0 - self.part) + at_knots[self.left + 1] * self.part
        return np.concatenate([self.high * self.rise, body])

    def slope(self, by_step: F64) -> F64:
        """Derivative by the knots, from that by the steps."""
        own = by_step[len(self.rise) :]
        n = len(self.knots)
        by_left, by_right = (own * (1.0 - self.part), own * self.part)
        return np.asarray(np.bincount(self.left, by_left, n) + np.bincount(self.left + 1, by_right, n), np.float64)

    def project(self, at_knots: F64) -> F64:
        """The nearest non-increasing values between the limits, in the metric of the lengths."""
        return np.clip(pooled(at_knots, self.length), self.low, self.high)

    def gap(self, at_knots: F64, slope: F64) -> float:
        """The most that any non-increasing values between the limits gain to first order."""
        # A linear function is least at a corner of them: the upper limit up to some knot, then the lower.
        front = np.concatenate([[0.0], np.cumsum(slope)])
        corners = self.high * front + self.low * (front[-1] - front)
        return max(float(slope @ at_knots - corners.min()), 0.0)


def pooled(values: F64, weights: F64) -> F64:
    """The nearest non-increasing values in least squares with weights (pool adjacent violators).

    Examples
    --------
    >>> import numpy as np
    >>> from isoloss.curves.best_schedule import pooled
    >>> pooled(np.array([3.0, 1.0, 2.0, 0.0]), np.ones(4)).tolist()
    [3.0, 1.5, 1.5, 0.0]
    """
    level: list[float] = []
    weight: list[float] = []
    count: list[int] = []
    for value, own in zip(values.tolist(), weights.tolist(), strict=True):
        v, w, c = value, own, 1
        while level and level[-1] < v:
            last, mass = level.pop(), weight.pop()
            v, w, c = (v * w + last * mass) / (w + mass), w + mass, c + count.pop()
        level.append(v)
        weight.append(w)
        count.append(c)
    return np.repeat(level, count)


def _descend(target: FinalLoss, chain: _Chain, start: F64) -> tuple[float, F64, float, int]:
    """Spectral projected gradients: loss, values at the knots, gap, iterations."""
    tiny = 1e-9 * chain.high

    def look(at_knots: F64) -> tuple[float, F64]:
        loss, by_step = target(np.maximum(chain.values(at_knots), tiny))
        return loss, chain.slope(by_step)

    x = chain.project(start)
    loss, slope = look(x)
    best = (loss, x, chain.gap(x, slope))
    past = [loss]
    ascent = slope / chain.length
    size = 0.1 * chain.high / max(float(np.abs(ascent).max()), 1e-300)
    for iteration in range(1, _MOST + 1):
        direction = chain.project(x - size * ascent) - x
        fall = float(slope @ direction)
        if fall > -1e-15 * max(abs(loss), 1.0):
            return best[0], best[1], best[2], iteration
        share = 1.0
        while True:
            trial = x + share * direction
            new_loss, new_slope = look(trial)
            if new_loss <= max(past[-_MEMORY:]) + 1e-4 * share * fall or share < 1e-10:
                break
            share *= 0.5
        moved, change = trial - x, (new_slope - slope) / chain.length
        curvature = float((moved * chain.length) @ change)
        length = float((moved * chain.length) @ moved)
        size = float(np.clip(length / curvature, 1e-3 * size, 1e3 * size)) if curvature > 0.0 else 10.0 * size
        x, loss, slope = trial, new_loss, new_slope
        ascent = slope / chain.length
        past.append(loss)
        gap = chain.gap(x, slope)
        if loss < best[0]:
            best = (loss, x, gap)
        if gap < _GAP:
            return loss, x, gap, iteration
    return best[0], best[1], best[2], _MOST
