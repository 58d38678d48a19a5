r"""Scaling functions of other models and measures: atomistic models, text-to-image, compute classes of language models.

* DPA3 (2025): energy error of atomistic models, MAE = (x / x0)^-p in size, configurations or their product.
* Text-to-image (Li et al. 2024): alignment score s = a x^b.
* Languini Kitchen (Stanic et al. 2023): perplexity against hours on reference hardware, a h^-b.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from isoloss.law.object import Law, Published, Recipe, Source, law
from isoloss.objective import SquaredError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ENTRIES", "LANGUINI"]

DPA3 = Source("A Graph Neural Network for the Era of Large Atomistic Models", "2506.01686", "Zhang et al.", 2025)
TEXT_TO_IMAGE = Source(
    "On the Scalability of Diffusion-based Text-to-Image Generation", "2404.02883", "Li et al.", 2024
)
LANGUINI = Source(
    "The Languini Kitchen: Enabling Language Modelling Research at Different Scales of Compute",
    "2309.11197",
    "Stanić et al.",
    2023,
)

_FAMILY = "other_models"


def _dpa3(variable: str, scale: float, p: float, unit: str) -> Law:
    """Energy error against one quantity, the others at their best."""
    return law(
        f"({variable} / x0)**(-p)",
        name=f"dpa3_{variable}",
        target="MAE",
        target_unit="meV per atom",
        vars=[variable],
        positive=["x0", "p"],
        bounds={"p": (0.0, 2.0)},
        starts={"x0": (1e6, 1e9, 1e12, 1e20), "p": (0.1, 0.2, 0.4)},
        meanings={"x0": f"where the error would be 1 meV/atom [{unit}]", "p": "exponent"},
        units={variable: unit},
        recipe=Recipe(
            SquaredError(space="log"), "parabola in ln N at each of six budgets, power law through its minima"
        ),
        family=_FAMILY,
        status="second hand",
        source=DPA3,
        notes=(
            (
                "The validation error of the energy on OMat24 (the unit is inferred), one epoch, along the best "
                "allocation: 15.0 at N = 3.26M and 15.3 at 20M configurations."
            ),
            (
                "Five or six points, N from 1M to 3M, 3M to 20M configurations; no errors given and no extrapolation "
                "tested. "
                "There is no floor."
            ),
            "The exponents are nearly consistent: a_N a_D / (a_N + a_D) is 0.1516, printed 0.1545.",
        ),
        published={
            "dpa3": Published({"x0": scale, "p": p}, "arXiv:2506.01686v3, as read by one account", second_hand=True)
        },
    )


def _text_to_image(variable: str, unit: str) -> Law:
    """Alignment score against one quantity."""
    return law(
        f"a * {variable}**b",
        name=f"text_to_image_{variable}",
        target="score",
        target_unit="TIFA score, 0 to 1",
        vars=[variable],
        positive=["a"],
        bounds={"b": (0.0, 1.0)},
        starts={"b": (0.01, 0.03, 0.1, 0.3)},
        meanings={"a": f"score at one unit of {variable}", "b": f"exponent of {variable}, far below 1"},
        units={variable: unit},
        recipe=Recipe(SquaredError(space="log"), "not stated in what could be read"),
        family=_FAMILY,
        status="second hand",
        source=TEXT_TO_IMAGE,
        notes=(
            "The share of TIFA questions answered rightly, higher is better; it must end at 1, so do not extrapolate.",
            "The paper's coefficients could not be checked, and none are given.",
        ),
    )


def _languini() -> Law:
    """Perplexity against hours on the reference hardware."""
    return law(
        "a * h**(-b)",
        name="languini_trend",
        target="perplexity",
        target_unit="1",
        vars=["h"],
        positive=["a"],
        bounds={"b": (0.0, 2.0)},
        starts={"b": (0.05, 0.15, 0.4)},
        meanings={"a": "perplexity after one hour", "b": "exponent of hours"},
        units={"h": "hours on the reference hardware"},
        recipe=Recipe(SquaredError(space="log"), "straight line in logarithms over the classes 6, 12, 24, 48 and 96 h"),
        family=_FAMILY,
        status="form only",
        source=LANGUINI,
        notes=(
            (
                "One family of models at a time. Two families cross at h = (a1 / a2)^(1 / (b1 - b2)); the paper "
                "extrapolates to "
                "about 50,000 hours, so give that an interval."
            ),
            "Tokens and steps of a class are the rule languini_budget.",
        ),
    )


ENTRIES: Mapping[str, Callable[[], Law]] = MappingProxyType(
    {
        "dpa3_N": lambda: _dpa3("N", 1.4e9, 0.4465, "parameters"),
        "dpa3_D": lambda: _dpa3("D", 2.9e12, 0.2296, "configurations seen"),
        "dpa3_ND": lambda: _dpa3("ND", 2.9e21, 0.1545, "parameters times configurations"),
        "text_to_image_N": lambda: _text_to_image("N", "parameters of the backbone"),
        "text_to_image_C": lambda: _text_to_image("C", "FLOPs"),
        "text_to_image_D": lambda: _text_to_image("D", "training images"),
        "languini_trend": _languini,
    }
)
"""The laws of this family by name; each is built when it is first asked for."""
