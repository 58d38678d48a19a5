"""Schedules by their shape: the functions of `isoloss.schedules`, which says what they have in common."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isoloss.checks import whole
from isoloss.curves.schedule import Schedule
from isoloss.errors import DataError, OptionError

__all__ = [
    "KINDS",
    "constant",
    "cosine",
    "from_array",
    "from_points",
    "inverse_sqrt",
    "linear",
    "multi_step",
    "power",
    "wsd",
]

F64 = NDArray[np.float64]
Cooldown = Literal["exponential", "linear", "sqrt", "cosine"]


def constant(*, steps: int, peak: float, warmup: int = 0) -> Schedule:
    """The same learning rate at every step after the warm-up.

    Parameters
    ----------
    steps : int
        Number of updates T, the warm-up among them.
    peak : float
    warmup : int
        Steps of linear warm-up.

    Returns
    -------
    Schedule

    Raises
    ------
    OptionError
        Code ``option``: an argument out of range, here and in the other schedules.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.schedules.constant(steps=4, peak=3e-4, warmup=2).values.tolist()
    [0.0, 0.00015, 0.0003, 0.0003, 0.0003]
    """
    return _made("constant", {"steps": steps, "peak": peak, "warmup": warmup}, np.ones_like)


def linear(*, steps: int, peak: float, to: float = 0.0, warmup: int = 0) -> Schedule:
    """A straight line from the peak to `to` times the peak.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.schedules.linear(steps=4, peak=1.0).values.tolist()
    [1.0, 0.75, 0.5, 0.25, 0.0]
    """
    _share("to", to)
    return _made(
        "linear",
        {"steps": steps, "peak": peak, "to": to, "warmup": warmup},
        lambda s: 1.0 - (1.0 - to) * _progress(s, warmup, steps),
    )


def cosine(*, steps: int, peak: float, to: float = 0.1, warmup: int = 0) -> Schedule:
    """Half a cosine from the peak to `to` times the peak (Loshchilov and Hutter 2017, arXiv:1608.03983).

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.schedules.cosine(steps=4, peak=1.0, to=0.0).values.round(3).tolist()
    [1.0, 0.854, 0.5, 0.146, 0.0]
    """
    _share("to", to)
    return _made(
        "cosine",
        {"steps": steps, "peak": peak, "to": to, "warmup": warmup},
        lambda s: to + 0.5 * (1.0 - to) * (1.0 + np.cos(np.pi * _progress(s, warmup, steps))),
    )


def wsd(
    *,
    steps: int,
    peak: float,
    decay: float = 0.2,
    decay_to: float = 0.1,
    shape: Cooldown = "exponential",
    warmup: int = 0,
) -> Schedule:
    """Warm-up, stable, decay (Hu et al. 2024, arXiv:2404.06395): the peak until the last `decay` steps.

    Parameters
    ----------
    steps, peak, warmup
        As for `constant`.
    decay : float
        Length of the cooldown: a share of all steps, or whole steps where above one.
    decay_to : float
        Last learning rate as a share of the peak.
    shape : {"exponential", "linear", "sqrt", "cosine"}
        Fall over the progress v of the cooldown, with q = `decay_to`: q^v; 1 - (1 - q) v; 1 - (1 - q) sqrt(v) (Hagele
        et al. 2024, arXiv:2405.18392); half a cosine.

    Returns
    -------
    Schedule

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.schedules.wsd(steps=8, peak=1.0, decay=4, decay_to=0.0, shape="linear").values.tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0]
    """
    arguments = {"steps": steps, "peak": peak, "decay": decay, "decay_to": decay_to, "shape": shape, "warmup": warmup}
    fall = _cooldown(shape, decay_to)
    _check(arguments)
    start = steps - _length("decay", decay, steps)
    if start < warmup:
        message = f"decay={decay!r}: the cooldown would begin at step {start}, within the warm-up of {warmup}"
        raise OptionError(message, argument="decay")
    return _made("wsd", arguments, lambda s: fall(np.clip((s - start) / (steps - start), 0.0, 1.0)))


def inverse_sqrt(*, steps: int, peak: float, warmup: int, timescale: float | None = None) -> Schedule:
    """The peak times sqrt(timescale / s) after the warm-up, and never above the peak (Vaswani et al. 2017).

    Parameters
    ----------
    steps, peak, warmup
        As for `constant`.
    timescale : float, optional
        Step up to which the peak is kept; that of the warm-up's end if left out.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.schedules.inverse_sqrt(steps=4, peak=1.0, warmup=1).values.round(3).tolist()
    [0.0, 1.0, 0.707, 0.577, 0.5]
    """
    scale = float(warmup if timescale is None else timescale)
    if not (math.isfinite(scale) and scale > 0.0):
        name = "warmup" if timescale is None else "timescale"
        raise OptionError(f"{name}={scale!r} is not above zero, as the inverse square root needs", argument=name)
    arguments = {"steps": steps, "peak": peak, "warmup": warmup, "timescale": timescale}
    return _made("inverse_sqrt", arguments, lambda s: np.sqrt(scale / np.maximum(s, scale)))


def power(
    *,
    steps: int,
    peak: float,
    a: float,
    batch: float,
    seq_len: float,
    b: float = -0.51,
    decay: float = 0.1,
    decay_to: float = 0.0,
    shape: Cooldown = "linear",
    warmup: int = 0,
) -> Schedule:
    """The power scheduler: min(peak, batch a n^b) at n tokens seen, then a cooldown (Shen et al., arXiv:2408.13359).

    Parameters
    ----------
    steps, peak, warmup
        As for `constant`; the warm-up rises to what the power law gives at its end, or to the peak.
    a, b : float
        Of the law of the best learning rate; b = -0.51 is that of the authors' released code.
    batch : float
        Sequences per step.
    seq_len : float
        Tokens per sequence.
    decay, decay_to, shape
        The cooldown, as for `wsd`, from the learning rate it meets; no cooldown with ``decay=0``.

    Examples
    --------
    Doubling the batch doubles the learning rate below the cap, at equal tokens:

    >>> import isoloss as iso
    >>> one = iso.schedules.power(steps=2000, peak=1.0, a=4.0, batch=256, seq_len=4096, decay=0)
    >>> two = iso.schedules.power(steps=1000, peak=1.0, a=4.0, batch=512, seq_len=4096, decay=0)
    >>> round(float(two.final / one.final), 6)
    2.0
    """
    for name, value in (("a", a), ("batch", batch), ("seq_len", seq_len)):
        if not (math.isfinite(value) and value > 0.0):
            raise OptionError(f"{name}={value!r} is not above zero", argument=name)
    arguments: dict[str, Any] = {"steps": steps, "peak": peak, "a": a, "batch": batch, "seq_len": seq_len, "b": b}
    arguments |= {"decay": decay, "decay_to": decay_to, "shape": shape, "warmup": warmup}
    fall = _cooldown(shape, decay_to)
    _check(arguments)
    length = _length("decay", decay, steps) if decay else 0
    start = steps - length
    if start < warmup:
        message = f"decay={decay!r}: the cooldown would begin at step {start}, within the warm-up of {warmup}"
        raise OptionError(message, argument="decay")

    def level(step: F64) -> F64:
        tokens = np.maximum(step, 1.0) * batch * seq_len
        return np.asarray(np.minimum(1.0, batch * a / peak * tokens**b))

    def body(step: F64) -> F64:
        down = fall(np.clip((step - start) / length, 0.0, 1.0)) if length else 1.0
        return np.asarray(level(np.minimum(step, start)) * down)

    return _made("power", arguments, body, top=float(level(np.array([float(warmup)]))[0]))


def multi_step(*, steps: int, peak: float, at: Sequence[float], to: Sequence[float], warmup: int = 0) -> Schedule:
    """Plateaus: from step ``at[i]`` on, ``to[i]`` times the peak.

    Parameters
    ----------
    steps, peak, warmup
        As for `constant`.
    at : sequence of float
        First step of each further plateau, rising: a share of all steps, or whole steps where above one.
    to : sequence of float
        Its level as a share of the peak.

    Examples
    --------
    DeepSeek's (Bi et al. 2024, arXiv:2401.02954): 31.6 % from 80 % of the steps on, 10 % from 90 % on.

    >>> import isoloss as iso
    >>> schedule = iso.schedules.multi_step(steps=10, peak=1.0, at=[0.8, 0.9], to=[0.316, 0.1])
    >>> schedule.values[6:].tolist()
    [1.0, 1.0, 0.316, 0.1, 0.1]
    """
    levels, places = [float(x) for x in to], [float(x) for x in at]
    if len(levels) != len(places):
        raise OptionError(f"at holds {len(places)} steps and to {len(levels)} levels", argument="to")
    for level in levels:
        _share("to", level, most=math.inf)
    arguments = {"steps": steps, "peak": peak, "at": list(at), "to": levels, "warmup": warmup}
    _check(arguments)
    starts = [_length("at", place, steps) for place in places]
    if starts != sorted(set(starts)) or (starts and starts[0] <= warmup):
        message = f"at={list(at)!r} does not rise from above the warm-up's end, step {warmup}"
        raise OptionError(message, argument="at")
    table = np.array([1.0, *levels])
    return _made("multi_step", arguments, lambda s: table[np.searchsorted(starts, s, side="right")])


def from_array(lr: ArrayLike, *, warmup: int = 0, initial: float | None = None) -> Schedule:
    """A schedule from the learning rate of every step.

    Parameters
    ----------
    lr : (T,) array_like
        Of steps 1 to T: what the first, second, ... update used.
    warmup : int
        Steps of warm-up in it, whose rise is no annealing.
    initial : float, optional
        What the schedule comes from, at step 0. By default 0 under a warm-up, else the first value.

    Raises
    ------
    DataError
        Codes ``data-shape``, ``data-nonpositive``, ``data-nonfinite``, naming the step.

    Examples
    --------
    >>> import isoloss as iso
    >>> print(iso.schedules.from_array([1e-3, 1e-3, 5e-4]))
    array(steps=3)
      learning rate 0.001 at its peak, 0.0005 at the end; S1 0.002500, S2 0.0005000
    """
    values = np.array(lr, dtype=np.float64)
    if values.ndim != 1 or len(values) == 0:
        message = f"lr of shape {values.shape}: it needs one value for each step"
        raise DataError(message, code="data-shape", column="lr")
    first = (0.0 if warmup else float(values[0])) if initial is None else float(initial)
    return Schedule(kind="array", values=np.concatenate([[first], values]), warmup=warmup)


def from_points(
    step: ArrayLike, lr: ArrayLike, *, steps: int | None = None, warmup: int = 0, jumps: bool = False
) -> Schedule:
    """A schedule from the learning rate logged now and then, with straight lines between.

    Parameters
    ----------
    step, lr : (n,) array_like
        Logged steps, rising, and the learning rate at each.
    steps : int, optional
        Number of steps; up to the last logged one if left out. Beyond it the last value is kept.
    warmup : int
        Steps of linear warm-up from zero, which replace what lies before the first logged step; without, the first
        logged value is kept back to step 0.
    jumps : bool
        Keep each value until the next logged step instead.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.schedules.from_points([2, 4], [1.0, 0.5], warmup=2).values.tolist()
    [0.0, 0.5, 1.0, 0.75, 0.5]
    """
    places, values = np.array(step, dtype=np.float64), np.array(lr, dtype=np.float64)
    if places.ndim != 1 or places.shape != values.shape or len(places) == 0:
        message = f"step of shape {places.shape} and lr of shape {values.shape}: one value for each logged step"
        raise DataError(message, code="data-shape", column="lr")
    if not np.isfinite(places).all() or (places % 1.0).any() or places[0] < 0 or (np.diff(places) <= 0).any():
        raise DataError("the logged steps are not whole numbers that rise from 0", code="data-shape", column="step")
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        message = f"lr, row {int(bad[0])}: {values[bad[0]]!r} is not a finite number"
        raise DataError(message, code="data-nonfinite", column="lr", row=int(bad[0]))
    total = int(places[-1]) if steps is None else int(steps)
    if total < 1:
        raise OptionError(f"steps={total!r} is below one", argument="steps")
    known = places >= min(warmup, places[-1])
    places, values = places[known], values[known]
    every = np.arange(total + 1, dtype=np.float64)
    if jumps:
        full = values[np.maximum(np.searchsorted(places, every, side="right") - 1, 0)]
    else:
        full = np.interp(every, places, values)
    if warmup:
        rising = every < warmup
        full[rising] = full[min(warmup, total)] * every[rising] / warmup
    arguments = {"step": places.astype(int).tolist(), "lr": values.tolist(), "steps": total, "warmup": warmup}
    return Schedule(kind="from_points", values=full, warmup=warmup, arguments={**arguments, "jumps": jumps})


# Shared ---------------------------------------------------------------------------------------------------------


def _made(
    kind: str, arguments: Mapping[str, Any], body: Callable[[F64], NDArray[Any]], *, top: float = 1.0
) -> Schedule:
    """The schedule of a shape (levels as shares of the peak by step) under a linear warm-up to `top`."""
    _check(arguments)
    steps, warmup = int(arguments["steps"]), int(arguments["warmup"])
    step = np.arange(steps + 1, dtype=np.float64)
    level = np.array(body(step), dtype=np.float64)
    if warmup:
        rising = step < warmup
        level[rising] = top * step[rising] / warmup
    return Schedule(kind=kind, values=arguments["peak"] * level, warmup=warmup, arguments=dict(arguments))


def _check(arguments: Mapping[str, Any]) -> None:
    """Refuse lengths that are no whole numbers in range and a peak that is not above zero."""
    for name, least in (("steps", 1), ("warmup", 0)):
        whole(name, arguments[name], least)
    if arguments["warmup"] >= arguments["steps"]:
        message = f"warmup={arguments['warmup']!r} leaves none of the {arguments['steps']} steps"
        raise OptionError(message, argument="warmup")
    peak = arguments["peak"]
    if isinstance(peak, bool) or not isinstance(peak, (int, float, np.number)) or not 0.0 < peak < math.inf:
        raise OptionError(f"peak={peak!r} is not a number above zero", argument="peak")


def _progress(step: F64, warmup: int, steps: int) -> F64:
    return np.clip((step - warmup) / (steps - warmup), 0.0, 1.0)


def _length(name: str, value: float, steps: int) -> int:
    """A length in steps, given as such or as a share of all steps."""
    length = value if value > 1.0 else round(value * steps)
    if not (math.isfinite(value) and value > 0.0 and length == int(length) and 1 <= length <= steps):
        message = f"{name}={value!r} is neither a share of the steps nor a whole number of them up to {steps}"
        raise OptionError(message, argument=name)
    return int(length)


def _share(name: str, value: float, most: float = 1.0) -> None:
    if not 0.0 <= value <= most or not math.isfinite(value):
        bound = "0 to 1" if most == 1.0 else "0 up"
        raise OptionError(f"{name}={value!r} is not a share of the peak, from {bound}", argument=name)


def _cooldown(shape: str, to: float) -> Callable[[F64], F64]:
    """Level over the progress of a cooldown."""
    _share("decay_to", to)
    shapes: dict[str, Callable[[F64], F64]] = {
        "exponential": lambda v: to**v,
        "linear": lambda v: 1.0 - (1.0 - to) * v,
        "sqrt": lambda v: 1.0 - (1.0 - to) * np.sqrt(v),
        "cosine": lambda v: to + 0.5 * (1.0 - to) * (1.0 + np.cos(np.pi * v)),
    }
    if shape not in shapes:
        raise OptionError(f"shape={shape!r} is none of {', '.join(shapes)}", argument="shape")
    if shape == "exponential" and to == 0.0:
        raise OptionError("decay_to=0: an exponential never gets there; give a share above zero", argument="decay_to")
    return shapes[shape]


KINDS: Mapping[str, Callable[..., Schedule]] = MappingProxyType(
    {
        "constant": constant,
        "linear": linear,
        "cosine": cosine,
        "wsd": wsd,
        "inverse_sqrt": inverse_sqrt,
        "power": power,
        "multi_step": multi_step,
        "from_points": from_points,
    }
)
"""The schedules that are told by a few arguments, by family."""
