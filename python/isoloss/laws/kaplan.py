r"""The laws of Kaplan et al. in one quantity, in steps, and in compute (the law in N and D together is `kaplan`).

* L(N) = (Nc / N)^alpha_N, L(D) = (Dc / D)^alpha_D, L(C) = (Cc / C)^alpha_C: each with the other quantities not binding.
* L(N, S) = (Nc / N)^alpha_N + (Sc / S)^alpha_S: the learning curve, S the least number of steps that could do.
* B_crit(L) = Bs / L^(1 / alpha_B) tokens: the batch size at which time and data are traded evenly.
* N_opt(C) = Ne C^p.

N leaves embeddings out, C is compute at the best batch size ("C_min") unless said otherwise, and compute in the paper
is counted in PF-days of 8.64e19 FLOPs; the laws here take FLOPs and hold the unit as the constant ``PF_day``.

Reference: Kaplan et al. (2020), arXiv:2001.08361, equations 1.1 to 1.8 and table 2. No law has an irreducible loss.
The replication on a small scale is the read-me of github.com/shehper/scaling_laws (nanoGPT on OpenWebText).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from isoloss.law.object import Law, Published, Recipe, law
from isoloss.laws.compute_optimal import KAPLAN
from isoloss.objective import SquaredError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ENTRIES", "PF_DAY"]

PF_DAY = 8.64e19
"""FLOPs of a petaflop per second for a day."""

_FAMILY = "kaplan"
_SECOND_HAND = "arXiv:2001.08361, as quoted by two later accounts"
_SHEHPER = "read-me of github.com/shehper/scaling_laws, replication with nanoGPT on OpenWebText"
_RECIPE = Recipe(SquaredError(space="log"), "straight line in logarithms; warm-up 3000 steps, batch 2^19 tokens")
_STATUS = "form verified, coefficients second hand"
_N_UNIT = "parameters without embeddings"
_EXPONENTS = (0.02, 0.05, 0.1, 0.2, 0.4)
_NO_FLOOR = "There is no irreducible loss, so it must fail at large scale."


def _in_size() -> Law:
    """L(N), data and steps not binding."""
    return law(
        "(Nc / N)**alpha_N",
        name="kaplan_N",
        positive=["Nc", "alpha_N"],
        bounds={"alpha_N": (0.0, 2.0)},
        starts={"Nc": (1e10, 1e13, 1e16), "alpha_N": _EXPONENTS},
        meanings={
            "Nc": "size at which the loss would be 1 [parameters]",
            "alpha_N": "exponent of size",
        },
        units={"N": _N_UNIT},
        recipe=_RECIPE,
        family=_FAMILY,
        status=_STATUS,
        source=KAPLAN,
        notes=(_NO_FLOOR,),
        published={
            "kaplan2020": Published({"Nc": 8.8e13, "alpha_N": 0.076}, _SECOND_HAND, second_hand=True, note="WebText2"),
            "shehper2024": Published({"Nc": 3.8e13, "alpha_N": 0.082}, _SHEHPER, note="two digits"),
        },
    )


def _in_data() -> Law:
    """L(D), size not binding, stopped early."""
    return law(
        "(Dc / D)**alpha_D",
        name="kaplan_D",
        positive=["Dc", "alpha_D"],
        bounds={"alpha_D": (0.0, 2.0)},
        starts={"Dc": (1e10, 1e13, 1e16), "alpha_D": _EXPONENTS},
        meanings={"Dc": "data at which the loss would be 1 [tokens]", "alpha_D": "exponent of data"},
        recipe=_RECIPE,
        family=_FAMILY,
        status=_STATUS,
        source=KAPLAN,
        notes=(_NO_FLOOR,),
        published={
            "kaplan2020": Published(
                {"Dc": 5.4e13, "alpha_D": 0.095},
                "arXiv:2001.08361, as quoted by a later account",
                second_hand=True,
                note="WebText2",
            )
        },
    )


def _in_compute() -> Law:
    """L(C) of the best size for each compute."""
    return law(
        "(Cc * PF_day / C)**alpha_C",
        name="kaplan_C",
        positive=["Cc", "alpha_C"],
        bounds={"alpha_C": (0.0, 2.0)},
        starts={"Cc": (1e4, 1e7, 1e10), "alpha_C": _EXPONENTS},
        constants={"PF_day": PF_DAY},
        meanings={"Cc": "compute at which the loss would be 1 [PF-days]", "alpha_C": "exponent of compute"},
        recipe=_RECIPE,
        family=_FAMILY,
        status=_STATUS,
        source=KAPLAN,
        notes=(
            _NO_FLOOR,
            (
                "Two conventions: compute at the best batch size (the set kaplan2020), or as spent at one fixed batch "
                "size (kaplan2020_fixed_batch)."
            ),
        ),
        published={
            "kaplan2020": Published(
                {"Cc": 3.1e8, "alpha_C": 0.050}, _SECOND_HAND, second_hand=True, note="C at the best batch size"
            ),
            "kaplan2020_fixed_batch": Published(
                {"Cc": 1.6e7, "alpha_C": 0.057},
                "arXiv:2001.08361, as quoted by a later account",
                second_hand=True,
                note="C as spent",
            ),
            "shehper2024": Published({"Cc": 1.8e5, "alpha_C": 0.074}, _SHEHPER, note="two digits"),
        },
    )


def _learning_curve() -> Law:
    """L(N, S): size and training steps, data not binding."""
    return law(
        "(Nc / N)**alpha_N + (Sc / S)**alpha_S",
        name="kaplan_NS",
        positive=["Nc", "alpha_N", "Sc", "alpha_S"],
        bounds={"alpha_N": (0.0, 2.0), "alpha_S": (0.0, 2.0)},
        starts={
            "Nc": (1e10, 1e13, 1e16),
            "alpha_N": (0.05, 0.1, 0.25),
            "Sc": (1e2, 1e4),
            "alpha_S": (0.3, 0.7, 1.1),
        },
        meanings={
            "Nc": "size at which the first term would be 1 [parameters]",
            "alpha_N": "exponent of size",
            "Sc": "steps at which the second term would be 1 [steps]",
            "alpha_S": "exponent of steps",
        },
        units={"N": _N_UNIT, "S": "optimiser steps at the best batch size"},
        recipe=_RECIPE,
        family=_FAMILY,
        status=_STATUS,
        source=KAPLAN,
        notes=(
            (
                "S is S_min = S / (1 + B_crit / B), the steps that a very large batch would have taken; see the law "
                "steps_batch."
            ),
            _NO_FLOOR,
        ),
        published={
            "kaplan2020": Published(
                {"Nc": 6.5e13, "alpha_N": 0.077, "Sc": 2.1e3, "alpha_S": 0.76},
                "arXiv:2001.08361, table 3, as converted by a later account",
                second_hand=True,
                note="WebText2; two digits",
            )
        },
    )


def _batch() -> Law:
    """B_crit(L)."""
    return law(
        "Bs / L**(1 / alpha_B)",
        name="kaplan_batch",
        target="B_crit",
        target_unit="tokens",
        vars=["L"],
        positive=["Bs", "alpha_B"],
        bounds={"alpha_B": (0.01, 2.0)},
        starts={"Bs": (1e6, 1e8, 1e10), "alpha_B": (0.1, 0.2, 0.4)},
        meanings={
            "Bs": "critical batch size at a loss of 1 [tokens]",
            "alpha_B": "exponent: the batch grows as L^(-1 / alpha_B)",
        },
        units={"L": "nats per token"},
        recipe=_RECIPE,
        family=_FAMILY,
        status=_STATUS,
        source=KAPLAN,
        notes=("1 / 0.21 is 4.76. A table of rivals in later accounts misprints the first number as 2e18; it is 2e8.",),
        published={
            "kaplan2020": Published(
                {"Bs": 2.1e8, "alpha_B": 0.21}, _SECOND_HAND, second_hand=True, note="2e8 in some places of the paper"
            ),
            "shehper2024": Published({"Bs": 2.2e7, "alpha_B": 1 / 4.26}, _SHEHPER, note="two digits"),
        },
    )


def _optimal_size() -> Law:
    """N_opt(C)."""
    return law(
        "Ne * (C / PF_day)**p",
        name="kaplan_optimal_N",
        target="N_opt",
        target_unit="parameters without embeddings",
        positive=["Ne"],
        bounds={"p": (0.0, 2.0)},
        starts={"p": (0.3, 0.5, 0.7, 0.9)},
        constants={"PF_day": PF_DAY},
        meanings={"Ne": "best size at one PF-day [parameters]", "p": "exponent of compute"},
        recipe=_RECIPE,
        family=_FAMILY,
        status=_STATUS,
        source=KAPLAN,
        notes=(
            (
                "The companions: batch grows as C^0.24 and steps as C^0.03, so data as C^0.27; 100 times the "
                "compute asks "
                "for 28.8 times the size and 3.5 times the data."
            ),
            (
                "The steep exponent comes from how compute, warm-up and learning rates were set (Porian et al. 2024, "
                "arXiv:2406.19146): prefer a law fitted to tuned runs."
            ),
        ),
        published={
            "kaplan2020": Published(
                {"Ne": 1.3e9, "p": 0.73}, _SECOND_HAND, second_hand=True, note="C at the best batch size"
            ),
            "kaplan2020_fixed_batch": Published(
                {"Ne": 1.6e9, "p": 0.88}, _SECOND_HAND, second_hand=True, note="C as spent"
            ),
            "shehper2024": Published({"Ne": 4.2e9, "p": 0.72}, _SHEHPER, note="two digits"),
        },
    )


ENTRIES: Mapping[str, Callable[[], Law]] = MappingProxyType(
    {
        "kaplan_N": _in_size,
        "kaplan_D": _in_data,
        "kaplan_C": _in_compute,
        "kaplan_NS": _learning_curve,
        "kaplan_batch": _batch,
        "kaplan_optimal_N": _optimal_size,
    }
)
"""The laws of this family by name; each is built when it is first asked for."""
