r"""Laws of loss against model size, data and compute: what N and D to train.

The central one is the sum of two power laws and a floor, L(N, D) = E + A / N^alpha + B / D^beta (Hoffmann et al. 2022,
approach 3). With C = 6 N D it gives N_opt = G (C/6)^(beta / (alpha + beta)) and D_opt = (C/6) / N_opt, where
G = (alpha A / (beta B))^(1 / (alpha + beta)).

Kaplan et al. (2020) have no floor and couple the two terms, L(N, D) = ((Nc/N)^(alpha_N/alpha_D) + Dc/D)^alpha_D, with N
counted without embeddings.
"""

from __future__ import annotations

from functools import partial
from itertools import product
from math import exp
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from isoloss.law.object import Law, Published, Recipe, Source, law
from isoloss.objective import Huber, SquaredError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

__all__ = ["ENTRIES", "chinchilla", "hoffmann_starts", "kaplan", "power_law"]

_FAMILY = "compute_optimal"
_EXPONENT = (0.0, 2.0)
_EXPONENTS = (0.1, 0.25, 0.4, 0.7, 1.2)
HOFFMANN = Source("Training Compute-Optimal Large Language Models", "2203.15556", "Hoffmann et al.", 2022)
KAPLAN = Source("Scaling Laws for Neural Language Models", "2001.08361", "Kaplan et al.", 2020)


def hoffmann_starts() -> NDArray[np.float64]:
    """The 4,500 start points of Hoffmann et al. (2022), section D.2.

    Returns
    -------
    (4500, 5) ndarray of float64
        Natural values in the order E, A, alpha, B, beta of the law ``chinchilla``: alpha and beta in {0, 0.5, ..., 2},
        ln E in {-1, -0.5, ..., 1}, ln A and ln B in {0, 5, ..., 25}.

    Examples
    --------
    >>> from isoloss.laws.compute_optimal import hoffmann_starts
    >>> hoffmann_starts().shape
    (4500, 5)
    """
    exponents = np.linspace(0.0, 2.0, 5)
    floors = np.exp(np.linspace(-1.0, 1.0, 5))
    amplitudes = np.exp(np.linspace(0.0, 25.0, 6))
    return np.array(list(product(floors, amplitudes, exponents, amplitudes, exponents)), dtype=np.float64)


def chinchilla() -> Law:
    """L = E + A/N^alpha + B/D^beta with the sets of Hoffmann, Besiroglu and Muennighoff.

    Examples
    --------
    >>> import isoloss as iso
    >>> sorted(iso.laws.get("chinchilla").published)[:2]
    ['besiroglu2024', 'hoffmann2022']
    """
    return law(
        "E + A / N**alpha + B / D**beta",
        name="chinchilla",
        positive=["E", "A", "B"],
        # No upper bound on E: noise may put a single run below the floor, and the published recipes set none.
        bounds={"alpha": _EXPONENT, "beta": _EXPONENT},
        # E, A and B enter linearly and are projected out; only the exponents need a grid.
        starts={"alpha": _EXPONENTS, "beta": _EXPONENTS},
        meanings={
            "E": "irreducible loss [nats per token]",
            "A": "scale of the size term, the loss it adds at N = 1 [nats per token]",
            "alpha": "exponent of the size term",
            "B": "scale of the data term, the loss it adds at D = 1 [nats per token]",
            "beta": "exponent of the data term",
        },
        recipe=Recipe(Huber(1e-3, space="log"), "4,500 starts (hoffmann_starts), lowest objective kept"),
        family=_FAMILY,
        status="verified",
        source=HOFFMANN,
        notes=(
            "A and alpha, and B and beta, are correlated above 0.99: compare predictions rather than parameters.",
            "Rounding moves the optimum: N at 5.76e23 FLOPs is 40B unrounded, 32B as printed.",
        ),
        published={
            "hoffmann2022": Published(
                {
                    "E": exp(0.5267228),
                    "A": exp(6.0073404),
                    "alpha": 0.33917084,
                    "B": exp(6.0179186),
                    "beta": 0.2849083,
                },
                "arXiv:2203.15556v1, TeX source of section D.2",
                note="unrounded; N counts all parameters",
            ),
            "hoffmann2022_printed": Published(
                {"E": 1.69, "A": 406.4, "alpha": 0.34, "B": 410.7, "beta": 0.28},
                "arXiv:2203.15556, equation 10 as printed",
                note="rounded exponents; do not allocate with it",
            ),
            "besiroglu2024": Published(
                {
                    "E": exp(0.59711196),
                    "A": exp(6.17795598),
                    "alpha": 0.34781,
                    "B": exp(7.64273236),
                    "beta": 0.36585,
                },
                "Besiroglu et al. 2024, arXiv:2404.10102, output of the released notebook",
                note="240 digitised runs; their likelihood makes it the least-absolute-deviation optimum on log loss",
                intervals={
                    "E": (1.769, 1.871),
                    "A": (285.2, 743.6),
                    "alpha": (0.317, 0.373),
                    "B": (1042.0, 5810.0),
                    "beta": (0.331, 0.415),
                },
            ),
            "muennighoff2023_c4": Published(
                {
                    "E": exp(0.6254804),
                    "A": exp(6.255414),
                    "alpha": 0.3526596,
                    "B": exp(7.3049974),
                    "beta": 0.3526596,
                },
                "Muennighoff et al. 2023, arXiv:2305.16264, released notebook",
                note="C4, single epoch, alpha and beta tied; the base of their law for repeated data",
            ),
        },
    )


