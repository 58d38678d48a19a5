"""What a fitted hyper-parameter law says at a size and a number of tokens: settings, and what other settings cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss.engine.problem import F64
from isoloss.errors import Notice
from isoloss.hparams.powers import Powers
from isoloss.hparams.surface import Cost
from isoloss.stats.intervals import percentiles
from isoloss.units import format_si

__all__ = ["HParams", "Regret", "predict_at", "scientific", "share"]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class HParams:
    """Best learning rate and batch size at N and D, with intervals.

    Attributes
    ----------
    N, D : float or ndarray
    lr : float or ndarray
        Peak learning rate.
    batch : float or ndarray
        In tokens.
    lr_interval, batch_interval : (low, high)
        Percentiles over refits to resampled cells; NaN without draws.
    level : float
    draws : int
        Refits behind the intervals.
    recipe : str
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

        def plain(value: Any) -> Any:
            return value.tolist() if isinstance(value, np.ndarray) else value

        return {
            **{name: plain(getattr(self, name)) for name in ("N", "D", "lr", "batch", "sequences", "steps")},
            "lr_interval": [plain(side) for side in self.lr_interval],
            "batch_interval": [plain(side) for side in self.batch_interval],
            "level": self.level,
            "draws": self.draws,
            "recipe": self.recipe,
            "warnings": [notice.to_dict() for notice in self.warnings],
        }

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

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self) if cycle else str(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class Regret:
    """What a setting costs: relative excess loss.

    Attributes
    ----------
    estimate : float or ndarray
        Over the least value of the joint surface.
    low, high : float or ndarray
        Percentiles over refits to resampled cells.
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

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self) if cycle else str(self))


def predict_at(
    powers: Powers,
    N: Any,
    D: Any,
    level: float,
    *,
    sizes: F64 | None = None,
    tokens: F64 | None = None,
    seq_len: float | None = None,
    warnings: Sequence[Notice] = (),
) -> HParams:
    """Settings by power laws, with percentiles over their draws; `sizes` and `tokens` are what was measured."""
    lr, batch = powers.at(N, D)
    drawn_lr, drawn_batch = powers.drawn(N, D)
    edges = [percentiles(np.asarray(drawn), level) for drawn in (drawn_lr, drawn_batch)]
    scalar = np.ndim(lr) == 0
    sides = [tuple(float(side) if scalar else side for side in pair) for pair in edges]
    outside = [] if sizes is None or tokens is None else _outside(N, D, sizes, tokens)
    return HParams(
        N=N,
        D=D,
        lr=float(lr) if scalar else lr,
        batch=float(batch) if scalar else batch,
        lr_interval=sides[0],  # type: ignore[arg-type]
        batch_interval=sides[1],  # type: ignore[arg-type]
        level=level,
        draws=len(powers.draws),
        recipe=powers.recipe,
        seq_len=seq_len,
        warnings=(*outside, *warnings),
    )


def _outside(N: Any, D: Any, sizes: F64, tokens: F64) -> list[Notice]:
    """How far beyond the measured cells a prediction reaches."""
    beyond = {}
    for name, value, seen in (("N", N, sizes), ("D", D, tokens)):
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
