r"""Critical batch size: what a larger batch saves in steps and costs in data.

* Gradient noise (McCandlish et al. 2018): a step with batch B makes 1 / (1 + B_noise / B) of the progress of an exact
  gradient, and the best learning rate shrinks by the same factor.
* Steps to a fixed loss against batch, S = a + b / B: a is the least number of steps, b the least number of sequences,
  b / a the critical batch (Kaplan et al. 2020; Zhang et al. 2024).
* Critical batch against size, B* = d N^k (Zhang et al. 2024), where B* is the batch at which the data needed exceed
  what the smallest batches need by 20 %.
"""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from isoloss.law.object import Law, Published, Recipe, Source, law
from isoloss.objective import SquaredError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ENTRIES", "MCCANDLISH", "ZHANG"]

MCCANDLISH = Source("An Empirical Model of Large-Batch Training", "1812.06162", "McCandlish et al.", 2018)
ZHANG = Source("How Does Critical Batch Size Scale in Pre-training?", "2410.21676", "Zhang et al.", 2024)

_FAMILY = "critical_batch"
_NOTEBOOK = "Zhang et al. 2024, arXiv:2410.21676, released notebook plots/chinchilla.ipynb"


def _gradient_noise(name: str, target: tuple[str, str], top: str, what: str) -> Law:
    """Top / (1 + B_noise / B)."""
    return law(
        f"{top} / (1 + B_noise / batch)",
        name=name,
        target=target[0],
        target_unit=target[1],
        positive=[top, "B_noise"],
        starts={"B_noise": (1e3, 1e5, 1e7)},
        meanings={top: what, "B_noise": "gradient noise scale [unit of batch]"},
        recipe=Recipe(SquaredError(space="log")),
        family=_FAMILY,
        status="form only",
        source=MCCANDLISH,
        notes=(
            (
                "B_noise = tr(H Sigma) / (G' H G); the simple scale tr(Sigma) / |G|^2 stands in for it, see the rule "
                "gradient_noise_scale."
            ),
            "For SGD near a quadratic; adaptive optimisers follow it only roughly.",
        ),
    )


_STEPS = {
    "85M": (1293.83, 2834258.0),
    "151M": (1752.42, 5677478.0),
    "302M": (2095.35, 11383270.0),
    "604M": (2459.93, 19449689.0),
}


def _steps() -> Law:
    """Steps to a given loss against batch size."""
    return law(
        "a + b / batch",
        name="steps_batch",
        target="S",
        target_unit="steps",
        positive=["a", "b"],
        meanings={
            "a": "least number of steps, of an unlimited batch [steps]",
            "b": "least number of examples, of a small batch [unit of batch]",
        },
        units={"batch": "tokens, or sequences: the unit of b"},
        recipe=Recipe(SquaredError(space="log"), "steps until a fixed loss, one size at a time"),
        family=_FAMILY,
        status="verified",
        source=ZHANG,
        notes=(
            (
                "The same as (S / a - 1)(S B / b - 1) = 1, the hyperbola of time against data; the critical batch is b "
                "/ a."
            ),
            "The published sets count batches in sequences of 512 tokens.",
            (
                "The authors call critical the batch at which data exceed those at 256 sequences by 20 %: b / (5 a) + "
                "1.2 x 256."
            ),
        ),
        published={
            f"zhang2024_{size}": Published({"a": a, "b": b}, _NOTEBOOK, note="batch in sequences of 512 tokens")
            for size, (a, b) in _STEPS.items()
        },
    )


def _size() -> Law:
    """Critical batch size against model size."""
    return law(
        "d * (N / million)**k",
        name="critical_batch_N",
        target="B_crit",
        target_unit="sequences of 512 tokens",
        positive=["d"],
        bounds={"k": (0.0, 2.0)},
        starts={"k": (0.2, 0.5, 0.8)},
        constants={"million": 1e6},
        meanings={"d": "critical batch of a model of a million parameters [sequences of 512]", "k": "exponent of size"},
        recipe=Recipe(SquaredError(space="log"), "straight line in logarithms through four sizes, data 20 N"),
        family=_FAMILY,
        status="verified",
        source=ZHANG,
        notes=(
            (
                "Data grow with size along these runs. With one of them held, the paper finds that the critical batch "
                "follows "
                "the data and hardly the size."
            ),
        ),
        published={
            "zhang2024": Published(
                {"d": 93.197, "k": 0.46828}, _NOTEBOOK, note="a third parameter, a floor, goes to zero in their fit"
            )
        },
    )


ENTRIES: Mapping[str, Callable[[], Law]] = MappingProxyType(
    {
        "gradient_noise_progress": partial(
            _gradient_noise,
            "gradient_noise_progress",
            ("dL", "nats per token"),
            "dL_max",
            "loss drop of a step with the exact gradient [nats]",
        ),
        "gradient_noise_lr": partial(
            _gradient_noise, "gradient_noise_lr", ("lr", "1"), "lr_max", "best learning rate of the exact gradient"
        ),
        "steps_batch": _steps,
        "critical_batch_N": _size,
    }
)
"""The laws of this family by name; each is built when it is first asked for."""