def kaplan() -> Law:
    """L = ((Nc/N)^(alpha_N/alpha_D) + Dc/D)^alpha_D, without a floor.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.laws.get("kaplan").published["kaplan2020"].second_hand
    True
    """
    return law(
        "((Nc / N)**(alpha_N / alpha_D) + Dc / D)**alpha_D",
        name="kaplan",
        positive=["Nc", "alpha_N", "Dc", "alpha_D"],
        bounds={"alpha_N": _EXPONENT, "alpha_D": _EXPONENT},
        starts={
            "Nc": (1e10, 1e13, 1e16),
            "alpha_N": (0.04, 0.1, 0.25),
            "alpha_D": (0.04, 0.1, 0.25),
            "Dc": (1e10, 1e13, 1e16),
        },
        meanings={
            "Nc": "size at which the loss would be 1 with unlimited data [parameters]",
            "alpha_N": "exponent of size with unlimited data",
            "alpha_D": "exponent of data with unlimited size",
            "Dc": "data at which the loss would be 1 with unlimited size [tokens]",
        },
        units={"N": "parameters without embeddings", "D": "tokens"},
        recipe=Recipe(SquaredError(space="log"), "early-stopped test loss"),
        family=_FAMILY,
        status="form verified, coefficients second hand",
        source=KAPLAN,
        notes=("There is no irreducible loss, so it must fail at large scale.",),
        published={
            "kaplan2020": Published(
                {"Nc": 6.4e13, "alpha_N": 0.076, "alpha_D": 0.103, "Dc": 1.8e13},
                "arXiv:2001.08361, table 2, as quoted by several later accounts",
                second_hand=True,
                note="WebText2; two digits",
            )
        },
    )


_VARIABLE_MEANING = {"N": "size", "D": "data", "C": "compute"}


def power_law(variable: str) -> Law:
    """L = E + A / x^alpha in one of N, D and C.

    Parameters
    ----------
    variable : {"N", "D", "C"}

    Examples
    --------
    >>> from isoloss.laws.compute_optimal import power_law
    >>> power_law("C").expr
    'E + A / C**alpha'
    """
    what = _VARIABLE_MEANING[variable]
    return law(
        f"E + A / {variable}**alpha",
        name=f"power_law_{variable}",
        vars=[variable],
        positive=["E", "A"],
        bounds={"alpha": _EXPONENT},
        # Exponents of compute are far smaller than those of size and data.
        starts={"alpha": (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5)},
        meanings={
            "E": "loss at unlimited " + what + " [nats per token]",
            "A": f"loss above E at {variable} = 1 [nats per token]",
            "alpha": f"exponent of {what}",
        },
        recipe=Recipe(Huber(1e-3, space="log")),
        family=_FAMILY,
        status="form only",
        notes=("A shifted power law in one variable; the other quantities must be constant or out of play.",),
    )


ENTRIES: Mapping[str, Callable[[], Law]] = MappingProxyType(
    {
        "chinchilla": chinchilla,
        "kaplan": kaplan,
        **{f"power_law_{variable}": partial(power_law, variable) for variable in _VARIABLE_MEANING},
    }
)
"""The laws of this family by name; each is built when it is first asked for."""
