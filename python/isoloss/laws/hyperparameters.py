r"""Learning rate, batch size and allocation as powers of compute, size, data or loss.

Each is k x^p (or a product of two powers): a straight line in logarithms through the optima of a sweep. They hold for
the optimiser, schedule and parameterisation they were fitted with; none carries over to another without a check.

* DeepSeek LLM (Bi et al. 2024, arXiv:2401.02954): lr, batch, model scale and tokens against C = M D, where M counts
  FLOPs per token without the vocabulary (72 layers d^2 + 12 layers d seq), not 6N.
* MiniCPM (Hu et al. 2024, arXiv:2404.06395): batch against the loss reached on C4.
* Porian et al. 2024 (arXiv:2406.19146): lr and batch against N, all linear layers with the head, without embeddings.
* Bjorck et al. 2025 (arXiv:2409.19913): how the learning rate falls with the token horizon.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from isoloss.law.object import Law, Published, Recipe, Source, law
from isoloss.laws.compute_optimal import KAPLAN
from isoloss.objective import SquaredError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["DEEPSEEK", "ENTRIES"]

DEEPSEEK = Source("DeepSeek LLM: Scaling Open-Source Language Models with Longtermism", "2401.02954", "Bi et al.", 2024)
MINICPM = Source(
    "MiniCPM: Unveiling the Potential of Small Language Models with Scalable Training Strategies",
    "2404.06395",
    "Hu et al.",
    2024,
)
PORIAN = Source(
    "Resolving Discrepancies in Compute-Optimal Scaling of Language Models", "2406.19146", "Porian et al.", 2024
)
BJORCK = Source("Scaling Optimal LR Across Token Horizons", "2409.19913", "Bjorck et al.", 2025)

_FAMILY = "hyperparameters"
_STATUS = "second hand"
_TWO = "as quoted by two later accounts"


def _power(
    name: str,
    variable: str,
    target: tuple[str, str],
    *,
    unit: str,
    meaning: str,
    rises: bool,
    published: Mapping[str, Published],
    source: Source,
    notes: tuple[str, ...],
    recipe: str,
    text: str = "k * {x}**p",
) -> Law:
    """K x^p with its card."""
    return law(
        text.format(x=variable),
        name=name,
        target=target[0],
        target_unit=target[1],
        vars=[variable],
        positive=["k"],
        bounds={"p": (0.0, 2.0) if rises else (-10.0, 0.0)},
        starts={"p": (0.2, 0.5, 0.8) if rises else (-0.1, -0.4, -1.0, -6.0)},
        meanings={"k": meaning, "p": f"exponent of {variable}"},
        units={variable: unit},
        recipe=Recipe(SquaredError(space="log"), recipe),
        family=_FAMILY,
        status=_STATUS,
        source=source,
        notes=notes,
        published=published,
    )


_DEEPSEEK_C = "FLOPs as M D, M the non-embedding FLOPs per token"
_DEEPSEEK_RECIPE = (
    "straight line in logarithms through the settings within 0.25 % of the best loss, C from 1e17 to 2e20"
)
_DEEPSEEK_ALLOCATION = "straight line in logarithms through the optima of eight budgets, C from 1e17 to 3e20"
_DEEPSEEK_NOTE = (
    "C is M D with M = 72 layers d^2 + 12 layers d seq, so for small models far from 6 N D: 8 layers of d = 512 have "
    "M = 352M where 6 N is 151M without and 465M with embeddings."
)


def _deepseek_lr() -> Law:
    """Peak learning rate against compute."""
    return _power(
        "deepseek_lr",
        "C",
        ("lr", "1"),
        unit=_DEEPSEEK_C,
        meaning="learning rate at one FLOP",
        rises=False,
        source=DEEPSEEK,
        recipe=_DEEPSEEK_RECIPE,
        notes=(_DEEPSEEK_NOTE, "A later table of rivals misprints the constant as 0.3188; it is 0.3118."),
        published={"bi2024": Published({"k": 0.3118, "p": -0.1250}, f"arXiv:2401.02954, {_TWO}", second_hand=True)},
    )


def _deepseek_batch() -> Law:
    """Batch size in tokens against compute."""
    return _power(
        "deepseek_batch",
        "C",
        ("B", "tokens"),
        unit=_DEEPSEEK_C,
        meaning="batch size at one FLOP [tokens]",
        rises=True,
        source=DEEPSEEK,
        recipe=_DEEPSEEK_RECIPE,
        notes=(_DEEPSEEK_NOTE,),
        published={"bi2024": Published({"k": 0.2920, "p": 0.3271}, f"arXiv:2401.02954, {_TWO}", second_hand=True)},
    )


def _deepseek_size() -> Law:
    """Best model scale (FLOPs per token) against compute."""
    return _power(
        "deepseek_size",
        "C",
        ("M_opt", "FLOPs per token"),
        unit=_DEEPSEEK_C,
        meaning="model scale at one FLOP [FLOPs per token]",
        rises=True,
        source=DEEPSEEK,
        recipe=_DEEPSEEK_ALLOCATION,
        notes=(
            "M is FLOPs per token, not a parameter count.",
            (
                "The exponent moves with the data: 0.450 on early in-house data, 0.524 on the data of this set, "
                "0.578 on "
                "OpenWebText2."
            ),
            _DEEPSEEK_NOTE,
        ),
        published={"bi2024": Published({"k": 0.1715, "p": 0.5243}, f"arXiv:2401.02954, {_TWO}", second_hand=True)},
    )


def _deepseek_tokens() -> Law:
    """Best number of tokens against compute."""
    return _power(
        "deepseek_tokens",
        "C",
        ("D_opt", "tokens"),
        unit=_DEEPSEEK_C,
        meaning="tokens at one FLOP [tokens]",
        rises=True,
        source=DEEPSEEK,
        recipe=_DEEPSEEK_ALLOCATION,
        notes=("With deepseek_size it multiplies to C.", _DEEPSEEK_NOTE),
        published={"bi2024": Published({"k": 5.8316, "p": 0.4757}, f"arXiv:2401.02954, {_TWO}", second_hand=True)},
    )


def _minicpm_batch() -> Law:
    """Batch size in tokens against the loss to be reached."""
    return _power(
        "minicpm_batch",
        "L",
        ("B", "tokens"),
        unit="nats per token on C4",
        meaning="batch size at a loss of 1 [tokens]",
        rises=False,
        source=MINICPM,
        recipe="straight line in logarithms through the best batch of three sizes",
        notes=(
            (
                "The loss at the end of training itself depends on the batch: put in a predicted final loss, or solve "
                "the two "
                "together."
            ),
            "A later table of rivals misprints the constant as 2e18; it is 1.21e9.",
            "The paper's learning rate is about 0.01 under muP from 0.04B to 2.1B, flat in size.",
        ),
        published={
            "hu2024": Published(
                {"k": 1.21e9, "p": -6.24}, "arXiv:2404.06395, as quoted by four accounts", second_hand=True
            )
        },
    )


_PORIAN_N = "parameters of all linear layers with the head, without embeddings"
_PORIAN_RECIPE = "straight line in logarithms through the best of a sweep at each size, 5M to 108M and up, AdamW"


def _porian_lr() -> Law:
    """Learning rate against size."""
    return _power(
        "porian_lr",
        "N",
        ("lr", "1"),
        unit=_PORIAN_N,
        meaning="learning rate at one parameter",
        rises=False,
        source=PORIAN,
        recipe=_PORIAN_RECIPE,
        notes=("For one token horizon per size (compute optimal); AdamW with beta2 0.99 to 220M, 0.95 above.",),
        published={
            "porian2024": Published(
                {"k": 3.7, "p": -0.36}, f"arXiv:2406.19146, {_TWO}", second_hand=True, note="R2 0.997"
            ),
            "porian2024_rounded": Published(
                {"k": 0.0047 * 108e6 ** (1 / 3), "p": -1 / 3},
                f"arXiv:2406.19146, {_TWO}",
                second_hand=True,
                note="0.0047 (N / 108M)^(-1/3), what the paper trains with",
            ),
        },
    )


def _porian_batch() -> Law:
    """Batch size in sequences of 2048 against size."""
    return _power(
        "porian_batch",
        "N",
        ("B", "sequences of 2048 tokens"),
        unit=_PORIAN_N,
        meaning="batch size at one parameter [sequences of 2048 tokens]",
        rises=True,
        source=PORIAN,
        recipe=_PORIAN_RECIPE,
        notes=("Times 2048 for tokens.",),
        published={
            "porian2024": Published(
                {"k": 0.00037, "p": 0.703}, f"arXiv:2406.19146, {_TWO}", second_hand=True, note="R2 0.986"
            ),
            "porian2024_rounded": Published(
                {"k": 160.0 / 108e6 ** (2 / 3), "p": 2 / 3},
                f"arXiv:2406.19146, {_TWO}",
                second_hand=True,
                note="160 (N / 108M)^(2/3), what the paper trains with",
            ),
        },
    )


def _kaplan_lr() -> Law:
    """Learning rate against size."""
    return law(
        "a + b * log(N)",
        name="kaplan_lr",
        target="lr",
        target_unit="1",
        bounds={"a": (-1.0, 1.0), "b": (-1.0, 1.0)},
        meanings={"a": "learning rate at one parameter", "b": "change of it per factor e of size"},
        units={"N": "parameters without embeddings"},
        recipe=Recipe(SquaredError(), "a rule of thumb of the authors for sizes up to about 1e10"),
        family=_FAMILY,
        status=_STATUS,
        source=KAPLAN,
        notes=("Falls below zero at N = exp(-a / b), about 1.2e10: not to be used near it.",),
        published={
            "kaplan2020": Published(
                {"a": 3.239e-3, "b": -1.395e-4}, "arXiv:2001.08361, as quoted by one later account", second_hand=True
            )
        },
    )


def _bjorck_lr() -> Law:
    """Learning rate against size and token horizon."""
    return law(
        "c * (N / billion)**(-a) * (D / billion)**(-b)",
        name="bjorck_lr",
        target="lr",
        target_unit="1",
        positive=["c"],
        bounds={"a": (-1.0, 1.0), "b": (-1.0, 1.0)},
        constants={"billion": 1e9},
        meanings={
            "c": "learning rate at a billion parameters and a billion tokens",
            "a": "exponent of size",
            "b": "exponent of the token horizon",
        },
        recipe=Recipe(SquaredError(space="log"), "best of a sweep per size and horizon, sizes of 760M and above"),
        family=_FAMILY,
        status=_STATUS,
        source=BJORCK,
        notes=(
            (
                "The unit of the constant is inferred: with N and D in billions it gives 1.10e-4 for 6.7B and 1T, "
                "where the "
                "paper's example is 1.15e-4; other units are off by orders of magnitude."
            ),
            "A later table of rivals prints the constant 1.3192e-5, which fits no choice of units.",
            "To carry a learning rate from one horizon to another only b matters: multiply by (D2 / D1)^-0.32.",
            "Fitted one size at a time the exponent is 0.70 at 50M, 0.38 at 350M, 0.32 at 1.3B and 0.42 at 2.7B.",
        ),
        published={
            "bjorck2025": Published(
                {"c": 1.55e-3, "a": 0.23, "b": 0.32},
                "arXiv:2409.19913, as summarised by one account",
                second_hand=True,
                note="unit inferred",
            )
        },
    )


ENTRIES: Mapping[str, Callable[[], Law]] = MappingProxyType(
    {
        "deepseek_lr": _deepseek_lr,
        "deepseek_batch": _deepseek_batch,
        "deepseek_size": _deepseek_size,
        "deepseek_tokens": _deepseek_tokens,
        "minicpm_batch": _minicpm_batch,
        "porian_lr": _porian_lr,
        "porian_batch": _porian_batch,
        "kaplan_lr": _kaplan_lr,
        "bjorck_lr": _bjorck_lr,
    }
)
"""The laws of this family by name; each is built when it is first asked for."""
