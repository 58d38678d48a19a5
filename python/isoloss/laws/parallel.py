r"""Parallel streams: one model run on P transformed copies of its input.

Chen et al. (2025) find that P streams count like a growth of the model by the factor 1 + k ln P:
L(N, P) = E + (A / (N (1 + k ln P)))^alpha at a fixed number of tokens.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from isoloss.law.object import Law, Published, Recipe, Source, law
from isoloss.objective import Huber

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ENTRIES", "PARSCALE", "parscale"]

PARSCALE = Source("Parallel Scaling Law for Language Models", "2505.10475", "Chen et al.", 2025)
_FIGURE = "QwenLM/ParScale at cd6acb4, figures/scaling_law.png (figure 2)"
_REFIT = "the 24 losses in parametric_fit.py of QwenLM/ParScale at cd6acb4, its objective at its least"


def parscale() -> Law:
    """L(N, P) = E + (A / (N (k ln P + 1)))^alpha.

    Examples
    --------
    >>> import isoloss as iso
    >>> known = iso.laws.get("parscale").bind("pile")
    >>> round(known(N="4.35B", P=1) - known(N="4.35B", P=8), 4)
    0.0537
    """
    return law(
        "E + (A / (N * (k * log(P) + 1)))**alpha",
        name="parscale",
        vars=["N", "P"],
        positive=["E", "A", "alpha", "k"],
        bounds={"alpha": (0.0, 2.0)},
        starts={"A": (1e6, 1e8, 1e10), "k": (0.2, 0.4, 0.8), "alpha": (0.1, 0.2, 0.4, 0.8)},
        meanings={
            "E": "irreducible loss [nats per token]",
            "A": "size at which the reducible loss is 1 with one stream [parameters]",
            "k": "gain of a stream: P streams count as 1 + k ln P models",
            "alpha": "exponent of size",
        },
        units={"N": "parameters without embeddings, those of the extra streams included", "P": "streams"},
        recipe=Recipe(Huber(1e-3, space="log"), "24 runs a corpus; 300 starts of L-BFGS-B, lowest kept; no hold-out"),
        family="parallel",
        status="verified",
        source=PARSCALE,
        notes=(
            "All runs saw 42B tokens; the law says nothing about other amounts.",
            "The script minimises over A / 1e9 and prints the last optimiser result before the best one.",
        ),
        published={
            "stack": Published(
                {"E": 0.6912, "A": 1.131e7, "alpha": 0.1894, "k": 0.3935}, _FIGURE, note="Stack-V2, Python"
            ),
            "pile": Published({"E": 1.2888, "A": 1.974e8, "alpha": 0.1963, "k": 0.3345}, _FIGURE, note="Pile"),
            "stack_unrounded": Published(
                {"E": 0.691207043, "A": 11307073.2, "alpha": 0.189358253, "k": 0.393456773},
                _REFIT,
                note="objective 3.67674e-5",
            ),
            "pile_unrounded": Published(
                {"E": 1.28858758, "A": 197516579.0, "alpha": 0.196281453, "k": 0.334442407},
                _REFIT,
                note="objective 1.81393e-5",
            ),
        },
    )


ENTRIES: Mapping[str, Callable[[], Law]] = MappingProxyType({"parscale": parscale})
"""The laws of this family by name; each is built when it is first asked for."""
