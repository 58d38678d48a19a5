r"""The Step Law with intervals, and what a setting away from the best costs.

The coefficients of the Step Law (Li et al. 2025) are strongly correlated over the 1,000 released bootstrap refits, so
their single intervals say little about a prediction. With the mean m and the covariance V of those refits, in
x = (1, ln N, ln D), the logarithm of the best learning rate is m x with variance x V x; the batch likewise in (1, ln
D).
"""

from __future__ import annotations

from statistics import NormalDist
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from isoloss.laws.step_law import BOOTSTRAP, STEP_LAW
from isoloss.rules._rule import Quantity, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ENTRIES", "Penalty", "Rival", "Settings", "step_law_interval", "step_law_penalty", "step_law_rivals"]

F64 = NDArray[np.float64]
_FAMILY = "step_law"
_LR_MEAN = np.array([0.5863077907399268, -0.7129222911869904, 0.30749095041206964])
_LR_COV = np.array(
    [
        [0.38906211148774494, -0.013558938970776157, -0.005132493532093748],
        [-0.013558938970776157, 0.0008914857372464491, -0.0001743317885256672],
        [-0.005132493532093748, -0.0001743317885256672, 0.00036631184290429863],
    ]
)
_BATCH_MEAN = np.array([-0.5435421736103339, 0.5709443646895045])
_BATCH_COV = np.array([[0.19117963587406547, -0.008151572248019927], [-0.008151572248019927, 0.0003485179394956627]])
"""Mean and covariance of the released refits: logarithm of the scale, then exponents."""

_RATIOS = np.log2([1 / 4, 1 / 2.8, 1 / 2, 1 / 1.41, 1.0, 1.41, 2.0, 2.8, 4.0])
_LR_EXCESS = np.array([0.91, 0.59, 0.32, 0.16, 0.0, 0.19, 0.84, 1.97, 3.9])
_BATCH_EXCESS = np.array([1.58, 1.02, 0.44, 0.18, 0.0, 0.17, 0.44, 0.97, 1.40])


class Settings(NamedTuple):
    """Best settings with the ends of their intervals."""

    lr: F64 | float
    lr_low: F64 | float
    lr_high: F64 | float
    batch: F64 | float
    batch_low: F64 | float
    batch_high: F64 | float


def _interval(N: F64 | float, D: F64 | float, level: float) -> Settings:
    n, d = np.broadcast_arrays(np.log(N), np.log(D))
    wide = NormalDist().inv_cdf(0.5 + level / 2)
    ends = []
    for mean, cov, x in (
        (_LR_MEAN, _LR_COV, np.stack([np.ones_like(n), n, d])),
        (_BATCH_MEAN, _BATCH_COV, np.stack([np.ones_like(d), d])),
    ):
        centre = np.tensordot(mean, x, 1)
        spread = wide * np.sqrt(np.einsum("i...,ij,j...->...", x, cov, x))
        ends += [np.exp(centre), np.exp(centre - spread), np.exp(centre + spread)]
    return Settings(*ends)


def step_law_interval() -> Rule:
    """Learning rate and batch of the Step Law with the interval of its bootstrap.

    Examples
    --------
    >>> import isoloss as iso
    >>> best = iso.rules.get("step_law_interval")(N="1B", D="100B")
    >>> f"{best.lr:.3e} [{best.lr_low:.3e}, {best.lr_high:.3e}]"
    '1.662e-03 [1.525e-03, 1.812e-03]'
    """
    return Rule(
        name="step_law_interval",
        family=_FAMILY,
        formula=("lr = c * N**alpha * D**beta", "batch = d * D**gamma"),
        gives="lr, lr_low, lr_high, batch, batch_low, batch_high [batch in tokens]",
        function=_interval,
        variables={
            "N": Quantity("parameters", "model size without embeddings"),
            "D": Quantity("tokens", "training tokens"),
        },
        parameters={"level": Quantity("1", "confidence level", 0.95, 0.0, 0.9999)},
        source=STEP_LAW,
        status="verified",
        notes=(
            f"Mean and covariance of logarithms over the {BOOTSTRAP.removeprefix('mean of the ')}.",
            "The interval is that of the fitted line, not of the plateau around it, which is far wider.",
        ),
    )


class Penalty(NamedTuple):
    """Excess loss as a fraction of the best loss."""

    lr: F64 | float
    batch: F64 | float


def _penalty(lr_ratio: F64 | float, batch_ratio: F64 | float) -> Penalty:
    return Penalty(
        np.interp(np.log2(lr_ratio), _RATIOS, _LR_EXCESS) / 100,
        np.interp(np.log2(batch_ratio), _RATIOS, _BATCH_EXCESS) / 100,
    )


