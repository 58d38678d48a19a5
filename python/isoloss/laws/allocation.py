r"""Best size as a power of compute, whatever approach it came from: N_opt = G (C / 6)^a, D_opt = (C / 6) / N_opt.

Under the law `chinchilla` a = beta / (alpha + beta) and G = (alpha A / (beta B))^(1 / (alpha + beta)) exactly. The
first two approaches of Hoffmann et al. (2022) find the line from runs directly, see the rules envelope_optima and
isoflop_optima.
"""

from __future__ import annotations

from math import exp, log
from types import MappingProxyType
from typing import TYPE_CHECKING

from isoloss.law.object import Law, Published, Recipe, law
from isoloss.laws.compute_optimal import HOFFMANN
from isoloss.objective import SquaredError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ENTRIES"]


def _from_law(log_A: float, alpha: float, log_B: float, beta: float) -> dict[str, float]:
    """G and a of a fitted law `chinchilla`."""
    return {
        "G": exp((log(alpha / beta) + log_A - log_B) / (alpha + beta)),
        "a": beta / (alpha + beta),
    }


def _from_table(small: tuple[float, float], large: tuple[float, float]) -> dict[str, float]:
    """G and a through two pairs of best size and tokens."""
    products = [N * D for N, D in (small, large)]
    a = log(large[0] / small[0]) / log(products[1] / products[0])
    return {"G": small[0] / products[0] ** a, "a": a}


def _optimal() -> Law:
    """N_opt against compute."""
    return law(
        "G * (C / 6)**a",
        name="optimal_N",
        target="N_opt",
        target_unit="parameters",
        positive=["G"],
        bounds={"a": (0.0, 1.5)},
        starts={"a": (0.3, 0.5, 0.7)},
        meanings={"G": "best size where C / 6, that is N D, is one", "a": "exponent of compute"},
        recipe=Recipe(SquaredError(space="log"), "straight line in logarithms through optima at many computes"),
        family="allocation",
        status="verified",
        source=HOFFMANN,
        notes=(
            (
                "The three approaches of the paper have exponents 0.50, 0.49 and 0.46; of the second no coefficient "
                "was found."
            ),
            "Tokens are (C / 6) / N_opt.",
        ),
        published={
            "hoffmann2022_approach1": Published(
                _from_table((1e9, 20.2e9), (10e9, 205.1e9)),
                "arXiv:2203.15556, table of approach 1 as quoted by a later account: 1B on 20.2B tokens, 10B on 205.1B",
                second_hand=True,
                note="the line through these two",
            ),
            "hoffmann2022_approach3": Published(
                _from_law(6.0073404, 0.33917084, 6.0179186, 0.2849083),
                "arXiv:2203.15556v1, TeX source of section D.2, by algebra",
                note="unrounded; 40B at 5.76e23 FLOPs",
            ),
            "besiroglu2024": Published(
                _from_law(6.17795598, 0.34781, 7.64273236, 0.36585),
                "Besiroglu et al. 2024, arXiv:2404.10102, output of the released notebook, by algebra",
                note="a 0.513, standard error 0.02",
            ),
        },
    )


ENTRIES: Mapping[str, Callable[[], Law]] = MappingProxyType({"optimal_N": _optimal})
"""The laws of this family by name; each is built when it is first asked for."""
