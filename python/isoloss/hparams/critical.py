r"""The critical batch size: from where on a larger batch costs data.

At a fixed number of tokens a batch above the best one loses some of what the tokens could teach. The loss it ends at
could be had from fewer tokens with the best batch; the *critical batch* is where that saving is a given overhead, by
default 20 %: B_crit(N, D) with

    F(N, D (1 + overhead)) exp(b ln(B / batch\*)^2) = F(N, D),   learning rate at its best for the batch

Here F is the least loss of a cell, taken as a power law of D around the cells: ln F = const + p ln N + q ln D, so that
ln(B_crit / batch\*) = sqrt(-q ln(1 + overhead) / b). That the overhead is counted at fixed loss is as in Zhang et al.
(2024, arXiv:2410.21676); their reference is the data a small batch needs, ours the data the best batch needs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from isoloss.errors import Notice, OptionError
from isoloss.fit.many import fit_many
from isoloss.hparams.shape import SHARED
from isoloss.law.object import law
from isoloss.shown import Shown
from isoloss.units import format_si

if TYPE_CHECKING:
    from isoloss.hparams.law import HParamLaw

__all__ = ["CriticalBatch", "critical_batch_of"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CriticalBatch(Shown):
    """The batch at which data needed exceed those of the best batch by an overhead.

    Attributes
    ----------
    N, D : float
    overhead : float
    batch : float
        In tokens; NaN where the loss of the cells does not fall with D.
    interval : (low, high)
        For a new cell; what data are worth (q) is taken as known.
    level : float
    reached : bool
        Whether the cells were swept to batches that much above their best one.
    warnings : tuple of Notice
    """

    N: float
    D: float
    overhead: float
    batch: float
    interval: tuple[float, float]
    level: float
    reached: bool
    warnings: tuple[Notice, ...] = ()

    def __str__(self) -> str:
        if not np.isfinite(self.batch):
            return "\n".join(["no critical batch", *(f"  {notice}" for notice in self.warnings)])
        low, high = (format_si(v) for v in self.interval)
        head = f"critical batch {format_si(self.batch)} tok [{low}, {high}] at {100 * self.overhead:g} % more data"
        return "\n".join([head, *(f"  {notice}" for notice in self.warnings)])


def critical_batch_of(hp: HParamLaw, N: float, D: float, overhead: float, level: float) -> CriticalBatch:
    """The critical batch at N and D.

    Parameters
    ----------
    hp : HParamLaw
    N, D : float
    overhead : float
        Share of further data, above zero.
    level : float
        Of the interval.

    Returns
    -------
    CriticalBatch

    Raises
    ------
    OptionError
        The overhead is not above zero.

    Examples
    --------
    >>> import isoloss as iso
    >>> runs = iso.read(iso.simulate.sweep(N=[1e8, 3e8, 1e9], tokens_per_parameter=[10, 40, 160]))
    >>> hp = iso.fit_hparams(runs, draws=100, threshold=0.01)
    >>> hp.critical_batch(N="1B", D="20B").batch > hp.predict(N="1B", D="20B").batch
    True
    """
    if not (overhead > 0.0 and math.isfinite(overhead)):
        raise OptionError(f"overhead={overhead!r} is not a number above zero", argument="overhead")
    sweep, joint = hp.sweep, hp.joint
    slope = _slope(hp)
    nan = float("nan")
    if not slope < 0.0:
        message = "the least loss of the cells does not fall with D, so data cannot be traded against batch"
        notice = Notice(code="critical-batch-unreached", severity="warning", message=message)
        return CriticalBatch(
            N=N, D=D, overhead=overhead, batch=nan, interval=(nan, nan), level=level, reached=False, warnings=(notice,)
        )
    b = SHARED.index("b")
    draws, around = hp.new_cells()
    room = -slope * math.log1p(overhead)
    above = [np.sqrt(room / np.asarray(shape.values[..., b])) for shape in (joint.shape, draws)]
    best = [shape.optimum(N, D)[1] for shape in (joint.shape, draws)]
    low, high = np.exp(around.interval(best[1] + above[1], best[0] + above[0], level))
    # Swept so far above the best batch, in at least half of the cells?
    reach = [
        sweep.ln_batch[sweep.rows(c)].max() - joint.shape.optimum(sweep.N[c], sweep.D[c])[1] for c in range(sweep.cells)
    ]
    reached = bool(np.median(reach) >= float(above[0]))
    warnings: tuple[Notice, ...] = ()
    if not reached:
        message = (
            f"it lies {math.exp(float(above[0])):.1f} times above the best batch, further than most cells were swept: "
            "the surface is extrapolated"
        )
        warnings = (Notice(code="critical-batch-unreached", severity="warning", message=message),)
    return CriticalBatch(
        N=N,
        D=D,
        overhead=overhead,
        batch=math.exp(float(best[0] + above[0])),
        interval=(float(low), float(high)),
        level=level,
        reached=reached,
        warnings=warnings,
    )


def _slope(hp: HParamLaw) -> float:
    """Q of ln F = const + p ln N + q ln D over the floors of the cells; zero where D does not vary."""
    sweep, joint = hp.sweep, hp.joint
    n, d = (np.log(column) - np.log(column).mean() for column in (sweep.N, sweep.D))
    if "lr_D" in joint.fixed:
        return 0.0
    table = fit_many(
        law("c + p * n + q * d", vars=["n", "d"], name="floor_in_logarithms"),
        {"n": n, "d": d},
        np.log(joint.floor),
        starts=np.array([float(np.log(joint.floor).mean()), 0.0, 0.0]),
        objective="squared_raw",
        fix={"p": 0.0} if "lr_N" in joint.fixed else None,
    )
    return float(table["q"][0])
