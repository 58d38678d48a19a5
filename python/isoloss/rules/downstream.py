r"""From pre-training to tasks: alignment of mixtures, components of capability, predictability, density.

* Isik et al. 2024: how well a mixture of two languages suits a translation task, and tokens for a score.
* Ruan et al. 2024: principal components of a table of benchmarks with gaps.
* Schaeffer et al. 2024: where along the chain from likelihood to accuracy the link with compute is lost.
* Xiao et al. 2024: the size of a reference model with a score, and the density over it.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from isoloss.errors import DataError
from isoloss.law.parts import Published, Source
from isoloss.laws.densing import XIAO
from isoloss.laws.downstream import ISIK, RUAN
from isoloss.rules._rule import Quantity, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    F64 = NDArray[np.float64]

__all__ = ["ENTRIES", "Components", "Density", "Link"]

SCHAEFFER = Source(
    "Why Has Predicting Downstream Capabilities of Frontier AI Models with Scale Remained Elusive?",
    "2406.04391",
    "Schaeffer et al.",
    2024,
)

_FAMILY = "downstream"


def _alignment(source: Any, target: Any, w_source: Any, w_target: Any) -> Any:
    if np.any(np.asarray(source) + target > 1.0 + 1e-12):
        raise DataError("the shares of source and target sum to more than 1", code="rule-domain", column="target")
    return np.asarray(source) * target + w_source * np.asarray(source) + w_target * np.asarray(target)


def translation_alignment() -> Rule:
    """How well a pretraining mixture suits a translation task.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.rules.get("translation_alignment")("isik2024", source=[1, 0.5, 0], target=[0, 0.5, 1])
    array([0.7, 1. , 0.8])
    """
    return Rule(
        name="translation_alignment",
        family=_FAMILY,
        formula=("alignment = source * target + w_source * source + w_target * target",),
        gives="score from 0 to 1; the law isik_score was found to hold where it is high",
        function=_alignment,
        variables={
            "source": Quantity("share", "of the source language in pretraining", low=0.0, high=1.0, positive=False),
            "target": Quantity("share", "of the target language", low=0.0, high=1.0, positive=False),
        },
        parameters={
            "w_source": Quantity("1", "weight of the source language alone"),
            "w_target": Quantity("1", "weight of the target language alone"),
        },
        source=ISIK,
        status="second hand",
        published={
            "isik2024": Published(
                {"w_source": 0.7, "w_target": 0.8}, "arXiv:2402.04177, as quoted by one account", second_hand=True
            )
        },
    )


def _tokens(score: Any, A: Any, alpha: Any, beta: Any) -> Any:
    return np.exp((np.asarray(score) ** (1.0 / np.asarray(beta)) - np.log(A)) / alpha)


def tokens_for_score() -> Rule:
    """Pretraining tokens for a translation score, by the law ``isik_score``.

    Examples
    --------
    >>> import isoloss as iso
    >>> coefficients = dict(A=0.01, alpha=0.3, beta=2.0)
    >>> D = iso.rules.get("tokens_for_score")(score=9.0, **coefficients)
    >>> round(iso.laws.get("isik_score")(D=D, **coefficients), 9)
    9.0
    """
    return Rule(
        name="tokens_for_score",
        family=_FAMILY,
        formula=("D = (exp(score**(1 / beta)) / A)**(1 / alpha)",),
        gives="tokens",
        function=_tokens,
        variables={"score": Quantity("BLEU points", "asked for")},
        parameters={
            "A": Quantity("1", "of the law isik_score"),
            "alpha": Quantity("1", "of the law isik_score"),
            "beta": Quantity("1", "of the law isik_score"),
        },
        source=ISIK,
        status="derived",
        notes=("Aligned mixtures only; elsewhere the score need not rise with tokens at all.",),
    )


class Components(NamedTuple):
    """Principal components of benchmarks."""

    scores: F64
    loadings: F64
    explained: F64
    filled: F64


def _components(scores: Any, count: Any, fill: Any) -> Components:
    table = np.array(scores, dtype=np.float64, ndmin=2)
    gaps = np.isnan(table)
    if np.any(gaps.all(axis=0)) or np.any(gaps.all(axis=1)):
        raise DataError("a model or a benchmark has no score at all", code="data-nonfinite", column="scores")
    filled = np.where(gaps, np.nanmean(table, axis=0), table)
    rank = int(fill)
    for _ in range(1000 if gaps.any() else 0):
        mean = filled.mean(axis=0)
        left, singular, right = np.linalg.svd(filled - mean, full_matrices=False)
        guess = mean + (left[:, :rank] * singular[:rank]) @ right[:rank]
        moved = np.abs(guess - filled)[gaps].max()
        filled = np.where(gaps, guess, filled)
        if moved < 1e-10:
            break
    left, singular, right = np.linalg.svd(filled - filled.mean(axis=0), full_matrices=False)
    # Signs are arbitrary: the benchmarks' loadings sum to something positive.
    sign = np.where(right.sum(axis=1) < 0.0, -1.0, 1.0)
    keep = int(count)
    shares = singular**2 / np.sum(singular**2)
    return Components((left * singular * sign)[:, :keep], (right.T * sign)[:, :keep], shares[:keep], filled)


def capability_components() -> Rule:
    """Principal components of a table of models and benchmarks, gaps filled.

    Examples
    --------
    >>> import isoloss as iso
    >>> import numpy as np
    >>> ability = np.linspace(0.1, 0.5, 9)
    >>> table = np.outer(ability, [1.0, 0.8, 1.5])
    >>> table[2, 1] = np.nan
    >>> found = iso.rules.get("capability_components")(scores=table, count=1)
    >>> round(float(found.explained[0]), 6), round(float(found.filled[2, 1] - 0.8 * ability[2]), 6)
    (1.0, 0.0)
    """
    return Rule(
        name="capability_components",
        family=_FAMILY,
        formula=("scores - mean = components @ loadings.T",),
        latex_lines=(r"B_{im} = \bar B_i + \sum_c \gamma_{ic} S_{cm}",),
        gives="scores (models, count), loadings (benchmarks, count), share of the variance of each, table without gaps",
        function=_components,
        variables={
            "scores": Quantity("0 to 1", "(models, benchmarks), NaN where missing", numeric=False),
            "count": Quantity("1", "components to keep", 3.0, low=1.0),
            "fill": Quantity("1", "components that gaps are filled with", 1.0, low=1.0),
        },
        source=RUAN,
        notes=(
            (
                "Columns of the result are S1, S2, ... of the law observational. Gaps are filled until they agree "
                "with the "
                "leading components. Each component's loadings sum to something positive."
            ),
        ),
    )


class Link(NamedTuple):
    """How tightly each metric of the chain follows compute."""

    log_likelihood: Any
    choice_probability: Any
    brier: Any
    accuracy: Any


def _ranks(values: F64) -> F64:
    """Ranks along the first axis, ties averaged."""
    below = (values[None] < values[:, None]).sum(axis=1)
    equal = (values[None] == values[:, None]).sum(axis=1)
    return np.asarray(below + 0.5 * (equal - 1.0), dtype=np.float64)


def _chain(p: Any, correct: Any, compute: Any, above: Any) -> Link:
    p = np.asarray(p)
    if p.ndim != 3 or np.shape(compute) != p.shape[:1] or np.shape(correct) != p.shape[1:2]:
        message = f"p has shape {p.shape}; it needs (models, samples, choices), compute (models,), correct (samples,)"
        raise DataError(message, code="data-shape", column="p")
    right = np.broadcast_to(np.asarray(correct, dtype=int)[None, :, None], (*p.shape[:2], 1))
    own = np.take_along_axis(p, right, axis=2)[..., 0]
    choices = p / p.sum(axis=2, keepdims=True)
    among = np.take_along_axis(choices, right, axis=2)[..., 0]
    brier = np.sum(choices**2, axis=2) - 2.0 * among + 1.0
    hit = (choices.argmax(axis=2) == right[..., 0]).astype(np.float64)
    x = _ranks(np.asarray(compute))
    x = x - x.mean()

    def share(metric: F64) -> float:
        ranks = _ranks(metric)
        ranks = ranks - ranks.mean(axis=0)
        norm = np.sqrt(np.sum(x * x) * np.sum(ranks * ranks, axis=0))
        # A metric that never changes follows nothing.
        linked = np.divide(x @ ranks, norm, out=np.zeros(ranks.shape[1]), where=norm > 0.0)
        return float(np.mean(linked > above))

    return Link(share(np.log(own)), share(among), share(-brier), share(hit))


def predictability_chain() -> Rule:
    """Share of samples whose score follows compute, for each metric from likelihood to accuracy.

    Examples
    --------
    >>> import isoloss as iso
    >>> import numpy as np
    >>> random = np.random.default_rng(0)
    >>> compute = np.geomspace(1e18, 1e23, 8)
    >>> growth = np.linspace(0, 2, 8)[:, None, None]
    >>> p = 0.01 * np.exp(growth + 0.3 * random.standard_normal((8, 200, 4)))
    >>> found = iso.rules.get("predictability_chain")(p=p, correct=np.zeros(200), compute=compute)
    >>> found.log_likelihood > found.choice_probability > found.accuracy
    True
    """
    return Rule(
        name="predictability_chain",
        family=_FAMILY,
        formula=(
            "log_likelihood: ln p(right answer)",
            "choice_probability: p(right answer) / sum of p over the choices",
            "brier: sum over choices of (share - 1[right])^2; accuracy: 1[right answer has the largest p]",
            "share of samples with Spearman(metric, compute) > above",
        ),
        latex_lines=(
            (
                r"\ln p_c \to \frac{p_c}{\sum_j p_j} \to \sum_j \left(\frac{p_j}{\sum_i p_i} - 1_{j=c}\right)^2, \; "
                r"1\left[c = \arg\max_j p_j\right]"
            ),
            r"\mathrm{share} = \Pr\left[\rho_\mathrm{Spearman}(\mathrm{metric}, C) > \mathrm{above}\right]",
        ),
        gives="share of samples whose rank correlation with compute exceeds `above`, for each metric",
        function=_chain,
        variables={
            "p": Quantity("1", "probabilities of the choices as text, (models, samples, choices)"),
            "correct": Quantity("1", "index of the right choice of each sample", positive=False, low=0.0),
            "compute": Quantity("FLOPs", "of each model of one family"),
            "above": Quantity("1", "correlation that counts as following", 0.75, low=-1.0, high=1.0, positive=False),
        },
        source=SCHAEFFER,
        status="second hand",
        states_law=False,
        notes=(
            (
                "On ARC-Challenge about 90 % of samples follow in log-likelihood and 40 % after renormalising over the "
                "choices "
                "(second hand): the wrong choices are what makes accuracy hard to predict."
            ),
            "Brier scores are negated, so that higher is better for every metric.",
        ),
    )


class Density(NamedTuple):
    """A model beside the reference."""

    density: Any
    effective_size: Any
    loss: Any


def _density(
    score: Any, N: Any, a: Any, alpha: Any, b: Any, beta: Any, c: Any, gamma: Any, l: Any, d: Any, D0: Any
) -> Density:
    score = np.asarray(score, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        loss = l - np.log(c / (score - d) - 1.0) / gamma
        rest = loss - b * np.asarray(D0) ** -beta
        size = np.where(rest > 0.0, (rest / a) ** (-1.0 / np.asarray(alpha)), np.nan)
    return Density(size / N, size, loss)


def capacity_density() -> Rule:
    """Size of the reference model of the same score, and density.

    Examples
    --------
    >>> import isoloss as iso
    >>> reference = dict(a=8.0, alpha=0.1, b=60.0, beta=0.2, c=0.6, gamma=-4.0, l=1.0, d=0.25)
    >>> loss = iso.laws.get("densing_loss")(N=7e9, D=1e12, **{k: reference[k] for k in ("a", "alpha", "b", "beta")})
    >>> score = iso.laws.get("densing_score")(L=loss, **{k: reference[k] for k in ("c", "gamma", "l", "d")})
    >>> found = iso.rules.get("capacity_density")(score=score, N=3.5e9, **reference)
    >>> round(found.density, 6), round(found.effective_size / 1e9, 6)
    (2.0, 7.0)
    """
    return Rule(
        name="capacity_density",
        family=_FAMILY,
        formula=(
            "loss = l - log(c / (score - d) - 1) / gamma",
            "effective_size = ((loss - b * D0**(-beta)) / a)**(-1 / alpha)",
            "density = effective_size / N",
        ),
        gives="density; size a reference model would need for the score, and its loss. NaN where no size gives the "
        "score",
        function=_density,
        variables={
            "score": Quantity("0 to 1", "of the model, between d and d + c", positive=False, low=0.0, high=1.0),
            "N": Quantity("parameters", "of the model"),
        },
        parameters={
            "a": Quantity("nats", "of the law densing_loss"),
            "alpha": Quantity("1", "of the law densing_loss"),
            "b": Quantity("nats", "of the law densing_loss"),
            "beta": Quantity("1", "of the law densing_loss"),
            "c": Quantity("1", "of the law densing_score"),
            "gamma": Quantity("1/nats", "of the law densing_score, below zero", high=-1e-300, positive=False),
            "l": Quantity("nats", "of the law densing_score"),
            "d": Quantity("1", "of the law densing_score", positive=False, low=0.0),
            "D0": Quantity("tokens", "of the reference models", 1e12),
        },
        source=XIAO,
        notes=("The constants of the reference models were not found; fit the laws densing_loss and densing_score.",),
    )


ENTRIES: Mapping[str, Callable[[], Rule]] = MappingProxyType(
    {
        "translation_alignment": translation_alignment,
        "tokens_for_score": tokens_for_score,
        "capability_components": capability_components,
        "predictability_chain": predictability_chain,
        "capacity_density": capacity_density,
    }
)
"""The rules of this family by name."""
