r"""Contrastive vision-language models: error against compute, to compare models and data sets.

Nezhurina et al. (2025) fit E(C) = A (C + B)^-alpha + E_inf to the best zero-shot error at each compute, with a shift B
that bends the curve at small compute, and compare model families by where two such curves cross (the rule
``crossover``). Pham et al. (2021) bound the gap between training and test loss by the contrastive batch size.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from isoloss.law.object import Law, Published, Recipe, Source, law
from isoloss.objective import SquaredError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["BASIC", "ENTRIES", "LAION", "basic_batch_gap", "laion_error", "laion_optimal_samples"]

_FAMILY = "vision_language"
LAION = Source(
    "Scaling Laws for Robust Comparison of Open Foundation Language-Vision Models and Datasets",
    "2506.04598",
    "Nezhurina et al.",
    2025,
)
BASIC = Source("Combined Scaling for Zero-shot Transfer Learning", "2111.10050", "Pham et al.", 2021)
_REFIT = "released tables in overview.ipynb of LAION-AI/scaling-laws-for-comparison at 5343917, fitted by its recipe"
_COMPUTE = "forward GFLOPs per sample times samples"
_FORWARD = "C counts the forward pass only, in GFLOPs: no factor for the backward pass."


def laion_error() -> Law:
    """E(C) = A (C + B)^-alpha + E_inf.

    Examples
    --------
    >>> import isoloss as iso
    >>> known = iso.laws.get("laion_error").bind("mammut_datacomp_imagenet")
    >>> round(1 - known(C=2.59e12), 3)  # accuracy of MaMMUT-L/14 after 12.8B samples; 0.820 in the paper
    0.821
    """
    table = {
        "clip_datacomp_imagenet": (52.62, 1.011e8, 0.2206, 0.101, 22, 0.0147),
        "mammut_datacomp_imagenet": (79.71, 1.987e8, 0.2326, 0.076, 24, 0.0084),
        "clip_datacomp_coco_t2i": (48.98, 9.39e7, 0.2254, 0.210, 22, 0.0120),
        "mammut_datacomp_coco_t2i": (81.73, 1.67e8, 0.2436, 0.197, 24, 0.0088),
        "clip_relaion_imagenet": (22.33, 8.31e7, 0.1756, 0.095, 18, 0.0073),
        "mammut_relaion_imagenet": (25.26, 2.10e8, 0.1683, 0.000, 21, 0.0066),
    }
    return law(
        "A * (C + B)**-alpha + E_inf",
        name="laion_error",
        positive=["A", "B", "alpha"],
        bounds={"alpha": (0.0, 2.0), "E_inf": (0.0, None)},
        starts={"B": (1e7, 1e8, 1e9), "alpha": (0.05, 0.1, 0.2, 0.4)},
        meanings={
            "A": "scale of the error",
            "B": "compute that is as good as spent at the start",
            "alpha": "exponent of compute",
            "E_inf": "irreducible error",
        },
        units={"C": _COMPUTE},
        target="Err",
        target_unit="1 - accuracy or 1 - recall@5, zero-shot",
        recipe=Recipe(
            SquaredError(space="raw"),
            "Pareto frontier of finished runs in bins of compute; 3,200 starts; models with more than 1e10 samples out",
        ),
        family=_FAMILY,
        status="form verified",
        source=LAION,
        notes=(
            _FORWARD,
            (
                "The authors print coefficients only in legends of figures that could not be read; the sets here are "
                "refits. "
                "Their parameters are weakly identified, their predictions are not."
            ),
            "The authors' bands use the logarithm of the t quantile and are about three times too narrow.",
        ),
        published={
            key: Published(
                {"A": A, "B": B, "alpha": alpha, "E_inf": E_inf},
                _REFIT,
                note=f"a refit, not the authors' numbers: {points} points, rms {rms}",
            )
            for key, (A, B, alpha, E_inf, points, rms) in table.items()
        },
    )


def laion_optimal_samples() -> Law:
    """Samples seen at the best use of compute, D = k C^q.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.laws.get("laion_optimal_samples").expr
    'k * C**q'
    """
    return law(
        "k * C**q",
        name="laion_optimal_samples",
        positive=["k"],
        bounds={"q": (0.0, 2.0)},
        starts={"q": (0.3, 0.5, 0.7)},
        meanings={"k": "samples at C = 1", "q": "exponent of compute"},
        units={"C": _COMPUTE},
        target="D",
        target_unit="samples seen",
        recipe=Recipe(SquaredError(space="log"), "the best model of each bin of compute"),
        family=_FAMILY,
        status="form verified",
        source=LAION,
        notes=(_FORWARD,),
    )


def basic_batch_gap() -> Law:
    """Gap between test and training loss against contrastive batch size, g0 + c / sqrt(B).

    Examples
    --------
    >>> import isoloss as iso
    >>> law = iso.laws.get("basic_batch_gap")
    >>> law(batch=65536, g0=0.1, c=25.6)
    0.2
    """
    return law(
        "g0 + c / sqrt(batch)",
        name="basic_batch_gap",
        positive=["c"],
        meanings={"g0": "gap at unlimited batch", "c": "what the batch adds, times its root"},
        units={"batch": "image-text pairs per contrastive batch"},
        target="gap",
        target_unit="nats",
        recipe=Recipe(SquaredError(space="raw")),
        family=_FAMILY,
        status="form only",
        source=BASIC,
        notes=(
            (
                "The abstract says that a bigger contrastive batch makes the gap smaller; its theorem could not be "
                "read, "
                "and "
                "the paper fits no curve. This is the simplest curve of that kind."
            ),
            "The model: 6.6B pairs, 3B weights, batch 65,536, 85.7 % on ImageNet without its labels.",
        ),
    )


ENTRIES: Mapping[str, Callable[[], Law]] = MappingProxyType(
    {
        "laion_error": laion_error,
        "laion_optimal_samples": laion_optimal_samples,
        "basic_batch_gap": basic_batch_gap,
    }
)
"""The laws of this family by name; each is built when it is first asked for."""
