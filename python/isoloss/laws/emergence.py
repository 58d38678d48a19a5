r"""Pass rates that look like sudden abilities: the law of a rate far below one per cent.

Hu et al. (2023) draw until a task is solved, so that rates of 1e-5 are measured, and find PU(N) = exp(-c N^-alpha):
ln(-ln PU) falls along a straight line in ln N. The estimators are rules: ``pass_until``, ``passuntil_size``,
``passuntil_curvature``.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from isoloss.law.object import Law, Recipe, Source, law
from isoloss.objective import Binomial

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ENTRIES", "PASSUNTIL", "passuntil"]

PASSUNTIL = Source("Predicting Emergent Abilities with Infinite Resolution Evaluation", "2310.03262", "Hu et al.", 2023)


def passuntil() -> Law:
    """Pass rate of a task, exp(-c N^-alpha).

    Examples
    --------
    >>> import isoloss as iso
    >>> round(iso.laws.get("passuntil")(N="2.4B", c=1e4, alpha=0.4), 4)
    0.1704
    """
    return law(
        "exp(-c * N**-alpha)",
        name="passuntil",
        positive=["c", "alpha"],
        bounds={"alpha": (0.0, 2.0)},
        starts={"c": (1e2, 1e4, 1e6), "alpha": (0.1, 0.3, 0.6)},
        meanings={"c": "-ln of the pass rate at N = 1", "alpha": "exponent of size"},
        target="PU",
        target_unit="pass rate, 0 to 1",
        recipe=Recipe(
            Binomial(),
            "pass fractions with their numbers of trials; the paper: least squares of ln(-ln PU) on ln N, sizes "
            "0.03B to "
            "2.4B, the last held out",
        ),
        family="emergence",
        status="second hand",
        source=PASSUNTIL,
        notes=(
            "Guessing must not pass: the law has no floor.",
            (
                "By the item of a task instead of the task (c and alpha for each, averaged) the paper predicts "
                "HumanEval "
                "to "
                "0.05 %."
            ),
            "Coefficients could not be read.",
        ),
    )


ENTRIES: Mapping[str, Callable[[], Law]] = MappingProxyType({"passuntil": passuntil})
"""The laws of this family by name; each is built when it is first asked for."""
