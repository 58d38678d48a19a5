"""What a fitted hyper-parameter law has to say for itself: the summary, and the notices that call for care."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from isoloss.errors import Notice
from isoloss.hparams.between import Between
from isoloss.hparams.joint import undetermined
from isoloss.hparams.predictions import share
from isoloss.hparams.shape import Joint
from isoloss.hparams.surface import Surface
from isoloss.hparams.sweep import Sweep
from isoloss.runs.doubts import unit_doubts
from isoloss.units import format_range

if TYPE_CHECKING:
    from isoloss.hparams.law import HParamLaw

__all__ = ["notices", "summarise"]


def summarise(hp: HParamLaw, level: float) -> str:
    """The law in words and numbers; see `HParamLaw.summary`."""
    sweep, joint = hp.sweep, hp.joint
    low, high = hp.between.interval(hp.powers.draws, hp.powers.values, level)
    spread = []
    for j, (label, name) in enumerate(
        (("lr", ""), ("  N", "lr_N"), ("  D", "lr_D"), ("batch", ""), ("  N", "batch_N"), ("  D", "batch_D"))
    ):
        if name:
            spread.append(f"  {label:<10} exponent {hp.powers.values[j]:+.3f} [{low[j]:+.3f}, {high[j]:+.3f}]")
        else:
            spread.append(f"  {label}")
    shape = dict(zip(("ridge", "a", "k", "b"), joint.shape.values[6:], strict=True))
    diverged = int(sweep.diverged.sum())
    unit = "runs" if hp.powers.recipe == "steplaw" else "cells"
    near = f"{100 * joint.choice.threshold:g} %"
    fitted = f"{len(joint.kept):,} runs that count {joint.kept_weights.sum():,.0f}, half at {near} by the surface"
    data = (
        f"{sweep.runs.n:,} runs in {sweep.cells} cells, {diverged:,} diverged; "
        f"{format_range('N', float(sweep.N.min()), float(sweep.N.max()))} parameters, "
        f"{format_range('D', float(sweep.D.min()), float(sweep.D.max()))} tokens"
    )
    costs = (
        f"lr ~ batch^{shape['ridge']:.2f} along the valley; twice the best lr costs {share(_twice(joint, 1))}, half of "
        f"it {share(_twice(joint, -1))}; twice the best batch at its own best lr {share(_batch_twice(joint))}"
    )
    scatter = []
    if hp.between.known:
        lr, batch = hp.between.octaves
        told = f"optima of single cells lie {lr:.2f} octaves of lr and {batch:.2f} of batch around the laws (sd)"
        scatter = [f"cells      {told}"]
    lines = [
        str(hp.powers),
        f"recipe     {hp.powers.recipe}; {len(hp.powers.draws):,} refits to resampled {unit}",
        f"data       {data}",
        f"surface    {fitted}; residual {share(joint.rms)}",
        *spread,
        *scatter,
        f"shape      {costs}",
        *(str(notice) for notice in hp.warnings),
    ]
    return "\n".join(lines)


def _twice(joint: Joint, octaves: float) -> float:
    return float(joint.shape.excess(octaves * np.log(2.0), 0.0))


def _batch_twice(joint: Joint) -> float:
    y = np.log(2.0)
    return float(joint.shape.excess(joint.shape.values[6] * y, y))


def notices(sweep: Sweep, joint: Joint, own: Sequence[Surface | None], between: Between) -> list[Notice]:
    """What calls for care in a fitted law."""
    found = unit_doubts(sweep.runs)
    sides = sweep.edges()
    for label, side in zip(("learning rate", "batch"), sides, strict=True):
        at = np.flatnonzero(side)
        if len(at):
            ends = ", ".join(f"{sweep.name(c)} ({'lowest' if side[c] < 0 else 'highest'})" for c in at[:5])
            message = f"the best run has the lowest or highest {label} of its cell in {len(at)} cells: {ends}"
            found.append(
                Notice(code="optimum-at-edge", severity="warning", message=message, details={"cells": at.tolist()})
            )
    if joint.fixed:
        single = [name for name, column in (("N", sweep.N), ("D", sweep.D)) if np.ptp(np.log(column)) <= 0.05]
        why = f"all cells have one {' and one '.join(single)}" if single else "N and D rise together in all cells"
        where = " and ".join(single) if single else "ratio of D to N"
        message = f"{why}: {', '.join(joint.fixed)} cannot be told, so predictions are for the measured {where} only"
        found.append(
            Notice(code="not-identified", severity="serious", message=message, details={"held": list(joint.fixed)})
        )
    for name, (low, high) in undetermined(sweep, joint.draws).items():
        unit = " tokens" if name == "batch" else ""
        message = (
            f"these runs do not determine the best {name}: in half of the cells it spreads further over "
            f"{joint.requested:,} refits than all settings that were tried, as from {low:.2g} to {high:.2g}{unit}"
        )
        found.append(Notice(code="not-identified", severity="serious", message=message,
                            details={"of": name, "low": low, "high": high}))  # fmt: skip
    touched = [name for name in joint.at_bound if name != "k"]
    if touched:
        message = f"{', '.join(touched)} of the surface at a bound: the runs are not convex as a whole"
        found.append(Notice(code="at-bound", severity="serious", message=message))
    flat = [sweep.name(s.cell) for s in own if s is not None and not s.convex]
    if flat:
        message = f"{len(flat)} cells are not convex by their own runs: {', '.join(flat[:5])}"
        found.append(Notice(code="cell-not-convex", severity="warning", message=message))
    if joint.failed:
        severe = joint.failed > 0.05 * joint.requested
        message = f"{joint.failed:,} of {joint.requested:,} refits had too few different cells and are left out"
        found.append(
            Notice(code="draws-failed", severity="serious" if severe else "warning", message=message,
                   details={"failed": joint.failed, "draws": joint.requested})
        )  # fmt: skip
    if joint.requested and not between.known:
        message = (
            f"{sweep.cells} cells are no more than the exponents need: how the optima of cells scatter around the "
            "power laws cannot be told, and intervals leave it out"
        )
        found.append(Notice(code="scatter-unknown", severity="serious", message=message))
    if sweep.runs.n_counts == "active":
        message = "N counts activated parameters; laws of lr and batch were found for the total of mixtures of experts"
        found.append(Notice(code="hparams-active-n", severity="warning", message=message))
    return found
