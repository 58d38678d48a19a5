r"""What training runs cost and what they are worth: sizes, tokens, classes of hours, repeats, vocabularies, experts.

Formulas that stand beside the laws of the same papers: see each card.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from isoloss.errors import DataError
from isoloss.law.parts import Published
from isoloss.laws.coupled import JIN
from isoloss.laws.data_constrained import MUENNIGHOFF
from isoloss.laws.hyperparameters import DEEPSEEK
from isoloss.laws.mixture_of_experts import KRAJEWSKI
from isoloss.laws.other_models import LANGUINI
from isoloss.laws.precision import KUMAR
from isoloss.laws.vocabulary import TAO, TOKENS_PER_CHARACTER
from isoloss.rules._rule import Quantity, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ENTRIES", "Class", "Pruned", "Worth"]

_FAMILY = "training_budget"


class Pruned(NamedTuple):
    """A model that is pruned during training."""

    mean: Any
    final: Any
    mean_share: Any


def _average(N0: Any, sparsity: Any, start: Any, end: Any) -> Pruned:
    if np.any(np.asarray(end) < start):
        raise DataError("input 'end' is before 'start'", code="rule-domain", column="end")
    share = 1.0 - sparsity * (0.75 * (np.asarray(end) - start) + (1.0 - np.asarray(end)))
    return Pruned(N0 * share, N0 * (1.0 - np.asarray(sparsity)), share)


def average_parameter_count() -> Rule:
    """Mean size over the training tokens of a model that is pruned by a cubic schedule.

    Examples
    --------
    >>> import isoloss as iso
    >>> pruned = iso.rules.get("average_parameter_count")(N0="1B", sparsity=0.8, start=0.25, end=0.75)
    >>> pruned.mean, round(pruned.final)
    (500000000.0, 200000000)
    """
    return Rule(
        name="average_parameter_count",
        family=_FAMILY,
        formula=(
            "N(t) = N0 * (1 - sparsity * (1 - (1 - (t - start) / (end - start))**3))",
            "mean = N0 * (1 - sparsity * (0.75 * (end - start) + 1 - end))",
        ),
        gives="mean size over the tokens, final size, and the mean as a share of the first",
        function=_average,
        variables={
            "N0": Quantity("parameters", "at the start"),
            "sparsity": Quantity("1", "share pruned in the end", low=0.0, high=1.0, positive=False),
            "start": Quantity("share of tokens", "at which pruning starts", low=0.0, high=1.0, positive=False),
            "end": Quantity("share of tokens", "at which pruning ends", low=0.0, high=1.0, positive=False),
        },
        source=JIN,
        status="derived",
        notes=(
            "The law average_parameters takes the mean; the final size is what inference pays for.",
            (
                "The mean is the exact integral of the cubic schedule, which is the usual one of gradual pruning. The "
                "paper's "
                "25 % and 75 % are shares of compute, not of tokens."
            ),
        ),
    )


class Class(NamedTuple):
    """What fits into a compute class."""

    tokens: Any
    steps: Any


def _languini(hours: Any, tokens_per_second: Any, batch: Any, seq: Any) -> Class:
    tokens = 3600.0 * np.asarray(hours) * tokens_per_second
    return Class(tokens, np.round(tokens / (batch * seq)))


def languini_budget() -> Rule:
    """Tokens and steps of a class of hours on the reference hardware.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.rules.get("languini_budget")("gpt_small", hours=6)
    Class(tokens=1196985600.0, steps=18265.0)
    """
    code = "Languini Kitchen, released read-mes and configurations"
    return Rule(
        name="languini_budget",
        family=_FAMILY,
        formula=("tokens = 3600 * hours * tokens_per_second", "steps = round(tokens / (batch * seq))"),
        gives="tokens and steps",
        function=_languini,
        variables={"hours": Quantity("h", "on the reference hardware (RTX 3090)")},
        parameters={
            "tokens_per_second": Quantity("token/s", "measured throughput of the model"),
            "batch": Quantity("sequences", "batch"),
            "seq": Quantity("tokens", "sequence", 512.0),
        },
        source=LANGUINI,
        states_law=False,
        published={
            "gpt_small": Published({"tokens_per_second": 55416.0, "batch": 128.0, "seq": 512.0}, code),
            "gpt_medium": Published({"tokens_per_second": 16618.0, "batch": 256.0, "seq": 512.0}, code, note="96 h"),
            "qlstm_mini": Published({"tokens_per_second": 94781.0, "batch": 80.0, "seq": 512.0}, code, note="6 h"),
            "qlstm_small": Published({"tokens_per_second": 11143.0, "batch": 160.0, "seq": 512.0}, code, note="96 h"),
        },
    )


def _flops_per_token(layers: Any, d: Any, seq: Any) -> Any:
    return 72.0 * layers * np.asarray(d) ** 2 + 12.0 * layers * np.asarray(d) * seq


def model_flops_per_token() -> Rule:
    """DeepSeek's model scale M: training FLOPs per token without the vocabulary.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.rules.get("model_flops_per_token")(layers=8, d=512, seq=4096) / 1e6
    352.321536
    """
    return Rule(
        name="model_flops_per_token",
        family=_FAMILY,
        formula=("M = 72 * layers * d**2 + 12 * layers * d * seq",),
        gives="FLOPs per token",
        function=_flops_per_token,
        variables={
            "layers": Quantity("1", "layers"),
            "d": Quantity("features", "width"),
            "seq": Quantity("tokens", "sequence"),
        },
        source=DEEPSEEK,
        status="second hand",
        notes=("The C of the laws deepseek_* is M D. It counts attention, which 6 N does not.",),
    )


class Worth(NamedTuple):
    """Repeated data in units of fresh data."""

    tokens: Any
    epochs: Any
    marginal: Any


def _worth(U: Any, epochs: Any, R_D: Any) -> Worth:
    repeats = np.maximum(np.asarray(epochs) - 1.0, 0.0)
    worth = np.minimum(epochs, 1.0) + R_D * -np.expm1(-repeats / R_D)
    return Worth(U * worth, worth, np.exp(-repeats / R_D))


def repeated_data_value() -> Rule:
    """What epochs over the same tokens are worth in fresh ones.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.rules.get("repeated_data_value")("muennighoff2023", U="25B", epochs=[1, 4, 16]).epochs.round(2)
    array([ 1.  ,  3.73, 10.58])
    """
    return Rule(
        name="repeated_data_value",
        family=_FAMILY,
        formula=(
            "tokens = U * (1 + R_D * (1 - exp(-(epochs - 1) / R_D)))",
            "marginal = exp(-(epochs - 1) / R_D)",
        ),
        gives="worth in fresh tokens, in epochs, and the worth of the next token seen again",
        function=_worth,
        variables={
            "U": Quantity("tokens", "unique"),
            "epochs": Quantity("1", "passes over them"),
        },
        parameters={"R_D": Quantity("repetitions", "after which one more is worth 1/e of fresh data")},
        source=MUENNIGHOFF,
        notes=("The limit is 1 + R_D epochs. R_D is barely identified: see the law data_constrained.",),
        published={
            "muennighoff2023": Published(
                {"R_D": 15.387756}, "released notebook utils/parametric_fit.ipynb of datablations"
            )
        },
    )


def _moe_flops(d: Any, blocks: Any, E: Any, G: Any, D: Any, c_f: Any, c_r: Any) -> Any:
    return (12.0 * np.asarray(d) ** 2 * c_f + np.asarray(d) * E * G * c_r) * D * blocks


def moe_flops() -> Rule:
    """Training FLOPs of a mixture of fine-grained experts, routing counted.

    Examples
    --------
    >>> import isoloss as iso
    >>> rule = iso.rules.get("moe_flops")
    >>> shape = dict(d=1024, blocks=24, E=64, D=1e11)
    >>> round(rule("krajewski2024", G=16, **shape) / rule("krajewski2024", G=1, **shape), 3)
    1.18
    """
    return Rule(
        name="moe_flops",
        family=_FAMILY,
        formula=("F = (12 * d**2 * c_f + d * E * G * c_r) * D * blocks",),
        gives="FLOPs",
        function=_moe_flops,
        variables={
            "d": Quantity("features", "width"),
            "blocks": Quantity("1", "layers"),
            "E": Quantity("1", "expansion: total experts' parameters over a dense layer's"),
            "G": Quantity("1", "granularity", low=1.0),
            "D": Quantity("tokens", "training tokens"),
        },
        parameters={
            "c_f": Quantity("FLOP", "per active parameter and token"),
            "c_r": Quantity("FLOP", "per routing parameter and token"),
        },
        source=KRAJEWSKI,
        status="second hand",
        notes=("Routing grows with granularity, which bounds the best G of the law moe_granularity.",),
        published={
            "krajewski2024": Published(
                {"c_f": 6.0, "c_r": 14.0}, "arXiv:2402.07871, as quoted by one account", second_hand=True
            )
        },
    )


def _tokens_per_character(V: Any) -> Any:
    v = np.log(np.minimum(V, 2e5))
    square, linear, constant = TOKENS_PER_CHARACTER
    return square * v**2 + linear * v + constant


def tokens_per_character() -> Rule:
    """Tokens that a vocabulary cuts a character into.

    Examples
    --------
    >>> import isoloss as iso
    >>> round(1 / iso.rules.get("tokens_per_character")(V=32768), 2)
    3.97
    """
    return Rule(
        name="tokens_per_character",
        family=_FAMILY,
        formula=("f = 0.00639222 * log(V)**2 - 0.15811069 * log(V) + 1.20470122",),
        gives="tokens per character",
        function=_tokens_per_character,
        variables={"V": Quantity("entries", "vocabulary", low=1.0)},
        source=TAO,
        notes=("For the authors' tokenisers of English text; a vocabulary above 200,000 counts as 200,000.",),
    )


def _data_limit(N: Any, P_post: Any, B: Any, beta: Any, C_T: Any, g_D: Any, g_N: Any, g_post: Any) -> Any:
    loss_per_data = g_D * C_T * np.asarray(N) ** -g_N * np.exp(-np.asarray(P_post) / g_post)
    return (beta * B / loss_per_data) ** (1.0 / (beta + g_D))


def precision_data_limit() -> Rule:
    """Tokens beyond which more data harms a model that will be quantised.

    Examples
    --------
    >>> import isoloss as iso
    >>> own = dict(B=2000.0, beta=0.37, C_T=0.06, g_D=0.5, g_N=0.34, g_post=0.6)
    >>> D = iso.rules.get("precision_data_limit")(N=1e9, P_post=3, **own)
    >>> law = iso.laws.get("precision_post_training").bind(**{k: own[k] for k in ("C_T", "g_D", "g_N", "g_post")})
    >>> total = [law(N=1e9, D=x * D, P_post=3) + 2000 / (x * D) ** 0.37 for x in (0.9, 1.0, 1.1)]
    >>> min(total) == total[1]
    True
    """
    return Rule(
        name="precision_data_limit",
        family=_FAMILY,
        formula=("D = (beta * B / (g_D * C_T * N**(-g_N) * exp(-P_post / g_post)))**(1 / (beta + g_D))",),
        gives="tokens",
        function=_data_limit,
        variables={
            "N": Quantity("parameters", "size"),
            "P_post": Quantity("bits", "of the weights after training"),
        },
        parameters={
            "B": Quantity("nats", "scale of the data term"),
            "beta": Quantity("1", "its exponent"),
            "C_T": Quantity("nats", "scale of the loss from quantising"),
            "g_D": Quantity("1", "its exponent of data"),
            "g_N": Quantity("1", "its exponent of size", positive=False, low=0.0),
            "g_post": Quantity("bits", "in which it falls by e"),
        },
        source=KUMAR,
        status="derived",
        notes=("Where the fall of B / D^beta and the rise of the law precision_post_training balance.",),
    )


ENTRIES: Mapping[str, Callable[[], Rule]] = MappingProxyType(
    {
        "average_parameter_count": average_parameter_count,
        "languini_budget": languini_budget,
        "model_flops_per_token": model_flops_per_token,
        "repeated_data_value": repeated_data_value,
        "moe_flops": moe_flops,
        "tokens_per_character": tokens_per_character,
        "precision_data_limit": precision_data_limit,
    }
)
"""The rules of this family by name."""
