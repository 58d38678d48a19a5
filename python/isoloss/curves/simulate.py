"""Loss curves simulated from a law, for demonstrations and tests. Nobody trained these models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from isoloss import laws
from isoloss.curves import shapes
from isoloss.curves.rows import features, points
from isoloss.curves.schedule import Schedule
from isoloss.errors import OptionError

__all__ = ["curves"]

KINDS = ("constant", "cosine", "wsd", "linear", "two_stage")


def curves(
    kinds: Sequence[str] | Mapping[str, Schedule] = KINDS,
    *,
    law: str = "annealing",
    source: str = "refit_100m",
    steps: int = 24_000,
    peak: float = 3e-4,
    warmup: int | None = None,
    every: int = 50,
    noise: float = 0.0005,
    memory: float = 0.9,
    seed: int = 0,
) -> dict[str, Any]:
    """Simulate the loss curves of several schedules.

    Parameters
    ----------
    kinds : sequence of str, or mapping of str to Schedule
        Among constant, cosine (to a tenth), wsd (last fifth, to a tenth), linear (to a tenth) and two_stage (to 0.3
        halfway); or schedules by the label of their run.
    law, source : str
        A law of curves and the key of one of its published sets.
    steps, peak, warmup : int, float, int
        Of the schedules; the warm-up is a sixteenth of the steps if left out.
    every : int
        Steps between logged losses.
    noise, memory : float
        Standard deviation of the noise on log loss, and its correlation from one logged loss to the next.
    seed : int

    Returns
    -------
    dict of str to (n,) ndarray
        Columns ``run``, ``schedule``, ``step``, ``lr`` and ``loss`` for `isoloss.read_curves`; the warm-up is logged.

    Raises
    ------
    OptionError
        Code ``option``: an unknown kind.

    Examples
    --------
    >>> import isoloss as iso
    >>> table = iso.simulate.curves(["cosine"], steps=1_000, every=10)
    >>> sorted(table), len(table["loss"])
    (['loss', 'lr', 'run', 'schedule', 'step'], 100)
    """
    bound = laws.get(law).bind(source)
    rise = steps // 16 if warmup is None else warmup
    made = {kind: _schedule(kind, steps, peak, rise) for kind in kinds} if not isinstance(kinds, Mapping) else kinds
    rng = np.random.default_rng(seed)
    parts: dict[str, list[Any]] = {name: [] for name in ("run", "schedule", "step", "lr", "loss")}
    for label, schedule in made.items():
        step = np.arange(every, schedule.steps + 1, every, dtype=np.int64)
        given: dict[str, Any] = {**features(bound.law, schedule, step, {}), **points(bound.law, schedule, step)}
        loss = np.asarray(bound(**given))
        shock = rng.standard_normal(len(step)) * np.sqrt(1.0 - memory**2)
        drift, last = np.empty(len(step)), float(rng.standard_normal())
        for i, push in enumerate(shock):
            drift[i] = last = memory * last + push
        parts["run"] += [label] * len(step)
        parts["schedule"] += [schedule.kind if isinstance(kinds, Mapping) else label] * len(step)
        parts["step"].append(step)
        parts["lr"].append(schedule.values[step])
        parts["loss"].append(loss * np.exp(noise * drift))
    return {
        name: np.array(values) if name in ("run", "schedule") else np.concatenate(values)
        for name, values in parts.items()
    }


def _schedule(kind: str, steps: int, peak: float, warmup: int) -> Schedule:
    if kind == "constant":
        return shapes.constant(steps=steps, peak=peak, warmup=warmup)
    if kind == "cosine":
        return shapes.cosine(steps=steps, peak=peak, warmup=warmup)
    if kind == "wsd":
        return shapes.wsd(steps=steps, peak=peak, warmup=warmup)
    if kind == "linear":
        return shapes.linear(steps=steps, peak=peak, to=0.1, warmup=warmup)
    if kind == "two_stage":
        return shapes.multi_step(steps=steps, peak=peak, at=[0.5], to=[0.3], warmup=warmup)
    raise OptionError(f"kind {kind!r} is none of {', '.join(KINDS)}", argument="kinds")
