r"""Learning curves: error against the number of training samples.

Hestness et al. (2017) see three regions: guessing while data are few, a power law a m^beta + g, and a floor g of what
one model can reach; over "the best of all sizes" the floor is gone. Bahri et al. (2021) explain which exponents there
are: 1 where the variance of a finite sample (or width) is what is left, the manifold's 4/d where resolution limits.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from isoloss.law.object import Law, Published, Recipe, Source, law
from isoloss.objective import SquaredError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "BAHRI",
    "ENTRIES",
    "HESTNESS",
    "hestness",
    "hestness_composite",
    "hestness_regions",
    "resolution_limited_data",
    "resolution_limited_size",
    "variance_limited_data",
    "variance_limited_width",
]

_FAMILY = "learning_curves"
HESTNESS = Source("Deep Learning Scaling is Predictable, Empirically", "1712.00409", "Hestness et al.", 2017)
BAHRI = Source("Explaining Neural Scaling Laws", "2102.06701", "Bahri et al.", 2021)
_SAMPLES = "training samples; words for language, hours for speech"
_ERROR = "validation error, or loss in nats"
_EXPONENTS = (
    "Exponents of further tasks stand with the rule hestness_data. Changing the architecture or the optimiser moves a, "
    "not beta."
)
_STRAIGHT = Recipe(SquaredError(space="log"), "a straight line in logarithms; mean over seeds and draws of the data")


def _translation(what: str, **params: float) -> Published:
    return Published(
        params,
        "arXiv:1712.00409, figure 1, as written out in a lecture's notes",
        second_hand=True,
        note=f"token error rate of translation against training tokens, {what}",
    )


def hestness() -> Law:
    """error(m) = a m^beta + g for one model, beta below zero.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.laws.get("hestness")(m=16.0, a=2.0, beta=-0.5, g=0.25)
    0.75
    """
    return law(
        "a * m**beta + g",
        name="hestness",
        vars=["m"],
        positive=["a"],
        bounds={"beta": (-1.0, 0.0), "g": (0.0, "min_loss")},
        starts={"beta": (-0.07, -0.15, -0.3, -0.5)},
        meanings={"a": "scale of the error", "beta": "exponent of data", "g": "error that this model cannot go below"},
        units={"m": _SAMPLES},
        target="error",
        target_unit=_ERROR,
        recipe=Recipe(
            SquaredError(space="log"),
            "shards of the data in steps of two; median of the least validation error over seeds",
        ),
        family=_FAMILY,
        status="second hand",
        source=HESTNESS,
        notes=(_EXPONENTS, "Observed exponents are -0.07 to -0.5; theory says -0.5 or -1."),
        published={
            "translation_208": _translation("208 hidden units", a=41.2, beta=-0.36, g=0.39),
            "translation_512": _translation("512 hidden units", a=21.5, beta=-0.30, g=0.32),
        },
    )


def hestness_composite() -> Law:
    """error(m) = a m^beta, the best of all model sizes at each m.

    Examples
    --------
    >>> import isoloss as iso
    >>> round(iso.laws.get("hestness_composite")(m=2.0, a=1.0, beta=-0.128), 3)  # a doubling of the data
    0.915
    """
    return law(
        "a * m**beta",
        name="hestness_composite",
        vars=["m"],
        positive=["a"],
        bounds={"beta": (-1.0, 0.0)},
        starts={"beta": (-0.07, -0.15, -0.3, -0.5)},
        meanings={"a": "scale of the error", "beta": "exponent of data"},
        units={"m": _SAMPLES},
        target="error",
        target_unit=_ERROR,
        recipe=_STRAIGHT,
        family=_FAMILY,
        status="second hand",
        source=HESTNESS,
        notes=(_EXPONENTS,),
        published={"translation": _translation("best model at each size of the data", a=3.87, beta=-0.13)},
    )


def hestness_regions() -> Law:
    """error(m) = min(guess, a m^beta + g): guessing, power law, floor.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.laws.get("hestness_regions")(m=1.0, a=2.0, beta=-0.5, g=0.1, guess=0.9)
    0.9
    """
    return law(
        "min(guess, a * m**beta + g)",
        name="hestness_regions",
        vars=["m"],
        positive=["guess", "a"],
        bounds={"beta": (-1.0, 0.0), "g": (0.0, "min_loss")},
        starts={"guess": (0.5, 0.9, 1.0, 4.0), "beta": (-0.1, -0.3, -0.6), "a": (1.0, 10.0, 100.0), "g": (0.0, 0.1)},
        meanings={
            "guess": "error of guessing",
            "a": "scale of the error",
            "beta": "exponent of data",
            "g": "error that this model cannot go below",
        },
        units={"m": _SAMPLES},
        target="error",
        target_unit=_ERROR,
        recipe=Recipe(SquaredError(space="log")),
        family=_FAMILY,
        status="second hand",
        source=HESTNESS,
        notes=("Fix guess where it is known, as 1 - 1/classes.",),
    )


def _variance(variable: str, unit: str, name: str, condition: str, note: str) -> Law:
    return law(
        f"L_inf + a / {variable}",
        name=name,
        vars=[variable],
        positive=["a"],
        bounds={"L_inf": (0.0, None)},
        meanings={"L_inf": f"loss at unlimited {unit}", "a": f"loss that {unit} = 1 would add"},
        units={variable: unit},
        recipe=Recipe(SquaredError(space="log"), "the measured limit subtracted, then the slope in logarithms"),
        family=_FAMILY,
        status="form verified",
        source=BAHRI,
        notes=(f"Holds where {condition}. The exponent is 1 for every task and architecture.", note),
    )


def variance_limited_data() -> Law:
    """L(D) = L_inf + a / D, for a model far smaller than its data.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.laws.get("variance_limited_data")(D=100.0, L_inf=0.5, a=3.0)
    0.53
    """
    return _variance(
        "D",
        "samples",
        "variance_limited_data",
        "D is far above the number of parameters",
        "L_inf is that of this model.",
    )


def variance_limited_width() -> Law:
    """L(w) = L_inf + a / w, for a network far wider than its data.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.laws.get("variance_limited_width")(w=100.0, L_inf=0.5, a=3.0)
    0.53
    """
    return _variance(
        "w",
        "width",
        "variance_limited_width",
        "the width is far above the number of samples",
        "In linear models on random features the number of parameters takes the place of the width.",
    )


def _resolution(variable: str, unit: str, name: str, condition: str) -> Law:
    return law(
        f"a * {variable}**-alpha",
        name=name,
        vars=[variable],
        positive=["a"],
        bounds={"alpha": (0.0, 4.0)},
        starts={"alpha": (0.1, 0.3, 1.0)},
        meanings={"a": f"loss at {variable} = 1", "alpha": "about 4/d on a data manifold of dimension d"},
        units={variable: unit},
        recipe=_STRAIGHT,
        family=_FAMILY,
        status="form verified",
        source=BAHRI,
        notes=(
            f"Holds where {condition}. No floor: the models interpolate.",
            (
                "alpha >= 1/d; about n/d with n >= 2, and n = 4 for piecewise linear networks; alpha_K where a kernel "
                "has the "
                "spectrum i^-(1 + alpha_K), for data and size alike. The dimension of a manifold: rule "
                "manifold_dimension."
            ),
        ),
    )


def resolution_limited_data() -> Law:
    """L(D) = a D^-alpha, for a model far larger than its data.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.laws.get("resolution_limited_data")(D=16.0, a=2.0, alpha=0.5)
    0.5
    """
    return _resolution("D", "samples", "resolution_limited_data", "1 << D << parameters")


def resolution_limited_size() -> Law:
    """L(N) = a N^-alpha, for data far more than the model can hold.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.laws.get("resolution_limited_size")(N=16.0, a=2.0, alpha=0.5)
    0.5
    """
    return _resolution("N", "parameters", "resolution_limited_size", "1 << parameters << D")


ENTRIES: Mapping[str, Callable[[], Law]] = MappingProxyType(
    {
        "hestness": hestness,
        "hestness_composite": hestness_composite,
        "hestness_regions": hestness_regions,
        "variance_limited_data": variance_limited_data,
        "variance_limited_width": variance_limited_width,
        "resolution_limited_data": resolution_limited_data,
        "resolution_limited_size": resolution_limited_size,
    }
)
"""The laws of this family by name; each is built when it is first asked for."""