def step_law_penalty() -> Rule:
    """What a learning rate or a batch away from the best costs.

    Examples
    --------
    >>> import isoloss as iso
    >>> cost = iso.rules.get("step_law_penalty")
    >>> cost(lr_ratio=2).lr, cost(lr_ratio=0.5).lr
    (0.0084, 0.0032)
    """
    return Rule(
        name="step_law_penalty",
        family=_FAMILY,
        formula=("excess = loss / best - 1",),
        gives="lr, batch: median excess of the loss, each with the other setting at its best",
        function=_penalty,
        variables={
            "lr_ratio": Quantity("1", "learning rate over the best one", 1.0, 0.25, 4.0),
            "batch_ratio": Quantity("1", "batch over the best one", 1.0, 0.25, 4.0),
        },
        source=STEP_LAW,
        status="own",
        states_law=False,
        notes=(
            (
                "The paper says that the loss is convex in both logarithms, without a formula. This is the median over "
                "the 17 "
                "released cells of dense models, between nine measured ratios along straight lines."
            ),
            "At four times the best learning rate some runs diverge; those are not in the median.",
        ),
    )


class Rival(NamedTuple):
    """One law of the comparison at one setting."""

    law: str
    lr: float
    batch: float
    excess: float
    caution: str


_PORIAN_SEQUENCE = 2048  # tokens; the one law of the table that counts sequences

_RIVALS: tuple[tuple[str, str, str, float, str], ...] = (
    ("OpenAI", "", "", 9.51e-3, "batch misprinted as 2e18 L^-4.7619; it is 2e8"),
    ("Microsoft", "", "", 9.25e-3, "1.3192e-5 N^-0.23 D^-0.32 as printed gives 1e-11: not usable"),
    (
        "DeepSeek",
        "deepseek_lr",
        "deepseek_batch",
        9.26e-3,
        "constant misprinted as 0.3188; C = 6 N D for its M D",
    ),
    ("Porian", "porian_lr", "porian_batch", 3.71e-3, ""),
    ("MiniCPM", "", "minicpm_batch", np.nan, "constant misprinted as 2e18; it is 1.21e9"),
    ("Step Law", "steplaw_lr", "steplaw_batch", 0.94e-3, ""),
)


def _rivals(N: float, D: float, L: float | None) -> tuple[Rival, ...]:
    from isoloss.laws import get

    def value(name: str) -> float:
        law = get(name) if name else None
        if law is None or ("L" in law.variables and L is None):
            return float("nan")
        at = {"N": N, "D": D, "C": 6.0 * N * D, "L": float("nan") if L is None else L}
        key = "table2" if name.startswith("steplaw") else next(iter(law.published))
        told = float(law.bind(key)(**{name: at[name] for name in law.variables}))
        return told * _PORIAN_SEQUENCE if law.target_unit.startswith("sequences") else told

    rows = []
    for name, lr, batch, excess, caution in _RIVALS:
        rate, size = value(lr), value(batch)
        if name == "OpenAI":
            rate = 3.239e-3 - 1.395e-4 * float(np.log(N))
            size = float("nan") if L is None else 2e8 * L**-4.76190
        rows.append(Rival(name, rate, size, excess, caution))
    return tuple(rows)


def step_law_rivals() -> Rule:
    """Learning rate and batch by every law of the paper's comparison, misprints corrected.

    Examples
    --------
    >>> import isoloss as iso
    >>> for row in iso.rules.get("step_law_rivals")(N="1B", D="100B"):
    ...     print(f"{row.law}: lr {row.lr:.2e}, batch {row.batch:.2e}")
    OpenAI: lr 3.48e-04, batch nan
    Microsoft: lr nan, batch nan
    DeepSeek: lr 7.88e-04, batch 1.83e+06
    Porian: lr 2.13e-03, batch 1.61e+06
    MiniCPM: lr nan, batch nan
    Step Law: lr 1.63e-03, batch 1.11e+06
    """
    return Rule(
        name="step_law_rivals",
        family=_FAMILY,
        formula=("openai: lr = 3.239e-3 - 1.395e-4 * log(N), batch = 2e8 * L**-4.7619",),
        latex_lines=(r"\mathrm{OpenAI:}\ lr = 3.239 \times 10^{-3} - 1.395 \times 10^{-4} \ln N",),
        gives="one row a law: law, lr, batch [tokens], excess of the loss over an exhaustive search, caution; NaN "
        "where a "
        "law says nothing or needs the loss L",
        function=_rivals,
        variables={
            "N": Quantity("parameters", "model size without embeddings"),
            "D": Quantity("tokens", "training tokens"),
            "L": Quantity("nats per token", "loss to reach, for laws of it", optional=True),
        },
        source=STEP_LAW,
        status="second hand",
        notes=(
            (
                "The comparison is table 1 of the paper, read in lecture notes that reproduce it; the excess is the "
                "table's."
            ),
            (
                "DeepSeek, Porian and MiniCPM stand in the registry with their own papers' coefficients, which are "
                "used "
                "here. "
                "MeiTuan's law is listed there without numbers."
            ),
        ),
    )


ENTRIES: Mapping[str, Callable[[], Rule]] = MappingProxyType(
    {"step_law_interval": step_law_interval, "step_law_penalty": step_law_penalty, "step_law_rivals": step_law_rivals}
)
"""The rules of this family by name."""
