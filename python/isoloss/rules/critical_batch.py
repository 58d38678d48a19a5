r"""Critical batch size: measuring the noise of the gradient, and what a batch costs (see the laws of the same name)."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from isoloss.errors import DataError
from isoloss.law.parts import Published
from isoloss.laws.compute_optimal import KAPLAN
from isoloss.laws.critical_batch import MCCANDLISH, ZHANG
from isoloss.rules._rule import Quantity, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ENTRIES", "Noise", "Overhead", "Spent"]

_FAMILY = "critical_batch"


class Noise(NamedTuple):
    """Scale of the gradient's noise."""

    scale: Any
    squared_gradient: Any
    trace: Any


def _noise(small: Any, large: Any, norm_small: Any, norm_large: Any) -> Noise:
    if np.any(np.asarray(large) <= small):
        raise DataError("input 'large' is not above 'small'", code="rule-domain", column="large")
    # Each estimate is unbiased, their quotient is not: average over steps before dividing.
    squared = np.mean((large * np.asarray(norm_large) - small * np.asarray(norm_small)) / (np.asarray(large) - small))
    trace = np.mean((np.asarray(norm_small) - norm_large) / (1.0 / np.asarray(small) - 1.0 / np.asarray(large)))
    return Noise(trace / squared if squared > 0.0 else np.nan, squared, trace)


def gradient_noise_scale() -> Rule:
    """Noise scale from squared gradient norms at two batch sizes.

    Examples
    --------
    >>> import isoloss as iso
    >>> # |G|^2 = 2 and tr(Sigma) = 600: norms are 2 + 600 / B
    >>> iso.rules.get("gradient_noise_scale")(small=100, large=300, norm_small=[7, 9], norm_large=[3.5, 4.5]).scale
    300.0
    """
    return Rule(
        name="gradient_noise_scale",
        family=_FAMILY,
        formula=(
            "squared_gradient = mean((large * norm_large - small * norm_small) / (large - small))",
            "trace = mean((norm_small - norm_large) / (1 / small - 1 / large))",
            "scale = trace / squared_gradient",
        ),
        latex_lines=(
            (
                r"|G|^2 = \left\langle \frac{B_l |G_l|^2 - B_s |G_s|^2}{B_l - B_s} \right\rangle, \quad"
                r" \mathrm{tr}\,\Sigma = \left\langle \frac{|G_s|^2 - |G_l|^2}{1/B_s - 1/B_l} \right\rangle"
            ),
            r"B_\mathrm{simple} = \mathrm{tr}\,\Sigma / |G|^2",
        ),
        gives="the simple noise scale in the unit of the batches, |G|^2 and tr(Sigma); NaN where |G|^2 comes out "
        "below zero",
        function=_noise,
        variables={
            "small": Quantity("batch", "small batch"),
            "large": Quantity("batch", "large batch, in the same unit"),
            "norm_small": Quantity("1", "squared norms of the gradient of small batches, one per step"),
            "norm_large": Quantity("1", "of large batches at the same steps"),
        },
        source=MCCANDLISH,
        status="form only",
        notes=("The two means are taken over steps before they are divided; single estimates may be negative.",),
    )


class Overhead(NamedTuple):
    """What a batch costs beside a small one."""

    critical: Any
    overhead: Any
    speedup: Any


def _overhead(batch: Any, a: Any, b: Any, base: Any, allowed: Any) -> Overhead:
    examples = (a * np.asarray(batch) + b) / (a * base + b)
    critical = allowed * b / a + (1.0 + allowed) * base
    return Overhead(critical, examples - 1.0, (a + b / base) / (a + b / np.asarray(batch)))


def batch_overhead() -> Rule:
    """Extra data and saved steps of a batch, where steps are a + b / B.

    Examples
    --------
    >>> import isoloss as iso
    >>> rule = iso.rules.get("batch_overhead")
    >>> round(rule("zhang2024", batch=1024, a=1293.83, b=2834258).critical)
    745
    """
    return Rule(
        name="batch_overhead",
        family=_FAMILY,
        formula=(
            "critical = allowed * b / a + (1 + allowed) * base",
            "overhead = (a * batch + b) / (a * base + b) - 1",
            "speedup = (a + b / base) / (a + b / batch)",
        ),
        gives="batch at which the overhead is what is allowed; extra data and factor of fewer steps, beside the "
        "base batch",
        function=_overhead,
        variables={
            "batch": Quantity("batch", "of the run"),
            "a": Quantity("steps", "least steps, of the law steps_batch"),
            "b": Quantity("batch", "least examples, of the law steps_batch"),
        },
        parameters={
            "base": Quantity("batch", "to compare with"),
            "allowed": Quantity("1", "extra share of data that is accepted"),
        },
        source=ZHANG,
        published={
            "zhang2024": Published(
                {"base": 256.0, "allowed": 0.2},
                "released notebook plots/chinchilla.ipynb",
                note="sequences of 512 tokens",
            )
        },
    )


class Spent(NamedTuple):
    """Steps and compute as they would have been."""

    S_min: Any
    C_min: Any
    tokens: Any


def _spent(S: Any, batch: Any, B_crit: Any, C: Any) -> Spent:
    ratio = np.asarray(B_crit) / batch
    return Spent(S / (1.0 + ratio), C / (1.0 + 1.0 / ratio), np.asarray(S) * batch)


def step_correction() -> Rule:
    """Least steps and least compute for the loss that a run reached at its batch size.

    Examples
    --------
    >>> import isoloss as iso
    >>> spent = iso.rules.get("step_correction")(S=1000, batch=1e6, B_crit=1e6, C=8e18)
    >>> spent.S_min, spent.C_min
    (500.0, 4e+18)
    """
    return Rule(
        name="step_correction",
        family=_FAMILY,
        formula=("S_min = S / (1 + B_crit / batch)", "C_min = C / (1 + batch / B_crit)"),
        gives="steps of an unlimited batch, compute of a small one, and tokens seen",
        function=_spent,
        variables={
            "S": Quantity("steps", "taken"),
            "batch": Quantity("tokens", "batch size"),
            "B_crit": Quantity("tokens", "critical batch size at the loss reached, as kaplan_batch gives"),
            "C": Quantity("FLOPs", "spent"),
        },
        source=KAPLAN,
        status="form only",
        notes=("The laws kaplan_NS, kaplan_C and kaplan_optimal_N are in these quantities.",),
    )


ENTRIES: Mapping[str, Callable[[], Rule]] = MappingProxyType(
    {
        "gradient_noise_scale": gradient_noise_scale,
        "batch_overhead": batch_overhead,
        "step_correction": step_correction,
    }
)
"""The rules of this family by name."""
