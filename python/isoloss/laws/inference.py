r"""Compute-optimal training when the model will also be used: smaller and longer (Sardana et al. 2024).

Of all sizes that reach a loss L, the one that costs least in 6 N D + 2 N D_inf FLOPs, training and then D_inf tokens of
inference. With T = L - E and v the share of T that the size term takes, N = (A / (v T))^(1 / alpha) and
D = (B / (T (1 - v)))^(1 / beta); the cost has its least where

3 D (alpha v / (beta (1 - v)) - 1) = D_inf,

an equation in v alone, which the law solves as a root. Without inference v = beta / (alpha + beta).

Reference: Sardana et al. (2024), "Beyond Chinchilla-Optimal", arXiv:2401.00448, section 2.
"""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from isoloss.law.object import Law, Published, Recipe, Source, law
from isoloss.objective import SquaredError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ENTRIES"]

SARDANA = Source(
    "Beyond Chinchilla-Optimal: Accounting for Inference in Language Model Scaling Laws",
    "2401.00448",
    "Sardana et al.",
    2024,
)

_MEANINGS = {
    "E": "irreducible loss [nats per token]",
    "A": "scale of the size term [nats per token]",
    "alpha": "exponent of the size term",
    "B": "scale of the data term [nats per token]",
    "beta": "exponent of the data term",
}
_SARDANA = {"E": 1.69, "A": 406.4, "alpha": 0.336, "B": 410.7, "beta": 0.283}
_SHARE = (
    "root(v, 3 * (B / ((L - E) * (1 - v)))**(1 / beta) * (alpha * v / (beta * (1 - v)) - 1) - D_inf, "
    "beta / (alpha + beta) * (1 - 1e-9), 1 - 1e-9)"
)
_TEXTS = {
    "inference_optimum_N": (f"(A / ((L - E) * {_SHARE}))**(1 / alpha)", "N_opt", "parameters"),
    "inference_optimum_D": (f"(B / ((L - E) * (1 - {_SHARE})))**(1 / beta)", "D_opt", "tokens"),
}


def _optimum(name: str) -> Law:
    """Size or training tokens at the least total cost."""
    text, target, unit = _TEXTS[name]
    # The best data do not depend on the scale of the size term.
    names = [key for key in _MEANINGS if key != "A" or target == "N_opt"]
    return law(
        text,
        name=name,
        target=target,
        target_unit=unit,
        vars=["L", "D_inf"],
        positive=[key for key in ("E", "A", "B") if key in names],
        bounds={"alpha": (0.05, 2.0), "beta": (0.05, 2.0)},
        meanings={key: _MEANINGS[key] for key in names},
        units={"L": "nats per token to be reached", "D_inf": "tokens of inference over the model's life"},
        recipe=Recipe(SquaredError(space="log"), "not fitted: coefficients come from a fit of the law chinchilla"),
        family="inference",
        status="verified",
        source=SARDANA,
        notes=(
            "Put in the coefficients of your own fit of chinchilla; L must lie above E.",
            (
                "13B quality for 2e12 tokens of inference is reached with 6.97B parameters on 2.165 times the data "
                "at 17.5 % "
                "fewer FLOPs in all; 30B quality for 1e13 with 13.6B on 2.85 times the data at 28 % fewer."
            ),
            "On tokens per parameter far from 20 the paper's own refits flatten: the exponents are local.",
        ),
        published={
            "sardana2024": Published(
                {key: _SARDANA[key] for key in names},
                "read-me of the authors' code for arXiv:2401.00448, default of every script",
                note="its example, 2.418e10 parameters and 2.657e12 tokens at a loss of 1.947, is met",
            )
        },
    )


ENTRIES: Mapping[str, Callable[[], Law]] = MappingProxyType({name: partial(_optimum, name) for name in _TEXTS})
"""The laws of this family by name; each is built when it is first asked for."""
