r"""Power scheduler: a learning rate that depends on batch size and tokens seen only (Shen et al. 2024).

lr(n) = min(lr_max, batch a n^b), n the tokens seen so far: a law for the best learning rate of any horizon, followed as
training goes on, after a warm-up and before a final decay. For whole schedules see `isoloss.schedules`.

Reference: Shen et al. (2024), arXiv:2408.13359; b as in github.com/IBM/dolomite-engine.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from isoloss.law.object import Law, Recipe, Source, law
from isoloss.objective import SquaredError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ENTRIES", "SHEN"]

SHEN = Source(
    "Power Scheduler: A Batch Size and Token Number Agnostic Learning Rate Scheduler", "2408.13359", "Shen et al.", 2024
)


def _rate() -> Law:
    """Learning rate against tokens seen and batch."""
    return law(
        "min(lr_max, batch * a * D**b)",
        name="power_scheduler",
        target="lr",
        target_unit="1",
        vars=["batch", "D"],
        positive=["lr_max", "a"],
        bounds={"b": (-1.0, 0.0)},
        starts={"b": (-0.3, -0.5, -0.7), "lr_max": (1e-3, 1e-2)},
        meanings={
            "lr_max": "cap of the learning rate",
            "a": "learning rate per unit of batch at one token",
            "b": "exponent of the tokens",
        },
        units={"batch": "sequences", "D": "tokens seen so far"},
        recipe=Recipe(SquaredError(space="log"), "straight line of ln(lr / batch) in ln D through the best of a sweep"),
        family="power_scheduler",
        status="form verified",
        source=SHEN,
        notes=(
            (
                "b = -0.51 is in the authors' code; a was read in one port only, which drops the "
                "batch, so no set is given. The cap is 0.02 under muP."
            ),
            (
                "The cap is left at n = (lr_max / (batch a))^(1 / b) tokens; below it twice the batch asks for twice "
                "the rate."
            ),
        ),
    )


ENTRIES: Mapping[str, Callable[[], Law]] = MappingProxyType({"power_scheduler": _rate})
"""The laws of this family by name; each is built when it is first asked for."""
