"""Approach 2 beside approach 3: the vertices of isoFLOP parabolas, and what the fitted law allocates at their budgets.

Hoffmann et al. (2022) found the best size in three ways. The second needs no law: the runs of each budget have a
parabola in ln N, and its vertex is the best size. Where a law fitted to the same runs says otherwise, one of the two is
wrong: the law's form, or a parabola through runs that lie far to one side (`isoloss.rules.get("isoflop_optima")`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from isoloss.engine.problem import F64
from isoloss.errors import DataError
from isoloss.runs.rungs import by_value
from isoloss.runs.table import make_frame
from isoloss.shown import Shown
from isoloss.units import format_number, format_si

if TYPE_CHECKING:
    from isoloss.fit.object import Fit

__all__ = ["Agreement", "IsoFlop", "isoflop"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class IsoFlop(Shown):
    """Best sizes by budget, straight from runs; made by `Fit.isoflop`.

    Attributes
    ----------
    C, N, D, loss : (k,) float64
        Budgets whose runs bracket an optimum, with its size, tokens and loss.
    exponent, coefficient : float
        N_opt = coefficient * C**exponent; NaN for fewer than two budgets.
    passed_over : int
        Budgets whose runs bracket no optimum, or are fewer than three sizes.
    """

    C: F64
    N: F64
    D: F64
    loss: F64
    exponent: float
    coefficient: float
    passed_over: int
    frame: str = "dict"

    def agrees(self, fit: Fit) -> Agreement:
        """These sizes beside those that a fitted law allocates to the same budgets.

        Parameters
        ----------
        fit : Fit
            Of a law of N and D; its attached draws give intervals.
        """
        plan = fit.allocate(C=self.C)
        low, high = plan.intervals.get("N", (np.full_like(self.N, np.nan), np.full_like(self.N, np.nan)))
        exponent = np.polyfit(np.log(self.C), np.log(plan.N), 1)[0] if len(self.C) > 1 else np.nan
        return Agreement(isoflop=self, N=plan.N, low=low, high=high, exponent=float(exponent))

    def __str__(self) -> str:
        lines = [
            f"C {format_number(float(C), 3)}: N {format_si(float(N), 3)} | D {format_si(float(D), 3)} | "
            f"loss {format_number(float(loss), 4)}"
            for C, N, D, loss in zip(self.C, self.N, self.D, self.loss, strict=True)
        ]
        if self.passed_over:
            lines.append(f"{self.passed_over} budgets whose runs bracket no optimum are passed over")
        return "\n".join([*lines, f"N_opt ~ C**{format_number(self.exponent, 3)}"])


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Agreement(Shown):
    """Two approaches side by side; made by `IsoFlop.agrees`.

    Attributes
    ----------
    isoflop : IsoFlop
    N : (k,) float64
        What the fitted law allocates, with `low` and `high`, (k,), the ends of its interval: NaN without draws.
    exponent : float
        Of the law's N over C at these budgets.
    """

    isoflop: IsoFlop
    N: F64
    low: F64
    high: F64
    exponent: float

    @property
    def ratio(self) -> F64:
        """(k,) size by parabolas over size by the law."""
        return np.asarray(self.isoflop.N / self.N)

    @property
    def table(self) -> Any:
        """A row for each budget, as a frame of the kind the runs came in."""
        columns = {"C": self.isoflop.C, "N_isoflop": self.isoflop.N, "N_law": self.N, "ratio": self.ratio}
        if np.isfinite(self.low).any():
            columns |= {"N_law_low": self.low, "N_law_high": self.high}
        return make_frame(columns, self.isoflop.frame)

    def __str__(self) -> str:
        lines = []
        for k, C in enumerate(self.isoflop.C):
            law = format_si(float(self.N[k]), 3)
            if np.isfinite(self.low[k]):
                law += f" [{format_si(float(self.low[k]), 3)}, {format_si(float(self.high[k]), 3)}]"
            size = format_si(float(self.isoflop.N[k]), 3)
            lines.append(f"C {format_number(float(C), 3)}: parabola {size}, law {law}, ratio {self.ratio[k]:.2f}")
        lines.append(f"exponents: parabolas {self.isoflop.exponent:.3f}, law {self.exponent:.3f}")
        return "\n".join(lines)


def isoflop(fit: Fit, within: float) -> IsoFlop:
    """Vertices of the parabolas of each budget; see `isoloss.Fit.isoflop`."""
    from isoloss import rules

    runs = fit.counted().runs
    N, C, loss = runs.require("N", "C", "loss")
    rungs = by_value(C)
    # Budgets that agree to a few per cent are one, at their geometric mean.
    level = np.array([_middle(C[rungs == k]) for k in range(int(rungs.max()) + 1)])
    found = rules.get("isoflop_optima")(N=N, C=level[rungs], loss=loss, within=within)
    known = np.isfinite(found.N)
    if not known.any():
        message = "no budget has runs of three sizes around an optimum: these are no isoFLOP runs"
        raise DataError(message, code="data-too-few-points", budgets=len(level))
    return IsoFlop(
        C=found.C[known],
        N=found.N[known],
        D=found.D[known],
        loss=found.loss[known],
        exponent=found.exponent,
        coefficient=found.coefficient,
        passed_over=int((~known).sum()),
        frame=runs.frame,
    )


def _middle(values: F64) -> float:
    """The geometric mean; what is all the same stays so to the last bit."""
    return float(values[0]) if np.ptp(values) == 0.0 else float(np.exp(np.mean(np.log(values))))
