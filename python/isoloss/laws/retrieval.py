r"""Language models with a datastore to retrieve from.

Shao et al. (2024) fit no curve: they draw the envelope of performance over compute, which the rules ``retrieval_flops``
and ``pareto_envelope`` calculate. For those who want a curve, this one of ours lets the loss fall with the logarithm of
the datastore.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from isoloss.law.object import Law, Recipe, law
from isoloss.objective import Huber

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ENTRIES", "retrieval_loss"]


def retrieval_loss() -> Law:
    """L = E + A/N^alpha + B/D^beta - G ln(1 + R/R0).

    Examples
    --------
    >>> import isoloss as iso
    >>> law = iso.laws.get("retrieval_loss")
    >>> law(N=100.0, D=1e4, R=0.0, E=1.0, A=20.0, alpha=0.5, B=300.0, beta=0.5, G=0.1, Rx=1e9)
    6.0
    """
    return law(
        "E + A / N**alpha + B / D**beta - G * log(1 + R / Rx)",
        name="retrieval_loss",
        vars=["N", "D", "R"],
        positive=["E", "A", "B", "G", "Rx"],
        bounds={"alpha": (0.0, 2.0), "beta": (0.0, 2.0)},
        starts={"alpha": (0.2, 0.4), "beta": (0.2, 0.4), "Rx": (1e6, 1e9, 1e12)},
        meanings={
            "E": "irreducible loss without a datastore [nats per token]",
            "A": "scale of the size term",
            "alpha": "exponent of size",
            "B": "scale of the data term",
            "beta": "exponent of data",
            "G": "gain per factor e of the datastore [nats per token]",
            "Rx": "size at which a datastore begins to help [tokens]",
        },
        units={"R": "tokens of the datastore; 0 for none"},
        recipe=Recipe(Huber(1e-3, space="log")),
        family="retrieval",
        status="own",
        notes=("No paper states it: a form to try on sweeps of the datastore.",),
    )


ENTRIES: Mapping[str, Callable[[], Law]] = MappingProxyType({"retrieval_loss": retrieval_loss})
"""The laws of this family by name; each is built when it is first asked for."""
