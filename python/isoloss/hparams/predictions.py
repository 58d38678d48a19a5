"""What a fitted hyper-parameter law says at a size and a number of tokens: settings, and what other settings cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss.errors import DataError, Notice, OptionError, did_you_mean
from isoloss.hparams.between import Between
from isoloss.hparams.powers import Powers
from isoloss.hparams.surface import Cost
from isoloss.hparams.sweep import Sweep, free_powers
from isoloss.plain import plain_dict
from isoloss.shown import Shown
from isoloss.units import format_si

__all__ = ["KINDS", "HParams", "Regret", "check_identified", "outside", "predict_at", "scientific", "share"]

KINDS = ("new-cell", "mean")
_BESIDE = 0.1  # how far, in logarithms, a size may lie beside the only measured one


def scientific(value: float, digits: int = 3) -> str:
    """A learning rate as people write it.

    Examples
    --------
    >>> scientific(6.12e-4), scientific(0.01)
    ('6.12e-4', '1.00e-2')
    """
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def share(value: float) -> str:
    """A relative loss as a percentage of sensible length.

    Examples
    --------
    >>> share(0.000957), share(0.0213), share(3.2)
    ('0.096 %', '2.1 %', '320 %')
    """
    percent = 100.0 * value
    if not np.isfinite(percent):
        return "-"
    if percent >= 100.0:
        return f"{percent:.0f} %"
    return f"{percent:.1f} %" if percent >= 1.0 else f"{percent:.3f} %"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class HParams(Shown):
    """Best learning rate and batch size at N and D, with intervals.

    Attributes
    ----------
    N, D : float or ndarray
    lr : float or ndarray
        Peak learning rate.
    batch : float or ndarray
        In tokens.
    lr_interval, batch_interval : (low, high)
        NaN without draws.
    level : float
    draws : int
        Refits behind the intervals.
    recipe : str
    kind : {"new-cell", "mean"}
        What the intervals are for: the optimum of one training, or the power laws.
    seq_len : float or None
        Tokens of a sequence, where the runs counted their batches in sequences.
    warnings : tuple of Notice
        Code ``extrapolated`` where N or D lies outside the measured range.
    """

    N: Any
    D: Any
    lr: Any
    batch: Any
    lr_interval: tuple[Any, Any]
    batch_interval: tuple[Any, Any]
    level: float
    draws: int
    recipe: str
    kind: str = "new-cell"
    seq_len: float | None = None
    warnings: tuple[Notice, ...] = ()

    @property
    def sequences(self) -> Any:
        """The batch in sequences, where their length is known; else None."""
        return None if self.seq_len is None else self.batch / self.seq_len

    @property
    def steps(self) -> Any:
        """Optimiser steps, D / batch."""
        return self.D / self.batch

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return plain_dict(
            {
                **{name: getattr(self, name) for name in ("N", "D", "lr", "batch", "sequences", "steps")},
                "lr_interval": self.lr_interval,
                "batch_interval": self.batch_interval,
                "level": self.level,
                "draws": self.draws,
                "recipe": self.recipe,
                "kind": self.kind,
                "warnings": [notice.to_dict() for notice in self.warnings],
            }
        )

    def __str__(self) -> str:
        shape = np.shape(self.lr)
        rows = [
            np.broadcast_to(v, shape).ravel() for v in (self.lr, *self.lr_interval, self.batch, *self.batch_interval)
        ]
        lines = []
        for lr, a, b, batch, low, high in zip(*rows, strict=True):
            text = f"lr {scientific(lr) if np.isfinite(lr) else 'not given'}"
            text += f" [{scientific(a)}, {scientific(b)}]" if np.isfinite(a) else ""
            text += f"   batch {format_si(batch)} tok" if np.isfinite(batch) else "   batch not given"
            text += f" [{format_si(low)}, {format_si(high)}]" if np.isfinite(low) else ""
            text += f"   ({batch / self.seq_len:,.0f} sequences)" if self.seq_len and np.isfinite(batch) else ""
            lines.append(text)
        return "\n".join([*lines, *(str(notice) for notice in self.warnings)])


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Regret(Shown):
    """What a setting costs: relative excess loss.

    Attributes
    ----------
    estimate : float or ndarray
        Over the least value of the joint surface.
    low, high : float or ndarray
        For a new cell, whose optimum scatters around the power laws.
    level : float
    cell : str
        The measured cell at this N and D, if there is one, else empty.
    measured : Cost or None
        The excess in that cell: at the nearest run, interpolated, and on the cell's own surface.
    """

    estimate: Any
    low: Any
    high: Any
    level: float
    cell: str = ""
    measured: Cost | None = None

    def __float__(self) -> float:
        return float(self.estimate)

    def __str__(self) -> str:
        shape = np.shape(self.estimate)
        rows = [np.broadcast_to(v, shape).ravel() for v in (self.estimate, self.low, self.high)]
        lines = [
            f"{share(e)} above the least loss" + (f" [{share(a)}, {share(b)}]" if np.isfinite(a) else "")
            for e, a, b in zip(*rows, strict=True)
        ]
        if self.measured is not None:
            near, between, own = (share(v) for v in self.measured)
            lines.append(f"  measured in {self.cell}: nearest run {near}, interpolated {between}, own surface {own}")
        return "\n".join(lines)


def predict_at(
    powers: Powers,
    between: Between,
    N: Any,
    D: Any,
    level: float,
    *,
    kind: str = "new-cell",
    seed: int = 0,
    sweep: Sweep,
) -> HParams:
    """Settings by power laws with intervals over their draws; see `HParamLaw.predict`."""
    if kind not in KINDS:
        message = f"kind={kind!r} is neither 'new-cell' nor 'mean'{did_you_mean(str(kind), KINDS)}"
        raise OptionError(message, argument="kind")
    check_identified(N, D, sweep)
    found = [np.log(side) for side in powers.at(N, D)]
    drawn = [np.log(side) for side in powers.drawn(N, D)]
    moved = between.draws(len(powers.draws), seed).T if kind == "new-cell" else np.zeros((2, len(powers.draws)))
    sides = []
    for at, draws, move in zip(found, drawn, moved, strict=True):
        ends = between.interval(draws + move.reshape(-1, *(1 for _ in range(np.ndim(at)))), at, level)
        sides.append(tuple(float(np.exp(end)) if np.ndim(at) == 0 else np.exp(end) for end in ends))
    lr, batch = (float(np.exp(at)) if np.ndim(at) == 0 else np.exp(at) for at in found)
    return HParams(
        N=N,
        D=D,
        lr=lr,
        batch=batch,
        lr_interval=sides[0],  # type: ignore[arg-type]
        batch_interval=sides[1],  # type: ignore[arg-type]
        level=level,
        draws=len(powers.draws),
        recipe=powers.recipe,
        kind=kind,
        seq_len=sweep.runs.seq_len,
        warnings=tuple(outside(N, D, sweep)),
    )


def check_identified(N: Any, D: Any, sweep: Sweep) -> None:
    """Refuse sizes and token counts at which the cells cannot tell the optimum.

    A sweep of one N knows no exponent of N, one of a single ratio of D to N only how the optimum moves along it.

    Raises
    ------
    DataError
        Code ``not-identified``.
    """
    fixed = free_powers(sweep.N, sweep.D)
    if not fixed:
        return
    size, tokens = np.broadcast_arrays(np.log(N), np.log(D))
    n, d = np.log(sweep.N), np.log(sweep.D)
    one_size, one_data = "lr_N" in fixed and np.ptp(n) <= 0.05, "lr_D" in fixed
    away = {}
    if one_size:
        away["N"] = size - n.mean()
    if one_data:
        away["D"] = tokens - d.mean()
    if not away:  # both vary, along one line
        slope = float(np.ptp(n) / np.ptp(d)) * (1.0 if (n - n.mean()) @ (d - d.mean()) > 0.0 else -1.0)
        away["D / N"] = (size - n.mean()) - slope * (tokens - d.mean())
    for name, distance in away.items():
        if not np.any(np.abs(distance) > _BESIDE):
            continue
        k = int(np.argmax(np.abs(distance)))
        here = f"N {format_si(float(np.exp(size.ravel()[k])))}, D {format_si(float(np.exp(tokens.ravel()[k])))}"
        held = [held for held in fixed if name == "D / N" or held.endswith(name)]
        known = {
            "N": f"all cells have N {format_si(float(np.exp(n.mean())))}",
            "D": f"all cells have D {format_si(float(np.exp(d.mean())))}",
            "D / N": f"N and D rise together in all cells (D / N about {float(np.exp(np.mean(d - n))):.3g})",
        }[name]
        message = (
            f"{here} cannot be predicted: {known}, so {' and '.join(held)} cannot be told; predict at the measured "
            f"{name}, or sweep another one"
        )
        raise DataError(message, code="not-identified", column=name, held=held)


def outside(N: Any, D: Any, sweep: Sweep) -> list[Notice]:
    """How far beyond the measured cells a prediction reaches."""
    beyond = {}
    for name, value, seen in (("N", N, sweep.N), ("D", D, sweep.D)):
        decades = np.log10(np.asarray(value, dtype=np.float64))
        reach = np.maximum(decades - np.log10(seen.max()), np.log10(seen.min()) - decades)
        if float(np.max(reach)) > 0.02:
            beyond[name] = float(np.max(reach))
    if not beyond:
        return []
    told = " and ".join(f"{name} is {decades:.1f} decades" for name, decades in beyond.items())
    message = f"{told} outside the measured cells; the interval holds if the power laws do"
    severity = "warning" if max(beyond.values()) > 1.0 else "info"
    return [Notice(code="extrapolated", severity=severity, message=message, details=beyond)]  # type: ignore[arg-type]
