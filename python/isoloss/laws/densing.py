r"""Densing: how much smaller a model of today is than a reference model of the same score (Xiao et al. 2024).

In three steps: the loss of reference models, a N^-alpha + b D^-beta without a floor; the score as a sigmoid of that
loss, c / (1 + exp(-gamma (L - l))) + d; and, solved backwards at D = 1e12 tokens, the size N_hat a reference model
would need for a score. Density is N_hat / N, and its best value at a date grows exponentially.

Reference: Xiao et al. (2024), "Densing Law of LLMs", arXiv:2412.04315, equations 1 to 7. Steps 1 and 2 in reverse are
the rule capacity_density.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from isoloss.law.object import Law, Published, Recipe, Source, law
from isoloss.objective import Huber, SquaredError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ENTRIES", "XIAO"]

XIAO = Source("Densing Law of LLMs", "2412.04315", "Xiao et al.", 2024)

_FAMILY = "densing"


def _loss() -> Law:
    """Step 1: the reference loss."""
    return law(
        "a * N**(-alpha) + b * D**(-beta)",
        name="densing_loss",
        positive=["a", "b"],
        bounds={"alpha": (0.0, 2.0), "beta": (0.0, 2.0)},
        starts={"alpha": (0.02, 0.07, 0.2, 0.5), "beta": (0.02, 0.07, 0.2, 0.5)},
        meanings={
            "a": "scale of the size term",
            "alpha": "exponent of size",
            "b": "scale of the data term",
            "beta": "exponent of data",
        },
        recipe=Recipe(
            Huber(1e-3, space="log"),
            "reference models of 5M to 828M parameters, each on 10 to 60 tokens per parameter, WSD",
        ),
        family=_FAMILY,
        status="form verified",
        source=XIAO,
        notes=(
            "The loss is that of the benchmark's answers given its questions.",
            "There is no irreducible loss; the form is read off the paper's inverse (equation 4).",
        ),
    )


def _score() -> Law:
    """Step 2: the score against the loss."""
    return law(
        "c / (1 + exp(-gamma * (L - l))) + d",
        name="densing_score",
        target="score",
        target_unit="score of the benchmark, 0 to 1",
        vars=["L"],
        positive=["c"],
        bounds={"c": (0.0, 1.0), "gamma": (-50.0, 0.0), "l": (0.0, 20.0), "d": (0.0, 1.0)},
        starts={"gamma": (-1.0, -4.0, -12.0), "l": (0.5, 1.0, 2.0)},
        meanings={
            "c": "ceiling minus chance",
            "gamma": "steepness, below zero: the score falls as the loss rises",
            "l": "loss half way [nats per token]",
            "d": "score of guessing",
        },
        units={"L": "nats per token of the answers"},
        recipe=Recipe(SquaredError(), "reference models, and larger models with their checkpoints"),
        family=_FAMILY,
        status="form verified",
        source=XIAO,
        notes=("Outside of d to d + c no loss belongs to a score.",),
    )


def _growth() -> Law:
    """Density relative to that of a reference day."""
    return law(
        "exp(A * t)",
        name="densing_growth",
        target="rho",
        target_unit="density over that of the reference day",
        vars=["t"],
        bounds={"A": (-1.0, 1.0)},
        starts={"A": (0.003, 0.01)},
        meanings={"A": "growth of the logarithm of the greatest density [1/day]"},
        units={"t": "days since the reference day"},
        recipe=Recipe(
            SquaredError(space="log"), "straight line through the envelope of 29 open base models, five benchmarks"
        ),
        family=_FAMILY,
        status="verified",
        source=XIAO,
        notes=(
            "The constant B of ln rho = A t + B was not found, so none is given.",
            (
                "It doubles in ln 2 / A days: 99 days, the 3.3 months of the paper; the later journal version says 3.5 "
                "months."
            ),
            "About half faster after the release of ChatGPT, by the authors' account.",
        ),
        published={"xiao2024": Published({"A": 0.007}, "arXiv:2412.04315, text", note="one digit; R2 about 0.93")},
    )


ENTRIES: Mapping[str, Callable[[], Law]] = MappingProxyType(
    {"densing_loss": _loss, "densing_score": _score, "densing_growth": _growth}
)
"""The laws of this family by name; each is built when it is first asked for."""
