r"""Test-time compute: what samples cost, what they solve, and which choice fits a budget.

* Large Language Monkeys: the unbiased estimate of pass@k, 1 - C(n - m, k) / C(n, k), and the samples for a coverage.
* Kinetics: cost of generation with the traffic of keys and values counted as FLOPs, dense and sparse.
* TTS-VAR: the batch that shrinks with the scales of a visual autoregressive model, and resampling by a score.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from isoloss.errors import DataError
from isoloss.law.parts import Published, Source
from isoloss.laws.test_time import BROWN
from isoloss.rules._rule import Quantity, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

__all__ = ["ENTRIES", "Choice", "Cost", "Scales"]

KINETICS = Source("Kinetics: Rethinking Test-Time Scaling Laws", "2506.05333", "Sadhukhan et al.", 2025)
TTS_VAR = Source(
    "TTS-VAR: A Test-Time Scaling Framework for Visual Auto-Regressive Generation", "2507.18537", "Chen et al.", 2025
)

_FAMILY = "test_time"
_KINETICS_CODE = "github.com/Infini-AI-Lab/Kinetics, cost_model at af7fa57"
_SIDES = (1, 2, 4, 6, 8, 12, 16, 20, 24, 32, 40, 48, 64)
_COPIES = (8, 8, 6, 6, 6, 4, 2, 2, 2, 1, 1, 1, 1)


def _pass_at_k(n: Any, m: Any, k: Any) -> Any:
    n, m, k = np.broadcast_arrays(np.asarray(n, float), np.asarray(m, float), np.asarray(k, float))
    for name, values in (("n", n), ("m", m), ("k", k)):
        if np.any(values != np.floor(values)):
            raise DataError(f"input {name!r} holds a value that is no whole number", code="rule-domain", column=name)
    for name, values in (("m", m), ("k", k)):
        if np.any(values > n):
            raise DataError(f"input {name!r} exceeds the number of samples n", code="rule-domain", column=name)
    result = np.ones(n.shape)
    # 1 - prod over i in (n - m, n] of (1 - k / i), from one running sum of logarithms for each k.
    for each in np.unique(k):
        rows = (k == each) & (n - m >= each)
        if rows.any():
            i = np.arange(each + 1.0, n[rows].max() + 1.0)
            sums = np.concatenate([[0.0], np.cumsum(np.log1p(-each / i))])
            low, high = ((values - each).astype(int) for values in ((n - m)[rows], n[rows]))
            result[rows] = -np.expm1(sums[high] - sums[low]) + 0.0  # no -0
    return result


def pass_at_k() -> Rule:
    """Unbiased estimate of the chance that one of k samples is right.

    Examples
    --------
    >>> import isoloss as iso
    >>> rule = iso.rules.get("pass_at_k")
    >>> round(rule(n=10, m=3, k=2), 12), rule(n=100, m=[0, 5, 100], k=10).round(3)
    (0.533333333333, array([0.   , 0.416, 1.   ]))
    """
    return Rule(
        name="pass_at_k",
        family=_FAMILY,
        formula=("pass_at_k = 1 - C(n - m, k) / C(n, k)",),
        latex_lines=(r"\mathrm{pass@}k = 1 - \binom{n-m}{k} \Big/ \binom{n}{k}",),
        gives="estimate for each problem; its mean over problems is the coverage",
        function=_pass_at_k,
        variables={
            "n": Quantity("samples", "drawn for a problem", low=1.0),
            "m": Quantity("samples", "that are right", positive=False, low=0.0),
            "k": Quantity("samples", "one of which is to be right, at most n", low=1.0),
        },
        source=BROWN,
        notes=("Whole numbers. 1 where fewer than k samples are wrong.",),
    )


def _samples(c: Any, a: Any, b: Any) -> Any:
    return (np.log(c) / a) ** (1.0 / np.asarray(b))


def samples_for_coverage() -> Rule:
    """Samples for a coverage, by the law ``coverage``.

    Examples
    --------
    >>> import isoloss as iso
    >>> round(iso.rules.get("samples_for_coverage")(c=0.56, a=-1.8389, b=-0.2090))
    250
    """
    return Rule(
        name="samples_for_coverage",
        family=_FAMILY,
        formula=("k = (log(c) / a)**(1 / b)",),
        gives="samples per problem",
        function=_samples,
        variables={"c": Quantity("1", "coverage asked for", low=1e-300, high=1.0 - 1e-12)},
        parameters={
            "a": Quantity("1", "ln of the coverage of one sample", high=-1e-300, positive=False),
            "b": Quantity("1", "exponent of the samples", high=-1e-300, positive=False),
        },
        source=BROWN,
        status="derived",
        notes=("Times the cost of a sample, it compares models at equal coverage.",),
    )


class Cost(NamedTuple):
    """FLOP-equivalents of answering a question."""

    compute: Any
    memory: Any
    total: Any


def _kinetics(
    P: Any, g: Any, c: Any, T: Any, Hq: Any, Hkv: Any, d: Any, budget: Any, block: Any, intensity: Any
) -> Cost:
    if budget is None:
        compute = (2.0 * P * g + 2.0 * (2.0 * c + g) * g * Hq * d) * T
        memory = 2.0 * (2.0 * c + g * T) * g * Hkv * d * intensity
        return Cost(compute, memory, compute + memory)
    kept = budget * g - 0.5 * np.maximum(0.0, budget - c) ** 2
    compute = (2.0 * P * g + 4.0 * kept * Hq * d) * T
    memory = 4.0 * kept * Hkv * d * T * intensity
    if block is not None:
        compute = compute + (2.0 * c + g) // block * g * Hq * d * T
        memory = memory + (2.0 * c + g * T) // block * g * Hkv * d * intensity
    return Cost(compute, memory, compute + memory)


def kinetics_cost() -> Rule:
    """FLOP-equivalents of T samples of g tokens, with the traffic of keys and values.

    Examples
    --------
    >>> import isoloss as iso
    >>> shape = dict(P=8.19e9, c=200, T=8, Hq=32, Hkv=8, d=128 * 36)
    >>> cost = iso.rules.get("kinetics_cost")
    >>> round(cost("b200", g=32768, **shape).total / cost("b200", g=16384, **shape).total, 2)
    3.95
    """
    return Rule(
        name="kinetics_cost",
        family=_FAMILY,
        formula=(
            "dense: compute = (2 P g + 2 (2 c + g) g Hq d) T; memory = 2 (2 c + g T) g Hkv d I",
            "sparse: kept = b g - max(0, b - c)^2 / 2; compute = (2 P g + 4 kept Hq d) T; memory = 4 kept Hkv d T I",
            "search of blocks adds ((2 c + g) // block) g Hq d T and ((2 c + g T) // block) g Hkv d I",
        ),
        latex_lines=(
            r"C_\mathrm{dense} = (2 P g + 2 (2c + g) g H_q d)\,T, \quad M_\mathrm{dense} = 2 (2c + g T) g H_{kv} d\, I",
            (
                r"\kappa = b g - \tfrac12 \max(0, b - c)^2, \quad C_\mathrm{sparse} = (2 P g + 4 \kappa H_q d)\,T, "
                r"\quad "
                r"M_\mathrm{sparse} = 4 \kappa H_{kv} d\, T I"
            ),
        ),
        gives="FLOP-equivalents of arithmetic, of memory traffic, and their sum",
        function=_kinetics,
        variables={
            "P": Quantity("parameters", "of the model"),
            "g": Quantity("tokens", "generated per sample"),
            "c": Quantity("tokens", "of the prompt", positive=False, low=0.0),
            "T": Quantity("samples", "of the same prompt, whose cache they share", 1.0, low=1.0),
            "Hq": Quantity("1", "heads of queries"),
            "Hkv": Quantity("1", "heads of keys and values"),
            "d": Quantity("features", "width of a head times layers"),
        },
        parameters={
            "intensity": Quantity("FLOP/element", "I, FLOPs that moving one 16-bit element is worth"),
            "budget": Quantity("tokens", "b, kept of the cache; none is dense", numeric=False),
            "block": Quantity("tokens", "of the blocks searched; none costs no search", numeric=False),
        },
        source=KINETICS,
        states_law=False,
        notes=(
            "The traffic of weights is left out, as in the released code. Dense cost grows as g^2, sparse as g.",
            (
                "The code's version without search cost adds max(0, b - c)^2 / 2 where its block version, rightly, "
                "subtracts."
            ),
            (
                "I = 2250 TFLOP/s over 8 TB/s times 2 bytes. Sizes of the paper: 0.752, 2.03, 4.02, 8.19, 14.77 "
                "and 32.76 "
                "billion."
            ),
        ),
        published={"b200": Published({"intensity": 562.5}, _KINETICS_CODE)},
    )


class Choice(NamedTuple):
    """The best of some choices for each budget."""

    row: NDArray[np.int64]
    value: NDArray[np.float64]
    cost: NDArray[np.float64]


def _best(cost: Any, value: Any, budget: Any) -> Choice:
    cost, value = (a.ravel() for a in np.broadcast_arrays(np.atleast_1d(cost), np.atleast_1d(value)))
    order = np.lexsort((cost, -value))  # best first, among equals the cheapest
    affordable = cost[order] <= np.atleast_1d(budget)[:, None]
    found = affordable.any(axis=1)
    index = np.where(found, order[affordable.argmax(axis=1)], -1)
    return Choice(index, np.where(found, value[index], np.nan), np.where(found, cost[index], np.nan))


def best_within_budget() -> Rule:
    """Which model, length and number of samples to take for a budget.

    Examples
    --------
    >>> import isoloss as iso
    >>> rule = iso.rules.get("best_within_budget")
    >>> rule(cost=[1, 3, 9], value=[0.2, 0.5, 0.45], budget=[0.5, 2, 20]).row
    array([-1,  0,  1])
    """
    return Rule(
        name="best_within_budget",
        family=_FAMILY,
        formula=("row(budget) = argmax of value over cost <= budget",),
        latex_lines=(r"i^*(C) = \arg\max_{i:\,\mathrm{cost}_i \le C} \mathrm{value}_i",),
        gives="row of the best choice for each budget (-1 where none is affordable), its value and cost",
        function=_best,
        variables={
            "cost": Quantity("any", "of each choice (model, samples, length, sparsity)", low=0.0, positive=False),
            "value": Quantity("any", "measured of each choice, higher is better", positive=False),
            "budget": Quantity("as cost", "to stay within", low=0.0, positive=False),
        },
        source=KINETICS,
        states_law=False,
        notes=(
            (
                "The paper's allocation: the frontier of measured accuracy over cost, here the costs of kinetics_cost; "
                "choices "
                "that count FLOPs alone cost up to 3 times as much on AIME24, by its read-me."
            ),
        ),
    )


class Scales(NamedTuple):
    """Work of a shrinking batch over the scales of an image."""

    images: NDArray[np.float64]
    tokens: float
    cost: float


def _scales(N: Any, sides: Any, copies: Any) -> Scales:
    area = np.asarray(_SIDES if sides is None else sides, dtype=np.float64) ** 2
    images = N * np.asarray(_COPIES if copies is None else copies, dtype=np.float64)
    if area.shape != images.shape:
        raise DataError("sides and copies differ in their number of scales", code="rule-domain", column="copies")
    work = float(np.sum(images * area))
    return Scales(images, work, work / float(np.sum(area)))


def tts_var_schedule() -> Rule:
    """Work of a batch that shrinks with the scales.

    Examples
    --------
    >>> import isoloss as iso
    >>> round(iso.rules.get("tts_var_schedule")(N=1).cost, 3)
    1.217
    """
    return Rule(
        name="tts_var_schedule",
        family=_FAMILY,
        formula=("images_i = N * copies_i", "cost = sum(images_i * sides_i**2) / sum(sides_i**2)"),
        latex_lines=(r"\mathrm{cost} = \sum_i N b_i h_i w_i \Big/ \sum_i h_i w_i",),
        gives="images at each scale, tokens processed, and cost in units of one image",
        function=_scales,
        variables={
            "N": Quantity("1", "factor of the schedule"),
        },
        parameters={
            "sides": Quantity("tokens", "of the square scales; the 13 of Infinity if not given", numeric=False),
            "copies": Quantity("images", "at each scale for N = 1; the released schedule if not given", numeric=False),
        },
        source=TTS_VAR,
        states_law=False,
        notes=(
            (
                "Defaults: Infinity at a million pixels, 13 scales, and the released schedule. Counts tokens only; "
                "attention "
                "costs more at the late scales."
            ),
            "The schedule resamples at scales 6 and 9 (resampling_weights) and clusters at 2 and 5.",
        ),
    )


def _weights(score: Any, lam: Any) -> Any:
    score = np.atleast_1d(score)
    raised = np.exp(lam * (score - score.max()))
    return raised / raised.sum()


def resampling_weights() -> Rule:
    """Chances with which candidates are drawn again, from their scores.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.rules.get("resampling_weights")("tts_var", score=[0.5, 0.6, 0.7]).round(3)
    array([0.09 , 0.245, 0.665])
    """
    return Rule(
        name="resampling_weights",
        family=_FAMILY,
        formula=("w_i = exp(lam * score_i) / sum(exp(lam * score_j))",),
        latex_lines=(r"w_i = e^{\lambda s_i} \Big/ \sum_j e^{\lambda s_j}",),
        gives="a weight for each candidate, summing to one",
        function=_weights,
        variables={"score": Quantity("1", "of each candidate", positive=False)},
        parameters={"lam": Quantity("1", "how much a better score counts")},
        source=TTS_VAR,
        states_law=False,
        published={"tts_var": Published({"lam": 10.0}, "released code of TTS-VAR, default")},
    )


ENTRIES: Mapping[str, Callable[[], Rule]] = MappingProxyType(
    {
        "pass_at_k": pass_at_k,
        "samples_for_coverage": samples_for_coverage,
        "kinetics_cost": kinetics_cost,
        "best_within_budget": best_within_budget,
        "tts_var_schedule": tts_var_schedule,
        "resampling_weights": resampling_weights,
    }
)
"""The rules of this family by name."""
